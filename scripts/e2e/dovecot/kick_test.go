//go:build e2e

package dovecot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// "doveadm director move" ends a user's sessions on all proxies; a login during the move waits, and
// reaches the new backend.
func TestMoveEndsSessions(t *testing.T) {
	t.Parallel()
	eachRelease(t, moveEndsSessions)
}

func moveEndsSessions(t *testing.T, r release) {
	backends := startBackends(t, 2)
	for _, b := range backends {
		b.mark("alice", "bob")
	}
	sites := startProxies(t, r, backends, 2, "")
	var sessions []*mailConn
	var home string
	for _, s := range sites {
		for range 2 {
			c, at := s.login(t, "alice")
			sessions, home = append(sessions, c), at
		}
	}
	bystander, _ := sites[1].login(t, "bob")
	target := other(backends, home)

	began := time.Now()
	sites[0].doveadm("move", "alice", target.ip.String())
	var logins sync.WaitGroup
	for i := range 4 {
		logins.Go(func() {
			c, err := loginIMAP(sites[i%2].port(143), "alice", "pass")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			took := time.Since(began)
			if at, err := c.where(); err != nil || at != target.name {
				t.Errorf("login after %v: on %s (%v), want %s", took, at, err, target.name)
			}
			if took < time.Second || took > 20*time.Second {
				t.Errorf("the login took %v, want it to wait for the end of the move", took)
			}
		})
	}
	for i, c := range sessions {
		if err := c.ended(5 * time.Second); err != nil {
			t.Errorf("session %d: %v", i, err)
		}
	}
	logins.Wait()
	if err := bystander.alive(); err != nil {
		t.Errorf("another user's session: %v", err)
	}
}

// lateTime is how long a session may last whose login took so long that it arrived after the kick:
// such sessions are looked for after three and after eight seconds.
const lateTime = 10 * time.Second

// Logins that are under way while the user is moved never stay on the old backend.
func TestMoveAgainstLogins(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 2)
	for _, b := range backends {
		b.mark("alice")
	}
	sites := startProxies(t, dovecot23, backends, 2, "", "--user-kick-delay", "500ms")
	_, home := sites[0].login(t, "alice")
	for round := range 3 {
		target := other(backends, home)
		stop := make(chan struct{})
		var mu sync.Mutex
		var open []*mailConn
		var logins sync.WaitGroup
		for i := range 6 {
			logins.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					c, err := loginIMAP(sites[i%2].port(143), "alice", "pass")
					if err != nil {
						continue // it was kicked on its way
					}
					mu.Lock()
					open = append(open, c)
					mu.Unlock()
				}
			})
		}
		time.Sleep(300 * time.Millisecond)
		sites[round%2].director.must("move", "--wait", "alice", target.ip.String())
		close(stop)
		logins.Wait()
		late := 0
		for _, c := range open {
			if at, err := c.where(); err == nil && at != target.name {
				late++
				if err := c.ended(lateTime); err != nil {
					t.Errorf("round %d: a session has stayed on %s: %v", round, home, err)
				}
			}
			c.Close()
		}
		t.Logf("round %d: %d of %d logins arrived after the move and were ended then",
			round, late, len(open))
		home = target.name
	}
}

// Kicks with doveadm, by name and by a passdb field, end sessions on all proxies, and nothing else.
func TestKick(t *testing.T) {
	t.Parallel()
	eachRelease(t, kickSessions)
}

func kickSessions(t *testing.T, r release) {
	backends := startBackends(t, 2)
	for _, b := range backends {
		b.mark("alice", "bob", "carol")
	}
	// The passdb gives everybody a field to kick by.
	fields := map[release]string{dovecot23: "user_group=g-%u", dovecot24: "user_group = g-%{user}"}
	sites := startProxies(t, r, backends, 2, fields[r])
	var alice, bob, carol []*mailConn
	for _, s := range sites {
		a, _ := s.login(t, "alice")
		b, _ := s.login(t, "bob")
		c, _ := s.login(t, "carol")
		alice, bob, carol = append(alice, a), append(bob, b), append(carol, c)
	}
	got := sites[0].doveadm("kick", "alice")
	for i, c := range alice {
		if err := c.ended(5 * time.Second); err != nil {
			t.Errorf("alice's session %d: %v (kick said %q)", i, err, got)
		}
	}
	got = sites[1].doveadm("kick", "-f", "user_group", "g-bob")
	for i, c := range bob {
		if err := c.ended(5 * time.Second); err != nil {
			t.Errorf("bob's session %d: %v (kick said %q)", i, err, got)
		}
	}
	for i, c := range carol {
		if err := c.alive(); err != nil {
			t.Errorf("carol's session %d: %v", i, err)
		}
	}
	// Who was kicked keeps the backend.
	for _, user := range []string{"alice", "bob"} {
		if m := sites[0].director.mapping(user); !m.Mapped {
			t.Errorf("%s has no mapping any more", user)
		}
	}
}

// "doveadm director flush -F" forgets and kicks nobody; down and flush moves everybody, ends their
// sessions, and tells the flush script.
func TestFlush(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 2)
	users := userNames(12)
	for _, b := range backends {
		b.mark(users...)
	}
	script := filepath.Join(mailDir(t), "flush")
	log := script + ".log"
	text := "#!/bin/sh\necho \"$@\" >>" + log + "\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	sites := startProxies(t, dovecot23, backends, 2, "", "--user-kick-delay", "200ms",
		"--flush-socket", "exec:"+script)
	open := make(map[string]map[string][]*mailConn) // by backend and user
	login := func() {
		t.Helper()
		open = make(map[string]map[string][]*mailConn)
		for i, user := range users {
			c, at := sites[i%2].login(t, user)
			if open[at] == nil {
				open[at] = make(map[string][]*mailConn)
			}
			open[at][user] = append(open[at][user], c)
		}
	}
	login()
	from := backends[0]
	if len(open[from.name]) == 0 || len(open[backends[1].name]) == 0 {
		t.Fatalf("all users are on one backend: %v", open)
	}

	// Forgetting kicks nobody.
	sites[0].doveadm("flush", "-F", from.ip.String())
	for user, sessions := range open[from.name] {
		for _, c := range sessions {
			if err := c.alive(); err != nil {
				t.Errorf("%s after flush -F: %v", user, err)
			}
			c.Close()
		}
	}

	// Down and flush moves everybody away, with their sessions.
	login()
	sites[0].doveadm("down", from.ip.String())
	sites[0].doveadm("flush", from.ip.String())
	for user, sessions := range open[from.name] {
		for _, c := range sessions {
			if err := c.ended(10 * time.Second); err != nil {
				t.Errorf("%s after down and flush: %v", user, err)
			}
		}
	}
	for user, sessions := range open[backends[1].name] {
		for _, c := range sessions {
			if err := c.alive(); err != nil {
				t.Errorf("%s, who was elsewhere: %v", user, err)
			}
		}
	}
	for user := range open[from.name] {
		if _, at := sites[1].login(t, user); at != backends[1].name {
			t.Errorf("%s is on %s, which is down", user, at)
		}
	}
	told, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(" %s %s down 100\n", from.ip, backends[1].ip)
	if n := strings.Count(string(told), want); n != len(open[from.name]) {
		t.Errorf("the flush script was told %q, want %d lines with %q",
			told, len(open[from.name]), want)
	}
}

// Sessions of users who log in under another name than the one that is looked up are found by the
// director's mark, as is the case with Dovecot's own sessions lists after a restart of the
// director.
func TestMoveDestuser(t *testing.T) {
	t.Parallel()
	eachRelease(t, moveDestuser)
}

func moveDestuser(t *testing.T, r release) {
	backends := startBackends(t, 2)
	for _, b := range backends {
		b.mark("alice.shared", "bob.shared")
	}
	fields := map[release]string{
		dovecot23: "destuser=%u.shared", dovecot24: "destuser = %{user}.shared",
	}
	sites := startProxies(t, r, backends, 2, fields[r])
	var sessions []*mailConn
	var home string
	for _, s := range sites {
		c, at := s.login(t, "alice")
		sessions, home = append(sessions, c), at
	}
	bystander, _ := sites[0].login(t, "bob")
	target := other(backends, home)
	sites[1].director.must("move", "--wait", "alice.shared", target.ip.String())
	for i, c := range sessions {
		if err := c.ended(5 * time.Second); err != nil {
			t.Errorf("session %d: %v", i, err)
		}
	}
	if err := bystander.alive(); err != nil {
		t.Errorf("another user's session: %v", err)
	}
	if _, at := sites[0].login(t, "alice"); at != target.name {
		t.Errorf("alice is on %s, was moved to %s", at, target.name)
	}
}

// When a backend is removed its sessions end, and no others.
func TestRemoveEndsSessions(t *testing.T) {
	t.Parallel()
	eachRelease(t, removeEndsSessions)
}

func removeEndsSessions(t *testing.T, r release) {
	backends := startBackends(t, 2)
	users := userNames(40)
	for _, b := range backends {
		b.mark(users...)
	}
	sites := startProxies(t, r, backends, 2, "")
	removed := backends[0]
	sessions := make(map[string][]*mailConn) // by backend
	for i, user := range users {
		c, at := sites[i%2].login(t, user)
		sessions[at] = append(sessions[at], c)
	}
	sites[0].director.must("remove", removed.ip.String())
	for _, c := range sessions[removed.name] {
		if err := c.ended(5 * time.Second); err != nil {
			t.Error(err)
		}
	}
	for _, c := range sessions[backends[1].name] {
		if err := c.alive(); err != nil {
			t.Error(err)
		}
	}
}
