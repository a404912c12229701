package replica

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/kicks"
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

// failureText is what a report says of a kick that failed, in one line; "" if it did not fail. A
// flush has tens of thousands of kicks whose failures are not reported, so the text is made only
// where it is.
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

// reportKicked puts what directors could not do of a kick into the outcome of an operation.
func (c *Core) reportKicked(id uint64, k kicks.Report) {
	o := c.ops[id]
	if o == nil {
		return
	}
	named := func(director string) string { return cmp.Or(director, c.cfg.Name) }
	for director, sessions := range k.Left {
		o.outcome.Left = append(o.outcome.Left, SessionsLeft{named(director), sessions})
	}
	slices.SortFunc(o.outcome.Left, func(a, b SessionsLeft) int {
		return cmp.Compare(a.Director, b.Director)
	})
	for director := range k.Blind {
		o.outcome.Blind = append(o.outcome.Blind, named(director))
	}
	slices.Sort(o.outcome.Blind)
}
