package session

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"directormesh/ring"
)

const (
	// LoginTime is how long a login that was answered may be on its way to the backend: Dovecot's
	// login_proxy_timeout.
	LoginTime = 30 * time.Second
	// ListAge is how old a list of sessions may be that, together with the logins remembered here,
	// tells of all sessions: a list of a million takes seconds, so it must be more than that.
	ListAge = 8 * time.Second
	// rememberTime makes it so: a session that came after such a list was asked for began with a
	// login since.
	rememberTime = LoginTime + ListAge
	// maxLogins bounds each of the two halves of what is remembered: 26,000 logins of different
	// users a second.
	maxLogins = 1_000_000
	// tidyEvery is how often what is too old is looked for.
	tidyEvery = 5 * time.Second
	// maxNames bounds the login names and backends of one hash; with "%Ld" whole domains share one.
	maxNames = 100
)

// Logins remembers for LoginTime and ListAge which logins were answered, because Dovecot does not
// list all of them yet. It forgets early, and says so, when there are too many. Run gives the
// memory of a burst back. It is safe for concurrent use.
type Logins struct {
	now func() time.Time
	// by the lower bits of the hash, so that lookups seldom wait for each other
	shards [loginShards]loginShard
}

// loginShards divides maxLogins.
const loginShards = 1 << shardBits

type loginShard struct {
	mu       sync.Mutex // guards what follows
	since    time.Time  // beginning of current
	current  *loginHalf
	previous *loginHalf
	lost     time.Time // until then some that still count have been forgotten
}

// NewLogins returns an empty memory. It knows that it does not know the logins before, which a
// director that has just died may have answered. now is a clock.
func NewLogins(now func() time.Time) *Logins {
	l := &Logins{now: now}
	at := now()
	for i := range l.shards {
		l.shards[i].since, l.shards[i].lost = at, at.Add(rememberTime)
		l.shards[i].current, l.shards[i].previous = newLoginHalf(), newLoginHalf()
	}
	return l
}

func (l *Logins) shard(h ring.UserHash) *loginShard { return &l.shards[h%loginShards] }

// Answered records that the user with this login name got a backend. It keeps nothing of the
// name's bytes, and does not allocate if it knows the login already.
func (l *Logins) Answered(h ring.UserHash, user []byte, backend netip.Addr) {
	now := l.now()
	s := l.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	if s.current.full(user) {
		if s.previous.count > 0 {
			s.lost = later(s.lost, s.since.Add(rememberTime))
		}
		s.begin(now)
	}
	if !s.current.add(h, user, backend) {
		s.lost = now.Add(rememberTime)
	}
}

// Recent returns the login names under which a user may be on the way to one of the backends that
// count. complete is false if there may be others.
func (l *Logins) Recent(
	h ring.UserHash, counts func(backend netip.Addr) bool,
) (users []string, complete bool) {
	now := l.now()
	s := l.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	for _, half := range []*loginHalf{s.current, s.previous} {
		for login := range half.of(half.key(h)) {
			user := string(login.local) + login.suffix
			if counts(half.addrs[login.backend]) && !slices.Contains(users, user) {
				users = append(users, user)
			}
		}
	}
	return users, !now.Before(s.lost)
}

// Run gives back the memory of logins that are too old, until ctx ends. Lookups forget by
// themselves, but not after the last one.
func (l *Logins) Run(ctx context.Context) {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.tidy()
		case <-ctx.Done():
			return
		}
	}
}

// tidy forgets what is too old. A half that is empty, and was so the last time, gives its memory
// back; in one that has been emptied just now there will soon be more logins.
func (l *Logins) tidy() {
	for i := range l.shards {
		s := &l.shards[i]
		now := l.now()
		s.mu.Lock()
		for _, half := range []*loginHalf{s.current, s.previous} {
			if half.count == 0 {
				half.clear()
			}
		}
		s.turn(now)
		s.mu.Unlock()
	}
}

// turn begins a new half when the current one has lasted long enough. mu must be locked.
func (s *loginShard) turn(now time.Time) {
	age := now.Sub(s.since)
	if age >= rememberTime {
		s.begin(now)
	}
	if age >= 2*rememberTime {
		s.previous.clear()
	}
}

// begin begins a new half after this one, in the memory of the one before. mu must be locked.
func (s *loginShard) begin(now time.Time) {
	s.previous, s.current, s.since = s.current, s.previous, now
	s.current.clear()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
