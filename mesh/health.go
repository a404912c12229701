package mesh

import (
	"net/netip"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
)

// Watched returns the backends that this director is to check now; none without Config.Watches.
func (n *Node) Watched() (backends []netip.Addr) {
	n.coreMu.Lock()
	defer n.coreMu.Unlock()
	return n.core.Watched()
}

// Observe takes what a check of a backend has shown: what is wrong, or "". It never waits.
func (n *Node) Observe(backend netip.Addr, reason string) {
	n.input(func(c *replica.Core, now mono.Time) { c.Observe(now, backend, reason) })
}

// Health returns what the directors see of the backends.
func (n *Node) Health() replica.HealthStatus {
	n.coreMu.Lock()
	defer n.coreMu.Unlock()
	return n.core.Health()
}
