package directory

import (
	"sync/atomic"
	"unsafe"
)

// held is a leaf whose lock the holder has, with the view by which its rows are
// to be read and changed. The rows may be read plainly; to change them there
// are methods, which also count the users of backends and keep the summary.
type held struct {
	directory *Directory
	shard     *shard
	view      *view
	lock      *lock
	leaves    *[leavesPerLock]leaf // of the lock
	at        int                  // which of them is held
	summary   *summary             // nil: there is none
	rows      []row                // with the leaf's room as capacity
}

// hold takes the lock of the leaf with the given number, to be given back by
// release; it reports false if the leaf was never used. The shard may be nil.
func (d *Directory) hold(s *shard, number uint16) (held, bool) {
	g := s.group(number)
	if g == nil {
		return held{}, false
	}
	return d.holdIn(s, g, uint8(number)), true
}

// holdNew is hold for a leaf that is going to be used.
func (d *Directory) holdNew(s *shard, number uint16) held {
	slot := &s.groups[number>>8]
	if slot.Load() == nil {
		slot.CompareAndSwap(nil, new(group))
	}
	return d.holdIn(s, slot.Load(), uint8(number))
}

func (d *Directory) holdIn(s *shard, g *group, number uint8) held {
	first := number / leavesPerLock * leavesPerLock
	h := held{directory: d, shard: s, lock: g.lockOf(number), leaves: (*[leavesPerLock]leaf)(g.leaves[first:]), at: int(number - first)}
	h.lock.mu.Lock()
	h.view = d.view.Load()
	h.look()
	return h
}

// look takes the rows as the leaf says, and the summary.
func (h *held) look() {
	if summaries := h.lock.summaries; summaries != nil {
		h.summary = &summaries[h.at]
	} else {
		h.summary = nil
	}
	l := &h.leaves[h.at]
	s := shape(l.shape.Load())
	h.rows = unsafe.Slice(l.first.Load(), s.room())[:s.len()]
}

func (h *held) release() { h.lock.mu.Unlock() }

func (h *held) shape() shape { return h.shapeOf(h.at) }

func (h *held) reshape(s shape) { h.leaves[h.at].shape.Store(uint64(s)) }

// search returns where the row of this hash is, or where it would have to be
// inserted.
func (h *held) search(hash uint32) (int, bool) { return search(h.rows, h.shape().guess(hash), hash) }

// touch raises the activity of row i, which is not dead by time.
func (h *held) touch(i int, activity uint32) {
	if r := h.rows[i]; r.bits&bitBuried != 0 { // the summary knows its activity
		r.activity = activity
		if h.view.liveByTable(h.shard, r) {
			r.bits &^= bitBuried
		}
		h.replace(i, r)
		return
	}
	atomic.StoreUint32(&h.rows[i].activity, activity)
}

// replace puts r, which has the same hash, in the place of row i.
func (h *held) replace(i int, r row) {
	old := h.rows[i]
	h.lock.change()
	h.rows[i].store(r)
	h.lock.changed()
	h.view.replaced(old, r)
	h.take(old)
	h.put(r)
}

// insert puts r in at index i.
func (h *held) insert(i int, r row) {
	if len(h.rows) == cap(h.rows) {
		h.makeRoom(1)
		h.look()
	}
	n := len(h.rows)
	h.lock.change()
	h.rows = h.rows[:n+1]
	moveRows(h.rows[i+1:], h.rows[i:n])
	h.rows[i].store(r)
	h.reshape(h.shape().with(r.hash))
	h.lock.changed()
	h.view.added(r)
	h.put(r)
}

// insertSorted merges the rows of add, sorted by hash and none of them stored
// yet, into the leaf.
func (h *held) insertSorted(add []row) {
	if len(add) == 0 {
		return
	}
	h.makeRoom(len(add))
	h.look()
	n := len(h.rows)
	h.lock.change()
	h.rows = h.rows[:n+len(add)]
	// From behind, so that nothing has to be kept elsewhere.
	old, to := n, len(h.rows)
	for i := len(add); i > 0; {
		to--
		if old > 0 && h.rows[old-1].hash > add[i-1].hash {
			old--
			h.rows[to].store(h.rows[old])
		} else {
			i--
			h.rows[to].store(add[i])
		}
	}
	h.reshape(shapeOf(h.rows, cap(h.rows)))
	h.lock.changed()
	for _, r := range add {
		h.view.added(r)
		h.put(r)
	}
}

// cut takes out everything from row n on, after a change to the rows before
// that was begun by the caller, who also ends it and counts.
func (h *held) cut(n int) {
	h.rows = h.rows[:n]
	h.reshape(shapeOf(h.rows, cap(h.rows)))
}
