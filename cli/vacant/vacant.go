// Package vacant waits until a backend says that it has no session of a user left. It asks for
// lists of all sessions, which all who wait for one backend share, and has the backend end what
// does not end by itself. When a user is moved, and what follows from an answer, is for others to
// say.
package vacant

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"directormesh/cli/dovecot"
	"directormesh/cli/session"
	"directormesh/ring"
)

const (
	// firstPause and longestPause are between two lists while sessions are left. Most end within
	// 20 ms of the end of the proxy's connection.
	firstPause   = 20 * time.Millisecond
	longestPause = 500 * time.Millisecond
	// kickTime bounds a kick: Dovecot 2.4 waits for sessions that hang.
	kickTime = time.Second
	// kicksAtATime bounds the kicks under way, at all backends together.
	kicksAtATime = 100
	// spared is for how long a backend that could not be asked is not asked again.
	spared = 5 * time.Second
	// reportEvery bounds how often it is told that a backend cannot be asked.
	reportEvery = time.Minute
)

// Asker asks backends; *dovecot.Doveadm is one.
type Asker interface {
	List(ctx context.Context, backend netip.Addr) ([]dovecot.Connection, error)
	Kick(ctx context.Context, backend netip.Addr, user string) error
}

// Backends are those that can be asked. It is safe for concurrent use.
type Backends struct {
	ask    Asker
	hash   func(login string) ring.UserHash
	report func(backend netip.Addr, err error) // that a backend cannot be asked, now and then
	kicks  chan struct{}

	mu    sync.Mutex
	known map[netip.Addr]*backend // guarded by mu; nil after Close
}

type backend struct {
	sessions *session.Source
	// guarded by Backends.mu
	failedAt   time.Time // when it last could not be asked; zero: it could
	reportedAt time.Time
}

// New returns backends that nobody has asked yet. hash is that of a login name; report is told when
// a backend cannot be asked, at most once a minute for each.
func New(
	ask Asker, hash func(login string) ring.UserHash, report func(backend netip.Addr, err error),
) *Backends {
	return &Backends{
		ask: ask, hash: hash, report: report, kicks: make(chan struct{}, kicksAtATime),
		known: make(map[netip.Addr]*backend),
	}
}

// Close ends the requests under way. Later ones fail.
func (b *Backends) Close() {
	b.mu.Lock()
	known := b.known
	b.known = nil
	b.mu.Unlock()
	for _, one := range known {
		one.sessions.Close()
	}
}

// Wait returns true when a backend has said that it has no session of the user left. False means
// that it is not known: at once for a backend that could not be asked a moment ago, when it has not
// answered within a time, or when ctx has ended while sessions were left.
func (b *Backends) Wait(
	ctx context.Context, addr netip.Addr, user ring.UserHash, within time.Duration,
) bool {
	one := b.get(addr)
	if one == nil {
		return false
	}
	first, cancel := context.WithTimeout(ctx, within)
	list, err := one.sessions.Fresh(first)
	cancel()
	b.note(addr, one, err)
	if err != nil {
		return false
	}
	pause := firstPause
	for looks := 1; ; looks++ {
		left := list.Of(user)
		if len(left) == 0 {
			return true
		}
		if looks > 1 { // they do not end because a proxy's connection has
			b.kick(ctx, addr, left)
		}
		if !sleep(ctx, pause) {
			return false
		}
		pause = min(2*pause, longestPause)
		for {
			if list, err = one.sessions.Fresh(ctx); err == nil {
				break
			}
			if !sleep(ctx, longestPause) { // there were sessions: it has to be asked again
				return false
			}
		}
	}
}

// get returns a backend that may be asked now, else nil.
func (b *Backends) get(addr netip.Addr) *backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil {
		return nil
	}
	one := b.known[addr]
	if one == nil {
		list := func(ctx context.Context) ([]dovecot.Connection, error) {
			return b.ask.List(ctx, addr)
		}
		one = &backend{sessions: session.NewSource(list, b.hash, time.Now)}
		b.known[addr] = one
	}
	if !one.failedAt.IsZero() && time.Since(one.failedAt) < spared {
		return nil
	}
	return one
}

// note notes whether a backend could be asked.
func (b *Backends) note(addr netip.Addr, one *backend, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		one.failedAt = time.Time{}
		return
	}
	now := time.Now()
	one.failedAt = now
	if b.known != nil && now.Sub(one.reportedAt) >= reportEvery {
		one.reportedAt = now
		b.report(addr, err)
	}
}

// kick has a backend end sessions, by each login name once. Whether they ended, the next list
// tells.
func (b *Backends) kick(ctx context.Context, addr netip.Addr, left []session.Session) {
	var names []string
	for _, s := range left {
		if !slices.Contains(names, s.User) {
			names = append(names, s.User)
		}
	}
	for _, name := range names {
		select {
		case b.kicks <- struct{}{}:
		case <-ctx.Done():
			return
		}
		limited, cancel := context.WithTimeout(ctx, kickTime)
		_ = b.ask.Kick(limited, addr, name)
		cancel()
		<-b.kicks
	}
}

// sleep waits, and reports whether ctx has not ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
