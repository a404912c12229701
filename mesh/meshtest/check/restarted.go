package check

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Restarted is what all directors hold that stopped at one moment, and went on from what they had
// kept on disk.
type Restarted struct {
	At
	Kept      time.Duration // what the mesh knew then was on a disk that is back
	Directors map[string]State
}

// Restarted judges by G5 what directors hold that stopped together, which is the end of the history
// that the checker has seen. What was acknowledged holds, and a user who was answered before Kept
// is on the same backend. Whether the user stays there is for the checker that [Checker.Follows]
// this one: for that it is an event.
func (c *Checker) Restarted(e Restarted) {
	for _, name := range slices.Sorted(maps.Keys(e.Directors)) {
		state := e.Directors[name]
		for _, text := range c.table.judge(state.Table, e.When(), acknowledgedOnly) {
			c.breach(e.When(), "G5", User{}, "after a start of all %s does not hold what was "+
				"acknowledged: %s", name, text)
		}
		for _, text := range c.table.judgePins(state.Pins, e.When(), acknowledgedOnly) {
			c.breach(e.When(), "G5", User{}, "after a start of all %s does not hold what was "+
				"acknowledged: %s", name, text)
		}
		has := make(map[User]Mapping)
		for _, m := range state.Mappings {
			has[m.User] = m
		}
		for _, u := range c.userOrder {
			c.judgeRestarted(e, name, c.users[u], has[u])
		}
	}
}

// acknowledgedOnly is the scope of directors of which only is known that they have kept what was
// acknowledged.
func acknowledgedOnly(o *operation) time.Duration {
	if o.done && o.err == "" {
		return o.doneAt
	}
	return forever
}

func (c *Checker) judgeRestarted(e Restarted, name string, s *userState, has Mapping) {
	t := e.When()
	if len(s.lines) != 1 || s.lines[0].loose {
		return
	}
	x := s.lines[0]
	if t >= x.recordedUntil(e.Kept)+c.rules.Expire {
		return
	}
	concerned := slices.ContainsFunc(c.operations, func(o *operation) bool {
		return c.concerns(o, s) && e.Kept <= c.endOf(o)+moveLimit &&
			o.explains(x, has.Backend, e.Kept)
	})
	// An answer that came too late to be kept may have made a mapping anew that had been forgotten.
	anew := x.last > e.Kept && slices.ContainsFunc(c.operations, func(o *operation) bool {
		return (o.frees(x.backend) || o.flushes(s.user, x.backend)) && o.over() > x.start
	})
	if max(x.start, x.renewed) > e.Kept || anew || concerned || c.diedWith(x, e.Kept) ||
		c.freedBy(s, x, t) != nil || c.freedAfter(s, x, t, x.last) ||
		len(c.flushedBy(s, x, t, x.last, has.Backend)) > 0 { // and nobody was answered since
		return
	}
	mapped := "no mapping"
	if has.Backend.IsValid() {
		mapped = has.Backend.String()
	}
	if has.Backend != x.backend {
		c.breach(t, "G5", s.user, "answered %v since %v and not expired, but after a start of all "+
			"%s has %s", x.backend, x.start, name, mapped)
	}
}

// explains reports whether an operation that was under way of late may be why the user of a line is
// found on another backend after a start of all. A move brings its user to one place only, and
// leaves no other one there once that is acknowledged and kept: unless some had not heard of it.
func (o *operation) explains(x *line, found netip.Addr, kept time.Duration) bool {
	if o.op.Kind != OpMove || found == o.op.Backend {
		return true
	}
	return x.backend == o.op.Backend && (o.over() > kept || len(o.failed) > 0)
}

// takeUp begins the lines of the users whom all directors have on one backend that have gone on
// from their disks. Only then does the checker notice who is moved without a cause before the first
// answer. Of users who are being moved the first answer tells.
func (c *Checker) takeUp(e Restarted) {
	if c.remains.of == nil {
		return
	}
	rowsOf := make(map[User][]Mapping)
	for _, state := range e.Directors {
		for _, m := range state.Mappings {
			rowsOf[m.User] = append(rowsOf[m.User], m)
		}
	}
	for _, u := range slices.SortedFunc(maps.Keys(rowsOf), compareUsers) {
		rows, s := rowsOf[u], c.user(u)
		backend := rows[0].Backend
		agreed := !slices.ContainsFunc(rows, func(m Mapping) bool {
			return m.Moving || m.Backend != backend
		})
		if len(rows) < len(e.Directors) || !agreed || !backend.IsValid() || len(s.lines) > 0 {
			continue
		}
		x := c.lineOfAll(e.When(), rows)
		s.changed(x.start, backend, x.made, false)
		s.begin(x, nil)
	}
}

// lineOfAll is the line of a user whom all directors have on one backend. They may have heard of
// different activity.
func (c *Checker) lineOfAll(t time.Duration, rows []Mapping) *line {
	first, last := forever, never
	for _, m := range rows {
		first, last = min(first, m.Ends), max(last, m.Ends)
	}
	life := c.rules.Expire + c.rules.share()
	return &line{
		backend: rows[0].Backend, start: t, last: last - life, proven: t,
		recorded: first - life, earlier: first - life, renewed: never, made: causeFresh,
		takenUp: true,
	}
}

// recordedUntil is when the last answer until a time prolonged the line's mapping for sure.
func (x *line) recordedUntil(until time.Duration) time.Duration {
	if x.recorded <= until {
		return x.recorded
	}
	recorded := never
	for i := range x.answers {
		if g := &x.answers[i]; g.at <= until && !g.resting {
			recorded = g.at
		}
	}
	return recorded
}

// diedWith reports whether all who answered a line until a time died so soon after it that they may
// have told nobody, and no disk.
func (c *Checker) diedWith(x *line, until time.Duration) bool {
	return len(x.answers) > 0 && len(x.makers) == 0 &&
		!slices.ContainsFunc(x.answers, func(g given) bool {
			return g.at <= until && !slices.ContainsFunc(c.contacts.estates, func(e *estate) bool {
				return e.director == g.director && e.life == g.life && e.ended-g.at < spread
			})
		})
}
