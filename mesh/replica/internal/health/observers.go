package health

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
)

// MostObservers is how many directors observe a backend, where there are so many.
const MostObservers = 5

// Observers returns which of the directors observe a backend: those that rank highest for it. So
// all directors that know of the same directors choose alike, a director that comes or goes changes
// little, and each director observes its share of the backends.
func Observers(backend netip.Addr, directors []string) []string {
	if len(directors) <= MostObservers {
		return directors
	}
	type ranked struct {
		name string
		rank uint64
	}
	all := make([]ranked, len(directors))
	for i, name := range directors {
		all[i] = ranked{name, rank(backend, name)}
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.rank, a.rank), strings.Compare(a.name, b.name))
	})
	names := make([]string, MostObservers)
	for i := range names {
		names[i] = all[i].name
	}
	return names
}

// rank is a number that depends on all bits of both.
func rank(backend netip.Addr, director string) uint64 {
	h := fnv.New64a()
	addr := backend.As16()
	h.Write(addr[:]) // never fails
	h.Write([]byte(director))
	// The last bytes that go into an FNV hash reach few of its bits: mix them (splitmix64).
	x := h.Sum64()
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
