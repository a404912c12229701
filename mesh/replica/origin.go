package replica

import (
	"slices"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// The originator is gone. When a director leaves or fails, the one that acts for all takes its
// moves over. It sends a Hold for them, which directors that hold the users confirm at once, with
// the reports that they remember; then come hook, delay and release. If two directors do that it
// does no harm, since a release is the same from any director. But each waits only for those that
// it counts. So one that has lost more than half of the directors takes nothing over: its release
// would come to the others later, and end the move there too. And a move is left alone whose
// originator we hear, in touch or not, or a peer counts, for that one waits for others. If we do
// not know the originator, it may be any director that a peer counts and we do not.

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
	if !c.actsForAll() || c.cfg.Guards.NoGoingOn {
		return
	}
	mayRun := make(map[logs.ID]bool) // thousands of moves have few originators
	orphans := c.moves.Orphans(now, unknownFor, func(life logs.ID) bool {
		may, known := mayRun[life]
		if !known {
			may = c.mayRun(now, life)
			mayRun[life] = may
		}
		return may
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
