package wire

const minLife = 1 + 1 + 1

func encodeLives(w *writer, field string, lives []Life, most int) {
	w.list(field, len(lives), most)
	for _, l := range lives {
		w.array(2)
		w.name("director name", l.Name)
		w.uint(l.Boot)
	}
}

func decodeLife(r *reader) (l Life) {
	extra := r.fields("director", 2)
	l.Name = r.name("director name")
	l.Boot = r.uint64("boot id")
	r.end("director", extra)
	return l
}

func (m *Meeting) encode(w *writer) {
	w.array(1)
	encodeChange(w, &m.Change)
}

func (m *Meeting) decode(r *reader) {
	extra := r.fields("message", 1)
	m.Change = decodeChange(r)
	r.end("message", extra)
}

func (m *Counting) encode(w *writer) {
	w.array(3)
	w.bool(m.Whole)
	encodeLives(w, "counted directors", m.Counts, 2*MaxDirectors)
	encodeLives(w, "directors no longer counted", m.Gone, maxPositions)
}

func (m *Counting) decode(r *reader) {
	extra := r.fields("message", 3)
	m.Whole = r.bool("whole")
	m.Counts = list(r, "counted directors", 2*MaxDirectors, minLife, decodeLife)
	m.Gone = list(r, "directors no longer counted", maxPositions, minLife, decodeLife)
	r.end("message", extra)
}
