package check

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// remains are what may be left of a mesh that has come to its end: rows at a director that lives
// on. It had received them, and was not admitted yet.
type remains struct {
	of  *Checker
	at  time.Duration // the mesh came to its end
	ops []Op          // what directors may go on with, see [Checker.Inherits]
	// which they go on with from disk, see [Checker.Resumes]
	flushes []*operation
}

// Follows reports to the checker that another one has judged a mesh which ended at a time, and that
// a director lives on which wanted to join it. What that has of users' mappings may count in this
// mesh. It must be called before the first event.
func (c *Checker) Follows(before *Checker, ended time.Duration) {
	c.remains = remains{of: before, at: ended}
}

// Inherits reports to the checker of a mesh that [Checker.Follows] another one: a director that
// lives on may have received the table of that, or a part of it. It must be called before the first
// event.
func (c *Checker) Inherits() {
	before, at := c.remains.of, c.remains.at
	for _, b := range before.table.backends {
		x := c.table.find(b.addr)
		if x == nil {
			x = c.table.backend(b.addr)
			x.tag = b.tag
			x.writes[regPresent] = []write{{value: 0}}
		}
		for r := range registers {
			for _, value := range b.possible(r, at, at, everyone) {
				x.writes[r] = append(x.writes[r], write{value: value})
			}
		}
		x.rebalanced, x.started = x.rebalanced || b.rebalanced, x.started || b.started
		x.balanced, x.judged = x.balanced || b.balanced, x.judged || b.judged
		x.unnamed = x.unnamed || b.unnamed
		if slices.Contains(b.possible(regDrained, at, at, everyone), 1) {
			c.remains.ops = append(c.remains.ops, Op{Kind: OpDrain, Backend: b.addr})
		}
	}
	for _, u := range slices.SortedFunc(maps.Keys(before.table.pins), compareUsers) {
		p := c.table.pins[u]
		if p == nil {
			p = &pin{writes: []write{{}}}
			c.table.pins[u] = p
		}
		for _, value := range before.table.possiblePins(u, at, at, everyone) {
			if value == 0 {
				continue
			}
			backend := before.table.pinnedTo[value-1]
			p.writes = append(p.writes, write{value: c.table.pinValue(backend)})
			c.remains.ops = append(c.remains.ops, Op{Kind: OpPin, User: u, Backend: backend})
		}
	}
}

// Resumes reports to the checker of a mesh that [Checker.Follows] another one: all directors of
// that have gone on from their disks, with what the mesh knew at a time. These say which flushes
// had not ended by then. It must be called before the first event.
func (c *Checker) Resumes(kept time.Duration) {
	for _, o := range c.remains.of.operations {
		if o.op.Kind == OpFlush && o.ended > kept+spread { // see FlushEnded
			c.remains.flushes = append(c.remains.flushes, o)
		}
	}
}

// mayHaveRemains reports whether a mapping of a user, ending or being moved, may be left of an
// earlier mesh.
func (c *Checker) mayHaveRemains(t time.Duration, u User) bool {
	before := c.remains.of
	if before == nil || t-c.remains.at >= c.rules.Expire+c.rules.share()+clockSlack {
		return false
	}
	moved := slices.ContainsFunc(before.operations, func(o *operation) bool {
		return o.op.User == u
	})
	return moved || before.users[u] != nil || before.mayHaveRemains(t, u)
}

// mayRemain reports whether the mapping of a user to a backend may be left of an earlier mesh.
func (c *Checker) mayRemain(t time.Duration, u User, backend netip.Addr) bool {
	before := c.remains.of
	if before == nil || t-c.remains.at >= c.rules.Expire+c.rules.share()+clockSlack {
		return false
	}
	swept := slices.ContainsFunc(before.operations, func(o *operation) bool {
		return o.moves(u) && before.mayHash(u, o.at, min(c.remains.at, o.ended), backend)
	})
	return swept || before.mayRemain(t, u, backend) ||
		before.user(u).mayHaveBeenOn(backend, before.operations)
}

// goOn begins what the mesh goes on with that its rules say: users are moved off backends that are
// drained, and to where they are pinned, by any director, and flushes go on. The first start of a
// director does it.
func (c *Checker) goOn(t time.Duration, director string) {
	if c.goesOn {
		return
	}
	c.goesOn = true
	i := c.contacts.of(director)
	add := func(op Op) *operation {
		o := &operation{
			at: t, director: i, life: c.contacts.directors[i].life, rough: true, away: true,
			op: op, everywhere: forever, still: forever, ended: forever, done: true, doneAt: t,
		}
		c.operations = append(c.operations, o)
		return o
	}
	for _, before := range c.remains.flushes {
		o := add(before.op)
		o.id = before.id
		c.operationByID[o.id] = o // its end will be reported
	}
	for _, b := range c.rules.Backends {
		if b.Drained {
			add(Op{Kind: OpDrain, Backend: b.Addr})
		}
	}
	for _, op := range c.remains.ops {
		add(op)
	}
	for u, p := range c.rules.Pins {
		if p.Backend.IsValid() {
			add(Op{Kind: OpPin, User: u, Backend: p.Backend})
		}
	}
}
