package mesh

import (
	"net/netip"

	"directormesh/mesh/replica"
	"directormesh/ring"
)

// TryLookup is Lookup for callers that cannot wait: false means that Lookup can tell. It takes no
// lock and, for users it knows, does not allocate.
func (n *Node) TryLookup(tag ring.Tag, hash ring.UserHash) (netip.Addr, bool) {
	if n.ctx.Err() != nil {
		return netip.Addr{}, false
	}
	// See TryLookups for why the clock is read twice.
	began := n.clock()
	backend, ok := n.core.TryLookup(began, tag, hash)
	if ok && replica.Overslept(began, n.clock()) {
		return netip.Addr{}, false
	}
	return backend, ok
}

// TryLookups is TryLookup for many users at once, which takes less than half the time. It sets the
// Backend of the lookups that it can answer, and the zero Addr for the others.
func (n *Node) TryLookups(batch []ring.Lookup) {
	if n.ctx.Err() != nil {
		replica.Unanswer(batch)
		return
	}
	// All are as of one moment. If the process is stopped in their midst, that may be long ago when
	// it goes on, and only a second reading of the clock can tell.
	began := n.clock()
	n.core.TryLookups(began, batch)
	if replica.Overslept(began, n.clock()) {
		replica.Unanswer(batch)
	}
}
