package check

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// waitLimit is how long a lookup may wait.
	waitLimit = 30 * time.Second
	// tickSlack is the coarseness of a director's own clockwork.
	tickSlack = 200 * time.Millisecond
	// lastStretch is Q: for how long before the end of a mapping a lookup may wait for it.
	lastStretch = 10 * time.Second
	// askAgain is after how long without an answer another director is asked.
	askAgain = time.Second
)

// lookup is one question.
type lookup struct {
	id       uint64
	at       time.Duration
	director int
	user     User
	limit    time.Duration // by when it must have ended
	unsynced bool          // its director was not synced at some moment, and may have asked another
	ended    time.Duration // forever, if it has not; see actsUntil
	heard    bool          // it ended with an answer, by the only director that may have been asked
	overdue  bool
}

func (c *Checker) asked(e Lookup) {
	i := c.contacts.of(e.Director)
	l := &lookup{
		id: e.ID, at: e.When(), director: i, user: e.User,
		limit: e.When() + waitLimit + tickSlack, ended: forever,
	}
	c.lookups[e.ID] = l
	c.waiting = append(c.waiting, l)
	if !c.contacts.directors[i].synced {
		c.unsettle(l)
	}
	c.fresh = append(c.fresh, l)
	c.contacts.asked(e.When(), i)
}

// judgeFresh demands a reason for every lookup that was not answered at once: before time goes on,
// and before a director takes in a frame. One that wakes takes in many at one moment, with lookups
// between them, and what came after a lookup was not known when it was asked.
func (c *Checker) judgeFresh(e Event) {
	_, frame := e.(Frame)
	if len(c.fresh) == 0 || e.When() <= c.fresh[0].at && !frame {
		return
	}
	for _, l := range c.fresh {
		if c.lookups[l.id] == l {
			c.judgeWait(l)
		}
	}
	c.fresh = c.fresh[:0]
}

// unsettle notes that a lookup may be asked of another director.
func (c *Checker) unsettle(l *lookup) {
	if !l.unsynced {
		l.unsynced = true
		s := c.user(l.user)
		s.relayed = append(s.relayed, l)
	}
}

// unsettleLookups does that for all that wait at a director which is no longer synced.
func (c *Checker) unsettleLookups(e Synced) {
	i := c.contacts.of(e.Director)
	for _, l := range c.waiting {
		if l.director == i && !e.Synced {
			c.unsettle(l)
		}
	}
}

// askedAgain reports whether a second director may have been asked by a time: then the first one
// may have done something of which nobody has heard.
func (l *lookup) askedAgain(t time.Duration) bool { return t-l.at > askAgain }

func (c *Checker) answered(e Answer) {
	t := e.When()
	l := c.lookups[e.ID]
	if l == nil {
		c.breach(t, "G4", User{}, "lookup %d was answered twice or never asked", e.ID)
		return
	}
	delete(c.lookups, e.ID)
	l.ended = t
	c.waiting = slices.DeleteFunc(c.waiting, func(x *lookup) bool { return x == l })
	if e.Failed {
		l.ended = c.actsUntil(t, l)
		if t < l.at+waitLimit-tickSlack {
			c.breach(t, "G4", l.user, "%s gave up after %v, before the %v that a lookup may wait",
				c.contacts.directors[l.director].name, t-l.at, waitLimit)
		}
		c.judgeFailure(t, l)
		return
	}
	c.contacts.startsAlone(t, l.director)
	c.answer(t, l, e.Backend)
	l.heard = !l.askedAgain(t)
}

// judgeFailure demands that a lookup does not fail while there is a usable backend and somebody who
// could answer: its director, or one that this was in touch with all the time, was synced (G4: a
// wait ends in an answer or in a temporary failure). That a move holds the user is no reason,
// because every director releases it before a waiter gives up (protocol.md, Moves); but the mapping
// may come to its end right after that.
func (c *Checker) judgeFailure(t time.Duration, l *lookup) {
	found, any := c.table.placesOf(l.user, l.at, t, c.near(t, l.director))
	if any || slices.Contains(found, netip.Addr{}) || !c.contacts.directors[l.director].rooted {
		return
	}
	s, end := c.user(l.user), *l
	end.at = t
	if c.beingMoved(s, l.at, l.director) &&
		(c.rules.holdWithin() >= waitLimit || c.mayEnd(s, &end, found)) {
		return // held first, and then in the last seconds of a mapping that began with the move
	}
	if c.heldLater(t, s, l, found) {
		return
	}
	for i, d := range c.contacts.directors {
		slept := i == l.director && d.wokenAt >= l.at // and its time was up when it woke
		if d.synced && d.since <= l.at && !slept && c.contacts.undisturbed(i, l.director, l.at) {
			c.breach(t, "G4", l.user,
				"%s failed a lookup of %v, although the place is %v and %s is synced",
				c.contacts.name(l.director), l.at, found, d.name)
			return
		}
	}
}

// heldLater reports whether a move may hold the user still when a lookup fails, since it began so
// late that it need not be over by then: until it did the lookup waited for something else, such as
// the end of a mapping, or another move. That a sweep may move its user at any time is no reason by
// itself.
func (c *Checker) heldLater(
	t time.Duration, s *userState, l *lookup, places []netip.Addr,
) bool {
	late := l.at + waitLimit - c.rules.holdWithin() - tickSlack
	return slices.ContainsFunc(c.operations, func(o *operation) bool {
		if o.at > t || !c.concerns(o, s) || t > c.heldUntil(o, l.director) {
			return false
		}
		if o.op.Kind == OpMove {
			return o.at > late
		}
		return c.endOf(o) > late &&
			(c.mayEnd(s, l, places) || c.movesOn(o, s, l, late, places))
	})
}

// movesOn reports whether a sweep may move its user on who was held for a move, or by another
// sweep, until a time at least. A director may hear of that before it hears of the end of the first
// move, which comes from another one; then it holds the user without a break.
func (c *Checker) movesOn(
	sweep *operation, s *userState, l *lookup, until time.Duration, places []netip.Addr,
) bool {
	return slices.ContainsFunc(c.operations, func(o *operation) bool {
		to, any := []netip.Addr{o.op.Backend}, false
		switch {
		case c.heldUntil(o, l.director) <= until:
			return false
		case o != sweep && o.moves(s.user) && c.concerns(o, s):
			since := max(o.at-1, l.at-moveLimit) // see flushedBy
			to, any = c.table.placesOf(s.user, since, until, everyone)
		case o.op.Kind != OpMove || o.op.User != s.user:
			return false
		}
		return any || slices.ContainsFunc(to, func(b netip.Addr) bool {
			return b.IsValid() && sweep.flushes(s.user, b) && !(len(places) == 1 && places[0] == b)
		})
	})
}

// dropLookups forgets the lookups of a director that died.
func (c *Checker) dropLookups(t time.Duration, director int) {
	c.waiting = slices.DeleteFunc(c.waiting, func(l *lookup) bool {
		if l.director == director {
			delete(c.lookups, l.id)
			l.ended = c.actsUntil(t, l)
		}
		return l.director == director
	})
}

// actsUntil is until when a lookup may have an effect that ends without an answer. Another director
// that was asked has it wait like one of its own, if it has a reason, and does not hear that nobody
// waits for the answer any more.
func (c *Checker) actsUntil(t time.Duration, l *lookup) time.Duration {
	if !l.unsynced {
		return t
	}
	s, end := c.user(l.user), *l
	end.at = t
	places, any := c.table.placesOf(l.user, l.at-spread, t, c.near(t, l.director))
	held := any || len(places) > 1 || slices.Contains(places, netip.Addr{})
	for i, d := range c.contacts.directors {
		held = held || d.alive && i != l.director && c.beingMoved(s, t, i)
	}
	switch {
	case held:
		return t + waitLimit
	case c.mayEnd(s, &end, places):
		return t + lastStretch + clockSlack
	}
	return t
}

// actsAwake notes that a director goes on which slept. Another one may have asked it meanwhile; the
// question is there still, and it answers although nobody waits for that any more.
func (c *Checker) actsAwake(t time.Duration, director int) {
	slept := c.contacts.directors[director].pausedAt
	for _, s := range c.users {
		for _, l := range s.relayed {
			if l.director != director && l.ended >= slept && l.ended < t {
				l.ended = c.actsUntil(t, l)
			}
		}
	}
}

// extendLookups gives the lookups of a director that slept that much more time.
func (c *Checker) extendLookups(director int, by time.Duration) {
	for _, l := range c.waiting {
		if l.director == director {
			l.limit += by
		}
	}
}

// overdue reports lookups that wait too long.
func (c *Checker) overdue(t time.Duration) {
	for _, l := range c.waiting {
		if t > l.limit && !l.overdue && !c.contacts.directors[l.director].paused {
			l.overdue = true
			c.breach(t, "G4", l.user, "%s has not answered a lookup asked at %v",
				c.contacts.directors[l.director].name, l.at)
		}
	}
}

// judgeWait demands a reason for a lookup that was not answered at once.
func (c *Checker) judgeWait(l *lookup) {
	d := c.contacts.directors[l.director]
	if l.unsynced || !d.rooted || d.paused { // has a table of its own, or hears no confirmations
		return
	}
	if d.unaware != forever {
		return // mappings end by its clock, which is behind
	}
	s := c.user(l.user)
	found, any := c.table.placesOf(l.user, c.confirmedUpTo(l), l.at, c.near(l.at, l.director))
	if any || slices.Contains(found, netip.Addr{}) || c.beingMoved(s, l.at, l.director) ||
		c.mayEnd(s, l, found) {
		return
	}
	known := slices.ContainsFunc(s.lines, func(x *line) bool { return x.start < l.at-spread })
	if len(found) > 1 && !c.mapped(s, l) || !known && c.mayHaveRemains(l.at, l.user) {
		return
	}
	if c.broughtBack(l.at, s, netip.Addr{}) {
		return
	}
	c.accuse(l.at, s, l.director, found[0], "G4",
		"%s lets a lookup wait without a reason: the place is %v, and %s",
		c.contacts.directors[l.director].name, found, c.describe(s))
}

// broughtBack reports whether a director that was removed, and let in again, may have brought along
// a mapping of the user to a backend (zero: any) that it had before. Like one of the other side of
// a split that may win, with the newest activity of both.
func (c *Checker) broughtBack(t time.Duration, s *userState, backend netip.Addr) bool {
	return slices.ContainsFunc(s.sessions, func(y session) bool {
		d := c.contacts.directors[y.director]
		return d.backAt != never && t-d.backAt <= c.latestEnd() && y.life < d.life &&
			(!backend.IsValid() || y.backend == backend)
	})
}

// confirmedUpTo is up to when changes of the table were confirmed by all directors that the one
// asked counts: what a peer confirms comes in order, so it is known up to the newest frame that has
// arrived. A peer that is silent for longer counts as failed, and a director that slept waits as
// long again. One that has died counts until then, too, even if it has started again: only a frame
// of its new life shows that the former one is over.
func (c *Checker) confirmedUpTo(l *lookup) time.Duration {
	at := l.at
	for j := range c.contacts.directors {
		link := &c.contacts.links[l.director][j]
		heard := max(link.sent, link.former)
		since := max(heard, link.woke)
		slept := c.contacts.directors[l.director].slept(since) // also for less than counts as woken
		if j != l.director && l.at-since-slept <= silence+spread {
			if at = min(at, heard); link.otherTime {
				at = min(at, link.sameAt) // it takes none until it has stepped
			}
		}
	}
	return at - spread
}

// beingMoved reports whether a move or flush may hold the user at a director.
func (c *Checker) beingMoved(s *userState, t time.Duration, director int) bool {
	return slices.ContainsFunc(c.operations, func(o *operation) bool {
		return c.concerns(o, s) && t <= c.heldUntil(o, director)
	})
}

// concerns reports whether an operation moves this user, or may do so.
func (c *Checker) concerns(o *operation, s *userState) bool {
	switch o.op.Kind {
	case OpMove, OpPin:
		return o.op.User == s.user
	case OpFlush, OpDrain, OpRebalance:
		return !o.op.Backend.IsValid() || s.wasOn(o.op.Backend) || s.had(o.op.Backend) ||
			c.sent(s, o) || c.mayRemain(o.at, s.user, o.op.Backend) || c.madeUnheard(s, o)
	}
	return false
}

// sent reports whether another operation may have moved the user to the backend that a flush
// empties, before anybody was answered it.
func (c *Checker) sent(s *userState, flush *operation) bool {
	return slices.ContainsFunc(c.operations, func(o *operation) bool {
		switch {
		case o == flush || o.at > flush.ended:
			return false
		case o.op.Kind == OpMove:
			return o.op.User == s.user && o.op.Backend == flush.op.Backend
		case o.moves(s.user):
			return c.mayHash(s.user, o.at, min(o.ended, flush.ended), flush.op.Backend)
		}
		return false
	})
}

// madeUnheard reports whether a director that was asked by another one, and not heard, may have
// given the user a mapping to the backend that a flush empties.
func (c *Checker) madeUnheard(s *userState, flush *operation) bool {
	return slices.ContainsFunc(s.relayed, func(r *lookup) bool {
		return !r.heard && r.at <= flush.ended && flush.at-r.ended <= c.latestEnd() &&
			c.mayHash(s.user, r.at, min(r.ended, flush.ended), flush.op.Backend)
	})
}

// wasOn reports whether the user was ever answered a backend.
func (s *userState) wasOn(backend netip.Addr) bool {
	return slices.ContainsFunc(s.sessions, func(y session) bool { return y.backend == backend })
}

// had reports whether the user has or had a line with a backend, answered or not: one may have been
// imported, or found by all on their disks.
func (s *userState) had(backend netip.Addr) bool {
	return s.find(backend) != nil || slices.ContainsFunc(s.gone, func(x goneLine) bool {
		return x.backend == backend
	})
}

// heldUntil is how long a user may be held at a director by a move or flush. A director that was
// out of reach may not receive the release, and waits until its own time is up. One that was out of
// the originator's reach may have gone on with the move, for as long again, and with it all others
// (protocol.md, Moves).
func (c *Checker) heldUntil(o *operation, director int) time.Duration {
	end := c.endOf(o)
	switch {
	case end == forever:
		return forever
	case !c.contacts.undisturbed(o.director, director, o.at), c.contacts.left(o.director, o.at):
		return end + moveLimit
	}
	return end + spread
}

// mayEnd reports whether one of the user's mappings may be in its last seconds, and its place
// another now. The director may hold one that has just been replaced elsewhere. Of several lines,
// the one that won has the newest activity of all, also that of one which was forgotten since. A
// director that was asked by another one, and not heard, may have made a mapping or prolonged one.
// One that lost a conflict may have come back.
func (c *Checker) mayEnd(s *userState, l *lookup, places []netip.Addr) bool {
	t, newest := l.at, c.prolonged(s, l, s.seen())
	for _, r := range s.relayed {
		if r.heard || r.id == l.id {
			continue
		}
		end := min(t, r.ended)
		made, _ := c.table.placesOf(s.user, r.at, end, everyone)
		for _, b := range made {
			x := &line{backend: b, recorded: r.at, earlier: r.at}
			if b.IsValid() && c.ending(x, end, l, places) {
				return true
			}
		}
	}
	old := false // the director may not have all of the lines
	for _, x := range s.lines {
		if c.ending(x, newest, l, places) {
			return true
		}
		old = old || !slices.ContainsFunc(x.answers, func(g given) bool {
			return g.sure && c.contacts.has(l.director, g.director, g.life, g.at)
		})
	}
	back := func(x goneLine) time.Duration { return c.prolonged(s, l, c.cameBackWith(x)) }
	s.gone = slices.DeleteFunc(s.gone, func(x goneLine) bool {
		return t-max(x.at, back(x)) > c.latestEnd()
	})
	for _, x := range s.gone {
		if (t-x.at <= spread || old) && c.ending(x.line, x.last, l, places) {
			return true
		}
		if newest := back(x); newest != never && c.ending(x.line, newest, l, places) {
			return true
		}
	}
	for _, o := range c.operations {
		if !s.used[o] && c.concerns(o, s) && c.mayEndUnanswered(o, s, l, places) {
			return true
		}
	}
	return false
}

// prolonged is the newest activity that a mapping with this one may have by now: a director that
// was asked by another one, and not heard, may have prolonged it.
func (c *Checker) prolonged(s *userState, l *lookup, newest time.Duration) time.Duration {
	for _, r := range s.relayed {
		if !r.heard && r.id != l.id && r.at <= newest+c.latestEnd() {
			newest = max(newest, min(l.at, r.ended))
		}
	}
	return newest
}

// mayEndUnanswered reports whether a mapping that a move or flush made, and that nobody was
// answered yet, may be in its last seconds.
func (c *Checker) mayEndUnanswered(
	o *operation, s *userState, l *lookup, places []netip.Addr,
) bool {
	ends := func(since, until time.Duration) bool {
		return l.at >= max(since, o.at)+c.earliestEnd() && l.at-c.latestEnd() <= until
	}
	if ends(o.at, c.endOf(o)) {
		return true
	}
	to := o.op.Backend
	if o.op.Kind == OpMove && len(places) == 1 && places[0] == to &&
		c.table.surelyUp(to, l.at-spread, l.at) {
		return false // its place is the same: nothing waits for its end
	}
	return c.usedUnanswered(o, s, l.at, ends)
}

// usedUnanswered reports whether there is a later activity, until t, that fits, of a mapping that a
// move or flush made and that nobody was answered yet. While it lived it may have got one: of a
// mapping that it beat, which was answered by a director that had not heard of the operation
// (protocol.md, What is replicated: the later activity is kept, whichever mapping wins), or by a
// director that was asked by another one and not heard.
func (c *Checker) usedUnanswered(
	o *operation, s *userState, t time.Duration, fits func(since, until time.Duration) bool,
) bool {
	end := c.endOf(o)
	lives := func(at time.Duration) bool { return at-c.latestEnd() <= end }
	return slices.ContainsFunc(s.sessions, func(y session) bool {
		return lives(y.at) && fits(y.at, y.at) && !y.heardOf(o)
	}) || slices.ContainsFunc(s.relayed, func(r *lookup) bool {
		return !r.heard && lives(r.at) && fits(r.at, min(t, r.ended))
	})
}

// earliestEnd and latestEnd are how long after its last answer a mapping's last seconds may begin
// and end.
func (c *Checker) earliestEnd() time.Duration {
	return c.rules.Expire + c.rules.share()/2 - lastStretch - clockSlack
}

func (c *Checker) latestEnd() time.Duration { return c.rules.Expire + c.rules.share() + clockSlack }

// ending reports whether a line's mapping may be in its last seconds at a director where the user
// now hashes elsewhere. If the director may not have the newest activity yet, or at all, the end
// may follow from an older one.
func (c *Checker) ending(x *line, newest time.Duration, l *lookup, places []netip.Addr) bool {
	t := l.at
	if len(places) == 1 && places[0] == x.backend && c.table.surelyUp(x.backend, t-spread, t) {
		return false
	}
	earliest, latest := c.earliestEnd()+clockSlack-x.slack(), c.latestEnd()-clockSlack+x.slack()
	recorded := x.recorded
	if t-recorded <= spread {
		recorded = x.earlier
	}
	if t >= recorded+earliest && t <= newest+latest {
		return true
	}
	for i := len(x.answers) - 1; i >= 0; i-- {
		g := &x.answers[i]
		if t >= g.at+earliest && t <= g.at+latest {
			return true
		}
		if g.sure && c.contacts.has(l.director, g.director, g.life, g.at) {
			return false
		}
	}
	return false
}

// mapped reports whether the director must know a mapping of the user that nothing puts in
// question.
func (c *Checker) mapped(s *userState, l *lookup) bool {
	for _, x := range s.lines {
		if x.loose || c.freedBy(s, x, l.at) != nil ||
			c.freedAfter(s, x, l.at, c.lastKnown(l.at, l.director, x, c.contacts.knows)) {
			return false
		}
	}
	for _, x := range s.lines {
		for _, g := range x.answers {
			if g.sure && !c.mayBeForgotten(x, &g, l.at) && l.at-g.at < c.rules.Expire-clockSlack &&
				c.contacts.has(l.director, g.director, g.life, g.at) {
				return true
			}
		}
	}
	return false
}
