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
func (c *Core) doKickUser(now mono.Time, o *operationState, op KickUser) {
	k := kicks.NewByName(now, &wire.KickUser{ID: c.newID(), Field: op.Field, Value: op.Value})
	o.kick = k
	for _, p := range c.peers.all {
		if p.live && p.Counted {
			c.askToKick(k, p)
		}
	}
	c.startKick("", KickTarget{Field: op.Field, Value: op.Value}, func(r KickResult, failed error) {
		k.Take("", r, failureText(failed))
	})
}

// askToKick has a peer take part in a kick by name, unless it was asked before.
func (c *Core) askToKick(k *kicks.ByName, p *peer) {
	if k.Ask(p.name) {
		c.send(p, k.Message)
	}
}

// kicksByName yields the kicks by name that are under way, with the ids of their operations, in
// order.
func (c *Core) kicksByName() iter.Seq2[uint64, *kicks.ByName] {
	return func(yield func(uint64, *kicks.ByName) bool) {
		if len(c.ops) == 0 {
			return
		}
		for _, id := range slices.Sorted(maps.Keys(c.ops)) {
			if k := c.ops[id].kick; k != nil && !yield(id, k) {
				return
			}
		}
	}
}

// sendKicks sends a peer that has just come to be counted the kicks by name that are under way:
// it counted as failed when they began, and would be missing from their answers.
func (c *Core) sendKicks(p *peer) {
	for _, k := range c.kicksByName() {
		c.askToKick(k, p)
	}
}

// resendKicks repeats the kicks by name that a peer has not reported; its stream was down.
func (c *Core) resendKicks(p *peer) {
	for _, k := range c.kicksByName() {
		if k.Awaits(p.name) {
			c.send(p, k.Message)
		}
	}
}

// gotKickUser ends the sessions of a user by name, because a peer was asked to.
func (c *Core) gotKickUser(_ mono.Time, p *peer, m *wire.KickUser) {
	by := p.life()
	c.startKick("", KickTarget{Field: m.Field, Value: m.Value}, func(r KickResult, failed error) {
		if p := c.inLife(by); p != nil {
			c.send(p, &wire.KickUserDone{
				ID: m.ID, Count: uint32(r.Count), Known: r.Known, Error: failureText(failed),
				Left: uint32(r.Left), Blind: r.Blind,
			})
		}
	})
}

// gotKickUserDone takes the report of a peer on a kick by name.
func (c *Core) gotKickUserDone(_ mono.Time, p *peer, m *wire.KickUserDone) {
	for _, k := range c.kicksByName() {
		if k.Message.ID == m.ID {
			r := KickResult{Count: int(m.Count), Known: m.Known, Left: int(m.Left), Blind: m.Blind}
			k.Take(p.name, r, m.Error)
		}
	}
}

// settleKickUsers ends the kicks by name for which no director is waited for any more.
func (c *Core) settleKickUsers(now mono.Time) {
	for id, k := range c.kicksByName() {
		k.GiveUp(now, func(peer string) bool {
			p := c.peers.get(peer)
			return p != nil && p.live
		})
		if k.Ended() {
			c.endKickByName(id, k)
		}
	}
}

func (c *Core) endKickByName(id uint64, k *kicks.ByName) {
	o := c.ops[id].outcome
	o.Count, o.Known = k.Count()
	o.FailedPeers = k.Lost()
	c.ops[id].outcome = o
	c.reportKicked(id, k.Report())
	var err error
	if director, text := k.Failure(); text != "" {
		err = fmt.Errorf("director %s could not kick: %s", cmp.Or(director, c.cfg.Name), text)
	}
	c.endOperation(id, err)
}
