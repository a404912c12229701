package mesh

import (
	"net/netip"

	"directormesh/ring"
)

// TryLookup is Lookup for those who cannot wait: false means that only Lookup can tell. It takes no lock and, for users it
// knows, does not allocate.
func (n *Node) TryLookup(tag ring.Tag, hash ring.UserHash) (netip.Addr, bool) {
	if n.ctx.Err() != nil {
		return netip.Addr{}, false
	}
	return n.core.TryLookup(n.clock(), tag, hash)
}
