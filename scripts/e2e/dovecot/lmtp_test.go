//go:build e2e

package dovecot

import (
	"slices"
	"strings"
	"testing"
)

// Mail for a user is delivered on the user's backend, whichever proxy takes it; one mail may have
// recipients on several.
func TestLMTP(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 2)
	var sites []*site
	for i := range 2 {
		sites = append(sites, newSite(t, dovecot23, i+1, addresses(backends), "", ""))
	}
	startSites(t, sites...)
	users := userNames(20)
	for _, b := range backends {
		b.mark(users...)
	}
	for i, s := range sites {
		replies, err := deliver(s.port(24), "mail through "+s.proxy.name, users...)
		if err != nil {
			t.Fatal(err)
		}
		for _, reply := range replies {
			if !strings.HasPrefix(reply, "250 ") {
				t.Errorf("delivery %d: %q", i, reply)
			}
		}
	}
	homes := make(map[string]bool)
	for _, user := range users {
		c, err := loginIMAP(sites[1].port(143), user, "pass")
		if err != nil {
			t.Fatal(err)
		}
		home, err := c.where()
		if err != nil {
			t.Fatal(err)
		}
		homes[home] = true
		got, err := c.expect("s FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "s OK", "s ")
		c.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sites {
			if !strings.Contains(got, "mail through "+s.proxy.name) {
				t.Errorf("%s has no mail from %s on %s: %q", user, s.proxy.name, home, got)
			}
		}
	}
	if len(homes) != 2 {
		t.Errorf("all users are on %v", homes)
	}
}

// doveadm asks the director too.
func TestDoveadmProxying(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 2)
	s := newSite(t, dovecot23, 1, addresses(backends), "", "")
	startSites(t, s)
	want := strings.Fields(s.director.must("lookup", "alice@example.org"))
	got := s.proxy.doveadm("auth", "lookup", "-a", s.proxy.path("director-userdb"), "-x",
		"service=doveadm", "alice@example.org")
	words := strings.Fields(strings.ReplaceAll(got.stdout, "host:", "host: "))
	if got.status != 0 || !slices.Contains(words, want[len(want)-1]) {
		t.Errorf("doveadm auth lookup: %+v; director lookup: %q", got, want)
	}
}
