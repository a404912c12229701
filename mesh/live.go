package mesh

import (
	"net/netip"

	"directormesh/ring"
)

// Refresh records that a user has a live session, in every tag that knows the user. It never waits
// and never makes a mapping.
func (n *Node) Refresh(hash ring.UserHash) {
	now := n.clock()
	for _, tag := range n.dir.Tags() {
		n.core.Refresh(now, tag, hash)
	}
}

// Adopt records that a user has a live session on a backend. A user without a mapping is mapped
// there. It never waits.
func (n *Node) Adopt(tag ring.Tag, hash ring.UserHash, backend netip.Addr) {
	n.core.Adopt(n.clock(), tag, hash, backend)
}
