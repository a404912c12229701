package directory

import (
	"slices"
	"sync/atomic"
	"unsafe"
)

// held is a leaf whose lock the holder has. Its rows may be read plainly; to
// change them there are methods.
type held struct {
	lock    *lock
	leaf    *leaf
	summary *summary
	rows    []row // with the array's room as capacity
}

// hold takes the lock of a leaf, to be given back by release.
func (g *group) hold(number uint8) held {
	h := held{lock: g.lockOf(number), leaf: &g.leaves[number], summary: &g.summaries[number]}
	h.lock.mu.Lock()
	s := h.shape()
	h.rows = unsafe.Slice(h.leaf.first.Load(), s.room())[:s.len()]
	return h
}

func (h *held) release() { h.lock.mu.Unlock() }

func (h *held) shape() shape { return shape(h.leaf.shape.Load()) }

// search returns where the row of this hash is, or where it would have to be
// inserted.
func (h *held) search(hash uint32) (int, bool) { return search(h.rows, h.shape().guess(hash), hash) }

// touch raises the activity of row i, which is not dead by time.
func (h *held) touch(i int, activity uint32) { atomic.StoreUint32(&h.rows[i].activity, activity) }

// replace puts r, which has the same hash, in the place of row i.
func (h *held) replace(i int, r row) {
	h.lock.change()
	h.rows[i].store(r)
	h.leaf.shape.Store(uint64(h.shape() &^ summed))
	h.lock.changed()
}

// insert puts r in at index i.
func (h *held) insert(i int, r row) {
	n := len(h.rows)
	s := h.shape().with(r.hash)
	if n == cap(h.rows) {
		grown := newRows(n + 1)[:n+1]
		copy(grown, h.rows[:i])
		grown[i] = r
		copy(grown[i+1:], h.rows[i:])
		h.publish(grown)
		return
	}
	h.lock.change()
	h.rows = h.rows[:n+1]
	moveRows(h.rows[i+1:], h.rows[i:n])
	h.rows[i].store(r)
	h.leaf.shape.Store(uint64(s))
	h.lock.changed()
}

// insertSorted merges the rows of add, sorted by hash and none of them stored
// yet, into the leaf.
func (h *held) insertSorted(add []row) {
	if len(add) == 0 {
		return
	}
	n := len(h.rows)
	merged := newRows(n + len(add))
	for _, r := range h.rows {
		for len(add) > 0 && add[0].hash < r.hash {
			merged = append(merged, add[0])
			add = add[1:]
		}
		merged = append(merged, r)
	}
	h.publish(append(merged, add...))
}

// cut takes out everything from row n on, after a change to the rows before
// that was begun by the caller, who also ends it.
func (h *held) cut(n int) {
	h.rows = h.rows[:n]
	h.leaf.shape.Store(uint64(shapeOf(h.rows, cap(h.rows))))
}

// shrink gives memory back when much of it is unused.
func (h *held) shrink() {
	if n, room := len(h.rows), cap(h.rows); n < room-room/4 {
		h.publish(append(newRows(n), h.rows...))
	}
}

// publish replaces all rows by those of another array.
func (h *held) publish(rows []row) {
	h.rows = rows
	var first *row
	if cap(rows) > 0 {
		first = &rows[:1][0]
	}
	s := shapeOf(rows, cap(rows))
	h.lock.change()
	h.leaf.first.Store(first)
	h.leaf.shape.Store(uint64(s))
	h.lock.changed()
}

// newRows returns an empty array with room for at least want rows. The only
// slack is that of the allocator's next size, in steps of about an eighth: with
// ten million mappings it is memory that counts, not the rare copy.
func newRows(want int) []row {
	if want == 0 {
		return nil
	}
	made := slices.Grow([]row(nil), (want+roomUnit-1)/roomUnit*roomUnit)
	return made[: 0 : cap(made)/roomUnit*roomUnit]
}
