package check

import (
	"net/netip"
	"slices"
	"time"
)

// maxCombinations is how many tables are tried; beyond that any place counts as possible.
const maxCombinations = 64

// placesOf is every backend that a user may have hashed to at some director of a scope from since
// to until; the zero address stands for no usable backend. Any says that there are too many
// possibilities to tell.
func (t *table) placesOf(
	u User, since, until time.Duration, who scope,
) (found []netip.Addr, any bool) {
	found, hashed := t.placesByPin(u, since, until, who)
	if !hashed {
		return found, false
	}
	combinations := [][]usable{nil}
	for _, b := range t.backends {
		if b.tag != u.Tag {
			continue
		}
		counts := b.pointCounts(since, until, who)
		var next [][]usable
		for _, n := range counts {
			for _, c := range combinations {
				c = slices.Clip(c)
				if n == 0 {
					next = append(next, c)
					continue
				}
				for _, standby := range b.possible(regStandby, since, until, who) {
					next = append(next, append(c, usable{b.addr, n, standby == 1}))
				}
			}
		}
		if len(next) > maxCombinations {
			return nil, true
		}
		combinations = next
	}
	for _, c := range combinations {
		if addr := t.places.of(inUse(c), u.Hash); !slices.Contains(found, addr) {
			found = append(found, addr)
		}
	}
	return found, false
}

// inUse leaves standbys out where others are.
func inUse(all []usable) []usable {
	others := slices.DeleteFunc(slices.Clone(all), func(b usable) bool { return b.standby })
	if len(others) > 0 {
		return others
	}
	return all
}

// pointCounts is how many points on the ring a backend may have had.
func (b *backend) pointCounts(since, until time.Duration, who scope) []int {
	var counts []int
	add := func(n int) {
		if !slices.Contains(counts, n) {
			counts = append(counts, n)
		}
	}
	present := b.possible(regPresent, since, until, who)
	down := b.possible(regDown, since, until, who)
	drained := b.possible(regDrained, since, until, who)
	if slices.Contains(present, 0) || slices.Contains(down, 1) || slices.Contains(drained, 1) ||
		b.mayBeOut(since, until) {
		add(0)
	}
	if slices.Contains(present, 1) && slices.Contains(down, 0) && slices.Contains(drained, 0) {
		for _, n := range b.possible(regVHosts, since, until, who) {
			for _, percent := range b.factors.possible(since, until) {
				for _, start := range b.starts.possible(since, until) {
					add(weight(n, percent, start))
				}
			}
		}
	}
	return counts
}

// surelyUp reports whether a backend was up at every director from since to until.
func (t *table) surelyUp(addr netip.Addr, since, until time.Duration) bool {
	b := t.find(addr)
	return b != nil && !slices.Contains(b.possible(regDown, since, until, everyone), 1)
}

// surelyThere reports whether a backend was in the table of every director from since to until:
// what is done to all backends is not done to others.
func (t *table) surelyThere(addr netip.Addr, since, until time.Duration) bool {
	b := t.find(addr)
	return b != nil && !slices.Contains(b.possible(regPresent, since, until, everyone), 0)
}
