package check

import (
	"slices"
	"time"
)

// Who was cut off from whom, and what has reached whom, by the frames that were received.

// age is for how long viewer has had no proof that frames flow both ways between it and peer, while
// it and answerer, one of the two, were awake.
func (c *contacts) age(t time.Duration, viewer, peer, answerer int) time.Duration {
	v, a := c.directors[viewer], c.directors[answerer]
	since := max(c.links[viewer][peer].echo, v.startedAt, c.directors[peer].startedAt)
	return t - since - max(v.slept(since), a.slept(since))
}

// cut reports whether at t the answerer and its peer are cut off from each other, as either of the
// two sees it. A director that sleeps or slept cannot blame that for its own answers, but others
// may act without it.
func (c *contacts) cut(t time.Duration, answerer, peer int) bool {
	a, p := c.directors[answerer], c.directors[peer]
	switch {
	case !a.alive || !p.alive || answerer == peer:
		return false
	case c.age(t, answerer, peer, answerer) > silence ||
		c.age(t, peer, answerer, answerer) > silence:
		return true
	case c.links[answerer][peer].echo < 0 && c.links[peer][answerer].echo < 0:
		return c.strangers(t, answerer, peer)
	}
	return false
}

// strangers reports whether two directors that never met in this life need not know of each other:
// nobody met the answerer, or all that met it are cut off from the other one.
func (c *contacts) strangers(t time.Duration, answerer, peer int) bool {
	if d := c.directors[answerer]; !d.met && !c.heard(answerer) {
		// It serves alone. For how long the other one has been there does not matter.
		return t-d.startedAt-d.slept(d.startedAt) > aloneAfter
	}
	for i, d := range c.directors {
		if i == answerer || i == peer || !d.alive || c.links[answerer][i].echo < 0 ||
			c.age(t, answerer, i, answerer) > silence ||
			c.links[answerer][i].sent < c.directors[peer].startedAt { // while it slept
			continue
		}
		// one that has just woken counts the other one and has nothing of it to tell
		if echo := c.links[i][peer].echo; echo >= 0 && t-echo <= silence &&
			t-c.links[i][peer].separated >= contactAgain {
			return false
		}
	}
	return true
}

// separated reports whether the answerer may act at t without what the peer did: they are cut off,
// or were until just now, or what shows them that they are not is still on a slow way, or they go
// by other times.
func (c *contacts) separated(t time.Duration, answerer, peer int) bool {
	l := &c.links[answerer][peer]
	return c.cut(t, answerer, peer) || t-l.separated < contactAgain || l.sent < l.separated ||
		c.otherTimes(t, answerer, peer)
}

// unread reports whether a director has taken in nothing of another one's stream for longer than
// the silence that cuts two off, while it was awake, but frames that have overtaken the rest. In
// the last seconds of a mapping directors count on it that a beat comes behind what was sent
// before it.
func (c *contacts) unread(t time.Duration, director, author int) bool {
	d := c.directors[director]
	since := max(c.links[director][author].sent, d.startedAt, c.directors[author].startedAt)
	return director != author && t-since-d.slept(since) > silence
}

// otherTimes reports whether two directors came out of a split with different clocks. Which is
// right cannot be told before all have met, and till then the two take no rows from each other. Nor
// do they while one of them waits to step.
func (c *contacts) otherTimes(t time.Duration, i, j int) bool {
	return c.links[i][j].otherTime &&
		(c.meetingAgain(t, i, j) || c.waitsToStep(t, i) || c.waitsToStep(t, j))
}

// waitsToStep reports whether a director whose clock is off waits for the clock of another one,
// from which it is cut off, until that fails.
func (c *contacts) waitsToStep(t time.Duration, i int) bool {
	if c.directors[i].synced {
		return false
	}
	for j, other := range c.directors {
		if j != i && other.alive && (c.cut(t, i, j) || c.cut(t, j, i)) {
			return true
		}
	}
	return false
}

// unmet reports whether a director that woke just now has heard nothing yet of the life of another
// one, which began while it slept.
func (c *contacts) unmet(t time.Duration, viewer, of int) bool {
	woken := c.directors[viewer].wokenAt
	return t-woken < contactAgain && c.directors[of].startedAt < woken &&
		c.links[viewer][of].sentAt == never
}

// unheardOf reports whether a director may know nothing of another one that lives: it woke just
// now, or has had no frame of it in its present life, or the last one so long ago that it has
// forgotten it, or has parted with it and not been told that it is back.
func (c *contacts) unheardOf(t time.Duration, viewer, of int) bool {
	l := &c.links[viewer][of]
	return c.unmet(t, viewer, of) || c.separated(t, viewer, of) &&
		(t-max(l.sent, l.former) > forgottenAfter || l.parted && !c.told(t, viewer, of))
}

// told reports whether a director has long been in touch with one that has met another one again:
// whoever left or was removed is not missed, but a director knows those that a peer counts
// (protocol.md, Moves).
func (c *contacts) told(t time.Duration, viewer, of int) bool {
	for i := range c.directors {
		if max(c.inTouch(viewer, i), c.inTouch(i, of)) <= t-toldWithin {
			return true
		}
	}
	return false
}

// heard reports whether another director has proof that frames flow both ways between it and one
// which does not show that yet.
func (c *contacts) heard(i int) bool {
	return slices.ContainsFunc(c.links, func(from []link) bool { return from[i].echo >= 0 })
}

// reached reports whether a row that was made by the present life of director from at t has surely
// arrived at director to.
func (c *contacts) reached(from int, at time.Duration, to int) bool {
	if from == to {
		return c.directors[to].alive
	}
	return c.directors[to].alive && c.direct(from, to).covers(at)
}

// direct is what a director has by the stream from another one: of the rows that this made in its
// present or last life. What was made before the receiver started came with its snapshot: before
// that it does not answer by itself (protocol.md, Admission).
func (c *contacts) direct(from, to int) span {
	l, d := &c.links[to][from], c.directors[to]
	s := span{from: l.whole, to: l.sent - c.lag, since: l.sentAt}
	if l.sent < l.resumed+c.lag || l.sentAt < l.untaken+contactAgain ||
		c.otherTimes(l.sentAt, from, to) {
		s.to = l.before - c.lag // the replay is under way, or is not taken
	}
	if d.stranded || d.syncedAt == never && !d.settled {
		s.from = max(s.from, d.startedAt)
	}
	return s
}
