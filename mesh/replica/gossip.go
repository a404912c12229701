package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// deltasRemembered is how many deltas are recognised as repeats; memberlist repeats one for seconds at the most.
const deltasRemembered = 8192

// deltaID identifies a delta in the whole mesh.
type deltaID struct {
	origin string
	boot   uint64
	n      uint64
}

// deltaWindow remembers the last deltas seen.
type deltaWindow struct {
	seen  map[deltaID]bool
	order []deltaID // a ring buffer once full
	next  int
}

func (w *deltaWindow) init() { w.seen = make(map[deltaID]bool) }

// add reports whether the delta was not seen before.
func (w *deltaWindow) add(id deltaID) bool {
	if w.seen[id] {
		return false
	}
	w.seen[id] = true
	if len(w.order) < deltasRemembered {
		w.order = append(w.order, id)
		return true
	}
	delete(w.seen, w.order[w.next])
	w.order[w.next] = id
	w.next = (w.next + 1) % deltasRemembered
	return true
}

// gossip hands a change that was made here, or rows of a move, to the broadcast queue.
func (c *Core) gossip(change directory.Change, blocks []wire.Block) {
	c.emit(Gossip{&wire.Delta{Origin: c.cfg.Name, Boot: c.cfg.Boot, N: c.newID(), Change: change, Blocks: blocks}})
}

// Gossip takes a delta from the broadcast channel. It reports whether it was fresh, and is to be passed on.
func (c *Core) Gossip(now time.Duration, d *wire.Delta) (fresh bool) {
	defer c.enter(now)()
	if d.Origin == c.cfg.Name || !c.seen.add(deltaID{d.Origin, d.Boot, d.N}) {
		c.counters.RepeatedDeltas++
		return false
	}
	if c.admission.bootstrapped {
		c.apply(now, d.Change, nil)
		c.mergeRows(now, d.Blocks, nil)
	}
	return true
}
