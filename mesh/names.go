package mesh

import (
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// ObserveName takes the answer to a lookup of a name of Config.Names: all addresses that it found,
// and what went wrong, "" if nothing did. It never waits.
func (n *Node) ObserveName(name replica.WatchedName, found []ring.Target, problem string) {
	n.input(func(c *replica.Core, now mono.Time) { c.ObserveName(now, name, found, problem) })
}

// NamesStatus returns what the directors see of the names of backends.
func (n *Node) NamesStatus() replica.NamesStatus {
	n.coreMu.Lock()
	defer n.coreMu.Unlock()
	return n.core.NamesStatus()
}
