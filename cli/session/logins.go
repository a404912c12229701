package session

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"directormesh/ring"
)

const (
	// LoginTime is how long a login that was answered may be on its way to the backend: Dovecot's login_proxy_timeout.
	LoginTime = 30 * time.Second
	// maxLogins bounds each of the two halves of what is remembered.
	maxLogins = 200_000
	// maxNames bounds the login names and backends of one hash; with "%Ld" whole domains share one.
	maxNames = 100
)

// Logins remembers for LoginTime which logins were answered, because Dovecot does not list all of them yet. It forgets early,
// and says so, when there are too many. It is safe for concurrent use.
type Logins struct {
	now func() time.Time

	mu       sync.Mutex
	since    time.Time // beginning of current
	current  map[ring.UserHash][]login
	previous map[ring.UserHash][]login
	count    int       // of names in current
	lost     time.Time // until then some that still count have been forgotten
}

// login is a login name and where it was sent.
type login struct {
	user    string
	backend netip.Addr
}

// NewLogins returns an empty memory. It knows that it does not know the logins before, which a director that has just died
// may have answered. now is a clock.
func NewLogins(now func() time.Time) *Logins {
	return &Logins{now: now, since: now(), current: make(map[ring.UserHash][]login), lost: now().Add(LoginTime)}
}

// Answered records that the user with this login name was told a backend.
func (l *Logins) Answered(h ring.UserHash, user string, backend netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.turn(now)
	if l.count >= maxLogins {
		if len(l.previous) > 0 {
			l.lost = later(l.lost, l.since.Add(LoginTime))
		}
		l.begin(now, l.current)
	}
	logins, next := l.current[h], login{user, backend}
	switch {
	case slices.Contains(logins, next):
	case len(logins) == maxNames:
		l.lost = now.Add(LoginTime)
	default:
		l.current[h] = append(logins, next)
		l.count++
	}
}

// Recent returns the login names under which a user may be on the way to one of the backends that count. complete is false if
// there may be others.
func (l *Logins) Recent(h ring.UserHash, counts func(backend netip.Addr) bool) (users []string, complete bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.turn(now)
	for _, logins := range [][]login{l.current[h], l.previous[h]} {
		for _, login := range logins {
			if counts(login.backend) && !slices.Contains(users, login.user) {
				users = append(users, login.user)
			}
		}
	}
	return users, !now.Before(l.lost)
}

// turn begins a new half when the current one has lasted long enough.
func (l *Logins) turn(now time.Time) {
	age := now.Sub(l.since)
	switch {
	case age >= 2*LoginTime:
		l.begin(now, nil)
	case age >= LoginTime:
		l.begin(now, l.current)
	}
}

// begin begins a new half after this one.
func (l *Logins) begin(now time.Time, previous map[ring.UserHash][]login) {
	l.previous, l.current, l.count, l.since = previous, make(map[ring.UserHash][]login), 0, now
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
