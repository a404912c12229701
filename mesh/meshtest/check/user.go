package check

import (
	"net/netip"
	"slices"
	"time"
)

// clockSlack covers what directors' clocks may differ by, and the truncation of recorded times.
const clockSlack = 3 * time.Second

// given is one answer, as far as it concerns who must know of it.
type given struct {
	at       time.Duration
	director int
	life     int
	sure     bool // activity was recorded, hence announced, with this answer, and by this director itself
	lost     bool // its director died before all others had the row
}

// line is one backend that a user may be answered.
type line struct {
	backend  netip.Addr
	start    time.Duration
	last     time.Duration // newest answer
	recorded time.Duration // newest answer that prolonged the mapping for sure
	renewed  time.Duration // newest answer that may have made a new mapping: an old one was being forgotten
	answers  []given
	move     *operation // the move that made it, until it is first answered
	loose    bool       // perhaps forgotten already: the next answer tells
}

// change is a replacement of a user's line by another.
type change struct {
	at    time.Duration
	from  []netip.Addr
	to    netip.Addr
	cause cause
}

// cause is why a user may be answered another backend.
type cause int

const (
	causeNone  cause = iota
	causeFresh       // no mapping, or it expired
	causeFreed       // forgotten, or its backend removed
	causeMoved
	causeFlushed
	causeFault
)

// session is the newest answer that a life of a director gave with a backend.
type session struct {
	director int
	life     int
	backend  netip.Addr
	at       time.Duration
}

// userState is all that is known of one user.
type userState struct {
	user     User
	lines    []*line
	used     map[*operation]bool // moves and flushes that had their effect on this user
	changes  []change
	sessions []session
	unsynced []time.Duration // when directors that were not settled were asked: they may have had a mapping made without an answer
	resolve  bool            // calm has lasted: of several lines the next answer picks the only one
}

func (c *Checker) user(u User) *userState {
	s := c.users[u]
	if s == nil {
		s = &userState{user: u, used: make(map[*operation]bool)}
		c.users[u] = s
		c.userOrder = append(c.userOrder, u)
	}
	return s
}

func (s *userState) find(backend netip.Addr) *line {
	for _, l := range s.lines {
		if l.backend == backend {
			return l
		}
	}
	return nil
}

// perhapsDead reports whether the line's mapping may have expired by t.
func (c *Checker) perhapsDead(l *line, t time.Duration) bool { return t >= l.recorded+c.rules.Expire }

// surelyDead reports whether it must have.
func (c *Checker) surelyDead(l *line, t time.Duration) bool {
	return t > l.last+c.rules.Expire+c.rules.share()+clockSlack
}

// answer judges one answer by G2 and notes it.
func (c *Checker) answer(t time.Duration, l *lookup, backend netip.Addr) {
	s := c.user(l.user)
	s.lines = slices.DeleteFunc(s.lines, func(x *line) bool { return c.surelyDead(x, t) })
	x := s.find(backend)
	if x == nil {
		x = c.newLine(t, s, l, backend)
	} else {
		if s.resolve {
			s.lines = []*line{x}
		}
		x.loose = false
	}
	s.resolve = s.resolve && len(s.lines) > 1
	if x.move != nil {
		c.judgeKicksBefore(t, s, x)
		x.move = nil
	}
	c.note(t, s, x, l.director)
	c.judgeDown(t, s, x)
}

// note adds an answer to its line.
func (c *Checker) note(t time.Duration, s *userState, x *line, director int) {
	d := c.contacts.directors[director]
	up := c.table.surelyUp(x.backend, t-time.Second, t)
	sure := d.settled && (len(x.answers) == 0 || up && t-x.last > c.rules.share()/2+clockSlack)
	x.answers = slices.DeleteFunc(x.answers, func(g given) bool { return t-g.at > c.rules.Expire+c.rules.share()+clockSlack })
	if n := len(x.answers); n == 0 || x.answers[n-1].at != t || x.answers[n-1].director != director {
		x.answers = append(x.answers, given{at: t, director: director, life: d.life, sure: sure})
	}
	x.last = t
	if up {
		x.recorded = t
	}
	if c.freedBy(s, x, t) != nil {
		x.renewed = t
	}
	i := slices.IndexFunc(s.sessions, func(y session) bool {
		return y.director == director && y.life == d.life && y.backend == x.backend
	})
	if i < 0 {
		s.sessions = append(s.sessions, session{director: director, life: d.life, backend: x.backend})
		i = len(s.sessions) - 1
	}
	s.sessions[i].at = t
}

// newLine judges an answer with a backend that none of the user's lines has, and gives the line that it begins.
func (c *Checker) newLine(t time.Duration, s *userState, l *lookup, backend netip.Addr) *line {
	x := &line{backend: backend, start: t, last: t, recorded: t, renewed: never}
	var why cause
	var kept []*line
	if o := c.movedBy(t, s, backend); o != nil {
		s.used[o] = true
		why = causeMoved
		x.move = o
	} else {
		why, kept = c.replaces(t, s, l, backend)
	}
	switch why {
	case causeNone:
		c.breach(t, "G2", s.user, "%s answered %v, although %s", c.contacts.directors[l.director].name, backend, c.describe(s))
	case causeFresh, causeFreed, causeFlushed:
		c.judgePlace(t, s, l, backend)
	}
	s.changed(t, backend, why)
	s.lines = append(kept, x)
	return x
}

func (s *userState) changed(t time.Duration, to netip.Addr, why cause) {
	ch := change{at: t, to: to, cause: why}
	for _, l := range s.lines {
		if l.backend != to {
			ch.from = append(ch.from, l.backend)
		}
	}
	s.changes = append(s.changes, ch)
}

// replaces finds why none of the user's lines binds the director that answers, and which of them stay beside the new one.
func (c *Checker) replaces(t time.Duration, s *userState, l *lookup, backend netip.Addr) (why cause, kept []*line) {
	why = causeFresh
	for _, x := range s.lines {
		switch {
		case x.loose || c.perhapsDead(x, t):
		case c.freedBy(s, x, t) != nil:
			kept = append(kept, x)
			why = max(why, causeFreed)
		case c.flushedBy(s, x, t, backend):
			why = max(why, causeFlushed)
		case c.unknown(t, l.director, x):
			kept = append(kept, x)
			why = causeFault
		default:
			return causeNone, nil
		}
	}
	return why, kept
}

// movedBy finds a move that gives the user this backend and has not been seen to do so yet.
func (c *Checker) movedBy(t time.Duration, s *userState, backend netip.Addr) *operation {
	for _, o := range c.operations {
		if o.op.Kind == OpMove && o.op.User == s.user && o.op.Backend == backend && !s.used[o] && c.pending(o, s, t) {
			return o
		}
	}
	return nil
}

// pending reports whether an operation may still change the lines that the user has.
func (c *Checker) pending(o *operation, s *userState, t time.Duration) bool {
	if o.everywhere == forever {
		return true
	}
	for _, x := range s.lines {
		if o.everywhere <= x.start {
			return false
		}
	}
	return true
}

// freedBy finds an operation under way that may have dropped the line's mapping.
func (c *Checker) freedBy(s *userState, x *line, t time.Duration) *operation {
	for _, o := range c.operations {
		switch {
		case o.frees(x.backend) && o.everywhere > x.start:
			return o
		case o.flushes(x.backend) && o.ended > x.start && c.mayBeNowhere(s.user, o.at, min(t, o.ended)):
			return o // a flush forgets whom it finds no place for
		}
	}
	return nil
}

func (c *Checker) mayBeNowhere(u User, since, until time.Duration) bool {
	return c.mayHash(u, since, until, netip.Addr{})
}

// flushedBy reports whether a flush under way may have moved the user from the line to this backend.
func (c *Checker) flushedBy(s *userState, x *line, t time.Duration, backend netip.Addr) bool {
	for _, o := range slices.Backward(c.operations) {
		seen := x.last // the line outlived a flush that ended before
		if o.rough {
			seen = x.start // but perhaps only where nothing was heard of the flush
		}
		if !o.flushes(x.backend) || s.used[o] || o.ended <= seen {
			continue
		}
		if c.mayHash(s.user, o.at, t, backend) || c.troubled(t) {
			s.used[o] = true
			return true
		}
	}
	return false
}

// troubled reports whether there was a fault so lately that directors may hold different tables.
func (c *Checker) troubled(t time.Duration) bool { return c.contacts.calmFor(t) < troubleSpread }

// judgePlace demands that a user without a mapping goes where it hashes.
func (c *Checker) judgePlace(t time.Duration, s *userState, l *lookup, backend netip.Addr) {
	if c.troubled(l.at) || c.troubled(t) {
		return
	}
	found, any := c.table.placesOf(s.user, l.at, t)
	if any || slices.Contains(found, backend) {
		return
	}
	lifetime := c.rules.Expire + c.rules.share() + clockSlack
	for _, at := range s.unsynced { // a mapping that nobody was answered yet
		if t-at < lifetime+waitLimit && c.mayHash(s.user, at, at+waitLimit, backend) {
			return
		}
	}
	for _, o := range c.operations {
		if end := min(t, o.ended); o.op.Kind == OpFlush && t-end < lifetime+moveLimit && c.mayHash(s.user, o.at, end, backend) {
			return
		}
	}
	c.breach(t, "G2", s.user, "%s answered %v, which the user has no mapping to, but it hashes to %v", c.contacts.directors[l.director].name, backend, found)
}

// mayHash reports whether the user may have hashed to a backend at some director between two times.
func (c *Checker) mayHash(u User, since, until time.Duration, backend netip.Addr) bool {
	found, any := c.table.placesOf(u, since, until)
	return any || slices.Contains(found, backend)
}

// unknown reports whether a fault kept the director from knowing of a line.
func (c *Checker) unknown(t time.Duration, director int, x *line) bool {
	if c.unknownTo(t, director, x) {
		return true
	}
	if c.contacts.directors[director].settled {
		return false
	}
	for i, d := range c.contacts.directors { // it may have asked any other
		if d.alive && i != director && c.unknownTo(t, i, x) {
			return true
		}
	}
	return false
}

// unknownTo looks at one director. It knows the line if it was within reach of one that announced the line and did not take that
// with it to its grave. Answers that need not have been announced only tell that somebody else must have.
func (c *Checker) unknownTo(t time.Duration, director int, x *line) bool {
	excused := false
	for _, g := range x.answers {
		if t-g.at >= c.rules.Expire+c.rules.share()/2 {
			continue
		}
		if !g.sure {
			excused = excused || g.lost || c.anySeparated(t, director)
			continue
		}
		known := c.contacts.reached(g.director, g.life, g.at, director, c.rules.BatchLag)
		d := c.contacts.directors[g.director]
		out := g.lost || d.alive && d.life == g.life && c.contacts.separated(t, director, g.director)
		if known || !out {
			return false
		}
		excused = true
	}
	return excused
}

func (c *Checker) anySeparated(t time.Duration, director int) bool {
	for i := range c.contacts.directors {
		if i != director && c.contacts.separated(t, director, i) {
			return true
		}
	}
	return false
}

// answersLost notes which answers a dying director takes with it.
func (c *Checker) answersLost(t time.Duration, i int) {
	life := c.contacts.directors[i].life
	for _, s := range c.users {
		for _, x := range s.lines {
			for n := range x.answers {
				g := &x.answers[n]
				if g.director != i || g.life != life || g.lost {
					continue
				}
				for j, d := range c.contacts.directors {
					if j != i && d.alive && d.startedAt < g.at && !c.contacts.reached(i, life, g.at, j, c.rules.BatchLag) {
						g.lost = true
					}
				}
			}
		}
	}
}

// moveAcknowledged makes the move's backend the user's only line: from now on every director holds the user or knows the move.
func (c *Checker) moveAcknowledged(o *operation) {
	s := c.user(o.op.User)
	if s.used[o] {
		return
	}
	for _, other := range c.operations {
		concerns := other.op.Kind == OpMove && other.op.User == s.user || other.op.Kind == OpFlush ||
			other.op.Kind == OpForget || other.op.Kind == OpRemove || other.op.Kind == OpAdd && other.op.Backend == o.op.Backend
		if other != o && concerns && other.at <= o.doneAt && max(other.everywhere, c.endOf(other)) >= o.at {
			return // which of the two came last is not known: the answers tell
		}
	}
	s.used[o] = true
	if x := s.find(o.op.Backend); x != nil && len(s.lines) == 1 {
		if x.start < o.at {
			x.start, x.last, x.recorded, x.loose = o.at, o.doneAt, max(x.recorded, o.at), false
			x.answers = []given{c.givenBy(o)}
		}
		return
	}
	s.changed(o.doneAt, o.op.Backend, causeMoved)
	s.lines = []*line{{
		backend: o.op.Backend, start: o.at, last: o.doneAt, recorded: o.at, renewed: never, move: o,
		answers: []given{c.givenBy(o)},
	}}
	s.resolve = false
}

func (c *Checker) givenBy(o *operation) given {
	return given{at: o.at, director: o.director, life: o.life, sure: true}
}

// endOf is when moves and flushes end; other operations end with their acknowledgement.
func (c *Checker) endOf(o *operation) time.Duration {
	switch o.op.Kind {
	case OpFlush:
		return o.ended
	case OpMove:
		return min(o.ended, o.at+moveLimit)
	}
	return never
}

// closeFreed drops the lines whose mappings an acknowledged operation has dropped. Where a new mapping may have been made
// while it was under way, the next answer tells.
func (c *Checker) closeFreed(o *operation) {
	if o.everywhere == forever || o.op.Kind != OpForget && o.op.Kind != OpRemove {
		return
	}
	for _, u := range c.userOrder {
		s := c.users[u]
		s.lines = slices.DeleteFunc(s.lines, func(x *line) bool {
			if !o.frees(x.backend) || x.start > o.everywhere {
				return false
			}
			if x.start < o.at-clockSlack && x.renewed < o.at {
				return true
			}
			x.loose = true
			return false
		})
	}
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
