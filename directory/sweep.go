package directory

import (
	"math"

	"directormesh/ring"
)

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
// A leaf says when a sweep may find something in it, see summary; so sweeping
// everything every few seconds costs as much as there is to be done.

// SweepGroup sweeps the 256 leaves whose number begins with the 8 bits group,
// and returns how many rows it dropped. Groups never used cost nothing.
func (d *Directory) SweepGroup(tag ring.Tag, group uint8, now Time) (removed int) {
	s := d.shard(tag)
	g := s.group(uint16(group) << 8)
	if g == nil {
		return 0
	}
	for first := 0; first < leavesInGroup; first += leavesPerLock {
		if g.lockOf(uint8(first)).bare() {
			continue
		}
		for i := first; i < first+leavesPerLock; i++ {
			removed += d.sweep(s, uint16(group)<<8|uint16(i), now, i == first+leavesPerLock-1)
		}
	}
	return removed
}

// SweepLeaf sweeps one leaf and returns how many rows it dropped.
func (d *Directory) SweepLeaf(tag ring.Tag, leaf uint16, now Time) (removed int) {
	return d.sweep(d.shard(tag), leaf, now, true)
}

func (d *Directory) sweep(s *shard, leaf uint16, now Time, trim bool) (removed int) {
	l, ok := d.lockLeaf(s, leaf)
	if !ok {
		return 0
	}
	defer l.unlock()
	base := settledEpoch(now)
	l.summary.settle(base)
	if !l.idle(d.deadline(now)) {
		removed = l.sweep(now)
		if !l.valid() {
			l.summarize(base)
		}
	}
	if trim {
		l.trim()
	}
	return removed
}

// sweep looks at all rows, and finds out when that will be worth it again.
func (l *lockedLeaf) sweep(now Time) (removed int) {
	d := l.directory
	w := sweeper{
		shard: l.shard, view: l.view, now: now, due: d.deadline(now),
		gone: d.deadline(now.Add(-deadKept)),
	}
	// While the summary is valid, the table has not changed since the last
	// sweep: a row that is not buried is alive by it.
	valid, changing := l.valid(), false
	next := uint32(math.MaxUint32)
	kept, from := 0, 0 // rows[from:i] are to follow the first kept ones
	keep := func(i int) {
		if kept < from {
			moveRows(l.rows[kept:], l.rows[from:i])
		}
		kept += i - from
	}
	for i, r := range l.rows {
		if valid && int64(r.activity) > int64(w.due) && r.bits&bitBuried == 0 {
			next = min(next, r.activity) // most rows
			continue
		}
		fate := w.fate(r)
		if fate != stays && !changing {
			l.lock.change()
			changing = true
		}
		switch fate {
		case goes:
			l.view.removed(r)
			l.take(r)
			removed++
			keep(i)
			from = i + 1
			continue
		case turns:
			old := r
			r.bits ^= bitBuried
			l.rows[i].store(r)
			l.view.replaced(old, r)
			l.take(old)
			l.put(r)
		}
		next = min(next, l.dueAt(r))
	}
	if removed > 0 {
		keep(len(l.rows))
		l.cut(kept)
	}
	if changing {
		l.lock.changed()
	}
	if l.summary != nil {
		l.summary.next = next
	}
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
