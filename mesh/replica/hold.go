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
//
// What was answered here just now goes ahead of the confirmation: the peer would else take a user
// whom we have let in for one that has been away.
func (mo *mover) gotHold(now mono.Time, p *peer, m *wire.Hold) {
	mo.flushOutbox(now)
	mo.mergeRows(now, staying(m.Blocks), nil)
	h := mo.answers.Open(now, kicks.HoldID{By: p.life(), ID: m.ID})
	beaten := rowset.New()
	seen := make(map[ring.User]bool)
	mo.mergeRows(now, m.Blocks, func(u ring.User, in directory.Mapping, out directory.Merged) {
		seen[u] = true
		if !moves.Same(in, out.Mapping) {
			beaten.Add(u.Tag, out.Mapping)
			return
		}
		mo.moves.Held.RunBy(u, h.ID.By)
		mo.kickHeld(h, u)
	})
	for _, b := range m.Blocks {
		for row := range b.All() {
			// dead here: forgotten meanwhile
			if u := (ring.User{Tag: b.Tag, Hash: row.Hash}); !seen[u] {
				mo.kicks.Note(h.ID, wire.KickCount{Tag: u.Tag, Hash: u.Hash})
			}
		}
	}
	h.Beaten = beaten.Blocks()
	mo.send(p, &wire.Held{ID: m.ID, Beaten: h.Beaten})
}

// staying are the rows of users who are where a move is to already. They are rows like any others:
// the users are not held.
func staying(blocks []wire.Block) []wire.Block {
	rows := rowset.New()
	for _, b := range blocks {
		for row := range b.All() {
			if !row.Moving {
				rows.Add(b.Tag, row)
			}
		}
	}
	return rows.Blocks()
}

// kickHeld ends a held user's sessions elsewhere, once, and queues the report.
func (mo *mover) kickHeld(h *moves.Answer, u ring.User) {
	if result, begun := h.Kicks[u]; begun {
		if result != nil {
			mo.kicks.Note(h.ID, *result)
		}
		return
	}
	h.Kicks[u] = nil
	done := func(result wire.KickCount) {
		h.Kicks[u] = &result
		mo.kicks.Note(h.ID, result)
	}
	mo.kickMoving(u, done)
}

// repeatAnswers answers the holds of a peer once more: the answers went out by a stream that broke.
func (mo *mover) repeatAnswers(now mono.Time, p *peer) {
	for _, h := range mo.answers.To(now, p.life()) {
		mo.send(p, &wire.Held{ID: h.ID.ID, Beaten: h.Beaten})
		for _, u := range slices.SortedFunc(maps.Keys(h.Kicks), ring.CompareUsers) {
			if result := h.Kicks[u]; result != nil {
				mo.kicks.Note(h.ID, *result)
			}
		}
	}
}
