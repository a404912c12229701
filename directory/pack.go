package directory

import (
	"slices"

	"directormesh/ring"
)

// A pack is the array that has the rows of the 128 leaves of one lock, leaf
// after leaf in their order, each followed by room for more of its own. A leaf
// that is full takes room from a near one; when that would move too much, all
// go to a new array. Of the memory of ten million rows some four per cent are
// room; arrays of each leaf's own left eight unused, because the allocator's
// sizes are an eighth apart, and cost it a record each.
//
// Readers know nothing of packs: a leaf's first row and its shape say all, and
// who has read them together may go on reading an array that is not in use any
// more.

const (
	// maxShift is how many rows are moved at most to let a leaf take another's
	// room: 16 KiB, about a microsecond, for which lookups there have to wait.
	maxShift = 1024
	// A new pack has room for a 1/256 more than needed, beside what the
	// allocator's sizes give.
	spareShare = 256
	// Of the room no more than a 1/32 of all rows, and one for each leaf, is
	// spread over the leaves; the rest stays behind the last.
	sharedShare = 32
	// Many rows at once are most often the first part of more, as in a
	// snapshot: there is room for bulkAhead more such parts, but no more than a
	// quarter of all. A sweep takes back what was too much.
	bulkAhead = 8
	bulkShare = 4
	// A pack is made smaller when that saves more than a 1/32 of it.
	trimShare = 32
)

// setLeaf puts leaf i at row offset of the pack, from which on it has this shape.
func (l *lockedLeaf) setLeaf(pack []row, i, offset int, s shape) {
	var first *row
	if s.room() > 0 {
		first = &pack[offset]
	}
	l.leaves[i].first.Store(first)
	l.leaves[i].shape.Store(uint64(s))
}

func (l *lockedLeaf) shapeOf(i int) shape { return shape(l.leaves[i].shape.Load()) }

// makeRoom makes room for these rows, sorted by hash. The ones ahead are likely to be added next,
// in their order.
func (l *lockedLeaf) makeRoom(add []row, ahead []Mapping) {
	need := len(add) - l.shape().free()
	if need <= 0 || l.borrow(need) {
		return
	}
	var more [leavesPerLock]int
	more[l.at] = len(add)
	here := leafOf(ring.UserHash(add[0].hash))
	for _, m := range ahead {
		number := leafOf(m.Hash)
		if number <= here || number/leavesPerLock != here/leavesPerLock {
			break
		}
		more[number%leavesPerLock]++
	}
	l.repack(&more)
}

// borrow takes at least so much room from the leaf for which the fewest rows
// have to be moved. It reports false if no leaf near has as much.
func (l *lockedLeaf) borrow(need int) bool {
	from, least := -1, maxShift
	for i, moved := l.at+1, 0; i < leavesPerLock; i++ {
		s := l.shapeOf(i)
		if moved += s.len(); moved > least {
			break
		}
		if s.free() >= need {
			from, least = i, moved
			break
		}
	}
	for i, moved := l.at-1, l.shape().len(); i >= 0 && moved <= least; i-- {
		s := l.shapeOf(i)
		if s.free() >= need {
			from = i
			break
		}
		moved += s.len()
	}
	if from < 0 {
		return false
	}
	lender := l.shapeOf(from)
	// Half of what it has: so neither is soon full again.
	taken := max(need, lender.free()/2)
	l.lock.change()
	defer l.lock.changed()
	if from > l.at {
		begin, end := l.offset(l.at+1), l.offset(from)+lender.len()
		moveRows(l.lock.pack[begin+taken:end+taken], l.lock.pack[begin:end])
	} else {
		begin, end := l.offset(from+1), l.offset(l.at)+l.shape().len()
		moveRows(l.lock.pack[begin-taken:end-taken], l.lock.pack[begin:end])
	}
	offset := l.offset(min(from, l.at))
	for i := min(from, l.at); i <= max(from, l.at); i++ {
		s := l.shapeOf(i)
		switch i {
		case from:
			s = s.withRoom(s.room() - taken)
		case l.at:
			s = s.withRoom(s.room() + taken)
		}
		l.setLeaf(l.lock.pack, i, offset, s)
		offset += s.room()
	}
	return true
}

// offset returns where in the pack leaf i begins.
func (l *lockedLeaf) offset(i int) (offset int) {
	for j := range i {
		offset += l.shapeOf(j).room()
	}
	return offset
}

// repack moves all leaves to a new array in which each has room for so many
// more rows, and a share of the rest.
func (l *lockedLeaf) repack(more *[leavesPerLock]int) {
	all := 0
	for _, n := range more {
		all += n
	}
	need := all + l.packed()
	// Rows for other leaves are all there are for some time.
	spare := need / spareShare
	if all == more[l.at] {
		spare = max(spare, min(all*bulkAhead, need/bulkShare))
	}
	pack := newRows(need + spare)
	shared := min(len(pack)-need, need/sharedShare+leavesPerLock)
	var shapes [leavesPerLock]shape
	offset := 0
	for i := range shapes {
		s := l.shapeOf(i)
		copy(pack[offset:], rows(l.leaves[i].first.Load(), s))
		room := s.len() + more[i] + shared*(i+1)/leavesPerLock - shared*i/leavesPerLock
		if room = min(room, maxRoom); i == leavesPerLock-1 {
			room = min(len(pack)-offset, maxRoom)
		}
		shapes[i] = s.withRoom(room)
		offset += room
	}
	l.lock.change()
	defer l.lock.changed()
	l.lock.pack = pack
	switch summarized := l.lock.summaries != nil; {
	case !summarized && len(pack) >= l.directory.summarizedRows:
		l.lock.summaries = new([leavesPerLock]summary)
	case summarized && len(pack) < l.directory.summarizedRows/2:
		l.lock.summaries = nil
	}
	offset = 0
	for i, s := range shapes {
		l.setLeaf(pack, i, offset, s)
		offset += s.room()
	}
}

// packed returns how many rows the pack has.
func (l *lockedLeaf) packed() (n int) {
	for i := range l.leaves {
		n += l.shapeOf(i).len()
	}
	return n
}

// trim gives memory back when that is worth a new array.
func (l *lockedLeaf) trim() {
	n, room := l.packed(), len(l.lock.pack)
	if room-allocated(n+n/spareShare) > room/trimShare {
		l.repack(new([leavesPerLock]int))
	}
}

// newRows returns rows for at least want, and as many more as the allocator
// gives in any case.
func newRows(want int) []row {
	if want == 0 {
		return nil
	}
	made := slices.Grow([]row(nil), want)
	return made[:cap(made)]
}

// allocated returns for how many rows newRows would make room at most: Go's
// allocator has sizes less than a fifth apart, and whole pages from 32 KiB on.
func allocated(want int) int {
	const page, small = 8192 / 16, 32768 / 16
	if want == 0 {
		return 0
	}
	if want <= small {
		return want + want/5 + 1
	}
	return (want + page - 1) / page * page
}
