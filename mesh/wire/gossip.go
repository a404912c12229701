package wire

import "directormesh/ring"

func (m *Delta) encode(w *writer) {
	w.array(5)
	w.name("origin", m.Origin)
	w.uint(m.Boot)
	w.uint(m.N)
	encodeChange(w, &m.Change)
	encodeBlocks(w, m.Blocks)
}

func (m *Delta) decode(r *reader) {
	extra := r.fields("message", 5)
	m.Origin = r.name("origin")
	m.Boot = r.uint64("boot id")
	m.N = r.uint64("number")
	m.Change = decodeChange(r)
	m.Blocks = decodeBlocks(r)
	r.end("message", extra)
}

const minGroupDigests = 1 + 1 + 3 + digestsSize

func (m *PushPull) encode(w *writer) {
	w.array(4)
	m.Hello.encode(w)
	encodeChange(w, &m.Change)
	w.int(m.Epoch)
	encodeGroupDigests(w, m.Digests)
}

func (m *PushPull) decode(r *reader) {
	extra := r.fields("message", 4)
	m.Hello.decode(r)
	m.Change = decodeChange(r)
	m.Epoch = r.int("epoch")
	m.Digests = decodeGroupDigests(r)
	r.end("message", extra)
}

func encodeGroupDigests(w *writer, all []GroupDigests) {
	w.list("digests", len(all), maxTags)
	for i := range all {
		w.array(2)
		w.name("tag", string(all[i].Tag))
		encodeDigests(w, &all[i].Groups)
	}
}

func decodeGroupDigests(r *reader) []GroupDigests {
	return list(r, "digests", maxTags, minGroupDigests, func(r *reader) (d GroupDigests) {
		extra := r.fields("digests", 2)
		d.Tag = ring.Tag(r.name("tag"))
		decodeDigests(r, "digests", &d.Groups)
		r.end("digests", extra)
		return d
	})
}
