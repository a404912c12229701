package wire

import "directormesh/directory"

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
	encodePositions(w, m.Covers)
	encodeBlocks(w, m.Blocks)
}

func (m *SnapshotChunk) decode(r *reader) {
	extra := r.fields("message", 7)
	m.ID = r.uint64("id")
	m.Index = r.uint32("index")
	m.Last = r.bool("last")
	m.Busy = r.bool("busy")
	m.Total = r.uint64("total")
	m.Covers = decodePositions(r)
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
