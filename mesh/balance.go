package mesh

import (
	"net/netip"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// LoadsWanted returns the backends of which this director is to find out how loaded they are, if
// that is not counted by each director for itself.
func (n *Node) LoadsWanted() []netip.Addr {
	n.coreMu.Lock()
	defer n.coreMu.Unlock()
	return n.core.LoadsWanted()
}

// ReportLoads takes how loaded backends are; known is false if that could not be found out.
func (n *Node) ReportLoads(loads []wire.Load, known bool) {
	n.input(func(c *replica.Core, now mono.Time) { c.ReportLoads(now, loads, known) })
}

// Balancing returns how load is evened out.
func (n *Node) Balancing() replica.BalanceStatus {
	return query(n, (*replica.Core).Balancing)
}
