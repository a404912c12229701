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
	for i := range g {
		removed += d.sweep(s, &g[i], now)
	}
	return removed
}

// SweepLeaf sweeps one leaf and returns how many rows it dropped.
func (d *Directory) SweepLeaf(tag ring.Tag, leaf uint16, now Time) (removed int) {
	s := d.shard(tag)
	l := s.leaf(leaf)
	if l == nil {
		return 0
	}
	return d.sweep(s, l, now)
}

func (d *Directory) sweep(s *shard, l *leaf, now Time) (removed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := d.view.Load()
	due, gone := d.deadline(now), d.deadline(now.Add(-deadKept))
	for i, r := range l.rows {
		live, buried := v.live(s, r, due), r.bits&bitBuried != 0
		if !live && (int64(r.activity) <= int64(gone) || v.goneByTable(s, r, now)) {
			v.removed(r)
			removed++
			continue
		}
		if live != buried && removed == 0 {
			continue // nothing to write: most rows of most sweeps
		}
		if live == buried {
			old := r
			r.bits ^= bitBuried
			v.replaced(old, r)
		}
		l.rows[i-removed] = r
	}
	if removed > 0 {
		l.rows = l.rows[:len(l.rows)-removed]
		l.shrink()
	}
	return removed
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
