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
//
// A peer that asked us may give our answer for a moment still: the mover may not count it, and
// not wait for it. So the confirmation waits until that moment is over.
func (mo *mover) gotHold(now mono.Time, p *peer, m *wire.Hold) {
	mo.flushOutbox(now)
	mo.mergeRows(now, staying(m.Blocks), nil)
	h := mo.answers.Open(now, kicks.HoldID{By: p.life(), ID: m.ID})
	beaten := rowset.New()
	seen := make(map[ring.User]bool)
	var relayed mono.Time
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
			u := ring.User{Tag: b.Tag, Hash: row.Hash}
			relayed = max(relayed, mo.relayed.Until(now, u))
			if !seen[u] { // dead here: forgotten meanwhile
				mo.kicks.Note(h.ID, wire.KickCount{Tag: u.Tag, Hash: u.Hash})
			}
		}
	}
	h.Beaten = beaten.Blocks()
	if relayed != 0 {
		mo.answers.Wait(h, relayed)
	}
	mo.confirm(p, h)
}

// confirm answers a Hold of a peer, unless the answer has to wait.
func (mo *mover) confirm(p *peer, h *moves.Answer) {
	if !h.Waits() {
		mo.send(p, &wire.Held{ID: h.ID.ID, Beaten: h.Beaten})
	}
}

// confirmLate gives the answers that have waited for long enough. If the stream is down, they are
// repeated when it opens again.
func (mo *mover) confirmLate(now mono.Time) {
	for _, h := range mo.answers.TakeDue(now) {
		if p := mo.peers.get(h.ID.By.Name); p != nil && p.life() == h.ID.By {
			mo.confirm(p, h)
		}
	}
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
		mo.confirm(p, h)
		for _, u := range slices.SortedFunc(maps.Keys(h.Kicks), ring.CompareUsers) {
			if result := h.Kicks[u]; result != nil {
				mo.kicks.Note(h.ID, *result)
			}
		}
	}
}
