package health

import (
	"maps"
	"net/netip"
	"slices"

	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Sights is what one director sees, by backend. A backend that it does not observe is not in it.
type Sights map[netip.Addr]wire.Observation

// Note takes an observation in. It reports whether that is news.
func (s Sights) Note(o wire.Observation) bool {
	before, known := s[o.Backend]
	if o.Sight != wire.Good && o.Sight != wire.Failing {
		delete(s, o.Backend)
		return known
	}
	if before == o {
		return false
	}
	if !known && len(s) >= 2*ring.MaxBackends {
		return false // no honest director observes so many
	}
	s[o.Backend] = o
	return true
}

// Messages returns all that is seen, for a peer that has nothing of it yet: one message at least.
func (s Sights) Messages() []*wire.Observations {
	addrs := slices.SortedFunc(maps.Keys(s), ring.CompareAddr)
	messages := []*wire.Observations{{Whole: true}}
	for part := range slices.Chunk(addrs, wire.MaxObservations) {
		m := messages[len(messages)-1]
		if len(m.Backends) > 0 {
			m = &wire.Observations{}
			messages = append(messages, m)
		}
		for _, addr := range part {
			m.Backends = append(m.Backends, s[addr])
		}
	}
	return messages
}
