package wire

import (
	"math"

	"directormesh/ring"
)

func (m *LookupRequest) encode(w *writer) {
	w.array(3)
	w.uint(m.ID)
	w.name("tag", string(m.Tag))
	w.uint(uint64(m.Hash))
}

func (m *LookupRequest) decode(r *reader) {
	extra := r.fields("message", 3)
	m.ID = r.uint64("id")
	m.Tag = ring.Tag(r.name("tag"))
	m.Hash = ring.UserHash(r.uint("user hash", math.MaxUint32))
	r.end("message", extra)
}

func (m *LookupReply) encode(w *writer) {
	if rows := m.Block.Len(); rows != m.rows() {
		w.fail("block", "%d rows, %d are needed", rows, m.rows())
		return
	}
	w.array(3)
	w.uint(m.ID)
	w.bool(m.Failed)
	m.Block.encode(w)
}

func (m *LookupReply) decode(r *reader) {
	extra := r.fields("message", 3)
	m.ID = r.uint64("id")
	m.Failed = r.bool("failed")
	m.Block = decodeBlock(r)
	if rows := m.Block.Len(); rows != m.rows() {
		r.fail("block", "%d rows, %d are needed", rows, m.rows())
	}
	r.end("message", extra)
}

// rows returns how many rows the answer must have.
func (m *LookupReply) rows() int {
	if m.Failed {
		return 0
	}
	return 1
}
