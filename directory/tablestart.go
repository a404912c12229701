package directory

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// MaxSlowStart bounds in how long a backend gets its whole weight.
const MaxSlowStart = 24 * time.Hour

// startSteps is how much of its weight a backend has that starts slowly, in percent, each for the
// same part of the time; at the end of the time it has all. Few steps are few changes of the table,
// and each moves the place of few users who have no mapping.
var startSteps = [...]int{25, 50, 75}

// at is what a backend that starts slowly is due at some moment. It never loses weight by that.
func (s Start) at(now Time) Start {
	passed := max(now.Sub(s.Since.Time()), 0)
	if s.Percent == 0 || passed >= s.Over {
		s.Percent = 0
		return s
	}
	step := passed * time.Duration(len(startSteps)) / s.Over
	s.Percent = max(s.Percent, startSteps[step])
	return s
}

// Ends is when the backend has its whole weight, by mesh time; 0 if it has.
func (s Start) Ends() Time {
	if s.Percent == 0 {
		return 0
	}
	return s.Since.Time().Add(s.Over)
}

// StartSlowly adds to a change that the backends which it brings into use get their whole weight
// over a time; 0 means at once. A backend comes into use that takes new users after the change, and
// took none before. With asked it is said of all backends of the change, also of those that were
// in use.
func (t *Table) StartSlowly(
	c Change, stamp Stamp, origin string, over time.Duration, asked bool,
) (Change, error) {
	over = over.Truncate(time.Millisecond)
	if over < 0 || over > MaxSlowStart {
		return Change{}, fmt.Errorf("%w: %v; give 0 to %v", ErrSlowStart, over, MaxSlowStart)
	}
	c.Backends = slices.Clone(c.Backends)
	var before, after map[netip.Addr]bool
	for i := range c.Backends {
		row := &c.Backends[i]
		if !asked && before == nil {
			with := t.Clone()
			with.Merge(c)
			before, after = t.usable(), with.usable()
		}
		start := Register[Start]{Stamp: stamp, Origin: origin}
		switch {
		case !asked && (before[row.Addr] || !after[row.Addr]):
			continue
		case over > 0:
			start.Value = Start{Since: stamp, Over: over, Percent: startSteps[0]}
		case !t.backends[row.Addr].Start.set():
			continue // directors of an earlier release do not know the register
		}
		row.Start = start
	}
	return c, nil
}

// usable are the backends that take new users.
func (t *Table) usable() map[netip.Addr]bool {
	usable := make(map[netip.Addr]bool)
	for _, b := range t.Backends() {
		usable[b.Addr] = b.Usable()
	}
	return usable
}

// StepStarts gives the backends that start slowly what they are due at some moment. The change is
// empty if nothing is due. With end all get their whole weight.
//
// A step is written just after the command that it carries on, by as much as the weight has grown:
// a command that another director has been given meanwhile is later and holds, and of two steps the
// one of more weight does.
func (t *Table) StepStarts(origin string, now Time, end bool) Change {
	c := t.change()
	for _, b := range t.Backends() {
		stored := t.backends[b.Addr].Start
		has := stored.Value
		due := has.at(now)
		if end {
			due.Percent = 0
		}
		if due == has {
			continue
		}
		grown := cmp.Or(due.Percent, 100) - has.Percent
		c.Backends = append(c.Backends, BackendRow{
			Addr: b.Addr,
			Start: Register[Start]{
				Value: due, Stamp: stored.Stamp + Stamp(grown), Origin: origin,
			},
		})
	}
	return c
}

// Starting reports whether a backend starts slowly.
func (t *Table) Starting() bool {
	for _, row := range t.backends {
		if row.present() && row.Start.Value.Percent != 0 {
			return true
		}
	}
	return false
}
