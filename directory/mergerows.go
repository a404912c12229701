package directory

import (
	"slices"

	"directormesh/ring"
)

// Merged is what became of one row that was merged.
type Merged struct {
	Mapping      Mapping // what is stored now
	Before       Mapping // what was stored, unless BeforeStatus is None
	BeforeStatus Status
	Changed      bool // Mapping differs from Before, if only in activity
}

// Merge takes rows from another director. Each is merged by the law of merge
// with the row that is stored, if any. Rows that are dead here, or that no
// director of this kind can have sent, are dropped; Merge returns how many. It
// does not ask whether activity or stamp lie in the future: the caller refuses
// rows from a director whose clock is off.
//
// A dropped row is stored all the same, as a dead row, if only the table makes it dead and the
// table has a row of its backend: it keeps out the mappings that it had superseded. Without it a
// user's former mapping would come back at a director that hears late, once the backend that the
// user was moved to is removed.
//
// It calls each, unless that is nil, in the order of rows and without a lock. It does so for every
// row that is not dropped, and for a dropped row that ended a live mapping or that begins or ends a
// move: a moving row that is dead today lives and holds its user once the table follows.
//
// Rows may come in any order, but when they are sorted by hash, as Leaf gives
// them, they are merged leaf by leaf, which is several times faster.
func (d *Directory) Merge(
	tag ring.Tag, rows []Mapping, now Time, each func(in Mapping, out Merged),
) (dropped int) {
	s := d.shard(tag)
	if s == nil {
		ids := d.view.Load().ids
		if !slices.ContainsFunc(rows, func(m Mapping) bool {
			return !m.Backend.IsValid() || ids[m.Backend] != 0
		}) {
			return len(rows)
		}
		// Tags of the table have their shards. Rows may be ahead of it, but not by thousands of
		// tags.
		if len(d.shards.Load().byTag) >= maxTags {
			return len(rows)
		}
		s = d.ensureShard(tag)
	}
	m := merger{
		shard: s, due: d.deadline(now), over: int64(now.Add(-deadCounts).Tick()), directory: d,
		report: each != nil,
	}
	for len(rows) > 0 {
		run := sortedRun(rows)
		m.merge(rows[:run], rows[run:])
		for _, out := range m.results {
			each(rows[out.index], out.Merged)
		}
		rows = rows[run:]
	}
	return m.dropped
}

// sortedRun returns how many rows at the beginning belong to one leaf and are
// sorted by hash, each hash only once.
func sortedRun(rows []Mapping) int {
	n := 1
	for n < len(rows) && rows[n].Hash > rows[n-1].Hash &&
		leafOf(rows[n].Hash) == leafOf(rows[0].Hash) {
		n++
	}
	return n
}

// merger is the state of one Merge; its slices are reused from leaf to leaf.
type merger struct {
	directory *Directory
	shard     *shard
	due       deadline
	over      int64 // tick: what was forgotten then or before counts for nothing any more
	report    bool

	dropped int
	inserts []row
	results []result
}

type result struct {
	index int // in the run
	Merged
}

// merge merges a run of rows of one leaf, sorted by hash. The ones ahead come next.
func (m *merger) merge(run, ahead []Mapping) {
	m.inserts, m.results = m.inserts[:0], m.results[:0]
	l := m.directory.lockNewLeaf(m.shard, leafOf(run[0].Hash))
	defer l.unlock()
	v := l.view
	// Stepping through the leaf beats searching it if many rows come at once.
	step := len(run) >= len(l.rows)/16
	at, insertAt := 0, 0
	for index, in := range run {
		id, known := v.ids[in.Backend]
		known = !in.Backend.IsValid() || known && v.listed(id)
		if !in.valid() || int64(in.Activity) <= int64(m.due) || !known {
			m.dropped++
			continue
		}
		incoming := packed(in, id)
		live := v.liveByTable(m.shard, incoming)
		if !live {
			m.dropped++
			if v.over(incoming, m.over) {
				continue
			}
			incoming.bits |= bitBuried
		}
		found := false
		if step {
			for at < len(l.rows) && l.rows[at].hash < uint32(in.Hash) {
				at++
			}
			found = at < len(l.rows) && l.rows[at].hash == uint32(in.Hash)
		} else {
			at, found = l.search(uint32(in.Hash))
		}
		out := Merged{Mapping: in, Changed: true}
		if !found {
			m.inserts = append(m.inserts, incoming)
			insertAt = at
		} else {
			out = m.mergeRow(&l, at, incoming)
		}
		if m.report && (live || out.Changed &&
			(out.BeforeStatus == Live || out.Before.Moving || out.Mapping.Moving)) {
			m.results = append(m.results, result{index, out})
		}
	}
	if len(m.inserts) == 1 {
		l.insert(insertAt, m.inserts[0])
	} else {
		if len(m.inserts) <= len(run)/2 {
			ahead = nil // most of them are stored already, as most of these
		}
		l.insertSorted(m.inserts, ahead)
	}
}

// mergeRow merges incoming, which is not dead by time, into row at of l. What lies there counts
// for nothing if it is dead by time, of a backend that the table has no row of, or if it was
// forgotten long ago.
func (m *merger) mergeRow(l *lockedLeaf, at int, incoming row) Merged {
	old, v := l.rows[at], l.view
	in := incoming.mapping(v)
	out := Merged{
		Mapping: in, Before: old.mapping(v), BeforeStatus: v.status(m.shard, old, m.due),
		Changed: true,
	}
	next := incoming
	counts := int64(old.activity) > int64(m.due) && v.listed(old.backend) && !v.over(old, m.over)
	if counts {
		if beats(out.Before, v.liveByTable(m.shard, old), in, v.liveByTable(m.shard, incoming)) {
			next = old
		}
		next.activity = max(old.activity, incoming.activity)
	}
	refreshed := old
	refreshed.activity = next.activity
	switch {
	case next == old:
		out.Mapping, out.Changed = out.Before, false
		return out
	case next == refreshed && counts:
		l.touch(at, next.activity)
	default:
		l.replace(at, next)
	}
	out.Mapping = next.mapping(v)
	// A row that stays dead is nobody's business, even if its activity is later now, unless it is
	// that of a move.
	out.Changed = out.BeforeStatus == Live || v.liveByTable(m.shard, next) || out.Before.Moving ||
		out.Mapping.Moving
	return out
}
