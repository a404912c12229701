package directory

import (
	"sync/atomic"
	"unsafe"
)

// lockedLeaf is a leaf whose lock the caller has taken, with the view by which its rows are to be
// read and changed. The rows may be read plainly. Its methods change them; they also count the
// users of backends and keep the summary.
type lockedLeaf struct {
	directory *Directory
	shard     *shard
	view      *view
	lock      *lock
	leaves    *[leavesPerLock]leaf // of the lock
	at        int                  // index of the leaf in leaves
	summary   *summary             // nil: there is none
	rows      []row                // with the leaf's room as capacity
}

// lockLeaf takes the lock of the leaf with the given number; unlock gives it back. It reports
// false, and takes no lock, if the leaf was never used. The shard may be nil.
func (d *Directory) lockLeaf(s *shard, number uint16) (lockedLeaf, bool) {
	g := s.group(number)
	if g == nil {
		return lockedLeaf{}, false
	}
	return d.lockIn(s, g, uint8(number)), true
}

// lockNewLeaf locks a leaf that is going to be used, and makes it if it is not there.
func (d *Directory) lockNewLeaf(s *shard, number uint16) lockedLeaf {
	slot := &s.groups[number>>8]
	if slot.Load() == nil {
		slot.CompareAndSwap(nil, new(group))
	}
	return d.lockIn(s, slot.Load(), uint8(number))
}

func (d *Directory) lockIn(s *shard, g *group, number uint8) lockedLeaf {
	first := number / leavesPerLock * leavesPerLock
	l := lockedLeaf{
		directory: d,
		shard:     s,
		lock:      g.lockOf(number),
		leaves:    (*[leavesPerLock]leaf)(g.leaves[first:]),
		at:        int(number - first),
	}
	l.lock.mu.Lock()
	l.view = d.view.Load()
	l.look()
	return l
}

// look takes the rows as the leaf says, and the summary.
func (l *lockedLeaf) look() {
	if summaries := l.lock.summaries; summaries != nil {
		l.summary = &summaries[l.at]
	} else {
		l.summary = nil
	}
	lf := &l.leaves[l.at]
	s := shape(lf.shape.Load())
	l.rows = unsafe.Slice(lf.first.Load(), s.room())[:s.len()]
}

func (l *lockedLeaf) unlock() { l.lock.mu.Unlock() }

func (l *lockedLeaf) shape() shape { return l.shapeOf(l.at) }

func (l *lockedLeaf) reshape(s shape) { l.leaves[l.at].shape.Store(uint64(s)) }

// search returns where the row of this hash is, or where it would have to be
// inserted.
func (l *lockedLeaf) search(hash uint32) (int, bool) {
	return search(l.rows, l.shape().guess(hash), hash)
}

// touch raises the activity of row i, which is not dead by time.
func (l *lockedLeaf) touch(i int, activity uint32) {
	if r := l.rows[i]; r.bits&bitBuried != 0 { // the summary knows its activity
		r.activity = activity
		if l.view.liveByTable(l.shard, r) {
			r.bits &^= bitBuried
		}
		l.replace(i, r)
		return
	}
	atomic.StoreUint32(&l.rows[i].activity, activity)
}

// replace puts r, which has the same hash, in the place of row i.
func (l *lockedLeaf) replace(i int, r row) {
	old := l.rows[i]
	l.lock.change()
	l.rows[i].store(r)
	l.lock.changed()
	l.view.replaced(old, r)
	l.take(old)
	l.put(r)
}

// insert puts r in at index i.
func (l *lockedLeaf) insert(i int, r row) {
	if len(l.rows) == cap(l.rows) {
		l.makeRoom([]row{r}, nil)
		l.look()
	}
	n := len(l.rows)
	l.lock.change()
	l.rows = l.rows[:n+1]
	moveRows(l.rows[i+1:], l.rows[i:n])
	l.rows[i].store(r)
	l.reshape(l.shape().with(r.hash))
	l.lock.changed()
	l.view.added(r)
	l.put(r)
}

// insertSorted merges the rows of add, sorted by hash and none of them stored
// yet, into the leaf. The ones ahead are likely to be added next; see makeRoom.
func (l *lockedLeaf) insertSorted(add []row, ahead []Mapping) {
	if len(add) == 0 {
		return
	}
	l.makeRoom(add, ahead)
	l.look()
	n := len(l.rows)
	l.lock.change()
	l.rows = l.rows[:n+len(add)]
	// From behind, so that nothing has to be kept elsewhere.
	old, to := n, len(l.rows)
	for i := len(add); i > 0; {
		to--
		if old > 0 && l.rows[old-1].hash > add[i-1].hash {
			old--
			l.rows[to].store(l.rows[old])
		} else {
			i--
			l.rows[to].store(add[i])
		}
	}
	l.reshape(shapeOf(l.rows, cap(l.rows)))
	l.lock.changed()
	for _, r := range add {
		l.view.added(r)
		l.put(r)
	}
}

// cut takes out everything from row n on, after a change to the rows before
// that was begun by the caller, who also ends it and counts.
func (l *lockedLeaf) cut(n int) {
	l.rows = l.rows[:n]
	l.reshape(shapeOf(l.rows, cap(l.rows)))
}
