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
	now    func() time.Time
	shards [loginShards]loginShard // by the lower bits of the hash, so that lookups seldom wait for each other
}

// loginShards divides maxLogins.
const loginShards = 64

type loginShard struct {
	mu       sync.Mutex // guards what follows
	since    time.Time  // beginning of current
	current  map[ring.UserHash]logins
	previous map[ring.UserHash]logins
	count    int       // of logins in current
	lost     time.Time // until then some that still count have been forgotten
}

// logins are those of one hash: nearly always one, which costs no slice.
type logins struct {
	first login
	more  []login
}

// login is a login name and where it was sent.
type login struct {
	user    string
	backend netip.Addr
}

// NewLogins returns an empty memory. It knows that it does not know the logins before, which a director that has just died
// may have answered. now is a clock.
func NewLogins(now func() time.Time) *Logins {
	l := &Logins{now: now}
	at := now()
	for i := range l.shards {
		s := &l.shards[i]
		s.begin(at, nil)
		s.lost = at.Add(LoginTime)
	}
	return l
}

func (l *Logins) shard(h ring.UserHash) *loginShard { return &l.shards[h%loginShards] }

// Answered records that the user with this login name was told a backend. It keeps nothing of the name's bytes, and does not allocate
// if it knows the login already.
func (l *Logins) Answered(h ring.UserHash, user []byte, backend netip.Addr) {
	now := l.now()
	s := l.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	if s.count >= maxLogins/loginShards {
		if len(s.previous) > 0 {
			s.lost = later(s.lost, s.since.Add(LoginTime))
		}
		s.begin(now, s.current)
	}
	known := s.current[h]
	switch {
	case known.has(user, backend):
		return
	case known.first.user == "":
		known.first = login{string(user), backend}
	case len(known.more) == maxNames-1:
		s.lost = now.Add(LoginTime)
		return
	default:
		known.more = append(known.more, login{string(user), backend})
	}
	s.current[h] = known
	s.count++
}

// has reports whether a login is among them.
func (l *logins) has(user []byte, backend netip.Addr) bool {
	if l.first.is(user, backend) {
		return true
	}
	for i := range l.more {
		if l.more[i].is(user, backend) {
			return true
		}
	}
	return false
}

func (l *login) is(user []byte, backend netip.Addr) bool {
	return l.user == string(user) && l.backend == backend
}

// Recent returns the login names under which a user may be on the way to one of the backends that count. complete is false if
// there may be others.
func (l *Logins) Recent(h ring.UserHash, counts func(backend netip.Addr) bool) (users []string, complete bool) {
	now := l.now()
	s := l.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	note := func(l login) {
		if l.user != "" && counts(l.backend) && !slices.Contains(users, l.user) {
			users = append(users, l.user)
		}
	}
	for _, of := range []logins{s.current[h], s.previous[h]} {
		note(of.first)
		for _, login := range of.more {
			note(login)
		}
	}
	return users, !now.Before(s.lost)
}

// turn begins a new half when the current one has lasted long enough. mu must be held.
func (s *loginShard) turn(now time.Time) {
	age := now.Sub(s.since)
	switch {
	case age >= 2*LoginTime:
		s.begin(now, nil)
	case age >= LoginTime:
		s.begin(now, s.current)
	}
}

// begin begins a new half after this one. mu must be held.
func (s *loginShard) begin(now time.Time, previous map[ring.UserHash]logins) {
	s.previous, s.current, s.count, s.since = previous, make(map[ring.UserHash]logins), 0, now
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
