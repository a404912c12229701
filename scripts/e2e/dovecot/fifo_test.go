//go:build e2e

package dovecot

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The director killed under 200 proxied sessions that report themselves every 5 seconds: none
// freezes, neither while it is dead nor afterwards, and new logins go on as soon as it is back.
func TestKilledUnderSessions(t *testing.T) {
	t.Parallel()
	const count = 200
	backends := startBackends(t, 2)
	for _, b := range backends {
		for i := range count {
			b.mark(fmt.Sprintf("user%03d", i))
		}
	}
	s := newSite(t, dovecot23, 1, addresses(backends), "", `service imap-login {
  service_count = 0
  process_min_avail = 2
}
`, "--user-expire", "10s")
	startSites(t, s)
	sessions := make([]*mailConn, count)
	for i := range sessions {
		c, err := loginIMAP(s.port(143), fmt.Sprintf("user%03d", i), "pass")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		sessions[i] = c
	}
	allAlive := func(when string) {
		t.Helper()
		var asking sync.WaitGroup
		var mu sync.Mutex
		frozen := 0
		for _, c := range sessions {
			asking.Go(func() {
				began := time.Now()
				if err := c.alive(); err != nil || time.Since(began) > 5*time.Second {
					mu.Lock()
					defer mu.Unlock()
					if frozen++; frozen == 1 {
						t.Errorf("%s: a session answered after %v: %v",
							when, time.Since(began), err)
					}
				}
			})
		}
		asking.Wait()
		if frozen > 0 {
			t.Errorf("%s: %d of %d sessions were frozen", when, frozen, count)
		}
	}
	allAlive("before")
	time.Sleep(6 * time.Second) // the login processes have opened the FIFO and reported
	for range 3 {
		// The sessions report every 5 s, so some do while there is no director.
		s.director.signal(syscall.SIGKILL)
		allAlive("while the director is dead")
	}
	stopped := s.director.pid()
	if err := syscall.Kill(stopped, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(11 * time.Second) // two rounds of reports that nobody reads
	allAlive("while the director is stopped")
	if err := syscall.Kill(stopped, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !eventually(20*time.Second, func() bool { return s.director.ask("status").status == 0 }) {
		t.Fatal("the director is not back")
	}
	allAlive("after the director is back")
	c, err := loginIMAP(s.port(143), "user000", "pass")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()

	// Who holds the FIFO and who reads it are killed together: the FIFO goes with them.
	for _, pid := range []int{s.director.cmd.Process.Pid, s.director.pid()} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(6 * time.Second) // all sessions report meanwhile
	allAlive("after the director and its holder were killed")
}
