package snapshots

import (
	"slices"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	// tagsPerQuestion keeps the digests of one question within a message: they take 2 KB a tag.
	tagsPerQuestion = 256
	// leavesPerQuestion does so for the numbers of leaves, which take two bytes.
	leavesPerQuestion = 1 << 18
	maxDiffering      = 1 << 22 // leaves; one for each 2 KB that a donor sends
)

// Check follows a snapshot since a moment, of a donor that is to have had the same rows before: it
// compares them, and takes the leaves that differ.
type Check struct {
	asOf   wire.Comparison // its moments
	tags   []ring.Tag      // of ours that were not compared yet, sorted
	from   ring.Tag        // where the next question begins
	asked  bool            // to the end of all tags
	differ []wire.TagLeaves
	Leaves int // that differed so far
}

// NewCheck begins to compare the rows that were assigned by one moment and are alive at another, of
// all tags. These are the ones that we have.
func NewCheck(assigned, alive directory.Time, tags []ring.Tag) *Check {
	return &Check{
		asOf: wire.Comparison{Assigned: assigned, Alive: alive},
		tags: slices.Sorted(slices.Values(tags)),
	}
}

// AsOf are the moments of the comparison.
func (c *Check) AsOf() *wire.Comparison { return &c.asOf }

// Question is what to compare next; false if all has been. The digests are to be filled in.
func (c *Check) Question() (next wire.Comparison, ok bool) {
	if c.asked {
		return next, false
	}
	next = c.asOf
	next.From = c.from
	if len(c.tags) <= tagsPerQuestion {
		c.asked = true
		return next, true
	}
	c.tags = c.tags[tagsPerQuestion:]
	c.from = c.tags[0]
	next.To = c.from
	return next, true
}

// Differ notes leaves that differ.
func (c *Check) Differ(tag ring.Tag, leaves []uint16) {
	if c.Leaves+len(leaves) > maxDiffering {
		return
	}
	c.Leaves += len(leaves)
	if n := len(c.differ); n > 0 && c.differ[n-1].Tag == tag {
		c.differ[n-1].Leaves = append(c.differ[n-1].Leaves, leaves...)
	} else if len(leaves) > 0 {
		c.differ = append(c.differ, wire.TagLeaves{Tag: tag, Leaves: leaves})
	}
}

// TakeLeaves returns leaves to ask for, as many as one question may have, and forgets them.
func (c *Check) TakeLeaves() (all []wire.TagLeaves) {
	for room := leavesPerQuestion; len(c.differ) > 0 && room > 0; {
		of := &c.differ[0]
		n := min(room, len(of.Leaves))
		all = append(all, wire.TagLeaves{Tag: of.Tag, Leaves: of.Leaves[:n]})
		if of.Leaves = of.Leaves[n:]; len(of.Leaves) == 0 {
			c.differ = c.differ[1:]
		}
		room -= n
	}
	return all
}
