package replica

import (
	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/deltas"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
)

// gossip hands a change that was made here, or rows of a move, to the broadcast queue.
func (c *Core) gossip(change directory.Change, blocks []wire.Block) {
	c.emit(Gossip{Delta: &wire.Delta{
		Origin: c.cfg.Name, Boot: c.boot, N: c.newID(), Change: change, Blocks: blocks,
	}})
}

// Gossip takes a delta from the broadcast channel. It reports whether it was applied, and is to be
// passed on.
func (c *Core) Gossip(now mono.Time, d *wire.Delta) (fresh bool) {
	defer c.enter(now)()
	id := deltas.IDOf(d)
	if d.Origin == c.cfg.Name || c.seen.Has(id) {
		c.counters.RepeatedDeltas++
		return false
	}
	if !c.runs(id.Origin) {
		if !c.early.Add(now, d) {
			c.counters.UnknownDeltas++
		}
		return false
	}
	c.applyDelta(now, d)
	return true
}

func (c *Core) applyDelta(now mono.Time, d *wire.Delta) {
	c.seen.Add(deltas.IDOf(d))
	if c.admission.bootstrapped {
		c.apply(now, d.Change, nil)
		c.mergeRows(now, d.Blocks, nil)
		c.moves.Held.RunAllBy(d.Blocks, logs.ID{Name: d.Origin, Boot: d.Boot})
	}
}

// retryEarly applies the early deltas whose origin has turned out to run, and drops old ones.
func (c *Core) retryEarly(now mono.Time) {
	for d, running := range c.early.Review(now, c.runs) {
		if !running {
			c.counters.UnknownDeltas++
			continue
		}
		c.applyDelta(now, d)
		c.emit(Gossip{Delta: d, Passed: true})
	}
}
