package lookups

import (
	"maps"
	"net/netip"
	"slices"
	"sync"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/ring"
)

// Refresh records that a user has a live session. It never makes a mapping, and does nothing that a
// login would have to wait for; but unlike a login it prolongs a mapping on a backend that is down,
// because the session is there.
func (a *Answers) Refresh(now mono.Time, u ring.User) {
	v := a.view.Load()
	if !v.synced || Overslept(a.LastInput(), now) {
		return
	}
	t := a.clock.At(now)
	m, status := a.dir.Find(u.Tag, u.Hash, t)
	if status != directory.Live || m.Moving || !m.Backend.IsValid() ||
		t.Sub(m.Activity.Time()) <= a.dir.Share()/2 {
		return
	}
	if a.dir.Ends(m).Sub(t) <= directory.EndOfLife {
		if place, _, agree := v.agreed(u); !agree || place != m.Backend {
			return
		}
	}
	if recorded, ok := a.dir.Touch(u.Tag, m, t); ok {
		a.outbox.Push(u.Tag, recorded)
	}
}

// Adopt is Refresh for a session whose backend is known. A user without a mapping is mapped there
// if the ring says the same. True means that the ring says otherwise: the user is to be moved to
// its session.
func (a *Answers) Adopt(now mono.Time, u ring.User, backend netip.Addr) (move bool) {
	v := a.view.Load()
	if !v.synced || a.overslept(now) {
		return false
	}
	t := a.clock.At(now)
	m, status := a.dir.Find(u.Tag, u.Hash, t)
	if status == directory.Live && m.Backend.IsValid() {
		if m.Backend == backend {
			a.Refresh(now, u)
		}
		return false
	}
	if place, ok, agree := v.agreed(u); ok && agree && place == backend {
		a.assign(v, u, t, m, status)
		return false
	}
	return true
}

// maxAdoptions is how many wait for their turn. What comes beyond is dropped: these users go where
// they hash.
const maxAdoptions = 1 << 20

// Adoptions are sessions on a backend that is not their user's place. The zero value holds none.
type Adoptions struct {
	mu    sync.Mutex
	users map[ring.User]netip.Addr // guarded by mu; maxAdoptions at most
}

// Add notes a session on a backend.
func (a *Adoptions) Add(u ring.User, backend netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users == nil {
		a.users = make(map[ring.User]netip.Addr)
	}
	if len(a.users) < maxAdoptions {
		a.users[u] = backend
	}
}

// Take removes up to n users and returns them in order, with their backends.
func (a *Adoptions) Take(n int) (users []ring.User, backends map[ring.User]netip.Addr) {
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
