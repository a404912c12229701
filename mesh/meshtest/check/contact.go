package check

import (
	"slices"
	"time"
)

const (
	// silence is what separates two living directors, by G2.
	silence = 5 * time.Second
	// aloneAfter is how long a director waits for an answer to its first calls before it serves alone: 3 s by its own clock.
	aloneAfter = 2900 * time.Millisecond
	// contactAgain is how long after their first frames two directors may still count each other as failed: streams open one
	// after the other, and it takes two beats on each until both know that frames flow both ways again.
	contactAgain = 2 * time.Second
	// calmGap is the longest silence between any two directors that a calm mesh has.
	calmGap = 2 * time.Second
	// settleTime is how long the mesh must be calm until a director that was away is like the others again.
	settleTime = 10 * time.Second
	// historyKept is what a stream that opens again is sure to carry of what was missed.
	historyKept = 25 * time.Second
	// shortPause is what a director may sleep without being allowed any consequence.
	shortPause = 900 * time.Millisecond

	never = time.Duration(-1 << 62)
)

// director is what is known of one director from outside.
type director struct {
	name      string
	life      int // counts its starts
	alive     bool
	paused    bool
	leaving   bool
	startedAt time.Duration
	stoppedAt time.Duration
	pausedAt  time.Duration
	met       bool // has had contact with another director in this life
	rooted    bool // and, directly or through others, with the mesh whose clock goes on; the others may have founded one by clocks of their own

	settled   bool
	unsettled time.Duration // when it last became so
	settledAt time.Duration // when it last settled
}

// link is what one director has received of another.
type link struct {
	sent      time.Duration // of the newest frame received
	sentAt    time.Duration // when that was received
	whole     time.Duration // what was sent since then has been received without a gap
	echo      time.Duration // receiver's newest frame that the other one is known to have received
	woke      time.Duration // when the receiver last woke, unless it was cut off from the other one before it slept
	separated time.Duration // when this receiver, as the one who answers, was last cut off from the other
}

// contacts knows who lives and who can reach whom.
type contacts struct {
	index     map[string]int
	directors []*director
	links     [][]link // [receiver][sender]
	lastRough time.Duration
	nextLook  time.Duration
	founding  time.Duration // before then the mesh may not be founded
	twoMeshes time.Duration // when last a director that may have founded a mesh met another; never, if it did not
}

func newContacts(founding time.Duration) *contacts {
	return &contacts{index: make(map[string]int), lastRough: never, founding: founding, twoMeshes: never}
}

// of gives the number of a director.
func (c *contacts) of(name string) int {
	if i, ok := c.index[name]; ok {
		return i
	}
	i := len(c.directors)
	c.index[name] = i
	c.directors = append(c.directors, &director{name: name, settledAt: never, stoppedAt: never})
	for j := range c.links {
		c.links[j] = append(c.links[j], freshLink())
	}
	row := make([]link, i+1)
	for j := range row {
		row[j] = freshLink()
	}
	c.links = append(c.links, row)
	return i
}

func freshLink() link {
	return link{sent: never, sentAt: never, whole: never, echo: never, woke: never, separated: never}
}

func (c *contacts) start(t time.Duration, name string) {
	i := c.of(name)
	d := c.directors[i]
	d.life++
	d.alive, d.paused, d.leaving, d.met, d.rooted, d.settled = true, false, false, false, false, false
	d.startedAt, d.unsettled = t, max(t, c.founding)
	for j := range c.links {
		c.links[i][j], c.links[j][i] = freshLink(), freshLink()
	}
	c.lastRough = t
}

func (c *contacts) stop(t time.Duration, i int) {
	d := c.directors[i]
	d.alive, d.paused, d.stoppedAt = false, false, t
	c.unsettle(d, t)
	c.lastRough = t
}

func (c *contacts) pause(t time.Duration, i int) {
	c.directors[i].paused, c.directors[i].pausedAt = true, t
	c.lastRough = t
}

func (c *contacts) wake(t time.Duration, i int) {
	d := c.directors[i]
	if d.paused = false; t-d.pausedAt > shortPause {
		for j := range c.directors {
			if !c.cut(d.pausedAt, i, j) {
				c.links[i][j].woke = t
			}
		}
		c.unsettle(d, t)
	}
	c.lastRough = t
}

func (c *contacts) unsettle(d *director, t time.Duration) {
	d.settled, d.unsettled = false, max(t, c.founding)
}

// frame notes a frame and reports nothing: separation is asked for by separated.
func (c *contacts) frame(f Frame) {
	to, from := c.of(f.To), c.of(f.From)
	t := f.When()
	if c.cut(t, to, from) {
		c.links[to][from].separated = t
		c.unsettle(c.directors[to], t)
	}
	if c.cut(t, from, to) {
		c.links[from][to].separated = t
		c.unsettle(c.directors[from], t)
	}
	c.meets(t, c.directors[to], c.directors[from])
	l := &c.links[to][from]
	if f.Sent-l.sent > historyKept {
		l.whole = f.Sent - historyKept
	}
	if f.Sent > l.sent {
		l.sent, l.sentAt = f.Sent, t
	}
	if f.Echo >= c.directors[to].startedAt {
		c.directors[to].met = true
		c.root(c.directors[to], c.directors[from])
		l.echo = max(l.echo, f.Echo)
	}
}

// meets notes a frame between two directors. If one of them has been alone so long that it may have founded a mesh, the older of the
// two meshes, as their clocks tell, goes on, and everybody in the other one joins it.
func (c *contacts) meets(t time.Duration, a, b *director) {
	if !a.met && t-a.startedAt > aloneAfter || !b.met && t-b.startedAt > aloneAfter {
		c.twoMeshes = t
		for _, d := range c.directors {
			c.unsettle(d, t)
		}
	}
}

// root notes that two directors are in touch. The first two that are, of all that live, are of the mesh that goes on.
func (c *contacts) root(a, b *director) {
	if a.rooted || b.rooted || !slices.ContainsFunc(c.directors, func(d *director) bool { return d.alive && d.rooted }) {
		a.rooted, b.rooted = true, true
	}
}

// age is for how long viewer has had no proof that frames flow both ways between it and peer, while answerer, one of the two, was
// awake.
func (c *contacts) age(t time.Duration, viewer, peer, answerer int) time.Duration {
	other := peer
	if viewer != answerer {
		other = viewer
	}
	since := max(c.links[viewer][peer].echo, c.directors[viewer].startedAt, c.directors[peer].startedAt,
		c.links[viewer][peer].woke, c.links[answerer][other].woke)
	return t - since
}

// cut reports whether at t the answerer and its peer are cut off from each other, as either of the two sees it. A director that
// sleeps or slept cannot blame that for its own answers, but others may act without it.
func (c *contacts) cut(t time.Duration, answerer, peer int) bool {
	a, p := c.directors[answerer], c.directors[peer]
	switch {
	case !a.alive || !p.alive || answerer == peer:
		return false
	case c.age(t, answerer, peer, answerer) > silence || c.age(t, peer, answerer, answerer) > silence:
		return true
	case c.links[answerer][peer].echo < 0 && c.links[peer][answerer].echo < 0:
		return c.strangers(t, answerer, peer)
	}
	return false
}

// strangers reports whether two directors that never met in this life need not know of each other: nobody met the answerer, or
// all whom it met are cut off from the other one.
func (c *contacts) strangers(t time.Duration, answerer, peer int) bool {
	if !c.directors[answerer].met {
		return c.age(t, answerer, peer, answerer) > aloneAfter
	}
	for i, d := range c.directors {
		if i == answerer || i == peer || !d.alive || c.links[answerer][i].echo < 0 || c.age(t, answerer, i, answerer) > silence {
			continue
		}
		if c.links[i][peer].echo >= 0 && c.age(t, i, peer, i) <= silence && t-c.links[i][peer].separated >= contactAgain {
			return false
		}
	}
	return true
}

// separated reports whether the answerer may act at t without what the peer did: they are cut off, or were until just now, or what
// tells them that they are not is still on a slow way.
func (c *contacts) separated(t time.Duration, answerer, peer int) bool {
	l := &c.links[answerer][peer]
	return c.cut(t, answerer, peer) || t-l.separated < contactAgain || l.sent < l.separated
}

// look observes the whole mesh at t and lets directors settle.
func (c *contacts) look(t time.Duration) {
	if t < c.nextLook {
		return
	}
	c.nextLook = t + 250*time.Millisecond
	for i, d := range c.directors {
		if !d.alive {
			continue
		}
		if d.paused {
			c.lastRough = t
			return
		}
		for j, p := range c.directors {
			if i != j && p.alive && t-max(c.links[i][j].echo, d.startedAt, p.startedAt) > calmGap {
				c.lastRough = t
				return
			}
		}
	}
	for i, d := range c.directors {
		if d.alive && !d.settled && t-max(c.lastRough, d.unsettled) >= settleTime {
			d.settled, d.settledAt = true, t
			for j := range c.directors {
				c.links[i][j].whole = never // whatever it had missed has been repaired
			}
		}
	}
}

// calmFor is how long no director started, stopped, slept or was silent.
func (c *contacts) calmFor(t time.Duration) time.Duration { return t - c.lastRough }

// reached reports whether a row that was made by a life of director from at t has surely arrived at director to, which still
// lives the same life.
func (c *contacts) reached(from, life int, at time.Duration, to int, lag time.Duration) bool {
	d := c.directors[to]
	if from == to {
		return d.life == life && d.alive
	}
	if c.directors[from].life != life {
		return false
	}
	l := c.links[to][from]
	if d.startedAt > at && !d.settled {
		return false // only a snapshot brings it what was before its time
	}
	return d.alive && l.sent >= at+lag && l.whole <= at
}
