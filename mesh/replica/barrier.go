package replica

import (
	"net/netip"
	"slices"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// gotTable takes a change of a peer's table or, without a number in its log, all of it.
func (c *Core) gotTable(now mono.Time, p *peer, m *wire.Table) {
	switch {
	case onlyMarks(m):
		if c.table.Mesh() != 0 {
			c.apply(now, m.Change, nil)
		}
	case m.Seq == 0 && !c.mayTake(now, p, m.Change):
	case m.Seq == 0 && p.live:
		c.applyWhole(now, m.Change, p)
	default:
		c.apply(now, m.Change, p)
	}
}

// apply merges a table change, from a peer's log or table (from) or from elsewhere (nil), and
// begins its barrier. It returns the barrier, nil if nothing was new. A change does not make us
// part of another mesh. What commands wrote holds in every mesh.
func (c *Core) apply(now mono.Time, change directory.Change, from *peer) *barrier.Change {
	change = c.dropAhead(now, change)
	before := c.present()
	return c.merge(now, change, from, before, joining{})
}

// applyWhole is apply for the whole table of a peer that we are in touch with both ways. If we are
// to join its mesh, we do: with a part of the table we would lack what is configured there.
func (c *Core) applyWhole(now mono.Time, change directory.Change, from *peer) *barrier.Change {
	change = c.dropAhead(now, change)
	before, served := c.present(), c.table.Mesh() != 0
	j := joining{joins: change.Mesh == from.mesh.ID && c.lacksTable(now, from)}
	if j.joins {
		j.leaves = served
		c.joinMesh(now, from)
		if c.receiver.Current() != nil { // its donor may join that mesh too before all has come
			c.snapshotFailed(now, "it is not of the mesh that this director joins")
		}
		for _, p := range c.peers.all {
			c.showMesh(p, change) // before it gets anything of this mesh
		}
	}
	return c.merge(now, change, from, before, j)
}

// joining says that we join a mesh, and so lose what is configured here, and whether we leave one
// in which we served.
type joining struct{ joins, leaves bool }

// merge merges a change. before is what was present until now.
func (c *Core) merge(
	now mono.Time, change directory.Change, from *peer, before map[netip.Addr]ring.Tag, j joining,
) *barrier.Change {
	var confirmed string
	if from != nil {
		confirmed = from.name
		c.confirm(from, change)
	}
	if c.ofAnotherMesh(change.Mesh, from) {
		return nil
	}
	c.hlc.Observe(change.LastStamp())
	var again map[netip.Addr]bool
	if !j.joins {
		again = c.addedAgain(change)
	}
	applied := c.mergeTable(change)
	if applied.Empty() && !j.joins {
		return nil // a mesh whose table is empty takes away what is configured here all the same
	}
	if !j.joins {
		c.noteTable(now, applied)
	}
	t := c.begin(now, applied, confirmed, j.joins)
	c.kickRemoved(before, again, j.leaves)
	c.applyRemovals(now, applied)
	return t
}

// mergeTable merges what others or we ourselves changed into the table.
func (c *Core) mergeTable(change directory.Change) (applied directory.Change) {
	before := c.table.Refused()
	applied = c.table.Merge(change)
	if n := c.table.Refused() - before; n > 0 {
		c.counters.RefusedTableRows += n
		c.logf(LogError,
			"rows of a table change ignored: no cluster has so many backends, tags or directors")
	}
	return applied
}

// begin puts an applied change into force: the ring of before is kept, the change follows the open
// rows into the log.
func (c *Core) begin(
	now mono.Time, applied directory.Change, confirmed string, unknownRing bool,
) *barrier.Change {
	t := barrier.NewChange(now, applied, confirmed, unknownRing)
	for _, p := range c.peers.all {
		for _, change := range p.said {
			t.Confirm(p.barrierPeer(), change)
		}
	}
	// A large ring takes most of a second to build, and lookups wait while the view changes.
	rings := c.table.Places(c.barrier.Today())
	c.changeView(func() {
		c.dir.SetBackends(c.table.Snapshot().Backends)
		c.barrier.Add(t, rings)
	})
	kills := func(r directory.BackendRow) bool {
		return r.Forgotten != 0 || r.Presence.Origin != ""
	}
	if slices.ContainsFunc(applied.Backends, kills) {
		c.digests.SweepSoon(c.dir.Tags())
		c.mergeLosers(now)
	}
	c.noteVerdicts(applied)
	full := &wire.Table{Change: c.wholeRows(applied)}
	if c.cfg.Guards.NoOrderedTable {
		c.write(now, full)
		return t
	}
	c.flushOutbox(now)
	c.write(now, full)
	return t
}

// wholeRows is today's state of the rows that a change touches.
func (c *Core) wholeRows(change directory.Change) directory.Change {
	whole := directory.Change{Mesh: c.table.Mesh()}
	for _, r := range change.Backends {
		if row, ok := c.table.Row(r.Addr); ok {
			whole.Backends = append(whole.Backends, row)
		}
	}
	for _, r := range change.Directors {
		if row, ok := c.table.Director(r.Addr); ok {
			whole.Directors = append(whole.Directors, row)
		}
	}
	for _, r := range change.Pins {
		if row, ok := c.table.Pin(r.User); ok {
			whole.Pins = append(whole.Pins, row)
		}
	}
	return whole
}

// maxSaid bounds what is kept of a peer's statements during a join. A peer that says more confirms
// again later, or is excluded.
const maxSaid = 100

// confirm notes what a peer's statement about its table confirms.
func (c *Core) confirm(p *peer, change directory.Change) {
	c.barrier.Confirm(p.barrierPeer(), change)
	if !c.admission.bootstrapped && len(p.said) < maxSaid {
		p.said = append(p.said, change)
	}
}

// barrierPeer is what a barrier must know of a peer.
func (p *peer) barrierPeer() barrier.Peer {
	return barrier.Peer{
		Name: p.name, Counted: p.live && p.Counted, Behind: p.behind(), Registers: p.registers,
	}
}

// settleBarrier ends the waiting for changes that all counted peers have confirmed, and forgets the
// rings before them.
func (c *Core) settleBarrier() {
	if c.barrier.Len() == 0 {
		return
	}
	get := func(name string) (of barrier.Peer) {
		if p := c.peers.get(name); p != nil {
			of = p.barrierPeer()
		}
		return of
	}
	all := func(yield func(barrier.Peer) bool) {
		for _, p := range c.peers.all {
			if !yield(p.barrierPeer()) {
				return
			}
		}
	}
	for _, t := range c.barrier.Settle(get, all) {
		c.tableOperationsDone(t, false)
	}
	if n := c.barrier.Passed(); n > 0 {
		var passed []*barrier.Change
		c.changeView(func() { passed = c.barrier.Drop(n) })
		for _, t := range passed {
			c.tableOperationsDone(t, true)
		}
	}
}

// awaitTable is called when a member admits us, and sends its table. What we have and it lacks it
// must confirm before we answer.
func (c *Core) awaitTable(now mono.Time, p *peer, theirs directory.Change) {
	if c.synced() || c.table.Mesh() == 0 {
		return
	}
	if t := barrier.Lacking(now, c.table.Snapshot(), p.barrierPeer(), theirs); t != nil {
		c.barrier.Add(t, c.barrier.Today())
	}
}

// mayGoByAnother is a peer that may still answer by a ring that we do not know; nil if there is
// none.
func (c *Core) mayGoByAnother() *peer {
	if c.cfg.Guards.NoBarrierToJoin {
		return nil
	}
	return c.peers.get(c.barrier.OfUnknownRing(func(yield func(barrier.Peer) bool) {
		for _, p := range c.peers.all {
			if p.matters() && !yield(p.barrierPeer()) {
				return
			}
		}
	}))
}

func (c *Core) present() map[netip.Addr]ring.Tag {
	present := make(map[netip.Addr]ring.Tag)
	for _, b := range c.table.Backends() {
		present[b.Addr] = b.Tag
	}
	return present
}

// addedAgain are the backends that were removed and added again, as a change says that is not
// merged yet. They may be present before it and after: we heard of the adding first, or hear of
// both at once. A removal and the adding after it both raise "forgotten up to". So does a command
// that only forgets users, but it writes no presence: a presence that comes with it is older. Where
// the backend was added once more after that command, nothing tells that from a removal: it passes
// for one, and ends sessions that might go on.
func (c *Core) addedAgain(change directory.Change) map[netip.Addr]bool {
	again := make(map[netip.Addr]bool)
	for _, row := range change.Backends {
		known, _ := c.table.Row(row.Addr)
		said, upTo := row.Presence.Stamp, row.Forgotten
		if said >= upTo && upTo.Tick() > known.Forgotten.Tick() ||
			// "forgotten up to" came before, in a change that has nothing but that
			said == upTo && upTo.Tick() > known.Presence.Stamp.Tick() {
			again[row.Addr] = true
		}
	}
	return again
}

// kickRemoved ends the sessions on backends that a change removed, be it that they were added again
// since, or that were configured in a mesh that we served and that is no more.
func (c *Core) kickRemoved(before map[netip.Addr]ring.Tag, again map[netip.Addr]bool, served bool) {
	now := c.present()
	var gone []netip.Addr
	for addr := range before {
		if _, still := now[addr]; !still || again[addr] {
			gone = append(gone, addr)
		}
	}
	slices.SortFunc(gone, ring.CompareAddr)
	for _, addr := range gone {
		if row, ok := c.table.Row(addr); served || ok && row.Presence.Stamp != 0 {
			c.startKick(before[addr], KickTarget{Backend: addr}, nil)
		}
	}
}
