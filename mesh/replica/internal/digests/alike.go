package digests

import (
	"cmp"
	"slices"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// LiveRows is the directory, as far as digests that are taken at once need it.
type LiveRows interface {
	Tags() []ring.Tag
	DigestGroupLive(
		tag ring.Tag, group uint8, assigned, alive directory.Time,
	) (leaves [leavesInGroup]uint64, rows int)
}

// Fill sets the digests of a comparison to those of the tags that we have and it is about.
func Fill(rows LiveRows, c *wire.Comparison) {
	c.Digests = nil
	for _, tag := range tagsOf(rows, c) {
		of := wire.GroupDigests{Tag: tag}
		for group := range groups {
			leaves, _ := rows.DigestGroupLive(tag, uint8(group), c.Assigned, c.Alive)
			of.Groups[group] = fold(&leaves)
		}
		c.Digests = append(c.Digests, of)
	}
}

// tagsOf are the tags that we have and a comparison is about.
func tagsOf(rows LiveRows, c *wire.Comparison) []ring.Tag {
	return slices.DeleteFunc(rows.Tags(), func(tag ring.Tag) bool {
		return tag < c.From || c.To != "" && tag >= c.To
	})
}

// Alike looks for the groups in which the rows of a peer differ from ours. It goes on step by step:
// a pass over millions of rows takes a while.
type Alike struct {
	peer  wire.Comparison
	tags  []ring.Tag // to be compared still
	group int        // next, of the first of them
}

// NewAlike begins to compare.
func NewAlike(rows LiveRows, peer wire.Comparison) *Alike {
	a := &Alike{peer: peer}
	for _, d := range peer.Digests {
		a.tags = append(a.tags, d.Tag)
	}
	a.tags = slices.CompactFunc(
		slices.SortedFunc(slices.Values(append(a.tags, tagsOf(rows, &peer)...)), cmp.Compare),
		func(a, b ring.Tag) bool { return a == b })
	return a
}

// Done reports whether all was compared.
func (a *Alike) Done() bool { return len(a.tags) == 0 }

// Step looks at about so many rows more, and returns the digests of our leaves in the groups that
// differ.
func (a *Alike) Step(rows LiveRows, wanted int) (differ []wire.GroupLeaves) {
	for looked := 0; !a.Done() && looked < wanted; {
		tag, group := a.tags[0], uint8(a.group)
		leaves, n := rows.DigestGroupLive(tag, group, a.peer.Assigned, a.peer.Alive)
		if theirs := groupsOf(a.peer.Digests, tag); fold(&leaves) != theirs[group] {
			differ = append(differ, wire.GroupLeaves{Tag: tag, Group: group, Leaves: leaves})
			looked += rowsPerDifference
		}
		looked += n + 1
		if a.group++; a.group == groups {
			a.tags, a.group = a.tags[1:], 0
		}
	}
	return differ
}

// rowsPerDifference is how many rows a group that differs counts for, as its leaves have to travel.
const rowsPerDifference = 1 << 12

// Unlike are our leaves that differ from a peer's of a group.
func Unlike(rows LiveRows, c *wire.Comparison, theirs *wire.GroupLeaves) (leaves []uint16) {
	ours, _ := rows.DigestGroupLive(theirs.Tag, theirs.Group, c.Assigned, c.Alive)
	for i := range ours {
		if ours[i] != theirs.Leaves[i] {
			leaves = append(leaves, uint16(theirs.Group)<<8|uint16(i))
		}
	}
	return leaves
}
