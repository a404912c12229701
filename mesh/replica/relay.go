package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/lookups"
	"directormesh/mesh/replica/internal/waiters"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// relayAfter is how long a member that just ceased to be synced tries to answer by itself again
// before it asks others: usually it takes a round trip, and when it wakes up thousands of lookups
// may wait.
const relayAfter = 200 * time.Millisecond

// relay asks a synced peer for the answer that we must not give by ourselves.
func (lq *lookupQueue) relay(now mono.Time, w *waiters.Wait) {
	if lq.admission.bootstrapped && now.Sub(lq.admission.unsyncedAt) < relayAfter {
		return // the next tick asks
	}
	var synced []*peer
	for _, p := range lq.peers.all {
		if p.matters() && p.synced && p.out {
			synced = append(synced, p)
		}
	}
	lq.waiters.Unask(w)
	if len(synced) == 0 || lq.admission.removed {
		return
	}
	p, id := synced[w.Turn(len(synced))], lq.newID()
	lq.waiters.Ask(now, w, id)
	lq.counters.Relayed++
	lq.send(p, &wire.LookupRequest{ID: id, Tag: w.User.Tag, Hash: w.User.Hash})
}

// gotLookupRequest answers for a peer that is not synced.
func (lq *lookupQueue) gotLookupRequest(now mono.Time, p *peer, m *wire.LookupRequest) {
	u := ring.User{Tag: m.Tag, Hash: m.Hash}
	if !lq.synced() {
		lq.send(p, &wire.LookupReply{ID: m.ID, Failed: true})
		return
	}
	if _, why := lq.lookups.Settle(now, u); why != lookups.Answered {
		lq.wait(now, &waiters.Wait{User: u, Peer: p.life(), Request: m.ID}, why)
		return
	}
	lq.reply(now, p, m.ID, u)
}

// reply sends the mapping that a relayed lookup found or made. One that was made goes first by the
// log: the asker then has that part of our log too, and others can ask for it if we die before our
// log has reached them. What we only prolonged waits for the batch; there may be many.
func (lq *lookupQueue) reply(now mono.Time, p *peer, id uint64, u ring.User) {
	m, status := lq.dir.Find(u.Tag, u.Hash, lq.clock.At(now))
	if status != directory.Live || m.Moving || !m.Backend.IsValid() {
		lq.send(p, &wire.LookupReply{ID: id, Failed: true})
		return
	}
	if m.Stamp >= m.Activity {
		lq.flushOutbox(now)
	}
	lq.relayed.Note(now, u)
	lq.send(p, &wire.LookupReply{ID: id, Block: wire.Pack(u.Tag, []directory.Mapping{m})})
}

// gotLookupReply gives a relayed answer on, if it is fresh and the user is not held here.
func (lq *lookupQueue) gotLookupReply(now mono.Time, _ *peer, m *wire.LookupReply) {
	w := lq.waiters.TakeAsked(m.ID)
	if w == nil || m.Failed || !w.Fresh(now) || m.Block.Len() != 1 || lq.synced() {
		return // the next tick asks again, or answers
	}
	if lq.moves.Held.Has(w.User) && !lq.cfg.Guards.NoHold {
		return
	}
	for row := range m.Block.All() {
		if row.Hash != w.User.Hash || m.Block.Tag != w.User.Tag || !row.Backend.IsValid() {
			return
		}
		lq.mergeRows(now, []wire.Block{m.Block}, nil)
		stored, status := lq.dir.Find(w.User.Tag, w.User.Hash, lq.clock.At(now))
		if status != directory.Live || stored.Moving || stored.Backend != row.Backend {
			// We know better than the peer: of a move of which it has not heard, or a conflict that
			// it loses.
			return
		}
		lq.waiters.Finish(w)
		lq.emit(Answer{ID: w.ID, Backend: row.Backend})
	}
}
