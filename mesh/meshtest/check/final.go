package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// final judges what all hold at the end.
func (c *Checker) final(e Final) {
	t := e.When()
	names := make([]string, 0, len(e.Directors))
	for name := range e.Directors {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return
	}
	for _, d := range c.contacts.directors {
		if d.alive && !d.settled {
			c.breach(t, "G1", User{},
				"%s has had no calm since %v: the run must end quietly to be judged",
				d.name, d.unsettled)
			return
		}
	}
	first := e.Directors[names[0]]
	for _, name := range names[1:] {
		other := e.Directors[name]
		for _, text := range tableDifferences(first.Table, other.Table) {
			c.breach(t, "G1", User{}, "%s and %s differ: %s", names[0], name, text)
		}
		for _, text := range pinDifferences(first.Pins, other.Pins) {
			c.breach(t, "G1", User{}, "%s and %s differ: %s", names[0], name, text)
		}
		c.compareMappings(t, names[0], name, first.Mappings, other.Mappings)
	}
	for _, text := range c.table.judge(first.Table, t, everyone) {
		c.breach(t, "G6", User{}, "%s holds what was not ordered last: %s", names[0], text)
	}
	for _, text := range c.table.judgePins(first.Pins, t, everyone) {
		c.breach(t, "G6", User{}, "%s holds what was not ordered last: %s", names[0], text)
	}
	c.judgeDrains(t, first)
	c.judgeStartsEnd(t, first)
	c.judgePinned(t, first)
	last := make(map[User]netip.Addr)
	for _, m := range first.Mappings {
		last[m.User] = m.Backend
	}
	for _, u := range c.userOrder {
		s := c.users[u]
		c.judgeKept(t, s, last[u])
		c.judgeKicks(t, s, last[u])
	}
}

// drainedWithin is by when a drain or rebalance without a time has moved all users of a run, in
// peace: each waits for kickers that are slow, once more if its director goes, and is found again.
const drainedWithin = 50 * time.Second

// judgeDrains demands that drains and rebalances forget nobody: in the end no user is left on a
// backend that is drained if there was another place, and no rebalance goes on, unless it waits for
// a usable backend.
func (c *Checker) judgeDrains(t time.Duration, s State) {
	since := t - drainedWithin
	if c.contacts.calmFor(t) < drainedWithin {
		return
	}
	for _, o := range c.operations {
		if o.op.Kind == OpRebalance && o.at+o.op.Over > since {
			return
		}
		if o.op.Kind == OpDrain && o.at+o.op.Over > since {
			return
		}
	}
	for addr, row := range s.Table {
		if row.Present && row.Rebalanced && !c.mayBeNowhere(User{Tag: row.Tag}, since, t) {
			c.breach(t, "drain", User{}, "%v is still being rebalanced", addr)
		}
	}
	for _, m := range s.Mappings {
		b := c.table.find(m.Backend)
		if b == nil || !s.Table[m.Backend].Drained ||
			slices.Contains(b.possible(regDrained, since, t, everyone), 0) {
			continue
		}
		late := slices.ContainsFunc(c.operations, func(o *operation) bool {
			return o.at > since // it may have moved the user there
		})
		if !late && !c.mayBeNowhere(m.User, since, t) {
			c.breach(t, "drain", m.User, "is still on %v, which is drained", m.Backend)
		}
	}
}

// judgeKept demands that a user who was answered within the expire window is still mapped there.
func (c *Checker) judgeKept(t time.Duration, s *userState, last netip.Addr) {
	if len(s.lines) != 1 || s.lines[0].loose || c.perhapsDead(s.lines[0], t) {
		return
	}
	x := s.lines[0]
	if c.lost(t, x) {
		return
	}
	moved := slices.ContainsFunc(c.operations, func(o *operation) bool {
		return c.concerns(o, s) && t <= c.endOf(o)+moveLimit
	})
	if moved || last == x.backend || c.freedBy(s, x, t) != nil || c.freedAfter(s, x, t, x.last) {
		return
	}
	c.breach(t, "G2", s.user,
		"%s and not expired, but in the end the mapping is to %s", c.describe(s), name(last))
}

// lost reports whether nobody who lives need know of a line: those who did may be gone.
func (c *Checker) lost(t time.Duration, x *line) bool {
	for i, d := range c.contacts.directors {
		if d.alive && !c.unknown(t, i, x) {
			return false
		}
	}
	return true
}

func tableDifferences(a, b Table) (texts []string) {
	for addr, row := range a {
		if other := b[addr]; row.Registers != other.Registers {
			texts = append(texts,
				fmt.Sprintf("%v: %s and %s", addr, row.Registers, other.Registers))
		}
	}
	for addr := range b {
		if _, ok := a[addr]; !ok {
			texts = append(texts, fmt.Sprintf("%v is known to one only", addr))
		}
	}
	slices.Sort(texts)
	return texts
}

// compareMappings demands that two directors hold the same mappings. One that is about to die may
// be dead already by the other's clock.
func (c *Checker) compareMappings(t time.Duration, nameA, nameB string, a, b []Mapping) {
	for len(a) > 0 || len(b) > 0 {
		order := 0
		switch {
		case len(a) == 0:
			order = 1
		case len(b) == 0:
			order = -1
		default:
			order = compareUsers(a[0].User, b[0].User)
		}
		switch {
		case order < 0:
			c.onlyOne(t, nameA, nameB, a[0])
			a = a[1:]
		case order > 0:
			c.onlyOne(t, nameB, nameA, b[0])
			b = b[1:]
		default:
			x, y := a[0], b[0]
			x.Ends, y.Ends = 0, 0
			if x != y {
				c.breach(t, "G1", x.User, "%s holds %v, %s holds %v", nameA, x, nameB, y)
			}
			a, b = a[1:], b[1:]
		}
	}
}

func (c *Checker) onlyOne(t time.Duration, has, lacks string, m Mapping) {
	if m.Ends > t+clockSlack {
		c.breach(t, "G1", m.User, "%s holds %v, %s does not", has, m, lacks)
	}
}

func (m Mapping) String() string {
	moving := ""
	if m.Moving {
		moving = " moving"
	}
	return fmt.Sprintf("%s (generation %d, stamp %d, activity %d%s)",
		name(m.Backend), m.Generation, m.Stamp, m.Activity, moving)
}

func compareUsers(a, b User) int {
	if a.Tag != b.Tag {
		return strings.Compare(a.Tag, b.Tag)
	}
	switch {
	case a.Hash < b.Hash:
		return -1
	case a.Hash > b.Hash:
		return 1
	}
	return 0
}

// describe names the lines that a user has.
func (c *Checker) describe(s *userState) string {
	if len(s.lines) == 0 {
		return "the user has no line"
	}
	var parts []string
	for _, x := range s.lines {
		text := fmt.Sprintf("%v answered from %v to %v", x.backend, x.start, x.last)
		if x.takenUp && len(x.answers) == 0 {
			text = fmt.Sprintf("all had %v at %v after their start, active until %v",
				x.backend, x.start, x.last)
		}
		if n := len(x.answers); n > 0 {
			text += fmt.Sprintf(" (last by %s)", c.contacts.directors[x.answers[n-1].director].name)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " and ")
}
