package wire

import (
	"iter"
	"net/netip"
	"slices"

	"directormesh/directory"
	"directormesh/ring"
)

// Block holds mappings of one tag as packed columns, in some 6 to 10 bytes
// each. It is immutable, and valid from the moment it is made or decoded:
// reading it cannot fail. The zero value is a Block without rows.
type Block struct {
	Tag ring.Tag

	rows     int
	backends []netip.Addr // what the column backend counts; a zero address is "no backend"
	// sorted says that the rows are in order of their hashes. Then the column
	// hash has each one's distance from the one before, and base is where
	// the first one starts from.
	sorted bool

	hash       column
	backend    column
	activity   column
	stamp      column
	generation column // the generation, above one bit that says moving
}

// minHashWidth is the least width of the column hash. It bounds the rows that
// a few bytes can stand for: no row without a byte.
const minHashWidth = 8

const minGeneration = 1 // the highest is directory.MaxGeneration

// Len returns the number of rows.
func (b Block) Len() int { return b.rows }

// OldestActivity returns an activity that no row's is before; 0 without rows. It looks at no row.
func (b Block) OldestActivity() directory.Tick { return directory.Tick(b.activity.base) }

// All returns the rows in the order in which they were packed.
func (b Block) All() iter.Seq[directory.Mapping] {
	return func(yield func(directory.Mapping) bool) {
		hash := b.hash.base
		for i := range b.rows {
			if b.sorted {
				hash += b.hash.offset(i)
			} else {
				hash = b.hash.at(i)
			}
			generation := b.generation.at(i)
			if !yield(directory.Mapping{
				Hash:       ring.UserHash(hash),
				Backend:    b.backends[b.backend.at(i)],
				Activity:   directory.Tick(b.activity.at(i)),
				Stamp:      directory.Tick(b.stamp.at(i)),
				Generation: uint16(generation >> 1),
				Moving:     generation&1 != 0,
			}) {
				return
			}
		}
	}
}

// Append appends the rows to buf and returns the extended slice.
func (b Block) Append(buf []directory.Mapping) []directory.Mapping {
	buf = slices.Grow(buf, b.rows)
	for m := range b.All() {
		buf = append(buf, m)
	}
	return buf
}

// Equal says whether two Blocks have the same tag and the same rows in the same
// order, however they are packed.
func (b Block) Equal(other Block) bool {
	return b.Tag == other.Tag && slices.Equal(b.Append(nil), other.Append(nil))
}
