package replica

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/wire"
)

// doKickUser begins a kick by name, which all directors that we count carry out.
func (kg *kicking) doKickUser(now mono.Time, o *operationState, op KickUser) {
	k := kicks.NewByName(now, &wire.KickUser{ID: kg.newID(), Field: op.Field, Value: op.Value})
	o.kick = k
	for _, p := range kg.peers.all {
		if p.live && p.Counted {
			kg.askToKick(k, p)
		}
	}
	target := KickTarget{Field: op.Field, Value: op.Value}
	kg.startKick("", target, func(r KickResult, failed error) {
		k.Take("", r, failureText(failed))
	})
}

// askToKick has a peer take part in a kick by name, unless it was asked before.
func (kg *kicking) askToKick(k *kicks.ByName, p *peer) {
	if k.Ask(p.name) {
		kg.send(p, k.Message)
	}
}

// kicksByName yields the kicks by name that are under way, with the ids of their operations, in
// order.
func (kg *kicking) kicksByName() iter.Seq2[uint64, *kicks.ByName] {
	return func(yield func(uint64, *kicks.ByName) bool) {
		if len(kg.ops) == 0 {
			return
		}
		for _, id := range slices.Sorted(maps.Keys(kg.ops)) {
			if k := kg.ops[id].kick; k != nil && !yield(id, k) {
				return
			}
		}
	}
}

// sendKicks sends a peer that has just come to be counted the kicks by name that are under way:
// it counted as failed when they began, and would be missing from their answers.
func (kg *kicking) sendKicks(p *peer) {
	for _, k := range kg.kicksByName() {
		kg.askToKick(k, p)
	}
}

// resendKicks repeats the kicks by name that a peer has not reported; a stream was down, ours to it
// or the peer's.
func (kg *kicking) resendKicks(p *peer) {
	for _, k := range kg.kicksByName() {
		if k.Awaits(p.name) {
			kg.send(p, k.Message)
		}
	}
}

// gotKickUser ends the sessions of a user by name, because a peer was asked to.
func (kg *kicking) gotKickUser(_ mono.Time, p *peer, m *wire.KickUser) {
	by := p.life()
	kg.startKick("", KickTarget{Field: m.Field, Value: m.Value}, func(r KickResult, failed error) {
		if p := kg.inLife(by); p != nil {
			kg.send(p, &wire.KickUserDone{
				ID: m.ID, Count: uint32(r.Count), Known: r.Known, Error: failureText(failed),
				Left: uint32(r.Left), Blind: r.Blind,
			})
		}
	})
}

// gotKickUserDone takes the report of a peer on a kick by name.
func (kg *kicking) gotKickUserDone(_ mono.Time, p *peer, m *wire.KickUserDone) {
	for _, k := range kg.kicksByName() {
		if k.Message.ID == m.ID {
			r := KickResult{Count: int(m.Count), Known: m.Known, Left: int(m.Left), Blind: m.Blind}
			k.Take(p.name, r, m.Error)
		}
	}
}

// settleKickUsers ends the kicks by name for which no director is waited for any more.
func (kg *kicking) settleKickUsers(now mono.Time) {
	for id, k := range kg.kicksByName() {
		k.GiveUp(now, func(peer string) bool {
			p := kg.peers.get(peer)
			return p != nil && p.live
		})
		if k.Ended() {
			kg.endKickByName(id, k)
		}
	}
}

func (kg *kicking) endKickByName(id uint64, k *kicks.ByName) {
	o := kg.ops[id].outcome
	o.Count, o.Known = k.Count()
	o.FailedPeers = k.Lost()
	kg.ops[id].outcome = o
	kg.reportKicked(id, k.Report())
	var err error
	if director, text := k.Failure(); text != "" {
		err = fmt.Errorf("director %s could not kick: %s", cmp.Or(director, kg.cfg.Name), text)
	}
	kg.endOperation(id, err)
}
