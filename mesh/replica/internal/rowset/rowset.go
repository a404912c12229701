package rowset

import (
	"cmp"
	"maps"
	"slices"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// MaxRows bounds the rows of one message: about 100 KB.
const MaxRows = 8192

const (
	bytesPerRow      = 16 // packed, about
	bytesPerTableRow = 256
)

// A Set collects rows of several tags for one message.
type Set map[ring.Tag][]directory.Mapping

// New returns an empty set.
func New() Set { return make(Set) }

// Add adds a row.
func (s Set) Add(tag ring.Tag, m directory.Mapping) { s[tag] = append(s[tag], m) }

// Blocks packs the rows, in the order of tags and hashes, MaxRows at most in a block.
func (s Set) Blocks() []wire.Block {
	var blocks []wire.Block
	for _, tag := range slices.Sorted(maps.Keys(s)) {
		rows := s[tag]
		slices.SortFunc(rows, byHash)
		for part := range slices.Chunk(rows, MaxRows) {
			blocks = append(blocks, wire.Pack(tag, part))
		}
	}
	return blocks
}

func byHash(a, b directory.Mapping) int { return cmp.Compare(a.Hash, b.Hash) }

// Count is how many rows the blocks hold.
func Count(blocks []wire.Block) int {
	n := 0
	for _, b := range blocks {
		n += b.Len()
	}
	return n
}

// Bytes is about what the rows of blocks take in memory.
func Bytes(blocks []wire.Block) int { return bytesPerRow * Count(blocks) }

// ChangeBytes is about what the rows of a table change take in memory.
func ChangeBytes(c directory.Change) int {
	return bytesPerTableRow * c.Rows()
}
