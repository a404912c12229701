package replica

import (
	"fmt"
	"net/netip"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
)

// A removedError refuses a director that was removed by command.
type removedError struct{ addr netip.AddrPort }

func (e *removedError) Error() string {
	return fmt.Sprintf("director %s was removed; let it in with: director ring add %s %d",
		e.addr, e.addr.Addr(), e.addr.Port())
}

// heardOfRemoval takes what a director that refused us says of us. One that was removed while it
// was away, or did not run, hears of it in no other way, and would serve alone.
func (c *Core) heardOfRemoval(now mono.Time, change directory.Change) {
	for _, row := range change.Directors {
		if row.Addr == c.cfg.Addr {
			c.apply(now, directory.Change{
				Mesh: c.table.Mesh(), Directors: []directory.DirectorRow{row},
			}, nil)
		}
	}
}

// applyRemovals parts with directors that were removed.
func (c *Core) applyRemovals(now mono.Time, applied directory.Change) {
	if len(applied.Directors) == 0 {
		return
	}
	if removed := c.table.Removed(c.cfg.Addr); removed != c.admission.removed {
		c.admission.removed = removed
		c.logf(LogWarn, "this director was removed from the mesh, or let in again",
			Field{"removed", removed})
		if removed {
			c.flushes.Abandon() // those who stay go on with them
		}
		if !removed && len(c.peers.all) > 0 {
			c.admission.joinAgain(now)
			c.offerFromOutside(now)
		}
	}
	for _, p := range c.peers.all {
		if (p.out || p.in != 0) && c.table.Removed(p.addr) {
			c.emit(CloseStream{Peer: p.name, Reason: "removed from the mesh"})
			p.left = true
			c.peerGone(now, p)
		}
	}
	for _, row := range applied.Directors {
		c.dialAdded(row.Addr)
	}
}

// offerFromOutside has this director offer the members that let it in again what it took in since
// it was together with them: it may have heard of its removal long after, and have gone on until
// then with others that are no more.
func (c *Core) offerFromOutside(now mono.Time) {
	whole, _ := c.wholeNow(now)
	since := logs.Since(whole)
	if h := c.admission.holds; h != nil {
		since = min(since, h.since)
	}
	c.admission.holds = &holdings{since: since}
}

// dialAdded dials a director that an operator has just added. It may have been removed before, and
// then dials nobody itself.
func (c *Core) dialAdded(addr netip.AddrPort) {
	if addr != c.cfg.Addr && c.table.Added(addr) && !c.admission.removed &&
		c.peers.all.holder(addr) == nil {
		c.emit(Dial{Addr: addr, Trust: Named})
	}
}

// An outsideError refuses a director because this one was removed.
type outsideError struct{ addr netip.AddrPort }

func (e *outsideError) Error() string {
	return fmt.Sprintf("director %s was removed from its mesh and takes nobody in; "+
		"let it in with: director ring add %s %d", e.addr, e.addr.Addr(), e.addr.Port())
}

// saysItIsOutside reports whether a director refuses us because it was removed itself.
func saysItIsOutside(r *wire.Refuse) bool {
	for _, row := range r.Change.Directors {
		if row.Addr == r.From.Addr && row.Removed.Value {
			return true
		}
	}
	return false
}

// fromOutside refuses a stream that would join a peer to this director, which was removed, unless
// the peer lets it in again. What we hold is of the moment of our removal. A director that starts,
// or a mesh that began since, need not have heard of that: it would take our table, and bring back
// what was removed later.
func (c *Core) fromOutside(h *wire.Hello) error {
	if c.outside(h.TakesIn) {
		return &outsideError{c.cfg.Addr}
	}
	return nil
}

// leaveFormerMesh has a director that was removed join the mesh that lets it in with nothing, if
// that is another one than the mesh that removed it: by rank that could take what we hold, which is
// of the moment of our removal. And what we know of others that were removed, the other mesh need
// not know.
func (c *Core) leaveFormerMesh(now mono.Time, p *peer) {
	if c.admission.removed && (meshes{c.table.Mesh(), p.mesh.ID}).differ() {
		c.giveMeshUp(now, p)
	}
}

// removedHere reports whether a peer was removed from the mesh that it belongs to, as far as we
// know. What a director that was removed itself knows holds only in its own mesh: others may have
// begun a mesh since.
func (c *Core) removedHere(h *wire.Hello) bool {
	return c.table.Removed(h.From.Addr) && !(c.admission.removed && h.Mesh.ID != c.table.Mesh())
}

// MayDial reports whether a director may be dialled: neither was it removed, nor were we, unless it
// lets us in again.
func (c *Core) MayDial(to Dial) bool {
	p := c.peers.get(to.Name)
	return !c.table.Removed(to.Addr) && !c.outside(p != nil && p.in != 0 && p.takesUs)
}

// outside reports whether this director was removed, for a peer that does or does not let it in.
func (c *Core) outside(letsIn bool) bool { return c.admission.removed && !letsIn }

// dialAtOnce dials a peer that a member is in touch with, and we are not, without the pause that
// follows dials that failed: we wait for it.
func (c *Core) dialAtOnce(name string) {
	p := c.peers.get(name)
	if p != nil && !p.out && p.addr.IsValid() && c.wants(p) {
		c.emit(Dial{Name: p.name, Addr: p.addr, Trust: Proven})
	}
}

// Dials lists the directors to which no stream is up but should be: peers that failed, directors
// that others named, and directors that an operator added. One that was removed waits until it is
// dialled.
func (c *Core) Dials() []Dial {
	var dials []Dial
	known := make(map[netip.AddrPort]bool)
	for _, p := range c.peers.all {
		known[p.addr] = true
		if !p.out && p.addr.IsValid() && c.wants(p) {
			dials = append(dials, Dial{Name: p.name, Addr: p.addr, Trust: Proven})
		}
	}
	if c.admission.removed {
		return dials
	}
	for _, h := range c.hints.Sorted() {
		known[h.Addr] = true
		dials = append(dials, dialOf(h))
	}
	for _, r := range c.table.Snapshot().Directors {
		if !r.Removed.Value && !known[r.Addr] && r.Addr != c.cfg.Addr {
			dials = append(dials, Dial{Addr: r.Addr, Trust: Named})
		}
	}
	return dials
}

// Wanted reports whether a director is a peer, be it reachable or not: it is known, and has neither
// left nor been removed. One that was removed itself has only those as peers that let it in again.
func (c *Core) Wanted(name string) bool {
	p := c.peers.get(name)
	return p != nil && c.wants(p)
}

func (c *Core) wants(p *peer) bool {
	return !p.left && !c.table.Removed(p.addr) && !c.outside(p.in != 0 && p.takesUs)
}

// WantedPeers lists the peers that are wanted.
func (c *Core) WantedPeers() []Dial {
	wanted := make([]Dial, 0, len(c.peers.all))
	for _, p := range c.peers.all {
		if c.Wanted(p.name) {
			wanted = append(wanted, Dial{Name: p.name, Addr: p.addr, Trust: Proven})
		}
	}
	return wanted
}
