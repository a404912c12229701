package replica

import (
	"cmp"
	"slices"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// rowSet collects rows of several tags for one message.
type rowSet map[ring.Tag][]directory.Mapping

func newRowSet() rowSet { return make(rowSet) }

func (s rowSet) add(tag ring.Tag, m directory.Mapping) { s[tag] = append(s[tag], m) }

// blocks packs the rows, in the order of tags and hashes.
func (s rowSet) blocks() []wire.Block {
	var blocks []wire.Block
	tags := make([]ring.Tag, 0, len(s))
	for tag := range s {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	for _, tag := range tags {
		rows := s[tag]
		slices.SortFunc(rows, func(a, b directory.Mapping) int { return cmp.Compare(a.Hash, b.Hash) })
		for len(rows) > 0 {
			n := min(len(rows), rowsPerMessage)
			blocks = append(blocks, wire.Pack(tag, rows[:n]))
			rows = rows[n:]
		}
	}
	return blocks
}
