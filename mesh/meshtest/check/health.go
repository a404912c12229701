package check

import (
	"net/netip"
	"slices"
	"time"
)

// The guarantee that the health of backends gives, beside G1 to G6: most observers decide, no more
// than a part of a tag's backends is out at a time, and nobody acts who sees too little of the mesh
// (protocol.md, Health).
const healthGuarantee = "health"

const (
	// seenWithin is for how long after the last check that failed a failure may still be written:
	// an observation counts for three rounds.
	seenWithin = 17 * time.Second
	// verdictPause is how long a verdict stands.
	verdictPause = 10 * time.Second
	// outOfTouch is how long a director may be silent that another one counts: the silence, beats,
	// and the time until the writer has drawn its conclusion.
	outOfTouch = 9 * time.Second
)

// Seen is what a director's check of a backend has shown.
type Seen struct {
	At
	Director string
	Backend  netip.Addr
	Failing  bool
}

// Judged is what a director makes of failed backends, and which factors it has, whenever that
// changes: its backends, in any order.
type Judged struct {
	At
	Director string
	Backends []Standing
}

// Standing is how a backend stands in the table of a director.
type Standing struct {
	Addr    netip.Addr
	Tag     string
	VHosts  int
	Down    bool
	Drained bool
	Failed  bool
	Out     bool   // it is off the ring for that
	Written uint64 // stamp of the verdict, in which milliseconds begin at bit 16; 0: there is none
	By      string // who wrote it

	Rebalanced    bool
	Factor        int // of the weight, in percent; 0: none
	FactorWritten uint64
	FactorBy      string

	Start        int // how much of its weight it has, in percent; 0: all
	StartOver    time.Duration
	StartSince   uint64 // stamp
	StartWritten uint64 // by the clock of the director, if that wrote it itself; else 0
	StartBy      string
}

// health is what is known of the health of backends.
type health struct {
	failing map[netip.Addr]time.Duration // when a check last failed, anywhere
	written map[verdictID]bool           // verdicts that were seen
	last    map[netip.Addr]Standing      // the newest verdict, by its stamp
	lives   map[string]int               // of directors that have reported anything
	shown   map[string][]Standing        // what each of them reported last
	outAt   map[netip.Addr]map[string]bool
	moves   map[netip.Addr]*operation // stand for the moves away from a backend that is out
}

type verdictID struct {
	backend netip.Addr
	stamp   uint64
	by      string
}

func newHealth() health {
	return health{
		failing: make(map[netip.Addr]time.Duration), written: make(map[verdictID]bool),
		last: make(map[netip.Addr]Standing), lives: make(map[string]int),
		shown: make(map[string][]Standing),
		outAt: make(map[netip.Addr]map[string]bool), moves: make(map[netip.Addr]*operation),
	}
}

func (c *Checker) seen(e Seen) {
	if e.Failing {
		c.health.failing[e.Backend] = e.When()
	}
}

// judged judges what a director made of failed backends.
func (c *Checker) judged(e Judged) {
	life := c.contacts.directors[c.contacts.of(e.Director)].life
	first := c.health.lives[e.Director] != life
	c.health.lives[e.Director] = life
	if !first {
		c.noteRestamped(e)
	}
	c.health.shown[e.Director] = e.Backends
	c.judgeFactors(e)
	c.judgeStarts(e)
	c.judgeOut(e)
	for _, b := range e.Backends {
		id := verdictID{b.Addr, b.Written, b.By}
		if b.Written != 0 && !c.health.written[id] {
			c.health.written[id] = true
			if !first { // what it begins with is from its disk
				c.judgeVerdict(e, b)
			}
		}
		c.noteOut(e, b)
	}
}

// judgeOut compares the backends that are out with those that the law of the table says.
func (c *Checker) judgeOut(e Judged) {
	byTag := make(map[string][]Standing)
	for _, b := range e.Backends {
		byTag[b.Tag] = append(byTag[b.Tag], b)
	}
	for _, all := range byTag {
		want := lawfulOut(all)
		for _, b := range all {
			if b.Out != slices.Contains(want, b.Addr) {
				c.breach(e.When(), healthGuarantee, User{},
					"%s has the backend %v out: %v, but of %+v these may be: %v",
					e.Director, b.Addr, b.Out, all, want)
				return
			}
		}
	}
}

// lawfulOut are the backends of a tag that are out: of those that took users the ones that failed
// first, a third of all with vhosts, or one; and all failed ones that took none. None is, if no
// other could take users.
func lawfulOut(all []Standing) (out []netip.Addr) {
	weighted := 0
	failed := []Standing{}
	for _, b := range all {
		if b.VHosts > 0 {
			weighted++
		}
		if b.Failed {
			failed = append(failed, b)
		}
	}
	slices.SortFunc(failed, func(a, b Standing) int {
		if a.Written != b.Written {
			if a.Written < b.Written {
				return -1
			}
			return 1
		}
		return a.Addr.Compare(b.Addr)
	})
	allowed := 1
	for (allowed+1)*3 <= weighted {
		allowed++
	}
	for _, b := range failed {
		switch {
		case b.Down || b.Drained || b.VHosts == 0:
			out = append(out, b.Addr)
		case allowed > 0:
			allowed--
			out = append(out, b.Addr)
		}
	}
	for _, b := range all {
		if b.VHosts > 0 && !b.Down && !b.Drained && !slices.Contains(out, b.Addr) {
			return out
		}
	}
	return nil
}

// judgeVerdict judges a verdict that a director shows before any other does.
func (c *Checker) judgeVerdict(e Judged, b Standing) {
	t := e.When()
	if b.By != e.Director {
		return // it was made where nobody could see it, and has outlived that director
	}
	last := c.health.last[b.Addr]
	if b.Written > last.Written {
		c.health.last[b.Addr] = b
	}
	if !b.Failed {
		return // a command may have said so
	}
	behind := c.contacts.directors[c.contacts.of(e.Director)].behind()
	if at, ever := c.health.failing[b.Addr]; !ever || t-behind-at > seenWithin {
		c.breach(t, healthGuarantee, User{}, "%s writes that %v has failed, and nobody sees that",
			e.Director, b.Addr)
	}
	if last.By == b.By && last.Written != 0 &&
		time.Duration(b.Written>>16-last.Written>>16)*time.Millisecond < verdictPause {
		c.breach(t, healthGuarantee, User{}, "%s writes two verdicts on %v within %v",
			e.Director, b.Addr, verdictPause)
	}
	c.judgeContact(t, healthGuarantee, e.Director, "takes a backend out of use")
}

// judgeContact demands that a director that acts by itself is in contact with half of the directors
// at least that it has met and that live.
func (c *Checker) judgeContact(t time.Duration, guarantee, name, does string) {
	writer := c.contacts.of(name)
	behind := c.contacts.directors[writer].behind()
	known, near := 1, 1
	for i, d := range c.contacts.directors {
		heard := c.contacts.links[writer][i].sentAt
		if i == writer || !d.alive || d.leaving || heard == never {
			continue
		}
		known++
		if t-behind-heard <= outOfTouch {
			near++
		}
	}
	if 2*near < known {
		c.breach(t, guarantee, User{}, "%s %s, in contact with %d of %d directors", name, does,
			near, known)
	}
}

// noteOut notes at which directors a backend is out. While it is at some, its users may be moved
// away by any of them, as by a flush; and for a while after, until all such moves have ended.
func (c *Checker) noteOut(e Judged, b Standing) {
	x := c.table.backend(b.Addr)
	x.judged = x.judged || b.Failed
	at := c.health.outAt[b.Addr]
	if at == nil {
		at = make(map[string]bool)
		c.health.outAt[b.Addr] = at
	}
	if b.Out {
		at[e.Director] = true
	} else {
		delete(at, e.Director)
	}
	c.endOut(e.When(), b.Addr)
	if !b.Out {
		return
	}
	i := c.contacts.of(e.Director)
	if c.health.moves[b.Addr] == nil {
		o := &operation{
			at: e.When(), director: i, life: c.contacts.directors[i].life, rough: true, away: true,
			op: Op{Kind: OpFlush, Backend: b.Addr}, everywhere: forever, still: forever,
			ended: forever, done: true, doneAt: e.When(),
		}
		c.health.moves[b.Addr] = o
		c.operations = append(c.operations, o)
	}
	if n := len(x.outs); n == 0 || x.outs[n-1].until != forever {
		x.outs = append(x.outs, outSpan{e.When(), forever})
	}
}

// endOut ends the time of a backend that is out nowhere any more.
func (c *Checker) endOut(t time.Duration, addr netip.Addr) {
	if o := c.health.moves[addr]; o != nil && len(c.health.outAt[addr]) == 0 {
		o.ended = t + moveLimit + troubleSpread
		delete(c.health.moves, addr)
		x := c.table.backend(addr)
		x.outs[len(x.outs)-1].until = t
	}
}

// standingsEnd forgets what a director made of its backends, which has died.
func (c *Checker) standingsEnd(t time.Duration, name string) {
	for _, b := range c.table.backends {
		b.factors.end(t, name)
		b.starts.end(t, name)
	}
	for addr, at := range c.health.outAt {
		delete(at, name)
		c.endOut(t, addr)
	}
}

// outSpan is a time in which a backend was out at some director.
type outSpan struct{ from, until time.Duration }

// mayBeOut reports whether a backend may have been out at some director between two times.
func (b *backend) mayBeOut(since, until time.Duration) bool {
	return slices.ContainsFunc(b.outs, func(s outSpan) bool {
		return s.from <= until && s.until >= since
	})
}
