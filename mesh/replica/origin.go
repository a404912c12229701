package replica

import (
	"slices"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// The originator is gone. When a director leaves or fails, the live one with the lowest name
// goes on with its moves as its own, from where everybody holds the user: it asks all to hold,
// which those that do confirm at once; their reports, which each remembers with the move; hook,
// delay, release. Should two directors do that it does no harm, for a release is the same
// whoever gives it. A director decides by whom it counts itself, so somebody always does it.

const (
	// unknownFor is how long a move must have been under way for one of which we do not know
	// who runs it to be gone on with: word of that may be on its way.
	unknownFor = failAfter
)

// runBy notes which director's life moves a user that is held here.
func (c *Core) runBy(u ring.User, by logs.ID) {
	if h, held := c.held[u]; held && h.by != by {
		h.by = by
		c.held[u] = h
	}
}

// runAllBy notes it for rows that came otherwise than by the hold of one that lives.
func (c *Core) runAllBy(blocks []wire.Block, by logs.ID) {
	for _, b := range blocks {
		for m := range b.All() {
			u := ring.User{Tag: b.Tag, Hash: m.Hash}
			if h, held := c.held[u]; held && h.by == (logs.ID{}) && moves.Same(h.mapping, m) {
				c.runBy(u, by)
			}
		}
	}
}

// goOn takes over the moves that nobody runs any more, if that is for this director to do.
func (c *Core) goOn(now mono.Time) {
	if len(c.held) <= c.moves.Len() || !c.moves.LookForOrphans(now) {
		return
	}
	c.endReplacedHolds(now)
	if !c.isLowest() || c.cfg.Guards.NoGoingOn {
		return
	}
	var orphans []ring.User
	for u, h := range c.held {
		if c.moves.Get(u) == nil && c.isOrphan(now, h) {
			orphans = append(orphans, u)
		}
	}
	if len(orphans) == 0 {
		return
	}
	slices.SortFunc(orphans, ring.CompareUsers)
	for _, u := range orphans {
		c.takeMove(u)
	}
	c.counters.MovesTaken += uint64(len(orphans))
	c.logf(LogInfo, "going on with moves of a director that is gone", Field{"users", len(orphans)})
}

// endReplacedHolds forgets holds whose row was replaced by a lookup here: it was forgotten by the
// table, so the user was free. Nobody goes on with such a move.
func (c *Core) endReplacedHolds(now mono.Time) {
	for u, h := range c.held {
		row, status := c.dir.Find(u.Tag, u.Hash, c.clock.At(now))
		if status == directory.Live && !moves.Same(row, h.mapping) {
			delete(c.held, u)
			c.waiters.Recheck()
		}
	}
}

// isOrphan reports whether nobody runs a move.
func (c *Core) isOrphan(now mono.Time, h heldUser) bool {
	if h.by == (logs.ID{}) {
		return now.Sub(h.since) >= unknownFor
	}
	p := c.inLife(h.by)
	return p == nil || !p.live
}

// isLowest reports whether of all live directors that we count this one has the lowest name.
func (c *Core) isLowest() bool {
	a := &c.admission
	if !a.bootstrapped || a.leaving || c.admission.removed {
		return false
	}
	for _, p := range c.peers.all {
		if p.live && p.counted {
			return c.cfg.Name < p.name
		}
	}
	return true
}

// takeMove makes the move of a director that is gone ours. Its time runs since we hold the
// user, so that it ends before the others release the user by themselves. What its originator's
// kicker did, or would have done, nobody knows. Nor does anybody know whether it has ended, and
// another change has come since: so it does not begin again above a row that beats it.
func (c *Core) takeMove(u ring.User) {
	h := c.held[u]
	m := &moves.Move{
		User: u, Previous: h.before.mapping, Was: h.before.status, Started: h.since, Unsure: true,
		Restarts: moves.MaxRestarts,
	}
	m.Begin(h.mapping)
	c.moves.Add(m)
	c.moves.Queue(m)
	c.kickOwn(m)
}
