package check

import (
	"net/netip"
	"slices"
	"time"
)

// replaces finds why none of the user's lines binds the director that answers, and which of them
// stay beside the new one. Of several lines, which a fault left, any may have won everywhere: what
// happens to that one then happens to the user.
func (c *Checker) replaces(
	t time.Duration, s *userState, l *lookup, backend netip.Addr,
) (why cause, kept []*line, flushes []*operation) {
	why = causeFresh
	bound, left := false, false
	for _, x := range s.lines {
		last := c.lastKnown(t, l.director, x, c.contacts.mustKnow)
		by := c.flushedBy(s, x, t, last, backend)
		left = left || len(by) > 0 || c.freedBy(s, x, t) != nil || c.freedAfter(s, x, t, last)
		switch {
		case x.loose:
			if c.unknown(t, l.director, x) {
				// this answer does not tell whether it was made again elsewhere
				kept = append(kept, x)
			}
		case x.recorded != never && c.perhapsDead(x, t):
			if !c.surelyDead(x, t) &&
				(!c.informed(t, l.director, x) || c.unknown(t, l.director, x)) {
				// where it is known it may live on, and win when both rows meet
				kept = append(kept, x)
			}
		case c.unknown(t, l.director, x):
			kept = append(kept, x)
			why = causeFault
		case c.freedBy(s, x, t) != nil:
			kept = append(kept, x)
			why = max(why, causeFreed)
		case x.recorded == never:
			kept = append(kept, x) // nothing is known of its end
		case c.freedAfter(s, x, t, last):
			// where nobody has heard of the move it lives on
			kept = append(kept, x)
			why = max(why, causeFreed)
		case c.notForgottenYet(t, s, l.director, x, backend):
			kept = append(kept, x)
			why = max(why, causeFreed)
		case len(by) > 0:
			flushes = append(flushes, by...)
			why = max(why, causeFlushed)
		case c.flushedApart(s, x, t, backend):
			why = causeFault
		case c.olderThan(x, s, t, backend):
			kept = append(kept, x)
			why = causeFault
		default:
			bound = true
		}
	}
	if bound && !left {
		return causeNone, nil, nil
	}
	return why, kept, flushes
}

// mayHaveWon reports whether what is answered instead of a line may have beaten it in a conflict.
func (c *Checker) mayHaveWon(s *userState, x *line, t time.Duration, backend netip.Addr) bool {
	return c.flushedApart(s, x, t, backend) || c.olderThan(x, s, t, backend)
}

// notForgottenYet reports whether the line was made where an operation had already dropped a
// mapping to this backend, which it has not yet at the director that answers.
func (c *Checker) notForgottenYet(
	t time.Duration, s *userState, director int, x *line, backend netip.Addr,
) bool {
	return s.mayHaveBeenOn(backend, c.operations) &&
		slices.ContainsFunc(c.operations, func(o *operation) bool {
			return o.frees(backend) && o.at <= x.start && o.still > t &&
				c.mayAnswerBy(t, director, func(i int) bool { return c.mayNotHave(t, i, o) })
		})
}

// mayHoldYet reports whether a mapping to a backend, or the one that came after it, is being
// forgotten, and a director may not have heard so yet.
func (c *Checker) mayHoldYet(t time.Duration, s *userState, backend netip.Addr) bool {
	return s.mayHaveBeenOn(backend, c.operations) &&
		slices.ContainsFunc(c.operations, func(o *operation) bool {
			return o.at <= t && o.still > t && (o.frees(backend) ||
				slices.ContainsFunc(s.lines, func(x *line) bool { return o.frees(x.backend) }))
		})
}

// mayHaveBeenOn reports whether the user was ever answered a backend, or was moved to it.
func (s *userState) mayHaveBeenOn(backend netip.Addr, operations []*operation) bool {
	return s.wasOn(backend) || slices.ContainsFunc(operations, func(o *operation) bool {
		return o.op.Kind == OpMove && o.op.User == s.user && o.op.Backend == backend
	})
}

// movedBy finds the moves that give the user this backend and have not been seen to do so yet.
// What was made where the user has been forgotten there ends no move where that is not known.
func (c *Checker) movedBy(
	t time.Duration, s *userState, director int, backend netip.Addr,
) (found []*operation) {
	lines := slices.DeleteFunc(slices.Clone(s.lines), func(x *line) bool {
		return c.notForgottenYet(t, s, director, x, backend)
	})
	for _, o := range c.operations {
		if o.op.Kind == OpMove && o.op.User == s.user && o.op.Backend == backend && !s.used[o] &&
			o.pending(lines) {
			found = append(found, o)
		}
	}
	return found
}

// pending reports whether an operation may still change the lines that the user has. Those of
// another mesh were made without it.
func (o *operation) pending(lines []*line) bool {
	if o.still == forever {
		return true
	}
	for _, x := range lines {
		if o.still <= x.start && !x.strange {
			return false
		}
	}
	return true
}

// freedBy finds an operation under way, or one after which nobody has been answered the line yet,
// that may have dropped its mapping.
func (c *Checker) freedBy(s *userState, x *line, t time.Duration) *operation {
	for _, o := range c.operations {
		switch {
		case o.frees(x.backend) && o.still > x.proven:
			return o
		case o.forgets(x.backend) && o.ended > x.start &&
			c.mayBeNowhere(s.user, o.at, min(t, o.ended)):
			return o // a flush forgets users for whom it finds no place
		}
	}
	return nil
}

func (c *Checker) mayBeNowhere(u User, since, until time.Duration) bool {
	return c.mayHash(u, since, until, netip.Addr{})
}

// flushedBy finds the flushes under way that may have moved the user to this backend, from the line
// or, if there are none, from where others may have put the user, unseen.
func (c *Checker) flushedBy(
	s *userState, x *line, t, last time.Duration, backend netip.Addr,
) (found []*operation) {
	direct := len(c.stops(s, x, last))
	for i, at := range c.stopsByFlush(s, x, t, last) {
		if i >= direct && len(found) > 0 {
			break
		}
		for _, o := range c.operations {
			if o.flushes(s.user, at.backend) && !s.used[o] && o.ended > at.since(o) &&
				// of two at one moment either may be first
				c.mayHash(s.user, o.at-1, min(t, o.ended), backend) {
				found = append(found, o)
			}
		}
	}
	return found
}

// flushedApart reports whether a director without contact may have moved the user off the mapping
// that had expired where the line was made. Both rows are of one generation then, and when they
// meet, the older one wins (protocol.md, What is replicated).
func (c *Checker) flushedApart(s *userState, x *line, t time.Duration, backend netip.Addr) bool {
	if slices.ContainsFunc(x.unseen, func(o *operation) bool {
		return c.maySendTo(o, s.user, o.ended, backend)
	}) {
		return true
	}
	return slices.ContainsFunc(c.operations, func(o *operation) bool {
		return o.rough && o.at < x.start && o.ended > x.start &&
			slices.ContainsFunc(x.after, func(b netip.Addr) bool {
				return b != backend && o.flushes(s.user, b)
			}) &&
			c.mayHash(s.user, o.at, t, backend)
	})
}

// madeApart finds the lookups with which a director may have made a mapping for another one, of
// which one that makes another mapping of the user at t need not have heard.
func (c *Checker) madeApart(t time.Duration, s *userState, l *lookup) (found []*lookup) {
	for _, r := range s.relayed {
		if (r != l || l.askedAgain(t)) && c.mayAnswerBy(t, l.director, func(i int) bool {
			return c.lacksOfSome(t, i, r.director, min(t, r.ended), c.contacts.mustKnow)
		}) {
			found = append(found, r)
		}
	}
	return found
}

// olderThan reports whether a mapping to a backend that a director made for another one, which did
// not hear it, may be older than the line, which was made without knowledge of it: of one
// generation the older one wins (protocol.md, What is replicated).
func (c *Checker) olderThan(x *line, s *userState, t time.Duration, backend netip.Addr) bool {
	return slices.ContainsFunc(x.unmet, func(r *lookup) bool {
		end := min(x.start, r.ended)
		return !r.heard && t-end <= c.latestEnd() && c.mayHash(s.user, r.at, end, backend)
	})
}

// unseenFlushes finds the flushes that have ended, may have moved the user off a backend where the
// user was since a time, and need not have been heard of by a director that makes a mapping at t.
// What they made lives on where they ran. It is of the generation of what the director makes, or of
// a later one if that has nothing of before.
func (c *Checker) unseenFlushes(
	t time.Duration, s *userState, director int, backend netip.Addr, since time.Duration,
) []*operation {
	return slices.DeleteFunc(c.unheardFlushes(t, s, director), func(o *operation) bool {
		return !o.flushes(s.user, backend) || o.ended <= since
	})
}

// see ends the excuse of flushes and lookups of which the one that made a line may not have heard:
// a director that answers the line, and knows of both, shows that it won, or that they made
// nothing.
func (c *Checker) see(t time.Duration, director int, x *line) {
	if !c.knowsAll(t, director, x, c.contacts.knows) {
		return
	}
	x.unseen = slices.DeleteFunc(x.unseen, func(o *operation) bool {
		return !c.lacksMove(t, director, o, o.ended, c.contacts.knows)
	})
	x.unmet = slices.DeleteFunc(x.unmet, func(r *lookup) bool {
		return r.ended <= t &&
			!c.lacksOfSome(t, director, r.director, r.ended, c.contacts.knows)
	})
}

// unheardFlushes finds the flushes that have ended, may have moved the user off some backend, and
// need not have been heard of by a director that answers at t.
func (c *Checker) unheardFlushes(
	t time.Duration, s *userState, director int,
) (found []*operation) {
	for _, o := range c.operations {
		if o.moves(s.user) && o.ended <= t && t-o.ended < c.latestEnd() &&
			c.mayHaveLived(s, o.at) && c.unheard(t, director, o) {
			found = append(found, o)
		}
	}
	return found
}

// stop is where a user may be, or have been on the way, without having been answered it.
type stop struct {
	backend netip.Addr
	first   time.Duration
	last    time.Duration
	answers []given // of the line
}

// since is the time that an operation must have outlasted to send the user on from here.
func (p stop) since(o *operation) time.Duration {
	unheard := func(g given) bool { return slices.Contains(g.unseen, o) }
	heard := func(g given) bool { return g.at > o.ended && !unheard(g) }
	if o.rough ||
		slices.ContainsFunc(p.answers, unheard) && !slices.ContainsFunc(p.answers, heard) {
		return p.first // those who answered later may have heard nothing of it
	}
	return p.last
}

// stops are the line's backend and where moves under way may have put the user meanwhile. last is
// the line's last answer that counts.
func (c *Checker) stops(s *userState, x *line, last time.Duration) []stop {
	first := x.start
	for _, o := range x.makers {
		first = min(first, o.at) // the mapping may be older than its first answer
	}
	all := []stop{{x.backend, first, last, x.answers}}
	for _, o := range c.operations {
		if o.op.Kind == OpMove && o.op.User == s.user && !s.used[o] && o.pending(s.lines) {
			all = append(all, stop{o.op.Backend, o.at, o.at, nil})
		}
	}
	return all
}

// stopsByFlush are the line's stops, and after them where flushes may have put the user from there.
func (c *Checker) stopsByFlush(s *userState, x *line, t, last time.Duration) []stop {
	stops := c.stops(s, x, last)
	for _, o := range c.operations {
		for _, p := range stops {
			if !o.flushes(s.user, p.backend) || s.used[o] || o.ended <= p.since(o) {
				continue
			}
			found, _ := c.table.placesOf(s.user, o.at, min(t, o.ended), everyone)
			for _, addr := range found {
				stops = append(stops, stop{addr, o.at, o.at, nil})
			}
			break
		}
	}
	return stops
}

// freedAfter reports whether the user may have been moved off the line, unseen, and then been
// forgotten there.
func (c *Checker) freedAfter(s *userState, x *line, t, last time.Duration) bool {
	for _, p := range c.stopsByFlush(s, x, t, last)[1:] {
		for _, o := range c.operations {
			if o.frees(p.backend) && o.still > p.first ||
				o.forgets(p.backend) && o.ended > p.first &&
					c.mayBeNowhere(s.user, o.at, min(t, o.ended)) {
				return true
			}
		}
	}
	return false
}

// troubled reports whether there was a fault so lately that directors may hold different tables.
func (c *Checker) troubled(t time.Duration) bool { return c.contacts.calmFor(t) < troubleSpread }

// judgePlace demands that a user without a mapping goes where it hashes by the table that the
// director must have. One that is not synced gives the answer of another; one that has not met the
// mesh goes by a table of its own.
func (c *Checker) judgePlace(t time.Duration, s *userState, l *lookup, backend netip.Addr) {
	d := c.contacts.directors[l.director]
	found, any := c.table.placesOf(s.user, l.at, t, c.asks(l))
	if any || slices.Contains(found, backend) || !d.rooted ||
		d.cutOff && s.mayHaveBeenOn(backend, c.operations) {
		return // by its clock a mapping may live on that has expired
	}
	lifetime := c.rules.Expire + c.rules.share() + clockSlack
	if c.mayRemain(t, s.user, backend) {
		return
	}
	for _, r := range s.relayed { // a mapping that nobody was answered yet
		end := min(t, r.ended+waitLimit)
		if t-end < lifetime && r != l && c.mayHash(s.user, r.at, end, backend) {
			return
		}
	}
	inUse := func(_, until time.Duration) bool { return t-until < lifetime }
	for _, o := range c.operations {
		if end := min(t, o.ended); o.moves(s.user) &&
			(t-end < lifetime+moveLimit || c.usedUnanswered(o, s, t, inUse)) &&
			c.maySendTo(o, s.user, end, backend) {
			return
		}
	}
	if c.comesBack(s, backend) || c.holdsOn(t, s, l.director, backend) {
		return
	}
	c.accuse(t, s, l.director, backend, "G2",
		"%s answered %v, which the user has no mapping to, but it hashes to %v",
		d.name, backend, found)
}

// comesBackWithin is how long after a director has met both the end of the winner may bring the
// loser of a conflict back, with which it comes to all (protocol.md, What is replicated).
const comesBackWithin = 10*time.Second + spread

// comesBack reports whether a line of a backend that lost a conflict may have come back.
func (c *Checker) comesBack(s *userState, backend netip.Addr) bool {
	return slices.ContainsFunc(s.gone, func(x goneLine) bool {
		return x.backend == backend && c.cameBackWith(x) != never
	})
}

// cameBackWith is the newest activity of a line that lost a conflict and may have come back,
// because one that beat it was forgotten right after that; never, if it cannot have. The later
// activity is kept, whichever mapping wins (protocol.md, What is replicated).
func (c *Checker) cameBackWith(x goneLine) time.Duration {
	newest, winners := never, x.beatenBy()
	for _, o := range c.operations {
		if o.still <= x.at || o.at > x.apartUntil+comesBackWithin || o.frees(x.backend) ||
			!slices.ContainsFunc(winners, func(y *line) bool { return o.frees(y.backend) }) {
			continue
		}
		for _, y := range winners {
			newest = max(newest, min(y.last, o.still)) // later answers are of another mapping
		}
	}
	return newest
}

// holdsOn reports whether a director may still have the mapping of a line that has ended elsewhere:
// it has an excuse for not knowing any answer of the line that came after it, which may itself have
// expired by now.
func (c *Checker) holdsOn(
	t time.Duration, s *userState, director int, backend netip.Addr,
) bool {
	return slices.ContainsFunc(s.gone, func(x goneLine) bool {
		return x.backend == backend && c.mayLive(s, x.line, t) &&
			c.mayLackAll(t, director, x.by, c.contacts.mustKnow)
	})
}

// notReplacedYet reports whether a director may still have the mapping of a line that has ended
// elsewhere by a move or flush, because it has an excuse for not having heard of that. If the user
// came back by it to a backend of before, or perhaps never left that, the director knows answers
// with that backend; but they are older than its mapping.
func (c *Checker) notReplacedYet(
	t time.Duration, s *userState, director int, backend netip.Addr,
) bool {
	return slices.ContainsFunc(s.gone, func(x goneLine) bool {
		return x.backend == backend && c.mayLive(s, x.line, t) &&
			slices.ContainsFunc(c.operations, func(o *operation) bool {
				return o.at <= x.at && c.endOf(o) > x.start &&
					c.maySendFrom(o, s.user, x.at, backend, x.by.backend) &&
					c.lacksMove(t, director, o, x.at, c.contacts.mustKnow)
			})
	})
}

// maySendFrom reports whether a move or flush may send the user from one backend to another one
// until a time.
func (c *Checker) maySendFrom(
	o *operation, u User, until time.Duration, from, to netip.Addr,
) bool {
	if o.op.Kind == OpMove {
		return o.op.User == u && o.op.Backend == to
	}
	return o.flushes(u, from) && c.maySendTo(o, u, until, to)
}

// asks is the scope of the directors by whose tables a lookup may be answered.
func (c *Checker) asks(l *lookup) scope {
	if c.contacts.directors[l.director].synced && !l.unsynced {
		return at(l.director)
	}
	return everyone
}

// hashesTo reports whether a user without a mapping may be answered a backend.
func (c *Checker) hashesTo(t time.Duration, l *lookup, backend netip.Addr) bool {
	found, any := c.table.placesOf(l.user, l.at, t, c.asks(l))
	return any || slices.Contains(found, backend)
}

// maySendTo reports whether an operation may move the user to a backend until a time. One that was
// begun in another mesh goes by the table of that.
func (c *Checker) maySendTo(o *operation, u User, until time.Duration, backend netip.Addr) bool {
	who := everyone
	if o.stranger {
		who = func(x *operation) time.Duration { return x.hadBy(o.director) }
	}
	found, any := c.table.placesOf(u, o.at-1, until, who) // see flushedBy
	return any || slices.Contains(found, backend)
}

// mayHash reports whether the user may have hashed to a backend at some director between two times.
func (c *Checker) mayHash(u User, since, until time.Duration, backend netip.Addr) bool {
	found, any := c.table.placesOf(u, since, until, everyone)
	return any || slices.Contains(found, backend)
}
