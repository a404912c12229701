package check

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// clockSlack covers what directors' clocks may differ by, and the truncation of recorded times.
const clockSlack = 3 * time.Second

// strangeSlack covers what is left of a director's wrong clock in the times that it recorded while
// it served alone: it steps when it joins, and moves them by whole seconds
// (protocol.md, Mesh time).
const strangeSlack = clockSlack + 2*time.Second

// line is one backend that a user may be answered.
type line struct {
	backend netip.Addr
	start   time.Duration
	last    time.Duration // newest answer
	// newest answer by a director of the mesh, which has what all of that have
	proven   time.Duration
	recorded time.Duration // newest answer that prolonged the mapping for sure
	// recorded as it was before: the newest answer may not be known everywhere yet
	earlier time.Duration
	// newest answer that may have made a new mapping: an old one was being forgotten
	renewed time.Duration
	answers []given
	move    *operation // the move that made it, until it is first answered
	// the move or flushes that may have made it: their originators announced it
	makers []*operation
	won    bool         // or perhaps it won a conflict, and they have yet to come to the user
	after  []netip.Addr // the backends of which one may have been there before
	// flushes of which the one that made it may not have heard: they may have made another mapping
	unseen []*operation
	// lookups by which another director may have made a mapping of which the one that made it may
	// not have heard
	unmet   []*lookup
	rivals  []*line // lines that it stood beside; see inherited
	late    []given // with what it replaced, when the moves or flushes that made it had begun
	fresh   bool    // its first answer made the mapping
	made    cause   // why the user got it
	loose   bool    // perhaps forgotten already: the next answer tells
	spared  bool    // another line was dropped that may have won: this one may be made anew
	strange bool    // answered by a director that had not met the mesh that goes on
	// all directors had it after a start of all: last is the activity that they knew of, or a
	// later answer
	takenUp bool
}

// goneLine is a line that must not be answered any more, although a director may not have heard so
// yet.
type goneLine struct {
	*line
	at time.Duration
	by *line // what was answered then instead
	// until when some director may have had it without what was answered instead
	apartUntil time.Duration
}

// beatenBy are the lines of which one beat it in a conflict, if there was one: what was answered
// instead stood beside it, or took its place by a fault. Any other was made with knowledge of it.
func (x goneLine) beatenBy() []*line {
	if x.by.made != causeFault && !slices.Contains(x.rivals, x.by) {
		return nil
	}
	return append(slices.Clone(x.rivals), x.by)
}

// begin gives the user a new line beside those that are kept. Only another calm settles which of
// these is the only one.
func (s *userState) begin(x *line, kept []*line) {
	s.resolve = false
	for _, y := range kept {
		x.rivals, y.rivals = append(x.rivals, y), append(y.rivals, x)
	}
	s.lines = append(kept, x)
}

// perhapsDead reports whether the line's mapping may have expired by t.
func (c *Checker) perhapsDead(l *line, t time.Duration) bool {
	return t >= l.recorded+c.rules.Expire
}

// allSurelyDead reports whether all lines of a user must have expired. Of several any may have won,
// and has the newest activity of all then (protocol.md, What is replicated: the later activity is
// kept, whichever mapping wins).
func (c *Checker) allSurelyDead(s *userState, t time.Duration) bool {
	return !slices.ContainsFunc(s.lines, func(l *line) bool { return c.mayLive(s, l, t) })
}

// mayLive reports whether the line's mapping may live, be it by what was not heard.
func (c *Checker) mayLive(s *userState, l *line, t time.Duration) bool {
	return !c.surelyDead(l, t) || c.mayBeProlonged(s, l, t)
}

// mayHaveInherited reports whether a line may live on by the activity of a mapping that it beat and
// that was forgotten since.
func (c *Checker) mayHaveInherited(s *userState, t time.Duration) bool {
	return t <= s.seen()+c.rules.Expire+c.rules.share()+clockSlack
}

// mayHaveBeatenMove reports whether a line may live on by the activity of a move that it beat, and
// that no answer has shown: the move was made where the line was not known, while that lived.
func (c *Checker) mayHaveBeatenMove(s *userState, l *line, t time.Duration) bool {
	life := c.rules.Expire + c.rules.share() + l.slack()
	return slices.ContainsFunc(c.operations, func(o *operation) bool {
		return o.op.Kind == OpMove && o.op.User == s.user && o.op.Backend != l.backend &&
			o.rough && !s.used[o] && o.at <= l.last+life && t-min(t, c.endOf(o)) <= life
	})
}

// mayHaveLived reports whether the user may have had a mapping at a time, by any answer until now,
// heard or not.
func (c *Checker) mayHaveLived(s *userState, t time.Duration) bool {
	life := c.rules.Expire + c.rules.share() + clockSlack
	return c.mayHaveInherited(s, t) || slices.ContainsFunc(s.relayed, func(r *lookup) bool {
		return r.at <= t && t-min(t, r.ended) <= life
	})
}

// mayBeProlonged reports whether another director may have been asked while the line lived, which
// prolonged the mapping and was not heard.
func (c *Checker) mayBeProlonged(s *userState, l *line, t time.Duration) bool {
	life := c.rules.Expire + c.rules.share() + l.slack()
	return slices.ContainsFunc(s.relayed, func(r *lookup) bool {
		return r.at <= l.last+life && t-min(t, r.ended) <= life
	})
}

// surelyDead reports whether a mapping that has no newer activity than the line must have expired.
func (c *Checker) surelyDead(l *line, t time.Duration) bool {
	return t > l.last+c.rules.Expire+c.rules.share()+l.slack()
}

// foreign reports whether an answer of the line was given by a director that had not met the mesh:
// it has a mapping of its own.
func (l *line) foreign() bool {
	return slices.ContainsFunc(l.answers, func(g given) bool { return g.foreign })
}

// slack is how far those clocks may differ which decided how long the line's mapping lives.
func (l *line) slack() time.Duration {
	if l.strange {
		return strangeSlack
	}
	return clockSlack
}

// newLine judges an answer with a backend that none of the user's lines has, and gives the line
// that it begins. Any of the lines that stood until now may have been there before, even if all
// must have expired.
func (c *Checker) newLine(
	t time.Duration, s *userState, l *lookup, backend netip.Addr, stood []*line,
) *line {
	x := &line{
		backend: backend, start: t, last: t, proven: t, recorded: t, earlier: t, renewed: never,
	}
	for _, y := range stood {
		x.after = append(x.after, y.backend)
		x.unseen = append(x.unseen, c.unseenFlushes(t, s, l.director, y.backend, y.start)...)
	}
	var why cause
	var kept []*line
	moves := c.movedBy(t, s, l.director, backend)
	var o *operation
	if len(moves) > 0 {
		o = moves[0]
	}
	if o != nil && c.allGone(s, t) && c.hashesTo(t, l, backend) {
		o = nil // perhaps the move lost, or is not here yet; the user is here by its hash
	}
	if o != nil {
		s.used[o] = true
		why = causeMoved
		x.makers, x.recorded = moves, o.at
		if len(moves) == 1 { // whose sessions are kicked before is not known otherwise
			x.move = o
		}
		for _, y := range s.lines {
			if !c.informed(t, l.director, y) || c.notForgottenYet(t, s, l.director, y, backend) {
				kept = append(kept, y) // which of the two wins is not known
			}
		}
	} else {
		why, kept, x.makers = c.replaces(t, s, l, backend)
		x.won = slices.ContainsFunc(s.lines, func(y *line) bool {
			return c.mayHaveWon(s, y, t, backend)
		})
		c.useUp(t, s, l.director, x)
	}
	if why == causeFlushed {
		x.recorded = never // it was at some time since the flush began
	}
	for _, y := range s.gone {
		if y.backend == backend && (why == causeFault || why == causeMoved) {
			// what announced it first may have been one of these
			x.answers = append(x.answers, y.answers...)
		}
	}
	slices.SortStableFunc(x.answers, func(a, b given) int { return cmp.Compare(a.at, b.at) })
	switch why {
	case causeNone:
		if c.broughtBack(t, s, backend) || c.notReplacedYet(t, s, l.director, backend) {
			why, kept = causeFault, slices.Clone(s.lines)
			break
		}
		if c.accuse(t, s, l.director, backend, "G2", "%s answered %v, although %s",
			c.contacts.directors[l.director].name, backend, c.describe(s)) {
			why, kept = causeFault, slices.Clone(s.lines)
		}
	case causeFresh, causeFreed, causeFlushed:
		if why != causeFreed || !c.mayHoldYet(t, s, backend) {
			c.judgePlace(t, s, l, backend)
		}
	case causeFault:
		if !s.mayHaveBeenOn(backend, c.operations) {
			c.judgePlace(t, s, l, backend)
		}
	}
	x.made, x.fresh = why, why == causeFresh || why == causeFreed
	if x.fresh {
		x.unmet = c.madeApart(t, s, l)
	}
	if !c.table.surelyUp(backend, t-time.Second, t) || !c.contacts.directors[l.director].rooted {
		// Perhaps an older mapping, which this answer did not prolong; or one of a mesh that joins
		// another, in which the backend may be unknown.
		x.recorded = never
	}
	s.changed(t, backend, why, c.troubled(t))
	for _, old := range s.lines {
		if !slices.Contains(kept, old) {
			s.gone = append(s.gone, goneLine{old, t, x, t})
			x.late = append(x.late, old.answersSince(x.makers)...)
		}
	}
	s.begin(x, kept)
	c.explainf(t, "user %v: %v is new (%v); now %s", s.user, backend, why, c.describe(s))
	return x
}

// answersSince are the answers that were given when one of some operations had begun.
func (l *line) answersSince(operations []*operation) (found []given) {
	for _, g := range l.answers {
		if slices.ContainsFunc(operations, func(o *operation) bool { return g.at > o.at }) {
			found = append(found, g)
		}
	}
	return found
}

// estrange notes that two meshes met. The clock of either may go on: the times in the other's
// mappings may lie ahead by what the two differ.
func (c *Checker) estrange() {
	c.table.odd = true
	for _, s := range c.users {
		for _, x := range s.lines {
			x.strange = true
		}
	}
}

// allGone reports whether every line of the user may have expired or been forgotten.
func (c *Checker) allGone(s *userState, t time.Duration) bool {
	return !slices.ContainsFunc(s.lines, func(x *line) bool {
		return !c.perhapsDead(x, t) && c.freedBy(s, x, t) == nil
	})
}

// moveAcknowledged makes the move's backend the user's only line: from now on every director holds
// the user or knows the move.
func (c *Checker) moveAcknowledged(o *operation) {
	s := c.user(o.op.User)
	if s.used[o] {
		return
	}
	for _, other := range c.operations {
		concerns := other.op.Kind == OpMove && other.op.User == s.user ||
			other.moves(s.user) ||
			other.op.Kind == OpForget || other.op.Kind == OpRemove ||
			other.op.Kind == OpAdd && other.op.Backend == o.op.Backend
		if other != o && concerns && other.at <= o.doneAt &&
			max(other.still, c.endOf(other)) >= o.at {
			return // which of the two came last is not known: the answers tell
		}
	}
	s.used[o] = true
	old := s.find(o.op.Backend)
	if old != nil && old.start >= o.at {
		return
	}
	x := c.lineBy(o)
	x.move = o
	var kept []*line
	switch {
	// where nothing was heard of the move another line goes on, and may win in the end
	case len(o.failed) > 0:
		kept = slices.DeleteFunc(slices.Clone(s.lines), func(y *line) bool { return y == old })
	case old != nil && len(s.lines) == 1:
		x.move = nil // the user was there already
	}
	s.changed(o.doneAt, o.op.Backend, causeMoved, c.troubled(o.doneAt))
	s.begin(x, kept)
	c.explainf(o.doneAt, "user %v: %v is acknowledged", s.user, o.op)
}

// lineBy is the line that an acknowledged operation makes. If its director belongs to a mesh that
// joins another, nothing is known of its end.
func (c *Checker) lineBy(o *operation) *line {
	x := &line{
		backend: o.op.Backend, start: o.at, last: o.doneAt, proven: o.doneAt,
		recorded: o.at, earlier: o.at, renewed: never, made: causeMoved,
		answers: []given{c.givenBy(o)},
	}
	if o.stranger {
		x.proven, x.recorded = never, never
	}
	return x
}

func (c *Checker) givenBy(o *operation) given {
	return given{at: o.at, director: o.director, life: o.life, sure: true}
}

// endOf is when moves and flushes end; other operations end with their acknowledgement.
func (c *Checker) endOf(o *operation) time.Duration {
	switch o.op.Kind {
	case OpFlush, OpDrain, OpRebalance, OpPin:
		return o.ended
	case OpMove:
		return min(o.ended, o.at+moveLimit)
	}
	return never
}

// closeFreed drops the lines whose mappings an acknowledged operation has dropped. Where a new
// mapping may have been made while it was under way, or shortly before, the next answer tells.
func (c *Checker) closeFreed(o *operation) {
	if o.still == forever || o.op.Kind != OpForget && o.op.Kind != OpRemove {
		return
	}
	for _, u := range c.userOrder {
		s := c.users[u]
		before := len(s.lines)
		s.lines = slices.DeleteFunc(s.lines, func(x *line) bool {
			if !o.frees(x.backend) || x.start > o.still {
				return false
			}
			// By a clock that is behind it spares what others mapped shortly before it began, or
			// while its director stood still (guarantees.md, G2), or in so much of a split as
			// clocks came apart.
			begun := o.at - clockSlack - o.behind - (o.unseen - unseenMargin)
			if x.start < begun && x.renewed < begun && o.everywhere != forever &&
				!o.stranger && // one of another mesh drops the mappings of that mesh
				!x.foreign() && // and what that has comes with it
				(o.op.Kind != OpForget || c.table.surelyThere(x.backend, o.at, o.doneAt)) {
				return true
			}
			x.loose = true
			return false
		})
		if len(s.lines) < before {
			c.explainf(o.doneAt, "user %v: after %v, %s", u, o.op, c.describe(s))
			for _, x := range s.lines {
				x.loose, x.spared = true, true
			}
		}
	}
}
