package check

import (
	"slices"
	"time"
)

// onlyLine ends all lines of a user but one.
func (s *userState) onlyLine(x *line, t time.Duration) {
	for _, y := range s.lines {
		if y != x {
			s.gone = append(s.gone, goneLine{y, t, x, t})
		}
	}
	s.lines = []*line{x}
}

// prefer ends the other lines of a user that the director which answers surely knows entirely: for
// it this one has won, and so it has for all others as soon as they know it (G3: "agrees on one
// backend by a fixed rule as soon as both rows meet").
func (c *Checker) prefer(t time.Duration, s *userState, l *lookup, x *line) {
	s.lines = slices.DeleteFunc(s.lines, func(y *line) bool {
		beaten := y != x && !y.loose && c.freedBy(s, y, t) == nil &&
			c.knowsAll(t, l.director, y, c.contacts.knows) &&
			!c.mayLiveElsewhere(t, l, x, y)
		if beaten {
			s.gone = append(s.gone, goneLine{y, t, x, t})
			c.reopen(t, s, y)
			c.explainf(t, "user %v: %s knows %v too and answers %v",
				s.user, c.contacts.name(l.director), y.backend, x.backend)
		}
		return beaten
	})
}

// mayLiveElsewhere reports whether a line y, all answers of which the director knows that answers
// x, may have expired there, so that x is a new mapping and has not won: elsewhere y may live on by
// the activity of a rival, of which that director may not have heard.
func (c *Checker) mayLiveElsewhere(t time.Duration, l *lookup, x, y *line) bool {
	return c.perhapsDead(y, t) && c.hashesTo(t, l, x.backend) &&
		slices.ContainsFunc(c.inherited(y, t-c.latestEnd(), t), func(a given) bool {
			return c.lacks(t, l.director, &a, c.contacts.knows)
		})
}

// reopen lets the moves have their effect again that made a line which was beaten: until it has
// ended, a move begins again above a mapping of which it did not know (protocol.md, Moves).
func (c *Checker) reopen(t time.Duration, s *userState, y *line) {
	for _, o := range append(slices.Clone(y.makers), y.move) {
		if o != nil && o.op.Kind == OpMove && t <= c.endOf(o) {
			delete(s.used, o)
		}
	}
}

// followBeaten notes until when lines that were beaten may live on where nobody has heard of that.
func (c *Checker) followBeaten(t time.Duration) {
	for _, s := range c.users {
		for i := range s.gone {
			x := &s.gone[i]
			if t-x.at > c.latestEnd() || !c.mayLive(s, x.line, t) {
				continue
			}
			for j := range c.contacts.directors {
				if c.mayHoldAlone(t, j, x) {
					x.apartUntil = t
				}
			}
		}
	}
}

// mayHoldAlone reports whether a director may have a line that was beaten elsewhere, and has an
// excuse for not knowing what beat it. One that is not synced knows only what has reached it.
func (c *Checker) mayHoldAlone(t time.Duration, director int, x *goneLine) bool {
	d, has := c.contacts.directors[director], c.contacts.mustKnow
	if !d.synced {
		has = c.contacts.knows
	}
	return d.alive && d.startedAt <= x.last && c.mayLackAll(t, director, x.by, has)
}

// settleUsers ends the conflicts that faults left behind.
func (c *Checker) settleUsers(t time.Duration) {
	if c.contacts.calmFor(t) < c.rules.RepairWithin {
		return
	}
	for _, s := range c.users {
		if len(s.lines) > 1 {
			s.resolve = true
		}
	}
}
