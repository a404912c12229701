//go:build e2e

package dovecot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// threeSites starts backends, and three proxies with a director each.
func threeSites(t *testing.T, r release, backends []*backend, flags ...string) []*site {
	t.Helper()
	var sites []*site
	for i := range 3 {
		sites = append(sites, newSite(t, r, i+1, addresses(backends), "", "", flags...))
	}
	startSites(t, sites...)
	return sites
}

func userNames(n int) []string {
	users := make([]string, n)
	for i := range users {
		users[i] = fmt.Sprintf("user%02d@example.org", i)
	}
	return users
}

// A user reaches the same backend by every protocol and through every proxy, and the session works.
func TestLogin(t *testing.T) {
	t.Parallel()
	eachRelease(t, logIn)
}

func logIn(t *testing.T, r release) {
	backends := startBackends(t, 3)
	sites := threeSites(t, r, backends)
	users := userNames(12)
	for _, b := range backends {
		b.mark(users...)
	}
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
			if got, err := c.where(); err != nil || got != home {
				t.Errorf("%s through %s by AUTHENTICATE: on %s (%v), by LOGIN on %s",
					user, s.proxy.name, got, err, home)
			}
			c.Close()
			if r == dovecot24 {
				continue // without POP3
			}
			if c, err = loginPOP3(s.port(110), user, "pass"); err != nil {
				t.Fatal(err)
			}
			if got, err := c.wherePOP3(); err != nil || got != home {
				t.Errorf("%s through %s by POP3: on %s (%v), by IMAP on %s",
					user, s.proxy.name, got, err, home)
			}
			c.Close()
		}
		replies, err := deliver(sites[(i+1)%3].port(24), "delivered", user)
		if err != nil || len(replies) != 1 || !strings.HasPrefix(replies[0], "250") {
			t.Fatalf("mail to %s: %q, %v", user, replies, err)
		}
		if got := mailCount(t, named(t, backends, home), user, "delivered"); got != 1 {
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

// session appends a mail and fetches it, then ends.
func session(t *testing.T, c *mailConn) {
	t.Helper()
	defer c.Close()
	for _, step := range []struct{ line, want, until string }{
		{"b APPEND INBOX {5+}\r\nhello", "b OK", "b "},
		{"c NOOP", "c OK", "c "},
		{"d FETCH 2 BODY[]", "hello", "d "},
		{"e LOGOUT", "* BYE", "e "},
	} {
		if _, err := c.expect(step.line, step.want, step.until); err != nil {
			t.Error(err)
			return
		}
	}
}

// A wrong password is told as such: the director does not get in the way.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 1)
	s := newSite(t, dovecot23, 1, addresses(backends), "", "")
	startSites(t, s)
	c, err := dialMail(s.port(143))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.expect("", "* OK", "* "); err != nil {
		t.Fatal(err)
	}
	if _, err := c.expect("a LOGIN alice@example.org wrong",
		"a NO [AUTHENTICATIONFAILED]", "a "); err != nil {
		t.Error(err)
	}
	if _, err := c.expect("b LOGIN alice@example.org pass", "b OK", "b "); err != nil {
		t.Error(err)
	}
}
