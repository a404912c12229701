package check

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// usable is what a backend must be to have points on the ring.
type usable struct {
	addr    netip.Addr
	vhosts  int
	standby bool
}

// point is one point of a backend on the ring.
type point struct {
	at   uint32
	addr netip.Addr
}

// places remembers the rings it built: a run has few tables and asks for each of them often.
type places map[string][]point

// of gives the backend that a hash has on the ring of these backends, or the zero address. It knows
// only addresses whose text is the same everywhere, which are all that runs use.
func (p places) of(backends []usable, hash uint32) netip.Addr {
	var key strings.Builder
	for _, b := range backends {
		fmt.Fprintf(&key, "%v %d,", b.addr, b.vhosts)
	}
	ring, ok := p[key.String()]
	if !ok {
		ring = ringOf(backends)
		p[key.String()] = ring
	}
	if len(ring) == 0 {
		return netip.Addr{}
	}
	for _, q := range ring {
		if q.at >= hash {
			return q.addr
		}
	}
	return ring[0].addr
}

func ringOf(backends []usable) []point {
	var ring []point
	for _, b := range backends {
		for i := range b.vhosts {
			sum := md5.Sum(fmt.Appendf(nil, "%v-%d", b.addr, i))
			ring = append(ring, point{binary.BigEndian.Uint32(sum[:]), b.addr})
		}
	}
	slices.SortFunc(ring, func(a, b point) int {
		if a.at != b.at {
			if a.at < b.at {
				return -1
			}
			return 1
		}
		if a.addr.Is4() != b.addr.Is4() {
			if a.addr.Is4() {
				return -1
			}
			return 1
		}
		return bytes.Compare(a.addr.AsSlice(), b.addr.AsSlice())
	})
	return ring
}
