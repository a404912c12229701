package replica

import (
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// transition is a table change that was applied here and that not all counted peers have confirmed
// yet.
type transition struct {
	items []*item
	since time.Duration
	done  bool
	// unknownRing: the ring before it is nobody's. It made us part of a mesh, or is what a member
	// lacked when that admitted us.
	unknownRing bool
	by          *peer // the only one that has to confirm it; nil: all

	awaited *peer    // one that had not confirmed when last looked at; nil: not known
	failed  []string // peers that were counted when it began, or came to be, and failed before they confirmed
}

// item is one row of a change. Registers of a row may be confirmed through different messages, rows
// are not: every message about a row carries all of it.
type item struct {
	backend   directory.BackendRow
	director  directory.DirectorRow
	confirmed map[string]bool // by peer name
}

func (t *transition) confirmAll(peer string) {
	for _, i := range t.items {
		i.confirmed[peer] = true
	}
}

// leaveMesh takes out what was configured in the mesh that we leave for another: nobody there has
// it, so nobody would ever confirm it.
func (t *transition) leaveMesh() {
	t.items = slices.DeleteFunc(t.items, func(i *item) bool {
		if !i.backend.Addr.IsValid() {
			return false
		}
		if i.backend.Presence.Stamp == 0 {
			i.backend.Presence = directory.Register[directory.Presence]{}
		}
		if i.backend.VHosts.Stamp == 0 {
			i.backend.VHosts = directory.Register[int]{}
		}
		if i.backend.State.Stamp == 0 {
			i.backend.State = directory.Register[directory.State]{}
		}
		return i.backend == directory.BackendRow{Addr: i.backend.Addr}
	})
}

// confirmedBy reports whether a peer answers by this change already. With a gap in its log we do
// not know what it answered before.
func (t *transition) confirmedBy(p *peer) bool {
	return !p.behind() && t.hasConfirmed(p.name)
}

func (t *transition) hasConfirmed(peer string) bool {
	for _, i := range t.items {
		if !i.confirmed[peer] {
			return false
		}
	}
	return true
}

// apply merges a table change, from a peer's log or table (from) or from elsewhere (nil), and
// begins its barrier. It returns the barrier, nil if nothing was new. A change does not make us
// part of another mesh. What commands wrote holds in every mesh.
func (c *Core) apply(now time.Duration, change directory.Change, from *peer) *transition {
	change = c.dropAhead(now, change)
	before := c.present()
	return c.merge(now, change, from, before, joining{})
}

// applyWhole is apply for the whole table of a peer that we are in touch with both ways. If we are
// to join its mesh, we do: with a part of the table we would lack what is configured there.
func (c *Core) applyWhole(now time.Duration, change directory.Change, from *peer) *transition {
	change = c.dropAhead(now, change)
	before, served := c.present(), c.table.Mesh() != 0
	j := joining{joins: change.Mesh == from.mesh.ID && c.lacksTable(now, from)}
	if j.joins {
		j.leaves = served
		c.joinMesh(now, from)
		for _, p := range c.sortedPeers() {
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
	now time.Duration, change directory.Change, from *peer, before map[netip.Addr]ring.Tag, j joining,
) *transition {
	var confirmed string
	if from != nil {
		confirmed = from.name
		c.confirm(from, change)
	}
	if c.ofAnotherMesh(change.Mesh, from) {
		return nil
	}
	c.hlc.Observe(change.LastStamp())
	applied := c.mergeTable(change)
	if applied.Empty() && !j.joins {
		return nil // a mesh whose table is empty takes away what is configured here all the same
	}
	t := c.begin(now, applied, confirmed)
	t.unknownRing = j.joins
	c.kickRemoved(before, j.leaves)
	c.applyRemovals(now, applied)
	return t
}

// mergeTable merges what others or we ourselves changed into the table.
func (c *Core) mergeTable(change directory.Change) (applied directory.Change) {
	before := c.table.Refused()
	applied = c.table.Merge(change)
	if n := c.table.Refused() - before; n > 0 {
		c.counters.RefusedTableRows += n
		c.logf(LogError, "rows of a table change ignored: no cluster has so many backends, tags or directors")
	}
	return applied
}

// begin puts an applied change into force: the ring of before is kept, the change follows the open
// rows into the log.
func (c *Core) begin(now time.Duration, applied directory.Change, confirmed string) *transition {
	t := &transition{since: now}
	for _, row := range applied.Backends {
		t.items = append(t.items, &item{backend: row, confirmed: map[string]bool{confirmed: true}})
	}
	for _, row := range applied.Directors {
		t.items = append(t.items, &item{director: row, confirmed: map[string]bool{confirmed: true}})
	}
	for _, p := range c.peers {
		for _, change := range p.said {
			t.confirm(p.name, change)
		}
	}
	// A large ring takes most of a second to build, and lookups wait while the view changes.
	rings := ring.Build(c.table.Backends(), c.rings[len(c.rings)-1])
	c.changeView(func() {
		c.dir.SetBackends(c.table.Snapshot().Backends)
		c.transitions = append(c.transitions, t)
		c.rings = append(c.rings, rings)
	})
	if slices.ContainsFunc(applied.Backends, func(r directory.BackendRow) bool { return r.Forgotten != 0 || r.Presence.Origin != "" }) {
		c.digests.sweep = sweep{tags: c.dir.Tags()}
	}
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
	return whole
}

// maxSaid bounds what is kept of a peer's statements during a join; whoever says more confirms
// again later, or is excluded.
const maxSaid = 100

// confirm notes what a peer's statement about its table confirms.
func (c *Core) confirm(p *peer, change directory.Change) {
	for _, t := range c.transitions {
		t.confirm(p.name, change)
	}
	if !c.admission.bootstrapped && len(p.said) < maxSaid {
		p.said = append(p.said, change)
	}
}

func (t *transition) confirm(peer string, change directory.Change) {
	var open []*item
	for _, i := range t.items {
		if !i.confirmed[peer] {
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return
	}
	// Both may have thousands of rows.
	backends := make(map[netip.Addr]directory.BackendRow, len(change.Backends))
	for _, r := range change.Backends {
		backends[r.Addr] = r
	}
	directors := make(map[netip.AddrPort]directory.DirectorRow, len(change.Directors))
	for _, r := range change.Directors {
		directors[r.Addr] = r
	}
	for _, i := range open {
		if i.backend.Addr.IsValid() {
			if r, ok := backends[i.backend.Addr]; ok && r.Covers(i.backend) {
				i.confirmed[peer] = true
			}
		} else if r, ok := directors[i.director.Addr]; ok && r.Covers(i.director) {
			i.confirmed[peer] = true
		}
	}
}

// settleTransitions ends the barriers that all counted peers have confirmed, and forgets the rings
// before them.
func (c *Core) settleTransitions(now time.Duration) {
	if len(c.transitions) == 0 {
		return
	}
	for _, t := range c.transitions {
		if !t.done && c.allConfirmed(t) {
			t.done = true
			c.tableOperationsDone(t)
		}
	}
	n := 0
	for n < len(c.transitions) && c.transitions[n].done {
		n++
	}
	if n > 0 {
		c.changeView(func() {
			c.transitions = slices.Delete(c.transitions, 0, n)
			c.rings = slices.Delete(c.rings, 0, n)
		})
	}
}

// allConfirmed reports whether nobody need be waited for. While peers confirm one after the other
// it asks about the same one again.
func (c *Core) allConfirmed(t *transition) bool {
	if t.awaited != nil && t.awaits(t.awaited) {
		return false
	}
	for _, p := range c.peers {
		if t.awaits(p) {
			t.awaited = p
			return false
		}
	}
	return true
}

func (t *transition) awaits(p *peer) bool {
	return p.live && p.counted && (t.by == nil || t.by == p) && !t.confirmedBy(p)
}

// awaitTable is called when a member admits us, and tells its table. What we have and it lacks it
// must confirm before we answer: we do not know the ring that it goes by until then.
func (c *Core) awaitTable(now time.Duration, p *peer, theirs directory.Change) {
	if c.synced() || c.table.Mesh() == 0 {
		return
	}
	t := &transition{since: now, unknownRing: true, by: p}
	ours := c.table.Snapshot()
	for _, row := range ours.Backends {
		t.items = append(t.items, &item{backend: row, confirmed: make(map[string]bool)})
	}
	for _, row := range ours.Directors {
		t.items = append(t.items, &item{director: row, confirmed: make(map[string]bool)})
	}
	t.confirm(p.name, theirs)
	t.items = slices.DeleteFunc(t.items, func(i *item) bool { return i.confirmed[p.name] })
	if len(t.items) > 0 {
		c.transitions = append(c.transitions, t)
		c.rings = append(c.rings, c.rings[len(c.rings)-1])
	}
}

// mayGoByAnother is a peer that may still answer by a ring that we do not know; nil if there is
// none.
func (c *Core) mayGoByAnother() *peer {
	if c.cfg.Guards.NoBarrierToJoin {
		return nil
	}
	known := len(c.transitions)
	for known > 0 && !c.transitions[known-1].unknownRing {
		known--
	}
	for _, t := range c.transitions[:known] {
		for _, p := range c.sortedPeers() {
			if !t.done && t.awaits(p) && p.matters() {
				return p
			}
		}
	}
	return nil
}

// noteFailed remembers with whom a change in flight did not arrive for sure.
func (c *Core) noteFailed(peer string) {
	for _, t := range c.transitions {
		if !t.done && !t.hasConfirmed(peer) && !slices.Contains(t.failed, peer) {
			t.failed = append(t.failed, peer)
		}
	}
}

func (c *Core) present() map[netip.Addr]ring.Tag {
	present := make(map[netip.Addr]ring.Tag)
	for _, b := range c.table.Backends() {
		present[b.Addr] = b.Tag
	}
	return present
}

// kickRemoved ends the sessions on backends that a change removed, or that were configured in a
// mesh that we served and that is no more.
func (c *Core) kickRemoved(before map[netip.Addr]ring.Tag, served bool) {
	now := c.present()
	var gone []netip.Addr
	for addr := range before {
		if _, still := now[addr]; !still {
			gone = append(gone, addr)
		}
	}
	slices.SortFunc(gone, ring.CompareAddr)
	for _, addr := range gone {
		if row, ok := c.table.Row(addr); served || ok && row.Presence.Stamp != 0 {
			c.kicks.start(c, before[addr], KickTarget{Backend: addr}, nil)
		}
	}
}
