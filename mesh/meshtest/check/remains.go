package check

import (
	"net/netip"
	"slices"
	"time"
)

// remains are what may be left of a mesh that has come to its end: rows at a director that lives
// on. It had received them, and was not admitted yet.
type remains struct {
	of *Checker
	at time.Duration // the mesh came to its end
}

// Follows reports to the checker that another one has judged a mesh which ended at a time, and that
// a director lives on which wanted to join it. What that has of users' mappings may count in this
// mesh. It must be called before the first event.
func (c *Checker) Follows(before *Checker, ended time.Duration) {
	c.remains = remains{of: before, at: ended}
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
// drained, and to where they are pinned, by any director. The first start of a director does it.
func (c *Checker) goOn(t time.Duration, director string) {
	if c.goesOn {
		return
	}
	c.goesOn = true
	i := c.contacts.of(director)
	add := func(op Op) {
		c.operations = append(c.operations, &operation{
			at: t, director: i, life: c.contacts.directors[i].life, rough: true, away: true,
			op: op, everywhere: forever, still: forever, ended: forever, done: true, doneAt: t,
		})
	}
	for _, b := range c.rules.Backends {
		if b.Drained {
			add(Op{Kind: OpDrain, Backend: b.Addr})
		}
	}
	for u, p := range c.rules.Pins {
		if p.Backend.IsValid() {
			add(Op{Kind: OpPin, User: u, Backend: p.Backend})
		}
	}
}
