package replica

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/lookups"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// kicking has the kicker end sessions, and reports what it did: for Holds of peers, and for kicks
// by name.
type kicking struct {
	*output
	kickingPort

	cfg      *Config
	counters *Counters
	kicks    *kicks.Local
	lookups  *lookups.Answers
	ops      map[uint64]*operationState
	peers    *peers
}

// kickingPort is what kicking needs of the other parts of the core.
type kickingPort interface {
	endOperation(id uint64, err error)
	inLife(l logs.ID) *peer
}

// startKick has the local kicker end sessions.
func (kg *kicking) startKick(
	tag ring.Tag, target KickTarget, done func(r KickResult, failed error),
) {
	id := kg.newID()
	kg.kicks.Begin(id, kg.lookups.LastInput(), done)
	kg.counters.Kicks++
	kg.emit(Kick{ID: id, Tag: tag, Target: target})
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

func (kg *kicking) checkKicks(now mono.Time) {
	for _, id := range kg.kicks.Late(now) {
		kg.kicks.Finish(id, KickResult{}, errKickerLate)
	}
}

// reportKicks sends the queued results of kicks, as many in a message as there are.
func (kg *kicking) reportKicks() {
	for of, results := range kg.kicks.TakeReports() {
		if p := kg.inLife(of.By); p != nil {
			for counts := range slices.Chunk(results, rowset.MaxRows) {
				kg.send(p, &wire.Kicked{ID: of.ID, Kicks: counts})
			}
		}
	}
}

// reportKicked puts what directors could not do of a kick into the outcome of an operation.
func (kg *kicking) reportKicked(id uint64, k kicks.Report) {
	o := kg.ops[id]
	if o == nil {
		return
	}
	named := func(director string) string { return cmp.Or(director, kg.cfg.Name) }
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
