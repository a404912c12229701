package replica

import (
	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/deltas"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/wire"
)

// gossiping sends and takes deltas, and decides which of them are of today.
type gossiping struct {
	*output
	gossipingPort

	admission *ownAdmission
	cfg       *Config
	counters  *Counters
	early     deltas.Early // of origins that are not proven yet
	moves     *moves.Set
	nextUnmet mono.Time // when lookForUnmet looks again in a large mesh
	peers     *peers
	seen      deltas.Window // that repeats of them are known by
}

// gossipingPort is what gossiping needs of the other parts of the core.
type gossipingPort interface {
	apply(now mono.Time, change directory.Change, from *peer) *barrier.Change
	goneUnmet(who wire.Life)
	mergeRows(now mono.Time, blocks []wire.Block, each eachMerged)
	self() wire.Peer
	strange(p *peer) bool
}

// gossip hands a change that was made here, or rows of a move, to the broadcast queue.
func (gs *gossiping) gossip(change directory.Change, blocks []wire.Block) {
	gs.emit(Gossip{Delta: &wire.Delta{
		Origin: gs.cfg.Name, Boot: gs.self().Boot, N: gs.newID(), Change: change, Blocks: blocks,
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

func (gs *gossiping) applyDelta(now mono.Time, d *wire.Delta) {
	gs.seen.Add(deltas.IDOf(d))
	if gs.admission.bootstrapped {
		gs.apply(now, d.Change, nil)
		gs.mergeRows(now, d.Blocks, nil)
		gs.moves.Held.RunAllBy(d.Blocks, logs.ID{Name: d.Origin, Boot: d.Boot}, true)
	}
}

// retryEarly applies the early deltas whose origin has turned out to run, and drops old ones.
func (gs *gossiping) retryEarly(now mono.Time) {
	for d, running := range gs.early.Review(now, gs.runs) {
		if !running {
			gs.counters.UnknownDeltas++
			continue
		}
		gs.applyDelta(now, d)
		gs.emit(Gossip{Delta: d, Passed: true})
	}
}
