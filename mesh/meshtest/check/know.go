package check

import (
	"slices"
	"time"
)

// given is one answer, as far as it concerns who must know of it.
type given struct {
	at       time.Duration
	director int
	life     int
	sure     bool // activity was recorded, hence announced, with it, and by this director itself
	// perhaps given by another director on behalf of this one, which was not synced; or it relies
	// on what another one recorded and nobody heard
	relayed bool
	resting bool // the backend may have been down: it recorded nothing, and relies on an older one
	// by one that did not know yet that it had stood still: that binds whom it has reached
	unaware bool
	foreign bool // by a director that had a table of its own, in which the backend may be up
	// flushes that had ended and of which its director may not have heard: perhaps it made the
	// mapping anew that they had replaced
	unseen []*operation
}

// unknown reports whether a fault kept the director from knowing of a line.
func (c *Checker) unknown(t time.Duration, director int, x *line) bool {
	return c.contacts.directors[director].cutOff || c.mayAnswerBy(t, director, func(i int) bool {
		return c.unknownTo(t, i, x)
	})
}

// unheard reports whether a fault kept the director from hearing of a flush that has ended. One
// that ran in calm has been heard of by all that were there; who started since had it from them, or
// not at all.
func (c *Checker) unheard(t time.Duration, director int, o *operation) bool {
	return c.mayAnswerBy(t, director, func(i int) bool {
		if !o.rough && c.contacts.directors[i].startedAt <= o.at {
			return false
		}
		has := c.contacts.mustKnow
		if c.contacts.directors[i].cutOff {
			has = c.contacts.knows // it does not know yet that it was out of touch
		}
		return c.lacksMove(t, i, o, o.ended, has)
	})
}

// mayAnswerBy reports whether something is so at the director, or at one whose answer it may give.
func (c *Checker) mayAnswerBy(t time.Duration, director int, isSo func(i int) bool) bool {
	if isSo(director) {
		return true
	}
	if c.contacts.directors[director].synced {
		return false
	}
	for i, d := range c.contacts.directors { // it may ask any synced peer (protocol.md, A lookup)
		if d.alive && i != director && !c.contacts.cut(t, director, i) && isSo(i) {
			return true
		}
	}
	return false
}

// unknownTo looks at one director. It knows the line if it has no excuse for not knowing of one of
// its answers.
func (c *Checker) unknownTo(t time.Duration, director int, x *line) bool {
	excused, behind := false, false
	for i := range x.answers {
		g := &x.answers[i]
		lacks := c.excused(t, director, x, g) || c.missesRival(t, director, x, g)
		switch {
		case t-x.reliesOn(i) >= c.rules.Expire+c.rules.share()/2-clockSlack:
			// it was recorded S/2 earlier, perhaps, and may have expired
		case lacks, behind && c.mayLack(t, director, x, g, c.contacts.knows):
			// What is on its way still binds, because whoever gave it would have waited in the last
			// seconds of the mapping: but not if those are over earlier here than there.
			excused = true
		case c.mayBeForgotten(x, g, t): // who knows of it need not know the line
		default:
			c.explainf(t, "%s must know of %v, which %s answered at %v",
				c.contacts.name(director), x.backend, c.contacts.name(g.director), g.at)
			return false
		}
		behind = behind || lacks
	}
	return excused
}

// reliesOn is when the answer was given that the i-th relies on: one while the backend may have
// been down prolonged nothing.
func (x *line) reliesOn(i int) time.Duration {
	for ; i >= 0; i-- {
		if !x.answers[i].resting {
			return x.answers[i].at
		}
	}
	return x.start
}

// lastKnown is when the newest answer with a line was given that a director knows, in some sense,
// else when the line began. Any later one says nothing of what happened where the director is: the
// user may have been moved off the line, forgotten, and have come to it again elsewhere.
func (c *Checker) lastKnown(
	t time.Duration, director int, x *line, has knowing,
) time.Duration {
	for i := range slices.Backward(x.answers) {
		if g := &x.answers[i]; !c.mayLack(t, director, x, g, has) {
			return g.at
		}
	}
	return x.start
}

// mayBeForgotten reports whether the mapping that was answered may have been forgotten since.
func (c *Checker) mayBeForgotten(x *line, g *given, t time.Duration) bool {
	return slices.ContainsFunc(c.operations, func(o *operation) bool {
		return o.frees(x.backend) && o.at <= t && o.still > g.at
	})
}

// informed reports whether a director that answers by itself has no excuse for not knowing any of a
// line's answers that still count.
func (c *Checker) informed(t time.Duration, director int, x *line) bool {
	return c.knowsAll(t, director, x, c.contacts.mustKnow)
}

// knowsAll reports whether a director that answers by itself knows, in some sense, all of a line's
// answers that still count.
func (c *Checker) knowsAll(t time.Duration, director int, x *line, has knowing) bool {
	if d := c.contacts.directors[director]; !d.synced || d.cutOff {
		return false
	}
	return !slices.ContainsFunc(x.answers, func(g given) bool {
		return t-g.at < c.rules.Expire+c.rules.share()+clockSlack &&
			c.mayLack(t, director, x, &g, has)
	})
}

// excused reports whether the director has an excuse for being without the row that an answer made,
// or relied on.
func (c *Checker) excused(t time.Duration, director int, x *line, g *given) bool {
	return c.mayLack(t, director, x, g, c.contacts.mustKnow)
}

// A knowing says whether a director, when it answers at t, has what the life of another one
// announced at a time.
type knowing func(t time.Duration, director, author, life int, at time.Duration) bool

// mayLack reports whether the director may be without the row that an answer made, or relied on. A
// lookup within S/2 of the recorded activity announces nothing (protocol.md, What is replicated):
// then that was announced with one of the answers before it; it is not known by which director.
func (c *Checker) mayLack(
	t time.Duration, director int, x *line, g *given, has knowing,
) bool {
	if c.lacks(t, director, g, has) {
		return true
	}
	if g.sure {
		return false
	}
	since := g.at - c.rules.share()/2 - clockSlack
	for _, o := range x.makers {
		if (g.resting || c.endOf(o) >= since) && c.lacksMove(t, director, o, g.at, has) {
			return true
		}
	}
	return slices.ContainsFunc(x.answers, func(y given) bool {
		return y.at <= g.at && (g.resting || y.at >= since) && c.lacks(t, director, &y, has)
	})
}

// missesRival reports whether an answer may have relied on the activity of a rival, of which the
// director has an excuse for not having heard. Such a director may have the row that was answered,
// but for it that ends earlier: who keeps a later activity does not announce it again.
func (c *Checker) missesRival(t time.Duration, director int, x *line, g *given) bool {
	if g.sure {
		return false
	}
	since := g.at - c.rules.share()/2 - clockSlack
	if g.resting {
		since = g.at - c.latestEnd()
	}
	return slices.ContainsFunc(c.inherited(x, since, g.at), func(a given) bool {
		return c.lacks(t, director, &a, c.contacts.mustKnow)
	})
}

// inherited are the answers of rivals, between two times, whose activity a line's mapping may have:
// the later activity is kept, whichever mapping wins (protocol.md, What is replicated). So it may
// have that of what it replaced, where others had not heard of the move or flush that made it.
func (c *Checker) inherited(x *line, since, until time.Duration) (found []given) {
	answers := slices.Clone(x.late)
	for _, y := range x.rivals {
		answers = append(answers, y.answers...)
	}
	for _, a := range answers {
		if a.at >= since && a.at <= until && (a.relayed || c.contacts.mayHaveLeft(&a)) {
			found = append(found, a)
		}
	}
	return found
}

// mayLackAll reports whether the director may be without the row of a line, whichever answer made
// or prolonged it.
func (c *Checker) mayLackAll(t time.Duration, director int, x *line, has knowing) bool {
	return !slices.ContainsFunc(x.answers, func(g given) bool {
		return !c.mayLack(t, director, x, &g, has)
	})
}

// lacks reports whether the director may be without what was announced with an answer, if anything
// was.
func (c *Checker) lacks(t time.Duration, director int, g *given, has knowing) bool {
	if !has(t, director, g.director, g.life, g.at) ||
		g.unaware && !c.contacts.has(director, g.director, g.life, g.at) {
		return true
	}
	if !g.relayed {
		return false
	}
	return c.lacksOfSome(t, director, -1, g.at, has)
}

// lacksOfSome reports whether the director may be without what one of all directors but one said at
// a time: any of them may have been asked.
func (c *Checker) lacksOfSome(
	t time.Duration, director, but int, at time.Duration, has knowing,
) bool {
	for i := range c.contacts.directors {
		life := c.contacts.lifeAt(i, at)
		if i != but && life > 0 && !has(t, director, i, life, at) {
			return true
		}
	}
	return false
}

// lacksMove reports whether the director may not have heard of a move or flush that made a line,
// which was answered at a time. It may have been another one than the one ordered that moved the
// user.
func (c *Checker) lacksMove(
	t time.Duration, director int, o *operation, answered time.Duration, has knowing,
) bool {
	if c.contacts.lifeAt(o.director, answered) != o.life {
		// Another director has gone on with it (protocol.md, Moves).
		g := given{at: answered, director: o.director, life: o.life, relayed: true}
		return c.lacks(t, director, &g, has)
	}
	knows := func(at time.Duration) bool {
		return has(t, director, o.director, o.life, at)
	}
	return !knows(o.at) || !knows(answered) || slices.ContainsFunc(o.runners, func(h heir) bool {
		return c.contacts.lifeAt(h.director, answered) == h.life &&
			!has(t, director, h.director, h.life, answered)
	})
}

// lifeAt is which life a director was in at a time, 0 if it was in none.
func (c *contacts) lifeAt(i int, at time.Duration) int {
	for _, e := range c.estates {
		if e.director == i && e.ended >= at && e.started <= at {
			return e.life
		}
	}
	if d := c.directors[i]; d.alive && d.startedAt <= at {
		return d.life
	}
	return 0
}

// mustKnow reports whether a director that answers at t has no excuse for not having what the life
// of another one announced at a time.
//
// While both live the excuse is that they are, or just were, cut off from each other
// (guarantees.md, partitioned), or that the other one comes back from that, and nobody else has yet
// counted the other as failed and reported what came from it; or that only beats come through,
// which have overtaken the rest. When the other one is gone, it is that this director may not have
// heard of it before, and those who did could not tell it yet (G2: "may take with it answers that
// had not yet reached every live director").
func (c *contacts) mustKnow(t time.Duration, director, author, life int, at time.Duration) bool {
	if c.directors[author].in(life) && !c.otherMesh(director, author) &&
		!c.separated(t, director, author) && !c.unread(t, director, author) &&
		!c.isAwaited(director, author, at) {
		return true
	}
	return c.knows(t, director, author, life, at)
}

// isAwaited reports whether a director has said something before it stopped answering, because it
// comes back to another one from which it was cut off, and has not been admitted yet. The other one
// goes on by what it has, until it has taken what that one holds (protocol.md, Admission). Of a
// snapshot over a slow link that may take a while.
func (c *contacts) isAwaited(director, author int, at time.Duration) bool {
	a := c.directors[author]
	return director != author && !a.synced && at <= a.since &&
		a.syncedAt < c.links[director][author].separated
}

// knows is mustKnow without what may be on its way still: what a director does not have yet binds
// it, for nobody else may act otherwise meanwhile; but it tells nothing of which of two rows has
// won.
func (c *contacts) knows(t time.Duration, director, author, life int, at time.Duration) bool {
	if c.directors[author].in(life) {
		return !c.otherMesh(director, author) &&
			(c.reached(author, at, director) || c.knowsOfFailure(t, director, author, at))
	}
	for _, e := range c.estates {
		if e.director == author && e.life == life {
			return e.has(director, at) || c.joined(t, director, e, at)
		}
	}
	return false
}

// in reports whether a director lives in this life.
func (d *director) in(life int) bool { return d.life == life && d.alive }

// otherMesh reports whether what one director has comes to the other only when one of them is
// admitted to the mesh of the other.
func (c *contacts) otherMesh(director, author int) bool {
	return director != author && (c.apart(director, author) || c.directors[author].comes)
}

// has reports whether a director surely has what the life of another one announced at a time.
func (c *contacts) has(director, author, life int, at time.Duration) bool {
	if c.directors[author].life == life && c.directors[author].alive {
		return c.reached(author, at, director)
	}
	return slices.ContainsFunc(c.estates, func(e *estate) bool {
		return e.director == author && e.life == life && e.has(director, at)
	})
}

// mayHaveLeft reports whether what was announced with an answer may have come to anybody. Of one
// that has started since, it is not known what it had received; nor whom one reached that is gone.
func (c *contacts) mayHaveLeft(g *given) bool {
	if !c.directors[g.director].in(g.life) {
		return true
	}
	for i, d := range c.directors {
		if d.startedAt > g.at || c.links[i][g.director].sent >= g.at-c.lag {
			return true
		}
	}
	return false
}

// knowsOfFailure reports whether both this director and one that has the row have counted its
// author as failed for so long, and been in touch, that the other has heard of it: a director that
// counts another as failed tells how far it has that log (protocol.md, The log of a failed
// director).
func (c *contacts) knowsOfFailure(t time.Duration, director, author int, at time.Duration) bool {
	apart := func(i int) bool { return t-c.links[i][author].gone >= c.knownIn }
	if !apart(director) {
		return false
	}
	for i, d := range c.directors {
		if i == director || i == author || !d.alive || !apart(i) ||
			t-c.shares(i, director) < c.knownIn {
			continue
		}
		if s := c.direct(author, i); s.covers(at) && t-s.since >= c.knownIn {
			return true
		}
	}
	return false
}

// joined reports whether a director that started after the end of a life must have what that life
// made, because all others have it: then its snapshot had that, from any donor
// (protocol.md, Admission). One that serves alone has joined nobody, also when it hears the others.
func (c *contacts) joined(t time.Duration, director int, e *estate, at time.Duration) bool {
	if c.directors[director].startedAt <= e.ended {
		return false
	}
	near := false
	for i, d := range c.directors {
		if i == director || !d.alive || d.startedAt > e.ended {
			continue
		}
		if !e.has(i, at) {
			return false
		}
		near = near || !c.separated(t, director, i) && !c.otherMesh(director, i)
	}
	return near
}

// name of a director in texts.
func (c *contacts) name(i int) string { return c.directors[i].name }
