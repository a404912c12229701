//go:build e2e

package dovecot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"
)

// login opens an IMAP session through a proxy and returns it with the name of its backend.
func (s *site) login(t *testing.T, user string) (*mailConn, string) {
	t.Helper()
	return openIMAP(t, s.port(143), user)
}

// openIMAP opens an IMAP session and returns it with the name of its backend.
func openIMAP(t *testing.T, addr, user string) (*mailConn, string) {
	t.Helper()
	c, err := loginIMAP(addr, user, "pass")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	home, err := c.where()
	if err != nil {
		t.Fatal(err)
	}
	return c, home
}

// ended waits for a session that was ended.
func (c *mailConn) ended(within time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	text, err := io.ReadAll(c.in)
	if errors.Is(err, syscall.ECONNRESET) || err == nil {
		return nil
	}
	return fmt.Errorf("session has not ended after %v: %w (got %q)", within, err, text)
}

// alive reports what is wrong with a session that should go on.
func (c *mailConn) alive() error {
	_, err := c.expect("n NOOP", "n OK", "n ")
	return err
}

// mapping is a user as a director sees it.
type mapping struct {
	Mapped  bool
	Current string
}

func (d *director) mapping(user string) mapping {
	d.t.Helper()
	var m mapping
	d.statusOf(user, &m)
	return m
}

// statusOf reads what a director tells of a user.
func (d *director) statusOf(user string, into any) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(d.must("status", user, "--json")), into); err != nil {
		d.t.Fatal(err)
	}
}

// named returns the backend of this name.
func named(t *testing.T, backends []*backend, name string) *backend {
	t.Helper()
	for _, b := range backends {
		if b.name == name {
			return b
		}
	}
	t.Fatalf("no backend %q", name)
	return nil
}

// other returns a backend of another name.
func other(backends []*backend, name string) *backend {
	for _, b := range backends {
		if b.name != name {
			return b
		}
	}
	return nil
}

// A mapping lives as long as a session does, however idle: known by the list of sessions, or by the
// FIFO alone. That of a user who has gone ends.
func TestIdleSession(t *testing.T) {
	t.Parallel()
	eachRelease(t, idleSession)
}

func idleSession(t *testing.T, r release) {
	backends := startBackends(t, 2)
	for _, b := range backends {
		b.mark("listed", "notified", "gone")
	}
	listed := newSite(t, r, 1, addresses(backends), "", "", "--user-expire", "10s").kicks()
	listed.director.keptOpen = listed.director.keptOpen[:2] // no FIFO
	notified := newSite(t, r, 2, addresses(backends), "", "", "--user-expire", "10s")
	startSites(t, listed, notified)

	first, home := listed.login(t, "listed")
	second, home2 := notified.login(t, "notified")
	gone, _ := listed.login(t, "gone")
	gone.Close()
	began := time.Now()
	if !eventually(time.Minute, func() bool { return !listed.director.mapping("gone").Mapped }) {
		t.Fatal("the mapping of a user who has gone does not end")
	}
	// E + S is 30 s. Both mappings must have been prolonged by now, and again later.
	if took := time.Since(began); took < 20*time.Second {
		t.Errorf("the mapping of a user who has gone ended after %v", took)
	}
	for range 2 {
		for user, want := range map[string]string{"listed": home, "notified": home2} {
			for _, s := range []*site{listed, notified} {
				m := s.director.mapping(user)
				if !m.Mapped || m.Current != named(t, backends, want).ip.String() {
					t.Errorf("%s at %s: %+v, want a mapping to %s", user, s.director.name, m, want)
				}
			}
		}
		time.Sleep(12 * time.Second)
	}
	for _, c := range []*mailConn{first, second} {
		if err := c.alive(); err != nil {
			t.Error(err)
		}
	}
}

// A mesh that was restarted as a whole learns from living sessions where users are, even those who
// are not where they hash to.
func TestRestartLearnsSessions(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 2)
	for _, b := range backends {
		b.mark("alice")
	}
	s := startProxies(t, dovecot23, backends, 1, "", "--sessions-interval", "1s")[0]
	c, hashed := s.login(t, "alice")
	elsewhere := other(backends, hashed)
	s.director.must("move", "--wait", "alice", elsewhere.ip.String())
	if err := c.ended(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	c, home := s.login(t, "alice")
	if home != elsewhere.name {
		t.Fatalf("alice is on %s, was moved to %s", home, elsewhere.name)
	}
	s.director.signal(syscall.SIGKILL) // hold starts it again
	var m mapping
	if !eventually(20*time.Second, func() bool {
		got := s.director.ask("status", "alice", "--json")
		return got.status == 0 && json.Unmarshal([]byte(got.stdout), &m) == nil && m.Mapped
	}) {
		t.Fatalf("alice is not mapped after the restart: %+v", m)
	}
	if m.Current != elsewhere.ip.String() {
		t.Errorf("alice is mapped to %s, her session is on %s", m.Current, elsewhere.ip)
	}
	if err := c.alive(); err != nil {
		t.Error(err)
	}
	if _, again := s.login(t, "alice"); again != home {
		t.Errorf("alice logs in to %s, her first session is on %s", again, home)
	}

	// What was forgotten on purpose does not come back from a session that was known.
	s.director.must("flush", "-F", "all")
	time.Sleep(3 * time.Second) // sessions are listed some times
	if m := s.director.mapping("alice"); m.Mapped {
		t.Errorf("alice is mapped to %s although she was forgotten", m.Current)
	}
}
