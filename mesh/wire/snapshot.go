package wire

import "directormesh/directory"

const minPosition = 1 + 3*1

func (m *SnapshotRequest) encode(w *writer) {
	w.array(2)
	w.uint(m.ID)
	w.uint(uint64(m.Since))
}

func (m *SnapshotRequest) decode(r *reader) {
	extra := r.fields("message", 2)
	m.ID = r.uint64("id")
	m.Since = directory.Tick(r.uint32("since"))
	r.end("message", extra)
}

func (m *SnapshotChunk) encode(w *writer) {
	w.array(7)
	w.uint(m.ID)
	w.uint(uint64(m.Index))
	w.bool(m.Last)
	w.bool(m.Busy)
	w.uint(m.Total)
	w.array(len(m.Covers))
	for _, p := range m.Covers {
		w.array(3)
		w.name("director name", p.Name)
		w.uint(p.Boot)
		w.uint(p.Seq)
	}
	encodeBlocks(w, m.Blocks)
}

func (m *SnapshotChunk) decode(r *reader) {
	extra := r.fields("message", 7)
	m.ID = r.uint64("id")
	m.Index = r.uint32("index")
	m.Last = r.bool("last")
	m.Busy = r.bool("busy")
	m.Total = r.uint64("total")
	m.Covers = list(r, "positions", minPosition, func(r *reader) (p Position) {
		extra := r.fields("position", 3)
		p.Name = r.name("director name")
		p.Boot = r.uint64("boot id")
		p.Seq = r.uint64("seq")
		r.end("position", extra)
		return p
	})
	m.Blocks = decodeBlocks(r)
	r.end("message", extra)
}

func (m *SnapshotAck) encode(w *writer) {
	w.array(2)
	w.uint(m.ID)
	w.uint(uint64(m.Index))
}

func (m *SnapshotAck) decode(r *reader) {
	extra := r.fields("message", 2)
	m.ID = r.uint64("id")
	m.Index = r.uint32("index")
	r.end("message", extra)
}
