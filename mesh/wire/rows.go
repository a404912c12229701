package wire

import "directormesh/directory"

func (m *Table) encode(w *writer) {
	w.array(2)
	w.uint(m.Seq)
	encodeChange(w, &m.Change)
}

func (m *Table) decode(r *reader) {
	extra := r.fields("message", 2)
	m.Seq = r.uint64("seq")
	m.Change = decodeChange(r)
	r.end("message", extra)
}

func (m *Rows) encode(w *writer) {
	w.array(3)
	w.uint(m.Seq)
	w.uint(uint64(m.Stamp))
	encodeBlocks(w, m.Blocks)
}

func (m *Rows) decode(r *reader) {
	extra := r.fields("message", 3)
	m.Seq = r.uint64("seq")
	m.Stamp = directory.Stamp(r.uint64("stamp"))
	m.Blocks = decodeBlocks(r)
	r.end("message", extra)
}
