//go:build amd64 || arm64

package directory

// prefetch begins to fetch this many cache lines, one at least, from that of
// an address on. It is no load: it takes any address, and a program goes on
// before the line is there, where loads would only let it go on to the next few
// users. The instruction is not to be had in Go.
func prefetch(address uintptr, lines int)
