package directory

import (
	"sync/atomic"
	"unsafe"

	"directormesh/ring"
)

// row is a mapping as stored: 16 bytes without a pointer, so that the garbage
// collector never looks at it. The backend is an id of the dictionary in
// backends.go.
type row struct {
	hash     uint32
	activity uint32
	stamp    uint32
	backend  uint16
	bits     uint16 // generation << 2 | flags
}

const (
	bitMoving = 1 << iota
	// bitBuried marks a row that a sweep has found dead: it is not counted as
	// a user any more.
	bitBuried
	generationShift = iota
)

func (r row) generation() uint16 { return r.bits >> generationShift }

// mapping returns the row as the outside sees it. The view must be one that
// was current while the row was where it is: while its leaf was locked, or
// between the two looks of a peek.
func (r row) mapping(v *view) Mapping {
	return Mapping{
		Hash:       ring.UserHash(r.hash),
		Backend:    v.entries[r.backend].addr,
		Activity:   Tick(r.activity),
		Stamp:      Tick(r.stamp),
		Generation: r.generation(),
		Moving:     r.bits&bitMoving != 0,
	}
}

// packed returns the row that stores m, with backend as the id of m.Backend.
func packed(m Mapping, backend uint16) row {
	r := row{
		hash:     uint32(m.Hash),
		activity: uint32(m.Activity),
		stamp:    uint32(m.Stamp),
		backend:  backend,
		bits:     m.Generation << generationShift,
	}
	if m.Moving {
		r.bits |= bitMoving
	}
	return r
}

// leaf holds the mappings of the users that share the upper 16 bits of their
// hash, sorted by hash: about 150 of them when there are ten million users.
// It is the unit of digests and of transfer.
//
// A lookup among millions of mappings is a matter of how often it must wait
// for memory, so a leaf takes no more than 16 bytes: all of a tag together are
// a megabyte, which caches keep, and with its shape a leaf says so well where
// a row is that mostly the row is the only thing to be waited for.
type leaf struct {
	first atomic.Pointer[row] // the leaf's place in the pack of its lock; nil if there is no room
	shape atomic.Uint64       // a shape
}

// rows returns the rows by a shape that was read together with first. A caller that
// has not locked the leaf must load from them atomically.
func rows(first *row, s shape) []row { return unsafe.Slice(first, s.len()) }

// shape says how many rows a leaf has, for how many there is room, and roughly
// where they are:
//
//	6 bits  3 x 8 bits                                17 bits  17 bits
//	unused  rows below quarter 3, 2 and 1, mod 256    room     rows
//
// The rows of a leaf are spread evenly over it, for user hashes are digests; so
// a count modulo 256 is as good as the count itself.
type shape uint64

const (
	lenBits  = 17
	roomBits = 17
	maxRoom  = 1<<roomBits - 1

	quarters      = 4
	quarterShift  = 16 - 2 // of the lower half of a hash: its upper 2 bits say which quarter
	countBits     = 8
	firstCount    = lenBits + roomBits
	quarterLength = 1 << quarterShift
)

func quarterOf(h uint32) int { return int(h >> quarterShift & (quarters - 1)) }

func (s shape) len() int  { return int(s & (1<<lenBits - 1)) }
func (s shape) room() int { return int(s >> lenBits & maxRoom) }
func (s shape) free() int { return s.room() - s.len() }

// withRoom returns the shape of the same rows where there is room for so many.
func (s shape) withRoom(room int) shape {
	return s&^(maxRoom<<lenBits) | shape(room)<<lenBits
}

// shapeOf returns the shape of these rows where there is room for so many.
func shapeOf(rows []row, room int) shape {
	s := shape(len(rows)).withRoom(room)
	var counts [quarters]int
	for i := range rows {
		counts[quarterOf(rows[i].hash)]++
	}
	below := 0
	for q := 1; q < quarters; q++ {
		below += counts[q-1]
		s |= shape(uint8(below)) << countShift(q)
	}
	return s
}

// countShift is where the count of rows below quarter q is, q from 1 on.
func countShift(q int) uint { return firstCount + uint(q-1)*countBits }

// with returns the shape after a row of hash h has been inserted.
func (s shape) with(h uint32) shape {
	s++
	for q := quarterOf(h) + 1; q < quarters; q++ {
		mask := shape(1<<countBits-1) << countShift(q)
		s = s&^mask | (s+1<<countShift(q))&mask
	}
	return s
}

// quarter returns where quarter q begins, judging by the count nearest to what
// it would be if the rows were spread perfectly.
func (s shape) quarter(q int) int {
	n := s.len()
	even := n * q / quarters
	if q == 0 || q == quarters {
		return even
	}
	return min(max(even+int(int8(uint8(s>>countShift(q))-uint8(even))), 0), n)
}

// guess returns where the row of hash h should be, give or take a few.
func (s shape) guess(h uint32) int {
	q := quarterOf(h)
	low, high := s.quarter(q), s.quarter(q+1)
	return low + (high-low)*int(h%quarterLength)>>quarterShift
}

// group is a run of 256 leaves with their locks. Groups are allocated when
// first needed, so a small tag costs little.
type group struct {
	locks  [leavesInGroup / leavesPerLock]lock
	leaves [leavesInGroup]leaf
}

const (
	leavesInGroup = 256
	leavesPerLock = 128
)

// empty reports whether a leaf has no rows at this moment. It takes no lock.
func (g *group) empty(number uint8) bool { return shape(g.leaves[number].shape.Load()).len() == 0 }

func (g *group) lockOf(number uint8) *lock { return &g.locks[number/leavesPerLock] }
