package replica

import (
	"slices"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// The originator is gone. When a director leaves or fails, the live director with the lowest name
// takes its moves over. It sends a Hold for them, which directors that hold the users confirm at
// once, with the reports that they remember; then come hook, delay and release. If two directors
// do that it does no harm, since a release is the same from any director. Each director chooses
// among the peers that it counts, so one always takes the moves over. But it waits only for those
// that it counts: so it leaves a move alone whose originator it hears, in touch or not, or a peer
// counts, for that one waits for others.

// unknownFor is how old a move must be to be taken over if we do not know which director runs it:
// word of that may be on its way.
const unknownFor = failAfter

// goOn takes over the moves that no director runs any more, if this director is to do that.
func (c *Core) goOn(now mono.Time) {
	if c.moves.Held.Len() <= c.moves.Len() || !c.moves.LookForOrphans(now) {
		return
	}
	// A row that a lookup here replaced was forgotten by the table, so the user was free: no
	// director goes on with such a move.
	live := c.liveRows(now)
	if c.moves.Held.TakeReplaced(live) {
		c.waiters.Recheck()
	}
	if !c.isLowest() || c.cfg.Guards.NoGoingOn {
		return
	}
	orphans := c.moves.Orphans(now, unknownFor, func(life logs.ID) bool {
		return c.mayRun(now, life)
	})
	orphans = slices.DeleteFunc(orphans, func(u ring.User) bool {
		// Forgotten, or to a backend that is gone: that holds no lookup, and there is nothing to
		// release.
		_, ok := live(u)
		return !ok
	})
	if len(orphans) == 0 {
		return
	}
	for _, u := range orphans {
		c.kickOwn(c.moves.TakeOver(u))
	}
	c.counters.MovesTaken += uint64(len(orphans))
	c.logf(LogInfo, "going on with moves of a director that is gone", Field{"users", len(orphans)})
}

// mayRun reports whether a life of a director goes on, for all that we and our peers know. The zero
// life may be that of any director that our peers count and we do not.
func (c *Core) mayRun(now mono.Time, life logs.ID) bool {
	if life == (logs.ID{}) {
		return c.peersCountMore()
	}
	p := c.inLife(life)
	switch {
	case p == nil:
		return c.countedByPeer(wire.Life(life))
	case p.left:
		return false
	}
	return p.live || p.stillHeard(now) || c.countedByPeer(wire.Life(life))
}

// isLowest reports whether of all live directors that we count this one has the lowest name.
func (c *Core) isLowest() bool {
	a := &c.admission
	if !a.bootstrapped || a.leaving || c.admission.removed {
		return false
	}
	for _, p := range c.peers.all {
		if p.live && p.Counted {
			return c.cfg.Name < p.name
		}
	}
	return true
}
