package directory

import "directormesh/ring"

// Expiry. A row is dead when its time is over, when its backend is not present
// under the tag, or when it was forgotten; nothing has to happen for that, as
// every reader asks. A sweep comes by later:
//
//	live ──(time, table)──> dead ──(sweep)──> buried ──(sweep, 60 s later)──> gone
//	                          not counted from here ┘
//
// The 60 s run from the end of the mapping's life. Of a row that is dead by
// the table nobody knows since when: a change can reach this director long
// after its stamp. There they run from the first sweep, of any leaf, that saw
// its backend in that state, and from the row's own end if that was earlier.
// Meanwhile the row gives its generation to the one that replaces it, or comes
// back to life if the table does.
//
// Sweeping everything every few seconds costs a few nanoseconds a row.

// SweepGroup sweeps the 256 leaves whose number begins with the 8 bits group,
// and returns how many rows it dropped. Groups never used cost nothing.
func (d *Directory) SweepGroup(tag ring.Tag, group uint8, now Time) (removed int) {
	s := d.shard(tag)
	if s == nil {
		return 0
	}
	g := s.groups[group].Load()
	if g == nil {
		return 0
	}
	for i := range leavesInGroup {
		removed += d.sweep(s, g, uint8(i), now)
	}
	return removed
}

// SweepLeaf sweeps one leaf and returns how many rows it dropped.
func (d *Directory) SweepLeaf(tag ring.Tag, leaf uint16, now Time) (removed int) {
	s := d.shard(tag)
	g := s.group(leaf)
	if g == nil {
		return 0
	}
	return d.sweep(s, g, uint8(leaf), now)
}

func (d *Directory) sweep(s *shard, g *group, number uint8, now Time) (removed int) {
	l := g.hold(number)
	defer l.release()
	v := d.view.Load()
	if l.unchanged(v, d.deadline(now)) {
		return 0
	}
	w := sweeper{shard: s, view: v, now: now, due: d.deadline(now), gone: d.deadline(now.Add(-deadKept))}
	first := 0
	for first < len(l.rows) && w.fate(l.rows[first]) == stays {
		first++
	}
	if first == len(l.rows) {
		return 0 // as most sweeps
	}
	l.lock.change()
	to := first
	for _, r := range l.rows[first:] {
		switch w.fate(r) {
		case goes:
			v.removed(r)
			removed++
			continue
		case turns:
			old := r
			r.bits ^= bitBuried
			v.replaced(old, r)
		}
		l.rows[to].store(r)
		to++
	}
	l.cut(to)
	l.lock.changed()
	l.shrink()
	return removed
}

// sweeper is what a sweep of one leaf goes by.
type sweeper struct {
	shard     *shard
	view      *view
	now       Time
	due, gone deadline
}

// fate is what a sweep makes of a row.
type fate int

const (
	stays fate = iota
	turns      // is buried, or dug up again
	goes
)

func (w *sweeper) fate(r row) fate {
	live := w.view.live(w.shard, r, w.due)
	switch {
	case live && r.bits&bitBuried == 0:
		return stays
	case !live && (int64(r.activity) <= int64(w.gone) || w.view.goneByTable(w.shard, r, w.now)):
		return goes
	case live == (r.bits&bitBuried != 0):
		return turns
	}
	return stays
}

// goneByTable says whether a row has been dead by the table for long enough.
func (v *view) goneByTable(s *shard, r row, now Time) bool {
	if v.liveByTable(s, r) {
		return false
	}
	seen := v.entries[r.backend].seen
	// Only the first sweep to come by succeeds in setting the time.
	seen.CompareAndSwap(0, int64(now))
	return now >= Time(seen.Load()).Add(deadKept)
}
