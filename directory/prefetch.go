package directory

import (
	"unsafe"

	"directormesh/ring"
)

// Prefetch asks the processor to fetch what Find will read for this user, and
// does not wait for that. A caller that looks up several users does this for all
// of them first: their waits for memory, which are most of what a lookup takes,
// then overlap. It changes nothing, and it may be in vain.
func (d *Directory) Prefetch(tag ring.Tag, h ring.UserHash) {
	g := d.shard(tag).group(leafOf(h))
	if g == nil {
		return
	}
	l := &g.leaves[uint8(h>>16)]
	// Unlike in peek these two need not belong together. All that is made of
	// them is an address, from which nothing is loaded.
	first, s := l.first.Load(), shape(l.shape.Load())
	from, lines := s.near(uint32(h))
	prefetch(uintptr(unsafe.Pointer(first))+uintptr(from*rowSize), lines)
}

const (
	rowSize     = int(unsafe.Sizeof(row{}))
	lineSize    = 64 // a cache line, or half of one
	rowsInLine  = lineSize / rowSize
	mostInReach = 16 // cache lines; more are only wanted in leaves that somebody has crowded
)

// near returns from which row on how many cache lines have all rows that a
// search for h looks at, as long as the guess is as good as it mostly is. The
// number is that for the least favourable place of the first row in its line:
// so it is nearly always the same, and the processor foresees it.
func (s shape) near(h uint32) (from, lines int) {
	reach := reach(s.len())
	rows := 2*reach + 1
	return max(s.guess(h)-reach, 0), min((rows+2*(rowsInLine-1))/rowsInLine, mostInReach)
}
