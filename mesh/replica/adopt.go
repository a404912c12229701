package replica

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/ring"
)

// adoptions are sessions on a backend that is not their user's place. Safe for concurrent use.
type adoptions struct {
	mu    sync.Mutex
	users map[ring.User]netip.Addr // at most maxAdoptions
}

// maxAdoptions is how many wait for their turn. What comes beyond is dropped: these users go where
// they hash.
const maxAdoptions = 1 << 20

func (a *adoptions) add(u ring.User, backend netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users == nil {
		a.users = make(map[ring.User]netip.Addr)
	}
	if len(a.users) < maxAdoptions {
		a.users[u] = backend
	}
}

// take removes up to n users and returns them in order.
func (a *adoptions) take(n int) (users []ring.User, backends map[ring.User]netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n <= 0 || len(a.users) == 0 {
		return nil, nil
	}
	backends = make(map[ring.User]netip.Addr)
	users = slices.SortedFunc(maps.Keys(a.users), ring.CompareUsers)
	users = users[:min(n, len(users))]
	for _, u := range users {
		backends[u] = a.users[u]
		delete(a.users, u)
	}
	return users, backends
}

// Adopt is Refresh for a session whose backend is known: a user without a mapping is mapped there,
// whatever the ring says. So a director that lost its mappings learns them again from the sessions.
// Where the ring says the same, that is what any login would do. Elsewhere the user is moved:
// another director may be answering a login by the ring at this moment. It is safe for concurrent
// use.
func (c *Core) Adopt(now time.Duration, tag ring.Tag, h ring.UserHash, backend netip.Addr) {
	v := c.view.Load()
	if !v.synced || c.overslept(now) {
		return
	}
	u, t := ring.User{Tag: tag, Hash: h}, c.clock.At(now)
	if m, status := c.dir.Find(tag, h, t); status == directory.Live && m.Backend.IsValid() {
		if m.Backend == backend {
			c.Refresh(now, tag, h)
		}
		return
	}
	if place, ok, agree := v.agreed(u); ok && agree && place == backend {
		c.assign(v, u, t)
		return
	}
	c.adoptions.add(u, backend)
}

// adopt moves users to where their sessions are, as many at a time as a flush does at most.
func (c *Core) adopt(now time.Duration) {
	if !c.synced() {
		return
	}
	users, backends := c.adoptions.take(maxParallel - c.moves.Len())
	for _, u := range users {
		_, held := c.held[u]
		m, status := c.dir.Find(u.Tag, u.Hash, c.clock.At(now))
		if held || c.moves.Get(u) != nil || status == directory.Live && m.Backend.IsValid() {
			continue // it has a place by now
		}
		if row, ok := c.table.Row(
			backends[u],
		); ok && row.Presence.Value.Present &&
			row.Presence.Value.Tag == u.Tag {
			c.startMove(now, &moves.Move{User: u}, backends[u])
		}
	}
}
