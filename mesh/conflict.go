package mesh

import (
	"fmt"
	"time"
)

const (
	// newcomer is how long after its start a director gives way to another one of its name. One that has been up for longer is not
	// driven out by whoever starts next; it only says what it sees.
	newcomer = time.Minute
	// persists is how long a conflict must last to show that the other does not give way: it is no newcomer, whatever its clock says.
	persists = 5 * time.Second
)

// conflictWatch remembers when another director of our name was first seen. Only the goroutine of events uses it.
type conflictWatch struct {
	boot  uint64
	since time.Time
}

// nameConflict decides what it means that two directors have the same name. Of two, the one that started later must fail.
func (n *Node) nameConflict(e event) {
	if e.boot == n.boot.Load() {
		return
	}
	if e.name != n.cfg.Name {
		n.limited("conflict "+e.name).Error().Str("peer", e.name).Stringer("addr", e.addr).
			Msg("two directors use the same node name, this one is ignored; give it another --node-name")
		return
	}
	now := n.wall()
	if n.conflicts.boot != e.boot {
		n.conflicts = conflictWatch{boot: e.boot, since: now}
	}
	if n.wall().Sub(n.started) > newcomer || !n.later(e) && now.Sub(n.conflicts.since) < persists {
		n.limited("conflict").Error().Stringer("addr", e.addr).
			Msg("another director uses this node name; give it another --node-name")
		return
	}
	n.fail(fmt.Errorf("node name %q is already used by the director at %s; give this one another --node-name", n.cfg.Name, e.addr))
}

// later reports whether this director started after the other one, as far as one can tell: by their meshes if the other has
// founded or joined one and we have not, else by start time, and by boot id to break a tie.
func (n *Node) later(e event) bool {
	ours := n.Self().Mesh.ID
	if e.told && (ours == 0) != (e.mesh == 0) {
		return ours == 0
	}
	if !e.started.IsZero() && !e.started.Equal(n.started) {
		return n.started.After(e.started)
	}
	return n.boot.Load() > e.boot
}
