package replica

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// heldBatch is what we did for a Hold of a peer, kept a while in case the Hold comes again.
type heldBatch struct {
	at     time.Duration
	beaten []wire.Block
	kicks  map[ring.User]*wire.KickCount // nil: under way
}

// gotHold holds users that a peer moves, confirms, and kicks.
func (c *Core) gotHold(now time.Duration, p *peer, m *wire.Hold) {
	r := report{p.life(), m.ID}
	h := c.moves.answered[r]
	if h == nil {
		h = &heldBatch{at: now, kicks: make(map[ring.User]*wire.KickCount)}
		c.moves.answered[r] = h
	}
	beaten := rowset.New()
	seen := make(map[ring.User]bool)
	c.mergeRows(now, m.Blocks, func(u ring.User, in directory.Mapping, out directory.Merged) {
		seen[u] = true
		if !sameMove(in, out.Mapping) {
			beaten.Add(u.Tag, out.Mapping)
			return
		}
		c.runBy(u, r.by)
		c.kickHeld(r, h, u)
	})
	for _, b := range m.Blocks {
		for row := range b.All() {
			if u := (ring.User{Tag: b.Tag, Hash: row.Hash}); !seen[u] { // dead here: forgotten meanwhile
				c.kicks.note(r, wire.KickCount{Tag: u.Tag, Hash: u.Hash})
			}
		}
	}
	h.beaten = beaten.Blocks()
	c.send(p, &wire.Held{ID: m.ID, Beaten: h.beaten})
}

// kickHeld ends a held user's sessions elsewhere, once, and queues the report.
func (c *Core) kickHeld(r report, h *heldBatch, u ring.User) {
	if result, begun := h.kicks[u]; begun {
		if result != nil {
			c.kicks.note(r, *result)
		}
		return
	}
	h.kicks[u] = nil
	done := func(result wire.KickCount) {
		h.kicks[u] = &result
		c.kicks.note(r, result)
	}
	if _, held := c.held[u]; !held { // released already: the Hold came late
		done(wire.KickCount{Tag: u.Tag, Hash: u.Hash})
		return
	}
	c.kickMoving(u, done)
}

// repeat answers the holds of a peer once more: the answers went out by a stream that broke.
func (ms *moves) repeat(c *Core, now time.Duration, p *peer) {
	var again []report
	for r, h := range ms.answered {
		if r.by == p.life() && now-h.at < holdFor {
			again = append(again, r)
		}
	}
	slices.SortFunc(again, func(a, b report) int { return cmp.Compare(a.id, b.id) })
	for _, r := range again {
		h := ms.answered[r]
		c.send(p, &wire.Held{ID: r.id, Beaten: h.beaten})
		for _, u := range slices.SortedFunc(maps.Keys(h.kicks), ring.CompareUsers) {
			if result := h.kicks[u]; result != nil {
				c.kicks.note(r, *result)
			}
		}
	}
}
