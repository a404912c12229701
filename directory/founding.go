package directory

import (
	"cmp"
	"math"
	"strings"
)

// Founding identifies a mesh: when its first director began to serve, and the
// name of that director. Where two meshes meet, the older one's configured
// backends hold.
type Founding struct {
	At Time
	By string
}

// Unfounded is the At of a director that has neither founded nor joined a
// mesh: it is later than every real founding.
const Unfounded Time = math.MaxInt64

// Compare returns a negative number if a is the older founding, a positive one
// if b is, and zero if they are the same.
func (a Founding) Compare(b Founding) int {
	return cmp.Or(cmp.Compare(a.At, b.At), strings.Compare(a.By, b.By))
}

// valid says whether the founding can be compared with others. A missing one
// must not pass for the oldest of all.
func (a Founding) valid() bool { return a.At > 0 }
