package replica

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/digests"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Two meshes that have no backend in common are two clusters, and one wrong --join must not make
// one of them. Their directors refuse each other, unless an operator has said by `ring add`, at the
// mesh that stays, that a director of the other is to be taken in.

// strangerFor is how long a mesh is refused at once, before tables are compared again.
const strangerFor = time.Minute

// maxStrangers bounds the meshes remembered.
const maxStrangers = 64

// strangers are meshes that have no backend in common with ours, and when that was first seen;
// maxStrangers at most.
type strangers map[directory.MeshID]mono.Time

// note remembers a mesh, if there is room. One that is known keeps its moment.
func (s strangers) note(now mono.Time, mesh directory.MeshID) {
	if _, known := s[mesh]; !known && len(s) < maxStrangers {
		s[mesh] = now
	}
}

// refused reports whether directors of a mesh are refused at once. It forgets one whose time is
// over.
func (s strangers) refused(now mono.Time, mesh directory.MeshID) bool {
	at, known := s[mesh]
	if known && now.Sub(at) > strangerFor {
		delete(s, mesh)
		return false
	}
	return known
}

// A director that joins is in touch with several directors, which need not be of one cluster. So
// tables are compared whenever the mesh of one of the two is another than at the last comparison,
// before anything else is taken; and one that belongs to no mesh yet takes only the table that
// makes it join.

// meshes are that of this director and that of a peer.
type meshes struct{ ours, theirs directory.MeshID }

// differ reports whether both belong to a mesh, but not to the same one.
func (m meshes) differ() bool { return m.ours != 0 && m.theirs != 0 && m.ours != m.theirs }

// uncompared reports whether a peer is of another mesh, and the tables of that mesh and of our
// present one have not been compared.
func (c *Core) uncompared(p *peer) bool {
	now := meshes{c.table.Mesh(), p.mesh.ID}
	return now.differ() && p.compared != now && !c.cfg.Guards.NoStrangers
}

// showMesh sends a peer of another mesh our whole table, once, so that it can compare.
func (c *Core) showMesh(p *peer, ours directory.Change) {
	if now := (meshes{ours.Mesh, p.mesh.ID}); p.out && now.differ() && p.shown != now {
		p.shown = now
		c.send(p, &wire.Meeting{Change: ours})
	}
}

// mayTake compares the whole table of a peer with ours, and reports whether the peer's messages may
// be taken in.
func (c *Core) mayTake(now mono.Time, p *peer, theirs directory.Change) bool {
	return c.compareMesh(now, p, theirs) && !c.strange(p)
}

// ofAnotherMesh reports whether a table change must not be merged because it may be of another
// cluster. It does not come from a director whose table was compared with ours; or we belong to no
// mesh yet, and would take the change along into any mesh that we join. Its own mesh has it in its
// whole table.
func (c *Core) ofAnotherMesh(mesh directory.MeshID, from *peer) bool {
	ours := c.table.Mesh()
	return mesh != 0 && mesh != ours && (from == nil || ours == 0) &&
		!c.cfg.Guards.NoStrangers && !c.cfg.Guards.NoAdmission
}

// gotMeeting compares the table of a peer of another mesh with ours.
func (c *Core) gotMeeting(now mono.Time, p *peer, m *wire.Meeting) {
	c.compareMesh(now, p, m.Change)
}

// compareMesh compares the whole table of a peer with ours. False means that the peer is refused.
func (c *Core) compareMesh(now mono.Time, p *peer, theirs directory.Change) bool {
	p.disjoint = c.table.Disjoint(theirs) && !c.cfg.Guards.NoStrangers
	p.mesh.ID, p.compared = theirs.Mesh, meshes{c.table.Mesh(), theirs.Mesh}
	if p.disjoint || c.table.Mesh() != theirs.Mesh {
		c.showMesh(p, c.table.Snapshot())
	}
	if !p.disjoint || p.takesUs || c.table.Added(p.addr) {
		p.stranger = false
		return true
	}
	c.strangers.note(now, theirs.Mesh)
	p.stranger = true
	c.counters.MeshesRefused++
	err := c.refuseStranger(wire.Peer{Name: p.name, Addr: p.addr}, theirs.Mesh)
	c.logf(LogError, "director of another cluster refused", Field{"peer", p.name},
		Field{"addr", addrText(p.addr)}, Field{"error", err.Error()})
	c.emit(CloseStream{Peer: p.name, Reason: "its mesh has no backend in common with ours"})
	delete(c.sessions, p.in)
	p.out, p.in = false, 0
	c.peerGone(now, p)
	return false
}

// knownStranger refuses a director whose mesh has just been seen to have no backend in common with
// ours.
func (c *Core) knownStranger(now mono.Time, h *wire.Hello) error {
	if h.Mesh.ID == c.table.Mesh() || h.TakesIn || c.table.Added(h.From.Addr) ||
		!c.strangers.refused(now, h.Mesh.ID) {
		return nil
	}
	return c.refuseStranger(h.From, h.Mesh.ID)
}

// A strangerError refuses a director of another cluster.
type strangerError struct{ text string }

func (e *strangerError) Error() string { return e.text }

func (c *Core) refuseStranger(who wire.Peer, mesh directory.MeshID) error {
	if c.table.Mesh() == 0 {
		return &strangerError{
			fmt.Sprintf("%s has left mesh %s, to which %s belongs, for another cluster",
				c.cfg.Name, mesh, who.Name),
		}
	}
	return &strangerError{fmt.Sprintf(
		"%s belongs to mesh %s and %s to mesh %s, and these have no backend in common; "+
			"if they are to be one and that of %s stays, run there: director ring add %s %d",
		who.Name, mesh, c.cfg.Name, c.table.Mesh(), c.cfg.Name, who.Addr.Addr(), who.Addr.Port())}
}

// strange reports whether a peer is, or may be, of another cluster, so that nothing of it may be
// applied: tables have still to be compared, or an operator had one of the two take the other in,
// which is about to give its mesh up.
func (c *Core) strange(p *peer) bool {
	return c.uncompared(p) || p.disjoint && c.table.Mesh() != 0 && p.mesh.ID != c.table.Mesh()
}

// giveMeshUp has this director leave its cluster, because an operator had another cluster take it
// in. It joins that cluster without backends or users: those of its old cluster are not the new
// one's. So it begins a new life, and refuses its former peers until it has joined.
func (c *Core) giveMeshUp(now mono.Time, p *peer) {
	left, present := c.table.Mesh(), c.present()
	c.logf(LogWarn, "was added to another cluster, leaving this one for it", Field{"peer", p.name},
		Field{"mesh_id", p.mesh.ID.String()}, Field{"ours", left.String()})
	c.counters.MeshesMet++
	c.admission.joinAgain(now)
	for _, m := range c.moves.Sorted() {
		c.finishMove(m, ErrTryAgain)
	}
	c.flushes.Forget()
	c.moves.Held.Clear()
	c.endLife(now, ErrLeftCluster, "this director leaves the cluster for another")
	c.forgetLogs()
	c.dropDisk()
	clear(c.admission.named)
	c.changeView(func() {
		*c.table = *directory.NewTable(0, c.cfg.Name, c.cfg.Backends)
		// A backend that the other cluster has too would bring its users back to life.
		c.dir.Clear()
		c.dir.SetBackends(nil)
		*c.barrier = *barrier.New(c.table.Places(nil))
	})
	c.keep(nil)
	c.digests = digests.Set{}
	c.strangers = strangers{left: now}
	for _, addr := range slices.SortedFunc(maps.Keys(present), ring.CompareAddr) {
		c.startKick(present[addr], KickTarget{Backend: addr}, nil)
	}
	c.evaluate(now)
}
