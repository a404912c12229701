package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
)

const (
	// deltasRemembered is how many deltas are recognised as repeats; memberlist repeats one for
	// seconds at the most.
	deltasRemembered = 8192

	// A delta can be recorded and sent again, years later. So one of a director that nobody here
	// knows to run is kept for a moment, in case its stream is still being opened, and then
	// dropped.
	earlyFor        = 5 * time.Second
	maxEarly        = 1024
	maxEarlyBytes   = 1 << 20
	bytesPerMessage = 256 // of a delta beside its rows, about
)

// deltaID identifies a delta in the whole mesh.
type deltaID struct {
	origin wire.Life
	n      uint64
}

// deltaWindow remembers the last deltas seen.
type deltaWindow struct {
	seen  map[deltaID]bool
	order []deltaID // a ring buffer once full
	next  int
}

func (w *deltaWindow) init() { w.seen = make(map[deltaID]bool) }

func (w *deltaWindow) add(id deltaID) {
	w.seen[id] = true
	if len(w.order) < deltasRemembered {
		w.order = append(w.order, id)
		return
	}
	delete(w.seen, w.order[w.next])
	w.order[w.next] = id
	w.next = (w.next + 1) % deltasRemembered
}

// earlyDeltas are those whose origin is not known to run, the oldest first.
type earlyDeltas struct {
	list  []earlyDelta
	ids   map[deltaID]bool // of list
	bytes int              // of all, about
}

func (e *earlyDeltas) init() { e.ids = make(map[deltaID]bool) }

type earlyDelta struct {
	at    time.Duration
	id    deltaID
	bytes int
	delta *wire.Delta
}

// add keeps a delta, unless it is there already. False means that there is no room.
func (e *earlyDeltas) add(now time.Duration, id deltaID, d *wire.Delta) bool {
	if e.ids[id] {
		return true
	}
	size := bytesPerMessage + rowset.Bytes(d.Blocks) + rowset.ChangeBytes(d.Change)
	if len(e.list) >= maxEarly || e.bytes+size > maxEarlyBytes {
		return false
	}
	e.list = append(e.list, earlyDelta{now, id, size, d})
	e.ids[id] = true
	e.bytes += size
	return true
}

// forget takes note that a delta is no longer on the list.
func (e *earlyDeltas) forget(d earlyDelta) {
	delete(e.ids, d.id)
	e.bytes -= d.bytes
}

// gossip hands a change that was made here, or rows of a move, to the broadcast queue.
func (c *Core) gossip(change directory.Change, blocks []wire.Block) {
	c.emit(Gossip{Delta: &wire.Delta{
		Origin: c.cfg.Name, Boot: c.boot, N: c.newID(), Change: change, Blocks: blocks,
	}})
}

// Gossip takes a delta from the broadcast channel. It reports whether it was applied, and is to be
// passed on.
func (c *Core) Gossip(now time.Duration, d *wire.Delta) (fresh bool) {
	defer c.enter(now)()
	id := deltaID{wire.Life{Name: d.Origin, Boot: d.Boot}, d.N}
	if d.Origin == c.cfg.Name || c.seen.seen[id] {
		c.counters.RepeatedDeltas++
		return false
	}
	if !c.runs(id.origin) {
		if !c.early.add(now, id, d) {
			c.counters.UnknownDeltas++
		}
		return false
	}
	c.applyDelta(now, id, d)
	return true
}

func (c *Core) applyDelta(now time.Duration, id deltaID, d *wire.Delta) {
	c.seen.add(id)
	if c.admission.bootstrapped {
		c.apply(now, d.Change, nil)
		c.mergeRows(now, d.Blocks, nil)
		c.runAllBy(d.Blocks, logs.ID{Name: d.Origin, Boot: d.Boot})
	}
}

// retryEarly applies the deltas whose origin has turned out to run, and drops those that are too
// old.
func (c *Core) retryEarly(now time.Duration) {
	if len(c.early.list) == 0 {
		return
	}
	kept := c.early.list[:0]
	for _, e := range c.early.list {
		switch {
		case c.runs(e.id.origin):
			c.early.forget(e)
			c.applyDelta(now, e.id, e.delta)
			c.emit(Gossip{Delta: e.delta, Passed: true})
		case now-e.at > earlyFor:
			c.early.forget(e)
			c.counters.UnknownDeltas++
		default:
			kept = append(kept, e)
		}
	}
	clear(c.early.list[len(kept):])
	c.early.list = kept
}
