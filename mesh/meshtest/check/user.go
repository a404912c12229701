package check

import (
	"net/netip"
	"slices"
	"time"
)

// change is a replacement of a user's line by another.
type change struct {
	at    time.Duration
	from  []netip.Addr
	to    netip.Addr
	cause cause
	rough bool // there was a fault just before
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

func (c cause) String() string {
	return [...]string{
		"no cause", "no mapping or expired", "forgotten", "moved", "flushed", "a fault",
	}[c]
}

// session is the newest answer that a life of a director gave with a backend.
type session struct {
	director int
	life     int
	backend  netip.Addr
	at       time.Duration
	unseen   []*operation // see [Checker.unheardFlushes]
}

// seen is the newest activity of the user that is in sight: when the user was last let in,
// wherever, or moved, or what all directors had at their start; never, if there is none.
func (s *userState) seen() time.Duration {
	last := never
	for _, y := range s.sessions {
		last = max(last, y.at)
	}
	for _, x := range s.lines {
		last = max(last, x.last)
	}
	return last
}

// userState is all that is known of one user.
type userState struct {
	user     User
	lines    []*line
	used     map[*operation]bool // moves and flushes that had their effect on this user
	gone     []goneLine
	changes  []change
	sessions []session
	// another director may have been asked, which made a mapping and was not heard
	relayed []*lookup
	resolve bool // calm has lasted: of several lines the next answer picks the only one
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

// answer judges one answer by G2 and notes it.
func (c *Checker) answer(t time.Duration, l *lookup, backend netip.Addr) {
	s := c.user(l.user)
	stood := s.lines
	x := s.find(backend)
	if c.allSurelyDead(s, t) &&
		(x == nil || !c.mayHaveInherited(s, t) && !c.mayHaveBeatenMove(s, x, t)) {
		s.lines, x = nil, nil
	}
	if x == nil {
		x = c.newLine(t, s, l, backend, stood)
	} else {
		anew := x.spared || len(s.lines) > 1 && c.allGone(s, t)
		if anew && c.hashesTo(t, l, backend) {
			// perhaps not the mapping of this line, but a new one, after another line's
			s.changed(t, backend, causeFresh, c.troubled(t))
		}
		if s.resolve {
			s.onlyLine(x, t)
			c.explainf(t, "user %v: calm has lasted, so %v has won", s.user, backend)
		}
		x.loose, x.spared = false, false
		c.useUp(t, s, l.director, x)
		c.see(t, l.director, x)
		c.prefer(t, s, l, x)
	}
	s.resolve = s.resolve && len(s.lines) > 1
	if o := x.move; o != nil && c.contacts.mustKnow(t, l.director, o.director, o.life, o.at) {
		c.judgeKicksBefore(t, s, x, l.director)
		x.move = nil
	}
	c.note(t, s, x, l.director)
	c.judgeDown(t, s, x, l.director)
}

// note adds an answer to its line.
func (c *Checker) note(t time.Duration, s *userState, x *line, director int) {
	d := c.contacts.directors[director]
	up := c.table.surelyUp(x.backend, t-time.Second, t)
	made := x.fresh && x.start == t && len(x.answers) == 0
	recent := t - c.rules.share()/2 - clockSlack
	// another director may have recorded it, for one that did not hear the answer
	unheard := slices.ContainsFunc(s.relayed, func(r *lookup) bool {
		return !r.heard && r.at <= t && r.ended >= recent
	})
	sure := d.synced && (made ||
		up && x.last < recent && !unheard && len(c.inherited(x, recent, t)) == 0)
	if sure {
		d.wrote = min(d.wrote, t)
	}
	x.answers = slices.DeleteFunc(x.answers, func(g given) bool {
		return t-g.at > c.rules.Expire+c.rules.share()+clockSlack
	})
	n := len(x.answers)
	if n == 0 || x.answers[n-1].at != t || x.answers[n-1].director != director {
		x.answers = append(x.answers, given{
			at: t, director: director, life: d.life, sure: sure, resting: !up,
			relayed: !d.synced || unheard && !sure, unaware: d.cutOff, foreign: !d.rooted,
			unseen: c.unseenFlushes(t, s, director, x.backend, x.start),
		})
	}
	x.last = t
	if d.rooted {
		x.proven = t
	}
	x.strange = x.strange || !d.rooted || t-c.contacts.twoMeshes < troubleSpread
	if up && d.rooted {
		if t-x.recorded > spread {
			x.earlier = x.recorded
		}
		x.recorded = t
	}
	if c.freedBy(s, x, t) != nil {
		x.renewed = t
	}
	i := slices.IndexFunc(s.sessions, func(y session) bool {
		return y.director == director && y.life == d.life && y.backend == x.backend
	})
	if i < 0 {
		s.sessions = append(s.sessions, session{
			director: director, life: d.life, backend: x.backend,
		})
		i = len(s.sessions) - 1
	}
	s.sessions[i].at, s.sessions[i].unseen = t, c.unheardFlushes(t, s, director)
}

func (s *userState) changed(t time.Duration, to netip.Addr, why cause, rough bool) {
	ch := change{at: t, to: to, cause: why, rough: rough}
	for _, l := range s.lines {
		if l.backend != to {
			ch.from = append(ch.from, l.backend)
		}
	}
	s.changes = append(s.changes, ch)
}
