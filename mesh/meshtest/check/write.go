package check

import (
	"slices"
	"time"
)

// write is one operation's value for one register. Booleans are 0 and 1.
type write struct {
	op     *operation // nil: the configuration
	value  int
	unsure bool // the operation may have found the register not in need of a write
	odd    bool // the configuration of the directors that did not found the mesh
}

// begun is when a write got its stamp, at the earliest; the configuration lies before everything. A
// director that has not noticed yet that it stood still has it by a clock of before, and what
// others changed meanwhile is newer.
func (w write) begun() time.Duration {
	if w.op == nil {
		return never
	}
	return w.op.at - w.op.behind
}

// over is the time from which on a newer write has a later stamp for sure: it was made where this
// one was known, or late enough. Of one that ended with an error nobody need have known.
func (w write) over() time.Duration {
	switch {
	case w.op == nil:
		return never
	case w.op.stranger, w.op.standing:
		return forever
	case w.op.done && w.op.err == "" && len(w.op.failed) == 0:
		return min(w.op.doneAt, w.op.at+w.op.unseen)
	}
	return w.op.at + w.op.unseen
}

// known is when all in a scope had the write.
func (w write) known(who scope) time.Duration {
	if w.op == nil {
		return never
	}
	return who(w.op)
}

const (
	// forever is later than any time of a run, also when a limit is added.
	forever = time.Duration(1 << 62)
	// unseenMargin is how much later an operation must begin to be newer for sure than one that its
	// director had not heard of: more than directors' clocks differ. See drifted.
	unseenMargin = 3 * time.Second
)

// possible is every value that a register may have had at some director of a scope at some time
// from since to until.
func (b *backend) possible(r register, since, until time.Duration, who scope) []int {
	writes := b.writes[r]
	values := b.table.possibleOf(writes, since, until, who)
	configured := func(w write) bool { return w.op == nil && !w.odd }
	known := func(w write) bool { return w.known(who) <= since }
	if r == regPresent && !slices.Contains(values, 0) &&
		!slices.ContainsFunc(writes, configured) && !slices.ContainsFunc(writes, known) {
		values = append(values, 0) // it was not there at first
	}
	return values
}

// possibleOf is possible for the writes of any register, without what it was before all of them.
func (t *table) possibleOf(writes []write, since, until time.Duration, who scope) (values []int) {
	for i, w := range writes {
		if w.begun() > until || w.odd && !t.odd {
			continue
		}
		overwritten := slices.ContainsFunc(writes[i+1:], func(x write) bool {
			return x.op != nil && !x.unsure && !x.op.stranger && x.op.err == "" &&
				x.begun() >= w.over() && x.known(who) <= since
		})
		if !overwritten && !slices.Contains(values, w.value) {
			values = append(values, w.value)
		}
	}
	return values
}
