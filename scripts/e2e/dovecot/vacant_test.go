//go:build e2e

package dovecot

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const doveadmKey = "e2e-secret"

// doveadmConfig lets a backend be asked for its sessions.
const doveadmConfig = `service doveadm {
  inet_listener http {
    port = 8080
  }
}
doveadm_api_key = ` + doveadmKey + `
mail_max_userip_connections = 100
`

// askedSite starts a proxy whose director can ask the backends, or not.
func askedSite(t *testing.T, backends []*backend, asks bool) *site {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(doveadmKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var flags []string
	if asks {
		flags = []string{"--backend-doveadm", "8080", "--backend-doveadm-key", key}
	}
	s := newSite(t, dovecot23, 1, addresses(backends), "", `service imap-login {
  service_count = 0
  process_min_avail = 2
  client_limit = 1000
}
`, flags...).kicks()
	startSites(t, s)
	return s
}

// sessionsOn counts the sessions that a backend itself lists.
func (b *backend) sessionsOn() (n int) {
	b.t.Helper()
	got := b.doveadm("-f", "tab", "who", "-1")
	for line := range strings.Lines(got.stdout) {
		if strings.Contains(line, "imap") {
			n++
		}
	}
	return n
}

// flushed moves users with live sessions away from a backend, so many at a time, a while after they
// have logged in, and returns how long that took.
func flushed(t *testing.T, users, parallel int, asks bool, after time.Duration) time.Duration {
	t.Helper()
	backends := startBackendsWith(t, 2, doveadmConfig)
	s := askedSite(t, backends, asks)
	from := backends[0]
	s.director.must("update", backends[1].ip.String(), "0") // all hash to the first
	for i := range users {
		c, err := loginIMAP(s.port(143), fmt.Sprintf("u%d", i), "pass")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	if n := from.sessionsOn(); n != users {
		t.Fatalf("%d sessions on the backend, want %d", n, users)
	}
	time.Sleep(after)
	s.director.must("update", backends[1].ip.String(), "100")
	s.director.must("update", from.ip.String(), "0")
	began := time.Now()
	s.director.must("flush", "--max-parallel", strconv.Itoa(parallel), from.ip.String())
	took := time.Since(began)
	if n := from.sessionsOn(); n != 0 {
		t.Errorf("%d sessions are left on the backend", n)
	}
	if asks {
		if n := s.director.metric(`director_moves_vacated_total{reason="vacant"}`); n != users {
			t.Errorf("%d of %d users were released because the backend said so", n, users)
		}
	}
	return took
}

// TestFlushAsksBackends moves users with live sessions between real backends, which are asked. With
// DIRECTORMESH_FLUSH_USERS set to a number, it moves so many, some time after their login, and says
// how long that takes, with asking and without.
func TestFlushAsksBackends(t *testing.T) {
	users, err := strconv.Atoi(os.Getenv("DIRECTORMESH_FLUSH_USERS"))
	if err != nil {
		flushed(t, 12, 6, true, 0)
		return
	}
	const (
		parallel = 20
		longAgo  = 80 * time.Second // the kickers remember no login any more
	)
	for _, after := range []time.Duration{0, longAgo} {
		asked := flushed(t, users, parallel, true, after)
		delayed := flushed(t, users, parallel, false, after)
		t.Logf("%d users, %v after their login, %d at a time: %v when the backend is asked, %v "+
			"with the kick delay: %.1f times as fast", users, after, parallel,
			asked.Round(time.Millisecond), delayed.Round(time.Millisecond),
			delayed.Seconds()/asked.Seconds())
	}
}

// TestBackendThatTakesItsTime moves a user whose session hangs on the old backend: the user is let
// in when that session has ended, and not before.
func TestBackendThatTakesItsTime(t *testing.T) {
	t.Parallel()
	backends := startBackendsWith(t, 2, doveadmConfig)
	s := askedSite(t, backends, true)
	old, other := backends[0], backends[1]
	user := s.director.userAt(old.ip)
	c, err := loginIMAP(s.port(143), user, "pass")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pid := old.sessionPID(user)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	moved := make(chan result, 1)
	go func() { moved <- s.director.ask("move", "--wait", user, other.ip.String()) }()
	select {
	case got := <-moved:
		t.Errorf("released while the old backend has a session: %+v", got)
	case <-time.After(5 * time.Second): // the kick delay is 2 s
	}
	if n := old.sessionsOn(); n != 1 {
		t.Errorf("%d sessions on the old backend", n)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := <-moved; got.status != 0 {
		t.Errorf("the move: %+v", got)
	}
	if n := old.sessionsOn(); n != 0 {
		t.Errorf("released with %d sessions on the old backend", n)
	}
}

// sessionPID is the process of a user's only session.
func (b *backend) sessionPID(user string) int {
	b.t.Helper()
	got := b.doveadm("-f", "json", "who", "-1", user)
	var sessions []struct{ PID string }
	if err := json.Unmarshal([]byte(got.stdout), &sessions); err != nil || len(sessions) != 1 {
		b.t.Fatalf("who: %v, %+v", err, got)
	}
	pid, err := strconv.Atoi(sessions[0].PID)
	if err != nil {
		b.t.Fatal(err)
	}
	return pid
}
