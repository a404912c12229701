package meshtime

import (
	"slices"
	"time"

	"directormesh/directory"
)

// stampsKept bounds how many stamps of our own are remembered.
const stampsKept = 10_000

// Stamps are the last stamps that commands got in this life, oldest first.
type Stamps []directory.Stamp

// Add adds a stamp, which is later than all before.
func (o *Stamps) Add(s directory.Stamp) {
	if len(*o) == stampsKept {
		*o = slices.Delete(*o, 0, stampsKept/2)
	}
	*o = append(*o, s)
}

// Contains reports whether a stamp is one of them.
func (o Stamps) Contains(s directory.Stamp) bool {
	_, found := slices.BinarySearch(o, s)
	return found
}

// WholeSeconds rounds down, also what is negative.
func WholeSeconds(d time.Duration) time.Duration {
	whole := d.Truncate(time.Second)
	if whole > d {
		whole -= time.Second
	}
	return whole
}
