package check

import (
	"net/netip"
	"slices"
	"time"
)

// kicked reports whether a director has ordered an end to the user's sessions on a backend between
// two times.
func (c *Checker) kicked(
	director string, u User, backend netip.Addr, since, until time.Duration,
) bool {
	return slices.ContainsFunc(c.kicks[director], func(k Kick) bool {
		if k.When() < since || k.When() > until || k.Name != "" {
			return false
		}
		if k.Backend.IsValid() {
			return k.Backend == backend
		}
		return k.User == u && k.Keep != backend
	})
}

// judgeKicksBefore demands, at the first answer after a move, by a director that must have heard of
// it, that the sessions elsewhere were ended, or the kicker asked to end before. That can be
// demanded of directors that the originator has counted all the time: it waits for the reports of
// those (protocol.md, Moves).
func (c *Checker) judgeKicksBefore(t time.Duration, s *userState, x *line, director int) {
	for _, o := range c.operations {
		// By a clock that is ahead it came later, if the move's director had not heard of it.
		later := o.at >= x.move.at || o.at >= x.move.at-clockSlack && o.still > x.move.at
		if later && o.frees(x.backend) {
			return // to forget the users of the new backend ends the move, and kicks nobody
		}
	}
	for _, y := range s.sessions {
		d := c.contacts.directors[y.director]
		if d.life != y.life || !d.alive || y.backend == x.backend ||
			!c.stillMapped(s, y, x.move.at) || y.at > c.endOf(x.move) || x.move.outlived(y) {
			continue // also what was answered when the move was over, by a later command
		}
		counted := c.contacts.undisturbed(x.move.director, y.director, x.move.at)
		if !counted || !d.synced || d.since > x.move.at {
			continue
		}
		if !c.kicked(d.name, s.user, y.backend, y.at, t) {
			c.accuse(t, s, director, x.backend, "G2",
				"%v answered after %v, but %s has not kicked the session on %v from %v",
				x.backend, x.move.op, d.name, y.backend, y.at)
		}
	}
}

// outlived reports whether a session is of a mapping that came after the move. When that was
// acknowledged all directors held the user or had the new mapping, so what one answers since then
// has replaced that.
func (o *operation) outlived(y session) bool {
	return o.done && o.err == "" && y.at > o.doneAt
}

// stillMapped reports whether the mapping that a session came from must still have been the user's,
// and live, at t.
func (c *Checker) stillMapped(s *userState, y session, t time.Duration) bool {
	if t >= y.at+c.rules.Expire || !c.table.surelyUp(y.backend, y.at-time.Second, y.at) {
		return false
	}
	for _, o := range c.operations {
		if o.at <= t && o.everywhere >= y.at-clockSlack && (o.frees(y.backend) ||
			o.op.Kind == OpFlush && c.mayBeNowhere(s.user, o.at, min(t, o.ended))) {
			return false
		}
	}
	return !slices.ContainsFunc(s.changes, func(ch change) bool {
		return ch.at > y.at && ch.at < t && slices.Contains(ch.from, y.backend)
	})
}

// judgeKicks demands at the end that wherever a live mapping changed its backend, the director's
// sessions elsewhere were kicked.
func (c *Checker) judgeKicks(now time.Duration, s *userState, last netip.Addr) {
	for _, y := range s.sessions {
		d := c.contacts.directors[y.director]
		if d.life != y.life || !d.alive {
			continue
		}
		i := slices.IndexFunc(s.changes, func(ch change) bool {
			return ch.at >= y.at && slices.Contains(ch.from, y.backend)
		})
		if i < 0 {
			continue
		}
		ch := s.changes[i]
		to, learned := ch.to, ch.at+spread
		switch ch.cause {
		case causeMoved, causeFlushed, causeFault:
			if ch.cause != causeFault && !ch.rough {
				if d.unsettled > y.at {
					learned = d.settledAt
				}
				break
			}
			if i != len(s.changes)-1 || !last.IsValid() {
				continue // another change followed; which line it replaced is not known
			}
			to, learned = last, c.contacts.lastRough+c.rules.RepairWithin
		default:
			continue
		}
		if to == y.backend || learned >= now || !c.stillMappedUntil(s, y, ch.at, learned) {
			continue
		}
		if !c.kicked(d.name, s.user, y.backend, y.at, now) {
			c.accuse(ch.at, s, y.director, to, "G3",
				"the user went from %v to %v at %v, but %s never kicked the session from %v",
				y.backend, to, ch.at, d.name, y.at)
		}
	}
}

// stillMappedUntil is stillMapped at the change, and no expiry or forgetting until the director
// must have learned of it.
func (c *Checker) stillMappedUntil(s *userState, y session, changed, learned time.Duration) bool {
	if !c.stillMapped(s, y, changed) || learned >= y.at+c.rules.Expire {
		return false
	}
	return !slices.ContainsFunc(c.operations, func(o *operation) bool {
		return o.frees(y.backend) && o.at <= learned && o.everywhere >= y.at
	})
}

// judgeDown demands that nobody stays on a backend that is down for ever: a mapping on it is not
// prolonged. It lives on at a director for as long as that stood still with its clocks, and has not
// noticed.
func (c *Checker) judgeDown(t time.Duration, s *userState, x *line, director int) {
	limit := c.rules.Expire + c.rules.share() + x.slack() +
		c.contacts.directors[director].behind()
	if t-x.start <= limit {
		return
	}
	for _, o := range c.operations {
		if o.op.Kind == OpMove && o.op.User == s.user && o.op.Backend == x.backend &&
			t-o.at <= limit {
			return // a move to where the user is prolongs the mapping
		}
	}
	if s.elsewhere(x.backend, t-limit) {
		return // recorded activity merges by maximum: this mapping has that of the one that it beat
	}
	if slices.ContainsFunc(x.answers, func(g given) bool { return g.foreign && t-g.at <= limit }) {
		return // that of a director with a table of its own, in which the backend may have been up
	}
	b := c.table.find(x.backend)
	if b != nil && !slices.Contains(b.possible(regDown, t-limit, t, everyone), 0) {
		c.breach(t, "G2", s.user,
			"still answered %v, which has been down for longer than a mapping lives", x.backend)
	}
}

// elsewhere reports whether the user was answered another backend since a time.
func (s *userState) elsewhere(backend netip.Addr, since time.Duration) bool {
	return slices.ContainsFunc(s.sessions, func(y session) bool {
		return y.backend != backend && y.at >= since
	})
}
