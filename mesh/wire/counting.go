package wire

const minLife = 1 + 1 + 1

func encodeLives(w *writer, lives []Life) {
	w.array(len(lives))
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

func (m *Counting) encode(w *writer) {
	w.array(3)
	w.bool(m.Whole)
	encodeLives(w, m.Counts)
	encodeLives(w, m.Gone)
}

func (m *Counting) decode(r *reader) {
	extra := r.fields("message", 3)
	m.Whole = r.bool("whole")
	m.Counts = list(r, "counted directors", minLife, decodeLife)
	m.Gone = list(r, "directors no longer counted", minLife, decodeLife)
	r.end("message", extra)
}
