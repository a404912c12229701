package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// All times are since the start of the run.

// Limits are how long things may take. The zero value has none.
type Limits struct {
	Expire time.Duration // of users
	// Reach is within what an answer is known to all directors that are in touch and work.
	Reach time.Duration
	// Settle is within what directors agree again after they were apart.
	Settle time.Duration
	// Act is for how long after a command its users may still change.
	Act time.Duration
	// Wait bounds each lookup.
	Wait time.Duration
	// Kept is within what an answer is on the disks.
	Kept time.Duration
}

// DefaultLimits are those of the mesh, with room for a busy machine.
func DefaultLimits(expire time.Duration) Limits {
	return Limits{
		Expire: expire, Reach: 4 * time.Second, Settle: 25 * time.Second, Act: 35 * time.Second,
		Wait: 32 * time.Second, Kept: 3 * time.Second,
	}
}

// Answer is one lookup as a proxy has seen it.
type Answer struct {
	User            string
	Backend         string // "": it failed
	Error           string
	Director        int
	Asked, Answered time.Duration
}

// Op is what a command does.
type Op string

// The commands. The value of an update is the vhost count.
const (
	Update Op = "update"
	Up     Op = "up"
	Down   Op = "down"
	Move   Op = "move"
	Flush  Op = "flush"
	Forget Op = "forget"
)

// Command is one as its operator has seen it.
type Command struct {
	Op            Op
	User, Backend string // of whom and to where, or of all on it
	Value         string
	OK            bool // acknowledged; else it may hold or not
	Lossy         bool // acknowledged with the word that no disk has it
	Begun, Ended  time.Duration
}

// span is when something was so.
type span struct{ from, to time.Duration }

func (s span) meets(from, to time.Duration) bool { return s.from <= to && s.to >= from }

// trouble is what happened to one director.
type trouble struct {
	down  []span // until it was synced again
	hung  []span
	apart []span // from some other director, or with losses between
}

// Breach is a promise that was not kept.
type Breach struct {
	At    time.Duration
	Rule  string
	Text  string
	Users []string
}

func (b Breach) String() string {
	return fmt.Sprintf("%7.2fs %s: %s", b.At.Seconds(), b.Rule, b.Text)
}

// Judge judges a run. It is for one goroutine.
type Judge struct {
	limits   Limits
	names    []string
	disks    bool
	troubles []trouble
	wiped    []time.Duration // when all data directories were emptied with all directors dead
	commands []Command
	pending  []Answer
	users    map[string]*userClaims
	Counts   Counts
}

// Counts say how much there was to judge.
type Counts struct {
	Answers, Failed, Compared, Excused, Moved int
}

// NewJudge begins to judge directors of these names. Disks says that they have data directories.
func NewJudge(limits Limits, names []string, disks bool) *Judge {
	return &Judge{
		limits: limits, names: names, disks: disks, troubles: make([]trouble, len(names)),
		users: make(map[string]*userClaims),
	}
}

// Down says that a director was dead, or on its way back, from one moment to another.
func (j *Judge) Down(director int, from, to time.Duration) {
	t := &j.troubles[director]
	t.down = append(t.down, span{from, to})
}

// Hung says that a director stood still.
func (j *Judge) Hung(director int, from, to time.Duration) {
	t := &j.troubles[director]
	t.hung = append(t.hung, span{from, to})
}

// Apart says that a director was not in touch with all others, or lost packets.
func (j *Judge) Apart(director int, from, to time.Duration) {
	t := &j.troubles[director]
	t.apart = append(t.apart, span{from, to})
}

// Wiped says that all directors were dead at a moment and have lost their data directories.
func (j *Judge) Wiped(at time.Duration) { j.wiped = append(j.wiped, at) }

// Command takes a command that has ended.
func (j *Judge) Command(c Command) { j.commands = append(j.commands, c) }

// Commands is how many there were.
func (j *Judge) Commands() int { return len(j.commands) }

// Answer takes an answer.
func (j *Judge) Answer(a Answer) { j.pending = append(j.pending, a) }

// Look judges all answers that were given so far. What is said of faults and commands of before
// must have been said.
func (j *Judge) Look() (breaches []Breach) {
	slices.SortStableFunc(j.pending, func(a, b Answer) int {
		return cmp.Compare(a.Answered, b.Answered)
	})
	for _, a := range j.pending {
		j.Counts.Answers++
		if took := a.Answered - a.Asked; took > j.limits.Wait && !j.stoodStill(a) {
			breaches = append(breaches, Breach{a.Answered, "G4", fmt.Sprintf(
				"%s at %s took %v", a.User, j.names[a.Director], took), []string{a.User}})
		}
		if a.Backend == "" {
			j.Counts.Failed++
			if j.calm(a.Asked-j.limits.Act, a.Answered) {
				breaches = append(breaches, Breach{a.Answered, "G4", fmt.Sprintf(
					"%s failed at %s, although nothing was wrong: %s", a.User, j.names[a.Director],
					a.Error), []string{a.User}})
			}
			continue
		}
		if t := &j.troubles[a.Director]; lastIn(t.hung, a.Asked, a.Answered) != nil {
			// It may have been decided before its director was stopped, and come out of that only
			// when it went on: it tells of no moment since.
			j.Counts.Excused++
			continue
		}
		if b := j.judge(a); b != nil {
			breaches = append(breaches, *b)
		}
	}
	j.pending = j.pending[:0]
	return breaches
}

// judge judges one answer by the claims on its user.
func (j *Judge) judge(a Answer) (breach *Breach) {
	u := j.users[a.User]
	if u == nil {
		u = &userClaims{}
		j.users[a.User] = u
	}
	var mine *claim
	var left []*claim
	for _, c := range u.claims {
		switch {
		case c.backend == a.Backend:
			mine = c
			left = append(left, c)
		case a.Asked > j.prolonged(c)+j.limits.Expire:
			// it may have ended by itself
		case j.movedSince(c, a):
			j.Counts.Moved++
		case j.known(c, a):
			// Its director knew of both. Which of them holds is for the mesh to say, but from now
			// on it is this one only.
			j.Counts.Compared++
			if mineBefore := claimOf(u.claims, a.Backend); mineBefore == nil ||
				j.settled(mineBefore, c, a) {
				breach = &Breach{a.Answered, "G2", fmt.Sprintf(
					"%s: %s by %s, before %s by %s, and since %.2fs", a.User, a.Backend,
					j.names[a.Director], c.backend, j.lastBy(c), c.first.Seconds()),
					[]string{a.User}}
			}
		default:
			j.Counts.Excused++
			left = append(left, c)
		}
	}
	if mine == nil {
		mine = &claim{backend: a.Backend, first: a.Asked, by: make(map[int]span)}
		left = append(left, mine)
	}
	mine.add(a, j.limits.Expire)
	u.claims = left
	return breach
}

// movedSince reports whether commands may have given the user another backend since a claim.
func (j *Judge) movedSince(c *claim, a Answer) bool {
	since := func(x Command, until time.Duration) bool {
		return x.Begun <= a.Answered && until >= c.last()
	}
	on := []string{c.backend} // where the user may have been, with a login or without one
	for _, x := range j.commands {
		if x.Op == Move && x.User == a.User && since(x, x.Ended+j.limits.Act) {
			on = append(on, x.Backend)
		}
	}
	if slices.Contains(on, a.Backend) {
		return true
	}
	return slices.ContainsFunc(j.commands, func(x Command) bool {
		until := x.Ended + j.limits.Act
		switch x.Op {
		case Flush, Forget:
			if x.Backend != "" && !slices.Contains(on, x.Backend) {
				return false
			}
		case Down:
			if !slices.Contains(on, x.Backend) {
				return false
			}
			until = j.upAgain(x) + j.limits.Expire // its users are not prolonged meanwhile
		default:
			return false
		}
		return since(x, until)
	})
}

// upAgain is when a backend that was taken down was up again.
func (j *Judge) upAgain(down Command) time.Duration {
	for _, x := range j.commands {
		if x.Op == Up && x.Backend == down.Backend && x.Begun >= down.Begun && x.OK {
			return x.Ended
		}
	}
	return 1 << 60
}

// known reports whether the director of an answer must have known of a claim when it answered: any
// of those who made it must have told it.
func (j *Judge) known(c *claim, a Answer) bool {
	for d, s := range c.by {
		if j.told(d, s.from, a) || j.told(d, s.to, a) {
			return true
		}
	}
	return false
}

// told reports whether what director d answered at a moment is known to the one of an answer.
func (j *Judge) told(d int, at time.Duration, a Answer) bool {
	const before = 2 * time.Second
	e := a.Director
	for _, wiped := range j.wiped {
		if wiped >= at-j.limits.Reach && wiped <= a.Answered {
			return false
		}
	}
	if d != e {
		from, to := at-before, at+j.limits.Reach
		mine := &j.troubles[d]
		if lastIn(mine.down, from, to) != nil {
			return false // it may have taken it with it
		}
		if j.unsettled(mine.hung, from, to, a) || j.unsettled(mine.apart, from, to, a) {
			return false // until all have agreed again
		}
	}
	if j.unsettled(j.troubles[e].apart, at-before, a.Answered, a) {
		return false
	}
	down := lastIn(j.troubles[e].down, at-before, a.Answered)
	switch {
	case down == nil:
		return true
	case a.Asked <= down.to:
		return d == e && a.Answered < down.from
	}
	// It came back since: it knows what those know that were there all the time, or the disks.
	for f := range j.names {
		if f != e && j.fine(f, at-before, down.to) {
			return true
		}
	}
	return j.disks && at+j.limits.Kept < j.firstDown(at)
}

// unsettled reports whether one of these spans was in a time, and ended so late that its directors
// may not have agreed when an answer was asked for.
func (j *Judge) unsettled(spans []span, from, to time.Duration, a Answer) bool {
	return slices.ContainsFunc(spans, func(s span) bool {
		return s.meets(from, to) && s.to+j.limits.Settle > a.Asked
	})
}

// fine reports whether nothing was wrong with a director for a time.
func (j *Judge) fine(d int, from, to time.Duration) bool {
	t := &j.troubles[d]
	return lastIn(t.down, from, to) == nil && lastIn(t.hung, from, to) == nil &&
		lastIn(t.apart, from, to) == nil
}

// firstDown is when the first director went down after a moment.
func (j *Judge) firstDown(at time.Duration) time.Duration {
	first := time.Duration(1 << 62)
	for _, t := range j.troubles {
		for _, s := range t.down {
			if s.to > at {
				first = min(first, s.from)
			}
		}
	}
	return first
}

func lastIn(spans []span, from, to time.Duration) (last *span) {
	for i, s := range spans {
		if s.meets(from, to) {
			last = &spans[i]
		}
	}
	return last
}

// calm reports whether nothing was wrong with any director for a time.
func (j *Judge) calm(from, to time.Duration) bool {
	for d := range j.troubles {
		if !j.fine(d, from, to) {
			return false
		}
	}
	return true
}

// stoodStill reports whether the director of an answer was stopped meanwhile.
func (j *Judge) stoodStill(a Answer) bool {
	t := &j.troubles[a.Director]
	return lastIn(t.hung, a.Asked, a.Answered) != nil || lastIn(t.down, a.Asked, a.Answered) != nil
}
