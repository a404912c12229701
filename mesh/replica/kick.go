package replica

import (
	"errors"
	"slices"
	"strings"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// startKick has the local kicker end sessions.
func (c *Core) startKick(tag ring.Tag, target KickTarget, done func(r KickResult, failed error)) {
	id := c.newID()
	c.kicks.Begin(id, c.lookups.LastInput(), done)
	c.counters.Kicks++
	c.emit(Kick{ID: id, Tag: tag, Target: target})
}

// KickDone takes the result of a Kick effect.
func (c *Core) KickDone(now mono.Time, id uint64, r KickResult, err error) {
	defer c.enter(now)()
	r.Known = r.Known && err == nil
	c.kicks.Finish(id, r, err)
}

// errKickerLate ends a kick whose result never came.
var errKickerLate = errors.New("the kicker did not answer in time")

// failureText is what a report says of a kick that failed, in one line; nothing of one that did
// not. A flush has tens of thousands of kicks, of whose failures nobody is told, so the text is
// made for reports alone.
func failureText(failed error) string {
	if failed == nil {
		return ""
	}
	return strings.ReplaceAll(failed.Error(), "\n", "; ")
}

func (c *Core) checkKicks(now mono.Time) {
	for _, id := range c.kicks.Late(now) {
		c.kicks.Finish(id, KickResult{}, errKickerLate)
	}
}

// reportKicks sends the queued results of kicks, as many in a message as there are.
func (c *Core) reportKicks() {
	for of, results := range c.kicks.TakeReports() {
		if p := c.inLife(of.By); p != nil {
			for counts := range slices.Chunk(results, rowset.MaxRows) {
				c.send(p, &wire.Kicked{ID: of.ID, Kicks: counts})
			}
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
