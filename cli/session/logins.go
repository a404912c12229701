package session

import (
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
	// maxNames bounds the login names of one hash; with "%Ld" whole domains share one.
	maxNames = 100
)

// Logins remembers for LoginTime which logins were answered, because Dovecot does not list all of them yet. It forgets early,
// and says so, when there are too many. It is safe for concurrent use.
type Logins struct {
	now func() time.Time

	mu       sync.Mutex
	since    time.Time // beginning of current
	current  map[ring.UserHash][]string
	previous map[ring.UserHash][]string
	count    int       // of names in current
	lost     time.Time // until then some that still count have been forgotten
}

// NewLogins returns an empty memory. It knows that it does not know the logins before, which a director that has just died
// may have answered. now is a clock.
func NewLogins(now func() time.Time) *Logins {
	return &Logins{now: now, since: now(), current: make(map[ring.UserHash][]string), lost: now().Add(LoginTime)}
}

// Answered records that the user with this login name was told a backend.
func (l *Logins) Answered(h ring.UserHash, user string) {
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
	names := l.current[h]
	switch {
	case slices.Contains(names, user):
	case len(names) == maxNames:
		l.lost = now.Add(LoginTime)
	default:
		l.current[h] = append(names, user)
		l.count++
	}
}

// Recent returns the login names under which a user may be on the way to a backend. complete is false if there may be others.
func (l *Logins) Recent(h ring.UserHash) (users []string, complete bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.turn(now)
	users = slices.Clone(l.current[h])
	for _, user := range l.previous[h] {
		if !slices.Contains(users, user) {
			users = append(users, user)
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
func (l *Logins) begin(now time.Time, previous map[ring.UserHash][]string) {
	l.previous, l.current, l.count, l.since = previous, make(map[ring.UserHash][]string), 0, now
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
