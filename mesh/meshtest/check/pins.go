package check

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Pins are what a director's table says of users who were pinned, by user.
type Pins map[User]Pin

// Pin is one of them. Register has all that the table keeps, as in Row.
type Pin struct {
	Backend  netip.Addr // zero: not pinned any more
	Register string
}

// pin is what is known of the pin of a user: every value that it was ever given.
type pin struct {
	writes []write // their values are those of table.pinValue
}

// pinValue is a backend as the value of a write; 0 is none.
func (t *table) pinValue(backend netip.Addr) int {
	if !backend.IsValid() {
		return 0
	}
	i := slices.Index(t.pinnedTo, backend)
	if i < 0 {
		i = len(t.pinnedTo)
		t.pinnedTo = append(t.pinnedTo, backend)
	}
	return i + 1
}

// orderPin notes that an operation may pin a user, or unpin with the zero backend.
func (t *table) orderPin(o *operation, u User, backend netip.Addr) {
	p := t.pins[u]
	if p == nil {
		p = &pin{writes: []write{{}}} // at first nobody is pinned
		t.pins[u] = p
	}
	p.writes = append(p.writes, write{op: o, value: t.pinValue(backend)})
}

// possiblePins is every value that a user's pin may have had at some director of a scope at some
// time from since to until; nil for one who was never pinned.
func (t *table) possiblePins(u User, since, until time.Duration, who scope) []int {
	p := t.pins[u]
	if p == nil {
		return nil
	}
	return t.possibleOf(p.writes, since, until, who)
}

// placesByPin is every backend that a user may have been pinned to while that counted, and whether
// the user may have gone by hash. A pin to a backend that takes no users does not count.
func (t *table) placesByPin(
	u User, since, until time.Duration, who scope,
) (found []netip.Addr, hashed bool) {
	values := t.possiblePins(u, since, until, who)
	if values == nil {
		return nil, true
	}
	for _, value := range values {
		if value == 0 {
			hashed = true
			continue
		}
		addr := t.pinnedTo[value-1]
		b := t.find(addr)
		if b == nil || b.tag != u.Tag {
			hashed = true
			continue
		}
		counts := b.pointCounts(since, until, who)
		hashed = hashed || slices.Contains(counts, 0) || len(counts) == 0 ||
			slices.Contains(b.possible(regStandby, since, until, who), 1)
		if slices.ContainsFunc(counts, func(n int) bool { return n > 0 }) {
			found = append(found, addr)
		}
	}
	return found, hashed
}

// judgePins compares the pins of a director of a scope with what they may be now.
func (t *table) judgePins(has Pins, now time.Duration, who scope) (problems []string) {
	for u := range t.pins {
		possible := t.possiblePins(u, now, now, who)
		if !slices.Contains(possible, t.pinValue(has[u].Backend)) {
			problems = append(problems, fmt.Sprintf("user %v is pinned to %s, expected %s",
				u, name(has[u].Backend), t.pinNames(possible)))
		}
	}
	for u, p := range has {
		if p.Backend.IsValid() && t.pins[u] == nil {
			problems = append(problems, fmt.Sprintf("user %v was never pinned", u))
		}
	}
	slices.Sort(problems)
	return problems
}

func (t *table) pinNames(values []int) []string {
	var names []string
	for _, value := range values {
		addr := netip.Addr{}
		if value > 0 {
			addr = t.pinnedTo[value-1]
		}
		names = append(names, name(addr))
	}
	return names
}

// judgePinApplied is G5 for a pin: a director that is not named as failed has applied it.
func (c *Checker) judgePinApplied(o *operation, director string, has Pins, t time.Duration) {
	p := c.table.pins[o.op.User]
	if o.op.Kind != OpPin && o.op.Kind != OpUnpin || p == nil {
		return
	}
	if backend := has[o.op.User].Backend; !allowed(p.writes, o, c.table.pinValue(backend)) {
		c.breach(t, "G5", o.op.User, "%v at %s is acknowledged, but at %s the pin is to %s",
			o.op, c.contacts.directors[o.director].name, director, name(backend))
	}
}

// judgePinned demands that in the end a user who is pinned is not mapped elsewhere, after a time
// without other changes.
func (c *Checker) judgePinned(t time.Duration, s State) {
	since := t - drainedWithin
	if c.contacts.calmFor(t) < drainedWithin {
		return
	}
	for _, m := range s.Mappings {
		found, hashed := c.table.placesByPin(m.User, since, t, everyone)
		late := slices.ContainsFunc(c.operations, func(o *operation) bool {
			moved := o.op.Kind == OpMove || o.op.Kind == OpImport
			return moved && o.op.User == m.User && o.at > since
		})
		if !hashed && !late && m.Backend.IsValid() && !slices.Contains(found, m.Backend) {
			c.breach(t, "pin", m.User, "is on %v, and pinned to %v", m.Backend, found)
		}
	}
}

func pinDifferences(a, b Pins) (texts []string) {
	for u, p := range a {
		if other := b[u]; p != other {
			texts = append(texts,
				fmt.Sprintf("pin of %v: %s and %s", u, p.Register, other.Register))
		}
	}
	for u := range b {
		if _, ok := a[u]; !ok {
			texts = append(texts, fmt.Sprintf("the pin of %v is known to one only", u))
		}
	}
	slices.Sort(texts)
	return texts
}
