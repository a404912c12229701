//go:build e2e

package dovecot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// IMAP and LMTP through Dovecot 2.4 proxies: a user has one backend, whichever proxy it is.
func TestLogin24(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 3)
	users := userNames(8)
	for _, b := range backends {
		b.mark(users...)
	}
	sites := startProxies(t, dovecot24, backends, 3, "")
	used := make(map[string]bool)
	for i, user := range users {
		c, home := sites[i%3].login(t, user)
		used[home] = true
		session(t, c)
		for _, s := range sites {
			c, err := authenticateIMAP(s.port(143), user, "pass")
			if err != nil {
				t.Fatal(err)
			}
			if at, err := c.where(); err != nil || at != home {
				t.Errorf("%s through %s: on %s (%v), before on %s", user, s.proxy.name, at, err, home)
			}
			c.Close()
		}
		replies, err := deliver(sites[(i+1)%3].port(24), "mail24", user)
		if err != nil || len(replies) != 1 || !strings.HasPrefix(replies[0], "250") {
			t.Fatalf("mail to %s: %q, %v", user, replies, err)
		}
		if got := mailCount(t, named(t, backends, home), user, "mail24"); got != 1 {
			t.Errorf("%d mails for %s on %s, where the user's sessions are", got, user, home)
		}
	}
	if len(used) < 2 {
		t.Errorf("users are on %v only", used)
	}
}

// mailCount counts a user's mails with a text on a backend.
func mailCount(t *testing.T, b *backend, user, text string) int {
	t.Helper()
	n := 0
	for _, dir := range []string{"new", "cur"} {
		files, _ := filepath.Glob(filepath.Join(b.mail, user, "Maildir", dir, "*"))
		for _, f := range files {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(raw), text) {
				n++
			}
		}
	}
	return n
}

// A move ends the sessions on both proxies, of users whose login name is the one that is looked up and of others; a kick ends
// them and the user stays.
func TestMoveAndKick24(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ fields, suffix string }{
		"user":     {"", ""},
		"destuser": {"destuser = %{user}.shared", ".shared"},
	} {
		t.Run(name, func(t *testing.T) {
			backends := startBackends(t, 2)
			for _, b := range backends {
				b.mark("alice"+tt.suffix, "bob"+tt.suffix)
			}
			sites := startProxies(t, dovecot24, backends, 2, tt.fields)
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
			sites[0].director.must("move", "alice"+tt.suffix, target.ip.String())
			began := time.Now()
			c, at := sites[1].login(t, "alice")
			if took := time.Since(began); at != target.name || took < time.Second {
				t.Errorf("login during the move: on %s after %v, want %s after the move", at, took, target.name)
			}
			for i, old := range sessions {
				if err := old.ended(5 * time.Second); err != nil {
					t.Errorf("session %d: %v", i, err)
				}
			}
			got := sites[0].director.must("kick", "alice")
			if err := c.ended(5 * time.Second); err != nil {
				t.Errorf("after the kick: %v (it said %q)", err, got)
			}
			if _, at := sites[0].login(t, "alice"); at != target.name {
				t.Errorf("after the kick alice is on %s, before on %s", at, target.name)
			}
			if err := bystander.alive(); err != nil {
				t.Errorf("another user's session: %v", err)
			}
		})
	}
}
