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
` + manySessions

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
	s := newSite(t, dovecot23, 1, addresses(backends), "", manySessions, flags...).kicks()
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

// flushing is a flush of users with live sessions.
type flushing struct {
	users, parallel int
	olds            int           // backends that the users are moved away from
	asks            bool          // the backends are asked
	warm            time.Duration // from the start of the director to the first login
	after           time.Duration // from the last login to the flush
	// crowded says that so many have just logged in that backends may not answer in time.
	crowded bool
}

// run moves the users away from the old backends to another one and returns how long that took.
func (f flushing) run(t *testing.T) time.Duration {
	t.Helper()
	users, parallel, asks := f.users, f.parallel, f.asks
	backends := startBackendsWith(t, f.olds+1, doveadmConfig)
	s := askedSite(t, backends, asks)
	olds, other := backends[:f.olds], backends[f.olds]
	s.director.must("update", other.ip.String(), "0") // all hash to the old ones
	left := func() (n int) {
		for _, b := range olds {
			n += b.sessionsOn()
		}
		return n
	}
	time.Sleep(f.warm)
	for i := range users {
		c, err := loginIMAP(s.port(143), fmt.Sprintf("u%d", i), "pass")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	if n := left(); n != users {
		t.Fatalf("%d sessions on the backends, want %d", n, users)
	}
	time.Sleep(f.after)
	s.director.must("update", other.ip.String(), "100")
	for _, b := range olds {
		s.director.must("update", b.ip.String(), "0")
	}
	began := time.Now()
	s.director.must("flush", "--max-parallel", strconv.Itoa(parallel), "all")
	took := time.Since(began)
	if n := left(); n != 0 {
		t.Errorf("%d sessions are left on the backends", n)
	}
	if asks && !f.crowded {
		if n := s.director.metric(`director_moves_vacated_total{reason="vacant"}`); n != users {
			t.Errorf("%d of %d users were released because the backend said so", n, users)
		}
	}
	return took
}

// TestFlushAsksBackends moves users with live sessions between real backends, which are asked. With
// DIRECTORMESH_FLUSH_USERS set to a number, it moves so many, some time after their login, away
// from DIRECTORMESH_FLUSH_BACKENDS backends, and compares with what the kick delay allows: so many
// at a time, each for 2 s at least.
func TestFlushAsksBackends(t *testing.T) {
	users, err := strconv.Atoi(os.Getenv("DIRECTORMESH_FLUSH_USERS"))
	if err != nil {
		flushing{users: 12, parallel: 6, olds: 1, asks: true}.run(t)
		return
	}
	olds := 1
	if text := os.Getenv("DIRECTORMESH_FLUSH_BACKENDS"); text != "" {
		if olds, err = strconv.Atoi(text); err != nil || olds < 1 {
			t.Fatalf("DIRECTORMESH_FLUSH_BACKENDS is %q; want a number", text)
		}
	}
	const (
		parallel = 20
		delay    = 2 * time.Second
		// remembered is for how long kickers know who has logged in, and from when on after the
		// start of a director they know all of them.
		remembered = 40 * time.Second
	)
	runs := []flushing{
		{crowded: true}, {warm: remembered, crowded: true}, {after: 2 * remembered},
	}
	if users > 1000 { // their logins take longer than they are remembered
		runs = runs[2:]
	}
	for _, f := range runs {
		f.users, f.parallel, f.olds, f.asks = users, parallel, olds, true
		took := f.run(t)
		allowed := time.Duration((users+parallel-1)/parallel) * delay
		t.Logf("%d users on %d backends, logged in %v after the start, flushed %v later, %d at "+
			"a time: %v, the kick delay allows %v: %.1f times as fast", users, olds, f.warm,
			f.after, parallel, took.Round(time.Millisecond), allowed,
			allowed.Seconds()/took.Seconds())
	}
}

// TestBackendThatTakesItsTime flushes a user whose session hangs on the old backend for ten
// seconds: the flush waits, and the user is let in when that session has ended, and not before.
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
	s.director.must("update", old.ip.String(), "0")
	moved := make(chan result, 1)
	go func() { moved <- s.director.ask("flush", old.ip.String()) }()
	select {
	case got := <-moved:
		t.Errorf("released while the old backend has a session: %+v", got)
	case <-time.After(10 * time.Second): // the kick delay is 2 s
	}
	if n := old.sessionsOn(); n != 1 {
		t.Errorf("%d sessions on the old backend", n)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := <-moved; got.status != 0 {
		t.Errorf("the flush: %+v", got)
	}
	got := s.director.must("status", user)
	if !strings.HasPrefix(got, "Current: "+other.ip.String()) {
		t.Errorf("after the flush the user is at %s", got)
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
