package directory

import (
	"slices"
	"sync"

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
// was current while the row's leaf was locked.
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
// It is at once the unit of locking, of digests and of transfer.
type leaf struct {
	mu   sync.Mutex
	rows []row
}

// group is a run of 256 leaves. Groups are allocated when first needed, so a
// small tag costs little.
type group [256]leaf

// search returns where the row of hash h is, or where it would have to be
// inserted. User hashes are digests, hence evenly spread: the lower half of h
// tells within some rows where to look, and the row found there tells within
// one or two. What counts is how many cache lines are touched, four rows each.
func search(rows []row, h uint32) (int, bool) {
	n := len(rows)
	if n == 0 {
		return 0, false
	}
	i := int(uint64(h&0xffff) * uint64(n) >> 16)
	off := (int64(h) - int64(rows[i].hash)) * int64(n) >> 16
	i = int(min(max(int64(i)+off, 0), int64(n-1)))

	const near = 8
	if rows[i].hash < h {
		for end := min(n, i+near); i < end; i++ {
			if rows[i].hash >= h {
				return i, rows[i].hash == h
			}
		}
		return searchBetween(rows, i, n, h)
	}
	for end := max(0, i-near); i > end; i-- {
		if rows[i-1].hash < h {
			return i, rows[i].hash == h
		}
	}
	return searchBetween(rows, 0, i, h)
}

// searchBetween is search for a place from lo to hi. It is for leaves whose
// hashes are crowded, by chance or because somebody chose the names.
func searchBetween(rows []row, lo, hi int, h uint32) (int, bool) {
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if rows[mid].hash < h {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(rows) && rows[lo].hash == h
}

// insert puts r in at index i. The caller holds l.mu.
func (l *leaf) insert(i int, r row) {
	l.reserve(1)
	l.rows = l.rows[:len(l.rows)+1]
	copy(l.rows[i+1:], l.rows[i:])
	l.rows[i] = r
}

// insertSorted merges the rows of add, sorted by hash and none of them stored
// yet, into the leaf. The caller holds l.mu.
func (l *leaf) insertSorted(add []row) {
	if len(add) == 0 {
		return
	}
	l.reserve(len(add))
	n := len(l.rows)
	l.rows = l.rows[:n+len(add)]
	for to := len(l.rows) - 1; len(add) > 0; to-- {
		if last := add[len(add)-1]; n == 0 || l.rows[n-1].hash < last.hash {
			l.rows[to] = last
			add = add[:len(add)-1]
		} else {
			n--
			l.rows[to] = l.rows[n]
		}
	}
}

// reserve makes room for n more rows.
func (l *leaf) reserve(n int) {
	if want := len(l.rows) + n; want > cap(l.rows) {
		l.resize(want)
	}
}

// shrink gives memory back when much of it is unused.
func (l *leaf) shrink() {
	if n := len(l.rows); n == 0 {
		l.rows = nil
	} else if n < cap(l.rows)-cap(l.rows)/4 {
		l.resize(n)
	}
}

// resize reallocates the rows for at least want of them. The slack is small
// (append rounds up to the allocator's next size, steps of about an eighth):
// with ten million mappings it is memory that counts, not the rare copy.
func (l *leaf) resize(want int) {
	l.rows = append(slices.Grow([]row(nil), want+want/32), l.rows...)
}
