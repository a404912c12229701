package wire

import (
	"math"

	"directormesh/ring"
)

func (m *Hold) encode(w *writer) {
	w.array(3)
	w.uint(m.Seq)
	w.uint(m.ID)
	encodeBlocks(w, m.Blocks)
}

func (m *Hold) decode(r *reader) {
	extra := r.fields("message", 3)
	m.Seq = r.uint64("seq")
	m.ID = r.uint64("id")
	m.Blocks = decodeBlocks(r)
	r.end("message", extra)
}

func (m *Held) encode(w *writer) {
	w.array(2)
	w.uint(m.ID)
	encodeBlocks(w, m.Beaten)
}

func (m *Held) decode(r *reader) {
	extra := r.fields("message", 2)
	m.ID = r.uint64("id")
	m.Beaten = decodeBlocks(r)
	r.end("message", extra)
}

const minKickCount = 1 + 6*1

func (m *Kicked) encode(w *writer) {
	w.array(2)
	w.uint(m.ID)
	w.list("kicks", len(m.Kicks), maxKicks)
	for _, k := range m.Kicks {
		w.array(6)
		w.name("tag", string(k.Tag))
		w.uint(uint64(k.Hash))
		w.uint(uint64(k.Count))
		w.bool(k.Known)
		w.uint(uint64(k.Left))
		w.bool(k.Blind)
	}
}

func (m *Kicked) decode(r *reader) {
	extra := r.fields("message", 2)
	m.ID = r.uint64("id")
	m.Kicks = list(r, "kicks", maxKicks, minKickCount, func(r *reader) (k KickCount) {
		extra := r.fields("kick", 6)
		k.Tag = ring.Tag(r.name("tag"))
		k.Hash = ring.UserHash(r.uint("user hash", math.MaxUint32))
		k.Count = r.uint32("kick count")
		k.Known = r.bool("known")
		k.Left = r.uint32("sessions left")
		k.Blind = r.bool("blind")
		r.end("kick", extra)
		return k
	})
	r.end("message", extra)
}
