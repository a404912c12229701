package replica

import (
	"net/netip"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Refresh records that a user has a live session, as its proxy reports from time to time. It never
// makes a mapping, and does nothing that a login would have to wait for; but unlike a login it
// prolongs a mapping on a backend that is down, because the session is there. It is safe for
// concurrent use.
func (c *Core) Refresh(now mono.Time, tag ring.Tag, h ring.UserHash) {
	c.lookups.Refresh(now, ring.User{Tag: tag, Hash: h})
}

// Adopt is Refresh for a session whose backend is known: a user without a mapping is mapped there,
// whatever the ring says. So a director that lost its mappings learns them again from the sessions.
// Where the ring says the same, that is what any login would do. Elsewhere the user is moved:
// another director may be answering a login by the ring at this moment. It is safe for concurrent
// use.
func (c *Core) Adopt(now mono.Time, tag ring.Tag, h ring.UserHash, backend netip.Addr) {
	if u := (ring.User{Tag: tag, Hash: h}); c.lookups.Adopt(now, u, backend) {
		c.adoptions.Add(u, backend)
	}
}

// adopt moves users to where their sessions are, as many at a time as a flush does at most.
func (c *Core) adopt(now mono.Time) {
	if !c.synced() {
		return
	}
	users, backends := c.adoptions.Take(maxParallel - c.moves.Len())
	for _, u := range users {
		m, status := c.dir.Find(u.Tag, u.Hash, c.clock.At(now))
		if c.moves.Held.Has(u) || c.moves.Get(u) != nil ||
			status == directory.Live && m.Backend.IsValid() {
			continue // it is mapped by now
		}
		row, ok := c.table.Row(backends[u])
		if ok && row.Presence.Value.Present && row.Presence.Value.Tag == u.Tag {
			c.startMove(now, &moves.Move{User: u, Cause: wire.CauseSession}, backends[u])
		}
	}
}
