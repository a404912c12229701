package replica

import (
	"slices"
	"strings"
	"time"

	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// kickLimit is after how long a kick counts as unknown, should the shell not have said so itself.
const kickLimit = 11 * time.Second

// kicks are the local kicks under way, with who wants to know of their end, and what peers are
// still to be told.
type kicks struct {
	byID    map[uint64]*kick
	reports map[report][]wire.KickCount
	order   []report
}

type kick struct {
	since time.Duration
	done  func(r KickResult, failure string) // may be nil
}

// report is a peer's Hold for which we report kicks. A peer's ids start again in each of its lives.
type report struct {
	by logs.ID
	id uint64
}

func (k *kicks) init() {
	k.byID = make(map[uint64]*kick)
	k.reports = make(map[report][]wire.KickCount)
}

// start has the local kicker end sessions.
func (k *kicks) start(c *Core, tag ring.Tag, target KickTarget, done func(r KickResult, failure string)) {
	id := c.newID()
	k.byID[id] = &kick{since: time.Duration(c.lastTick.Load()), done: done}
	c.counters.Kicks++
	c.emit(Kick{ID: id, Tag: tag, Target: target})
}

// KickDone takes the result of a Kick effect.
func (c *Core) KickDone(now time.Duration, id uint64, r KickResult, err error) {
	defer c.enter(now)()
	failure := ""
	if err != nil {
		failure, r.Known = strings.ReplaceAll(err.Error(), "\n", "; "), false
	}
	c.kicks.finish(id, r, failure)
}

func (k *kicks) finish(id uint64, r KickResult, failure string) {
	if kick := k.byID[id]; kick != nil {
		delete(k.byID, id)
		if kick.done != nil {
			kick.done(r, failure)
		}
	}
}

func (c *Core) checkKicks(now time.Duration) {
	var late []uint64
	for id, k := range c.kicks.byID {
		if now-k.since > kickLimit {
			late = append(late, id)
		}
	}
	slices.Sort(late)
	for _, id := range late {
		c.kicks.finish(id, KickResult{}, "the kicker did not answer in time")
	}
}

// note queues the result of a kick that a peer's Hold asked for.
func (k *kicks) note(r report, count wire.KickCount) {
	if k.reports[r] == nil {
		k.order = append(k.order, r)
	}
	k.reports[r] = append(k.reports[r], count)
}

// report sends the queued results, as many in a message as there are.
func (k *kicks) report(c *Core) {
	for _, r := range k.order {
		if p := c.inLife(r.by); p != nil {
			for counts := range slices.Chunk(k.reports[r], rowset.MaxRows) {
				c.send(p, &wire.Kicked{ID: r.id, Kicks: counts})
			}
		}
		delete(k.reports, r)
	}
	k.order = k.order[:0]
}

// gotKickUser ends the sessions of a user by name, because a peer was asked to.
func (c *Core) gotKickUser(_ time.Duration, p *peer, m *wire.KickUser) {
	by := p.life()
	c.kicks.start(c, "", KickTarget{Field: m.Field, Value: m.Value}, func(r KickResult, failure string) {
		if p := c.inLife(by); p != nil {
			c.send(p, &wire.KickUserDone{
				ID: m.ID, Count: uint32(r.Count), Known: r.Known, Error: failure, Left: uint32(r.Left), Blind: r.Blind,
			})
		}
	})
}
