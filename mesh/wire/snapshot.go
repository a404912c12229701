package wire

import (
	"math"

	"directormesh/directory"
	"directormesh/ring"
)

func (m *SnapshotRequest) encode(w *writer) {
	fields := 2
	switch {
	case len(m.Leaves) > 0:
		fields = 4
	case m.Compare.set():
		fields = 3
	}
	w.array(fields)
	w.uint(m.ID)
	w.uint(uint64(m.Since))
	if fields > 2 {
		m.Compare.encode(w)
	}
	if fields > 3 {
		w.list("leaves", len(m.Leaves), maxTags)
		for _, l := range m.Leaves {
			w.array(2)
			w.name("tag", string(l.Tag))
			encodeLeafNumbers(w, l.Leaves)
		}
	}
}

func (m *SnapshotRequest) decode(r *reader) {
	extra := r.fields("message", 2)
	m.ID = r.uint64("id")
	m.Since = directory.Tick(r.uint32("since"))
	if extra > 0 {
		m.Compare.decode(r)
	}
	if extra > 1 {
		m.Leaves = list(r, "leaves", maxTags, minTagLeaves, func(r *reader) (l TagLeaves) {
			extra := r.fields("leaves", 2)
			l.Tag = ring.Tag(r.name("tag"))
			l.Leaves = decodeLeafNumbers(r)
			r.end("leaves", extra)
			return l
		})
	}
	r.end("message", extra-2)
}

const (
	minTagLeaves   = 1 + 1 + 1
	minGroupLeaves = 1 + 1 + 1 + 3 + digestsSize
)

func (c *Comparison) set() bool {
	return c.Assigned != 0 || c.Alive != 0 || c.From != "" || c.To != "" || len(c.Digests) > 0
}

func (c *Comparison) encode(w *writer) {
	w.array(5)
	w.int(int64(c.Assigned))
	w.int(int64(c.Alive))
	w.name("from", string(c.From))
	w.name("to", string(c.To))
	encodeGroupDigests(w, c.Digests)
}

func (c *Comparison) decode(r *reader) {
	extra := r.fields("compare", 5)
	c.Assigned = directory.Time(r.int("assigned"))
	c.Alive = directory.Time(r.int("alive"))
	c.From = ring.Tag(r.name("from"))
	c.To = ring.Tag(r.name("to"))
	c.Digests = decodeGroupDigests(r)
	r.end("compare", extra)
}

func (m *SnapshotChunk) encode(w *writer) {
	fields := 7
	switch {
	case len(m.Flushes) > 0:
		fields = 9
	case len(m.Differ) > 0:
		fields = 8
	}
	w.array(fields)
	w.uint(m.ID)
	w.uint(uint64(m.Index))
	w.bool(m.Last)
	w.bool(m.Busy)
	w.uint(m.Total)
	encodePositions(w, m.Covers)
	encodeBlocks(w, m.Blocks)
	if fields > 7 {
		w.list("differ", len(m.Differ), maxGroups)
		for i := range m.Differ {
			w.array(3)
			w.name("tag", string(m.Differ[i].Tag))
			w.uint(uint64(m.Differ[i].Group))
			encodeDigests(w, &m.Differ[i].Leaves)
		}
	}
	if fields > 8 {
		w.list("flushes", len(m.Flushes), maxFlushes)
		for i := range m.Flushes {
			m.Flushes[i].encode(w)
		}
	}
}

const (
	maxGroups  = 256 * maxTags // of all tags
	maxFlushes = 1000
)

func (m *SnapshotChunk) decode(r *reader) {
	extra := r.fields("message", 7)
	m.ID = r.uint64("id")
	m.Index = r.uint32("index")
	m.Last = r.bool("last")
	m.Busy = r.bool("busy")
	m.Total = r.uint64("total")
	m.Covers = decodePositions(r)
	m.Blocks = decodeBlocks(r)
	if extra > 0 {
		m.Differ = list(r, "differ", maxGroups, minGroupLeaves, func(r *reader) (g GroupLeaves) {
			extra := r.fields("differ", 3)
			g.Tag = ring.Tag(r.name("tag"))
			g.Group = uint8(r.uint("group", math.MaxUint8))
			decodeDigests(r, "leaf digests", &g.Leaves)
			r.end("differ", extra)
			return g
		})
	}
	if extra > 1 {
		m.Flushes = list(r, "flushes", maxFlushes, minFlush, func(r *reader) (p FlushProgress) {
			p.decode(r)
			return p
		})
	}
	r.end("message", extra-2)
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
