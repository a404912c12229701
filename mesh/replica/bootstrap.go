package replica

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// found begins a mesh with what the configuration says, or goes on with the one that the data
// directory has.
func (c *Core) found(now mono.Time, why string) {
	c.changeView(func() {
		c.foundMesh(now)
		c.dir.SetBackends(c.table.Snapshot().Backends)
		c.barrier.ReplaceToday(c.table.Places(c.barrier.Today()))
	})
	c.admission.bootstrapped, c.admission.coldSince = true, 0
	c.noteFounded(now, why)
	c.evaluate(now)
	if to := c.peers.all.streams(); len(to) > 0 {
		c.flushOutbox(now)
		c.sendAll(&wire.Table{Change: c.table.Snapshot()})
	}
}

// bootstrap takes the first snapshot, or founds a mesh where no director can give one.
func (c *Core) bootstrap(now mono.Time) {
	a := &c.admission
	live, synced := c.candidates(now)
	switch {
	case len(live) == 0:
		c.bootstrapAlone(now)
	case len(synced) > 0:
		a.coldSince = 0
		if c.allNamedReached(now) {
			c.requestSnapshot(now, synced[0])
		}
	default:
		c.bootstrapCold(now, live)
	}
}

// candidates returns the live peers, and the live peers whose snapshot makes us a member, nearest
// first. These are synced, count us already, and belong to the mesh of the highest rank in sight.
func (c *Core) candidates(now mono.Time) (live, synced []*peer) {
	lacking := false
	for _, p := range c.peers.all {
		if !p.matters() {
			continue
		}
		live = append(live, p)
		lacking = lacking || p.synced && c.lacksTable(now, p)
		if p.synced && p.out && c.sameMesh(p) && (p.CountsUs || c.cfg.Guards.NoAdmission) &&
			!c.receiver.Tried(now, p.name) {
			synced = append(synced, p)
		}
	}
	if lacking {
		synced = nil
	}
	slices.SortStableFunc(synced, func(a, b *peer) int {
		return cmp.Compare(a.roundTrip, b.roundTrip)
	})
	for _, p := range live {
		if p.synced && len(synced) == 0 {
			return live, nil // wait for its admission, do not start cold beside it
		}
	}
	return live, synced
}

// allNamedReached reports whether streams are up to all directors that the peers which admitted us
// named, so that nothing falls between the snapshot and their logs.
func (c *Core) allNamedReached(now mono.Time) bool {
	for name := range c.admission.named {
		if !c.reachedOrGone(now, name) {
			return false
		}
	}
	return true
}

func (c *Core) bootstrapAlone(now mono.Time) {
	a := &c.admission
	a.coldSince = 0
	if c.receiver.Current() != nil || c.mayNotGoOn() {
		return
	}
	if a.differs != "" && !a.contact && !c.cfg.ServeAlone {
		// There is a mesh, and this director was meant to be one of it: two that serve the same
		// users apart from each other is what must not be.
		return
	}
	if c.hopesOn(now) {
		return
	}
	waited := now.Sub(a.joinsSince)
	if !a.contact && waited >= startWait ||
		a.contact && waited >= contactLost && !c.peers.all.someInSight(now) {
		a.alone = true
		c.counters.ServedAlone++
		c.logf(LogWarn, "no peer answers, serving alone; trying again")
		c.found(now, "no peer answered")
	}
}

// bootstrapCold is the start of all directors together: none is synced. The director with the
// lowest name takes the snapshots of all others and founds the mesh, which they then join. If it
// fails, they do not wait for ever. Nor does it wait for ever for one that loads, of which a
// snapshot would have only a part: that one offers what it holds when it has loaded. Nor do they
// start a mesh of their own beside one that has just refused one of them.
func (c *Core) bootstrapCold(now mono.Time, live []*peer) {
	a := &c.admission
	for _, p := range live {
		if p.synced || p.loading && now.Sub(p.liveSince) < loadingWait {
			return
		}
	}
	if c.hopesOn(now) {
		return
	}
	if a.coldSince == 0 {
		a.coldSince, a.cold = now, make(map[string]bool)
	}
	patience := coldWait
	if live[0].name < c.cfg.Name {
		patience = coldImpatience
	}
	waited := now.Sub(a.coldSince)
	if len(c.missing(now)) == 0 && patience == coldWait && c.disk != nil && len(c.disk.live) > 0 {
		waited = max(waited, patience) // all are there that were before
	}
	if waited < patience || waited < patience+failAfter && c.peers.all.someNear(now) {
		return
	}
	for _, p := range live {
		if !p.CountsUs {
			return
		}
		if !a.cold[p.name] && !p.loading && p.out && !c.receiver.Tried(now, p.name) {
			c.requestSnapshot(now, p)
			return
		}
	}
	for _, p := range live {
		if !a.cold[p.name] && !p.loading && now.Sub(a.coldSince) < patience+contactLost {
			return
		}
	}
	c.found(now, fmt.Sprintf("%d directors start together", len(live)+1))
}

// hopesOn reports whether this director was refused lately, by one that is not in touch with it
// now, and may still be taken.
func (c *Core) hopesOn(now mono.Time) bool {
	a := &c.admission
	if a.refusedAt == 0 || now.Sub(a.refusedAt) > failAfter ||
		now.Sub(a.joinsSince) >= refusalWait {
		return false
	}
	p := c.peers.get(a.refusedBy)
	return p == nil || !p.live
}

// refusalWait is for how long a director that is refused hopes to be taken. There is a mesh, and
// what speaks against it may pass: a new name at the address of a host that died without a word is
// refused until that one is given up, after failAfter.
const refusalWait = 2 * failAfter

const (
	loadingWait    = 10 * time.Second       // for a peer that loads its data directory
	coldWait       = 500 * time.Millisecond // for peers that start at the same moment to show up
	coldImpatience = 15 * time.Second       // for the lowest name to found the mesh
)
