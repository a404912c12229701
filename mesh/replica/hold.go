package replica

import (
	"maps"
	"slices"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// gotHold holds users that a peer moves, confirms, and kicks.
func (c *Core) gotHold(now mono.Time, p *peer, m *wire.Hold) {
	h := c.answers.Open(now, kicks.HoldID{By: p.life(), ID: m.ID})
	beaten := rowset.New()
	seen := make(map[ring.User]bool)
	c.mergeRows(now, m.Blocks, func(u ring.User, in directory.Mapping, out directory.Merged) {
		seen[u] = true
		if !moves.Same(in, out.Mapping) {
			beaten.Add(u.Tag, out.Mapping)
			return
		}
		c.moves.Held.RunBy(u, h.ID.By)
		c.kickHeld(h, u)
	})
	for _, b := range m.Blocks {
		for row := range b.All() {
			// dead here: forgotten meanwhile
			if u := (ring.User{Tag: b.Tag, Hash: row.Hash}); !seen[u] {
				c.kicks.Note(h.ID, wire.KickCount{Tag: u.Tag, Hash: u.Hash})
			}
		}
	}
	h.Beaten = beaten.Blocks()
	c.send(p, &wire.Held{ID: m.ID, Beaten: h.Beaten})
}

// kickHeld ends a held user's sessions elsewhere, once, and queues the report.
func (c *Core) kickHeld(h *moves.Answer, u ring.User) {
	if result, begun := h.Kicks[u]; begun {
		if result != nil {
			c.kicks.Note(h.ID, *result)
		}
		return
	}
	h.Kicks[u] = nil
	done := func(result wire.KickCount) {
		h.Kicks[u] = &result
		c.kicks.Note(h.ID, result)
	}
	c.kickMoving(u, done)
}

// repeatAnswers answers the holds of a peer once more: the answers went out by a stream that broke.
func (c *Core) repeatAnswers(now mono.Time, p *peer) {
	for _, h := range c.answers.To(now, p.life()) {
		c.send(p, &wire.Held{ID: h.ID.ID, Beaten: h.Beaten})
		for _, u := range slices.SortedFunc(maps.Keys(h.Kicks), ring.CompareUsers) {
			if result := h.Kicks[u]; result != nil {
				c.kicks.Note(h.ID, *result)
			}
		}
	}
}
