package directory

import (
	"slices"

	"directormesh/ring"
)

// Merged tells what became of one row that was merged.
type Merged struct {
	Mapping      Mapping // what is stored now
	Before       Mapping // what was stored, unless BeforeStatus is None
	BeforeStatus Status
	Changed      bool // Mapping differs from Before, if only in activity
}

// Merge takes rows from another director. Each is merged by the law of merge
// with the live row that is stored, if any, and replaces a dead one, unless
// that is of a higher generation, not older, and dead only because its backend
// was removed or forgotten: what it had superseded is not to come back. Rows that
// are dead here, or that no director of this kind can have sent, are dropped;
// Merge returns how many. It does not ask whether activity or stamp lie in the
// future: the caller refuses rows from a director whose clock is off.
//
// For every other row it calls each, unless that is nil, in the order of rows
// and without a lock held.
//
// Rows may come in any order, but when they are sorted by hash, as Leaf gives
// them, they are merged leaf by leaf, which is several times faster.
func (d *Directory) Merge(tag ring.Tag, rows []Mapping, now Time, each func(in Mapping, out Merged)) (dropped int) {
	s := d.shard(tag)
	if s == nil {
		// Without a backend under the tag only "no backend" can be alive.
		if !slices.ContainsFunc(rows, func(m Mapping) bool { return !m.Backend.IsValid() }) {
			return len(rows)
		}
		s = d.ensureShard(tag)
	}
	m := merger{shard: s, due: d.deadline(now), directory: d, report: each != nil}
	for len(rows) > 0 {
		run := sortedRun(rows)
		m.merge(rows[:run])
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
	for n < len(rows) && rows[n].Hash > rows[n-1].Hash && leafOf(rows[n].Hash) == leafOf(rows[0].Hash) {
		n++
	}
	return n
}

// merger is the state of one Merge; its slices are reused from leaf to leaf.
type merger struct {
	directory *Directory
	shard     *shard
	due       deadline
	report    bool

	dropped int
	inserts []row
	results []result
}

type result struct {
	index int // in the run
	Merged
}

// merge merges a run of rows of one leaf, sorted by hash.
func (m *merger) merge(run []Mapping) {
	m.inserts, m.results = m.inserts[:0], m.results[:0]
	l := m.shard.ensureLeaf(leafOf(run[0].Hash))
	l.mu.Lock()
	defer l.mu.Unlock()
	v := m.directory.view.Load()
	// Stepping through the leaf beats searching it if many rows come at once.
	step := len(run) >= len(l.rows)/16
	at, insertAt := 0, 0
	for index, in := range run {
		id, ok := v.id(m.shard, in.Backend)
		if !ok || !in.valid() || !v.live(m.shard, packed(in, id), m.due) {
			m.dropped++
			continue
		}
		found := false
		if step {
			for at < len(l.rows) && l.rows[at].hash < uint32(in.Hash) {
				at++
			}
			found = at < len(l.rows) && l.rows[at].hash == uint32(in.Hash)
		} else {
			at, found = search(l.rows, uint32(in.Hash))
		}
		out := Merged{Mapping: in, Changed: true}
		if !found {
			r := packed(in, id)
			m.inserts = append(m.inserts, r)
			insertAt = at
			v.added(r)
		} else {
			out = m.mergeRow(v, &l.rows[at], in, id)
		}
		if m.report {
			m.results = append(m.results, result{index, out})
		}
	}
	if len(m.inserts) == 1 {
		l.insert(insertAt, m.inserts[0])
	} else {
		l.insertSorted(m.inserts)
	}
}

// mergeRow merges the live row in, whose backend has the given id, into r.
func (m *merger) mergeRow(v *view, r *row, in Mapping, id uint16) Merged {
	out := Merged{Mapping: in, Before: r.mapping(v), BeforeStatus: v.status(m.shard, *r, m.due), Changed: true}
	switch {
	case out.BeforeStatus == Dead && int64(r.activity) > int64(m.due) && out.Before.Generation > in.Generation && out.Before.Stamp >= in.Stamp:
		// The successor of in was here, and its backend was removed or forgotten since: that does not bring in back.
		out.Mapping, out.Changed = out.Before, false
	case out.BeforeStatus == Live:
		out.Mapping = merge(out.Before, in)
		out.Changed = out.Mapping != out.Before
		if compareMappings(out.Before, in) >= 0 {
			id = r.backend
		}
	}
	if out.Changed {
		old := *r
		*r = packed(out.Mapping, id)
		v.replaced(old, *r)
	}
	return out
}
