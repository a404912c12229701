package check

import (
	"slices"
	"time"
)

const (
	// silence is what separates two living directors, by G2.
	silence = 5 * time.Second
	// aloneAfter is how long a director waits for an answer to its first calls before it serves
	// alone: 3 s by its own clock.
	aloneAfter = 2900 * time.Millisecond
	// contactAgain is how long after their first frames two directors may still count each other as
	// failed: streams open one after the other, and it takes two beats on each until both know that
	// frames flow both ways again.
	contactAgain = 2 * time.Second
	// forgottenAfter is after how long a director forgets one that it has lost.
	forgottenAfter = 24 * time.Hour
	// calmGap is the longest silence between any two directors that a calm mesh has.
	calmGap = 2 * time.Second
	// settleTime is how long the mesh must be calm until a director that was away is like the
	// others again.
	settleTime = 10 * time.Second
	// historyKept is what a stream that opens again is sure to carry of what was missed.
	historyKept = 25 * time.Second
	// momentKept is what it is sure to carry to one that has nothing of the sender's log.
	momentKept = 1500 * time.Millisecond
	// shortPause is what a director may sleep without being allowed any consequence.
	shortPause = 900 * time.Millisecond
	// noticedWithin is how long after the clocks of a machine stopped the first beat is sent at the
	// latest that shows it that: one that is a second ahead, and the next one is.
	noticedWithin = time.Second + beatWithin
	// toldWithin is how long after others have met a director again one knows of it that had parted
	// with it: it forgets that after 10 s, and goes by what its peers have said for 5 s.
	toldWithin = 17 * time.Second
	// beatWithin is how long a stream may be without a beat.
	beatWithin = 400 * time.Millisecond
	// lookEvery is how often the whole mesh is observed.
	lookEvery = 250 * time.Millisecond

	never = time.Duration(-1 << 62)
)

// director is what is known of one director from outside.
type director struct {
	name      string
	life      int // counts its starts
	alive     bool
	paused    bool
	leaving   bool
	removed   bool          // runs on outside the mesh, with what it had
	backAt    time.Duration // when it came back from there; never, if it did not
	brings    bool          // began this life with what it had, on its disk or outside the mesh
	startedAt time.Duration
	stoppedAt time.Duration
	pausedAt  time.Duration
	wokenAt   time.Duration // when it last went on; never, if it did not sleep
	pauses    []pause       // of this life, that are over
	frozen    bool          // paused with all its clocks
	// it stood still with them, and no frame that was sent then or later has shown it that;
	// forever: none need
	unaware  time.Duration
	thawed   time.Duration // when it last went on after it was frozen; never, if it did not
	cutOff   bool          // it is unaware, and stood still for so long that others act without it
	synced   bool          // by its own word
	syncedAt time.Duration // when it said so last; never, if it has not in this life
	why      string        // its reason for not being synced
	since    time.Duration // when synced last became what it is
	reported time.Duration // the value of since for which a lack of rest was reported
	astray   bool          // its mesh time was reported
	mesh     uint64        // that it says it belongs to
	comes    bool          // it has left another mesh for that, and is not synced there yet
	met      bool          // has had contact with another director in this life
	rooted   bool          // and, directly or through others, with the mesh that goes on; see lost
	stranded bool          // serves alone with what it had got when its start was cut short
	forsaken bool          // another one has died, and it may lack what that had; see forsake
	// when it first wrote into its log of this life, surely and perhaps; forever, if it has not
	wrote, mayWrite time.Duration

	settled   bool
	unsettled time.Duration // when it last became so
	settledAt time.Duration // when it last settled
}

// pause is a time in which a director slept.
type pause struct{ from, to time.Duration }

// slept is for how long a director has slept since a time.
func (d *director) slept(since time.Duration) (sum time.Duration) {
	for _, p := range d.pauses {
		sum += max(0, p.to-max(p.from, since))
	}
	return sum
}

// behind is for how long a director has stood still with its clocks, if it has not noticed that.
func (d *director) behind() time.Duration {
	if d.unaware == forever {
		return 0
	}
	return d.thawed - d.pausedAt
}

// link is what one director has received of another.
type link struct {
	sent   time.Duration // of the newest frame received
	sentAt time.Duration // when that was received
	former time.Duration // of the newest frame received of lives of the sender before this one
	// of the last frame before a silence after which the stream may be another
	before  time.Duration
	resumed time.Duration // of the first after it: the replay of what was missed begins with it
	whole   time.Duration // what was sent since then has been received without a gap
	begun   bool          // the receiver surely has some of the log of the sender's present life
	echo    time.Duration // receiver's newest frame that the other one is known to have received
	// when the receiver last woke, unless it was cut off from the other one before it slept
	woke time.Duration
	// when this receiver, as the one who answers, was last cut off from the other
	separated time.Duration
	// since when the receiver is cut off from the other; forever if it is not
	gone  time.Duration
	touch time.Duration // since when frames have flowed both ways; forever if they do not
	// since when the two, both synced, have gone by different clocks; forever if they do not
	astray    time.Duration
	parted    bool          // the sender went in good order, as the receiver may have heard last
	otherTime bool          // the two went by different clocks when that was last reported
	otherAt   time.Duration // when that was last reported so; never, if it was not
	sameAt    time.Duration // when it was last reported that they went by one clock
	// by what each could then see, its own clock was the one to go by
	ownClocks bool
	// when the two were last reported to take no rows from each other for that; never, if not
	untaken time.Duration
}

// contacts knows which directors live and which can reach each other.
type contacts struct {
	index     map[string]int
	directors []*director
	links     [][]link // [receiver][sender]
	lastRough time.Duration
	nextLook  time.Duration
	founding  time.Duration // before then the mesh may not be founded
	changed   time.Duration // when the table was first to be changed: all may write that
	// when last a director that may have founded a mesh met another; never, if it did not
	twoMeshes time.Duration
	estates   []*estate

	// lost are the meshes that some director left for another one. The directors of all others are
	// rooted. Nil means that the directors do not tell: then the first that meet are, and all
	// that meet them.
	lost    map[uint64]bool
	knownIn time.Duration // [Rules.KnownWithin]
	lag     time.Duration // [Rules.BatchLag]
}

func newContacts(r Rules) *contacts {
	return &contacts{
		index: make(map[string]int), lastRough: never, founding: r.Founding,
		changed: forever, twoMeshes: never, knownIn: r.knownWithin(), lag: r.BatchLag,
	}
}

// of gives the number of a director.
func (c *contacts) of(name string) int {
	if i, ok := c.index[name]; ok {
		return i
	}
	i := len(c.directors)
	c.index[name] = i
	c.directors = append(c.directors, &director{
		name: name, settledAt: never, stoppedAt: never, syncedAt: never, unaware: forever,
		thawed: never, wokenAt: never, backAt: never,
		wrote: forever, mayWrite: forever,
	})
	for j := range c.links {
		c.links[j] = append(c.links[j], freshLink())
	}
	row := make([]link, i+1)
	for j := range row {
		row[j] = freshLink()
	}
	c.links = append(c.links, row)
	for _, e := range c.estates {
		e.known = append(e.known, nil)
	}
	return i
}

func freshLink() link {
	return link{
		sent: never, sentAt: never, former: never, before: never, resumed: never, whole: never,
		echo: never, woke: never, separated: never, gone: forever, touch: forever, astray: forever,
		otherAt: never, untaken: never,
	}
}

func (c *contacts) start(t time.Duration, name string, kept time.Duration) {
	i := c.of(name)
	d := c.directors[i]
	c.probate(i, kept)
	d.life++
	d.brings = kept > 0 || d.removed
	if d.removed {
		d.backAt = t
	}
	d.alive, d.paused, d.leaving, d.removed = true, false, false, false
	d.met, d.rooted, d.settled = false, false, false
	d.synced, d.syncedAt, d.since, d.reported, d.why = false, never, t, never, ""
	d.comes, d.stranded, d.wrote, d.mayWrite = false, false, forever, forever
	d.astray, d.mesh, d.unaware, d.thawed, d.cutOff = false, 0, forever, never, false
	d.startedAt, d.pauses, d.unsettled = t, nil, max(t, c.founding)
	for j := range c.links {
		l := &c.links[j][i]
		former, parted := max(l.former, l.sent), l.parted
		c.links[i][j], *l = freshLink(), freshLink()
		l.former, l.parted = former, parted
	}
	c.lastRough = t
}

func (c *contacts) stop(t time.Duration, i int) {
	d := c.directors[i]
	c.part(t, i)
	d.alive, d.paused, d.synced, d.stoppedAt = false, false, false, t
	c.bequeath(t, i)
	c.unsettle(d, t)
	c.lastRough = t
}

// part notes who may have heard that a director which stops goes in good order: of one that leaves
// those that it reaches, even if none of theirs reaches it; of one that was removed anybody.
func (c *contacts) part(t time.Duration, i int) {
	d := c.directors[i]
	for j := range c.directors {
		reaches := !c.cut(t, j, i) || t-c.links[j][i].sentAt <= silence
		if d.leaving && (d.removed || reaches) {
			c.links[j][i].parted = true
		}
	}
}

func (c *contacts) pause(t time.Duration, i int, clocks bool) {
	d := c.directors[i]
	d.paused, d.pausedAt, d.frozen = true, t, clocks
	c.lastRough = t
}

func (c *contacts) wake(t time.Duration, i int) {
	d := c.directors[i]
	if d.frozen {
		d.thawed = t // also after a short one: what is not noticed adds up
	}
	if d.frozen && t-d.pausedAt > shortPause {
		d.unaware, d.cutOff = d.pausedAt+noticedWithin, t-d.pausedAt > silence
	}
	d.paused, d.wokenAt = false, t
	d.pauses = append(d.pauses, pause{d.pausedAt, t})
	if t-d.pausedAt > shortPause {
		for j := range c.directors {
			if !c.cut(d.pausedAt, i, j) {
				c.links[i][j].woke = t
			}
			c.links[i][j].touch = forever
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
	l.begun = l.begun || c.reached(from, c.directors[from].wrote, to)
	if f.Sent-l.sent > historyKept {
		l.whole = f.Sent - c.replayed(f.Sent, from, to)
	}
	if f.Sent-l.sent > calmGap {
		l.before, l.resumed = l.sent, f.Sent
	}
	if f.Sent > l.sent {
		l.sent, l.sentAt = f.Sent, t
		l.parted = l.parted && !c.directors[from].alive // else it is here again
	}
	if d := c.directors[to]; f.Sent >= d.unaware {
		d.unaware, d.cutOff = forever, false
	}
	if f.Echo >= c.directors[to].startedAt {
		c.directors[to].met = true
		c.root(c.directors[to], c.directors[from])
		l.echo = max(l.echo, f.Echo)
	}
}

// asked notes that a director may write into its log, and any other one if it is not synced.
func (c *contacts) asked(t time.Duration, director int) {
	for i, d := range c.directors {
		if i == director || !c.directors[director].synced {
			d.mayWrite = min(d.mayWrite, t)
		}
	}
}

// ordered notes that a director may write into its log, and any other one unless it is a move.
func (c *contacts) ordered(t time.Duration, director int, op OpKind) {
	if op == OpMove {
		c.asked(t, director)
	} else {
		c.changed = min(c.changed, t)
	}
}

// replayed is from how far back a stream that opens after a long silence is sure to carry the log.
// One that has nothing of a log whose beginning is no longer kept gets the last moment of it. It
// takes a snapshot then, and may answer meanwhile (protocol.md, The log). Whoever was not synced
// yet may not.
func (c *contacts) replayed(sent time.Duration, from, to int) time.Duration {
	d := c.directors[from]
	began := min(d.mayWrite, max(d.startedAt, c.changed))
	if sent-began <= historyKept || c.links[to][from].begun || c.directors[to].syncedAt == never {
		return historyKept
	}
	return momentKept
}

// meets notes a frame between two directors. If one of them has been alone so long that it may have
// founded a mesh, the older of the two meshes, as their clocks tell, goes on, and everybody in the
// other one joins it.
func (c *contacts) meets(t time.Duration, a, b *director) {
	alone := func(d *director) bool { return !d.met && t-d.startedAt > aloneAfter }
	if c.lost == nil && (alone(a) || alone(b)) {
		c.joins(t)
	}
}

// joins notes that a mesh, or some director of one, joins another.
func (c *contacts) joins(t time.Duration) {
	c.twoMeshes = t
	for _, d := range c.directors {
		c.unsettle(d, t)
	}
}

// root notes that two directors are in touch. The first two that are, of all that live, are of the
// mesh that goes on.
func (c *contacts) root(a, b *director) {
	if c.lost != nil {
		return
	}
	if a.rooted || b.rooted ||
		!slices.ContainsFunc(c.directors, func(d *director) bool { return d.alive && d.rooted }) {
		a.rooted, b.rooted = true, true
	}
}

// look observes the whole mesh at t and lets directors settle.
func (c *contacts) look(t time.Duration) {
	c.nextLook = t + lookEvery
	calm := true
	for i, d := range c.directors {
		if !d.alive {
			continue
		}
		calm = calm && !d.paused
		for j, p := range c.directors {
			if i == j || !p.alive {
				continue
			}
			l := &c.links[i][j]
			quiet := t-max(l.echo, d.startedAt, p.startedAt) > calmGap
			calm = calm && !quiet
			c.lookAt(t, i, j, quiet)
		}
	}
	c.inherit(t)
	if !calm {
		c.lastRough = t
		return
	}
	for i, d := range c.directors {
		if d.alive && d.synced && !d.settled && t-max(c.lastRough, d.unsettled) >= settleTime &&
			!c.leftAlone(d) {
			d.settled, d.settledAt = true, t
			c.relieve(t, d)
			for j := range c.directors {
				c.links[i][j].whole = never // whatever it had missed has been repaired
			}
		}
	}
}

// lookAt notes whether two directors are in touch, or cut off from each other.
func (c *contacts) lookAt(t time.Duration, i, j int, quiet bool) {
	l := &c.links[i][j]
	switch {
	case quiet || l.echo == never || c.directors[i].paused || c.directors[j].paused:
		l.touch = forever
	case l.touch == forever:
		l.touch = t
	}
	switch {
	case !c.cut(t, i, j):
		l.gone = forever
	case l.gone == forever:
		l.gone = t
	}
}

// inTouch is since when two directors have been in touch; forever if they are not.
func (c *contacts) inTouch(i, j int) time.Duration {
	return max(c.links[i][j].touch, c.links[j][i].touch)
}

// shares is since when two directors have taken what the other one has: they are in touch, and go
// by one clock (protocol.md, Mesh time); forever if they do not.
func (c *contacts) shares(i, j int) time.Duration {
	return max(c.inTouch(i, j), c.links[i][j].otherAt)
}

// calmFor is how long no director started, stopped, slept or was silent.
func (c *contacts) calmFor(t time.Duration) time.Duration { return t - c.lastRough }
