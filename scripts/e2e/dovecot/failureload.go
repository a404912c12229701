//go:build e2e

package dovecot

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// attempt is one login of a load.
type attempt struct {
	user  string
	began time.Time
	took  time.Duration
	err   error
}

// loginLoad logs new users in through a proxy, one after the other, until it is stopped.
type loginLoad struct {
	cancel context.CancelFunc
	worker sync.WaitGroup

	mu       sync.Mutex // guards attempts
	attempts []attempt
}

// startLogins starts a load. Users get names with this prefix.
func startLogins(t *testing.T, s *site, prefix string) *loginLoad {
	ctx, cancel := context.WithCancel(t.Context())
	l := &loginLoad{cancel: cancel}
	l.worker.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			a := attempt{user: fmt.Sprintf("%s%d@example.org", prefix, i), began: time.Now()}
			c, err := loginIMAP(s.port(143), a.user, "pass")
			a.took, a.err = time.Since(a.began), err
			if err == nil {
				c.Close()
			}
			l.mu.Lock()
			l.attempts = append(l.attempts, a)
			l.mu.Unlock()
			select {
			case <-time.After(20 * time.Millisecond): // leave some of the machine to the others
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { l.stop() })
	return l
}

// stop ends the load after the login that is under way, and returns all of them.
func (l *loginLoad) stop() []attempt {
	l.cancel()
	l.worker.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.attempts
}

// slowest is how long the slowest login has taken so far.
func (l *loginLoad) slowest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var most time.Duration
	for _, a := range l.attempts {
		most = max(most, a.took)
	}
	return most
}

// succeeded reports whether a login that began after this moment has succeeded.
func (l *loginLoad) succeeded(after time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.attempts {
		if a.err == nil && a.began.After(after) {
			return true
		}
	}
	return false
}
