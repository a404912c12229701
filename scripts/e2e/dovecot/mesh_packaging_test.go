//go:build e2e

package dovecot

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// packaging is the directory of what is shipped to operators.
const packaging = "../../packaging"

// unprivileged is a user that every Debian has; it stands for the director's own.
const unprivileged = "games"

// The configuration that is shipped for Dovecot 2.3 works as it is, with a director that runs as a user of its own: logins, mail,
// doveadm, kicks.
func TestShippedConfiguration(t *testing.T) {
	account, err := user.Lookup(unprivileged)
	if err != nil {
		t.Fatal(err)
	}
	backends := startBackends(t, 2, 71)
	s := newSite(t, 1, 81, addresses(backends), "", "")
	adapt := strings.NewReplacer(
		"/run/director/", s.director.runDir+"/",
		"/run/dovecot/", s.proxy.path("")+"/",
		"user = director", "user = "+unprivileged,
	)
	shipped := func(name string) string {
		text, err := os.ReadFile(filepath.Join(packaging, name))
		if err != nil {
			t.Fatal(err)
		}
		return adapt.Replace(string(text))
	}
	s.proxy.configure(fmt.Sprintf(`protocols = imap pop3 lmtp
listen = %[1]s
mail_location = maildir:/nonexistent
first_valid_uid = 1
passdb {
  driver = static
  args = password=pass proxy=y
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}
service lmtp {
  inet_listener lmtp {
    address = %[1]s
    port = 24
  }
}
`, s.ip) + shipped("dovecot-2.3.conf"))

	settings := filepath.Join(s.director.runDir, "director.yaml")
	if err := os.WriteFile(settings, []byte(shipped("director.yaml")), 0o644); err != nil {
		t.Fatal(err)
	}
	s.director.flags = []string{"--config", settings, "--mail-servers", backends[0].ip.String() + " " + backends[1].ip.String()}
	s.director.prefix = []string{"setpriv", "--reuid", unprivileged, "--regid", unprivileged, "--clear-groups"}
	uid, uidErr := strconv.Atoi(account.Uid)
	gid, gidErr := strconv.Atoi(account.Gid)
	if err := errors.Join(uidErr, gidErr); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(s.director.runDir, uid, gid); err != nil {
		t.Fatal(err)
	}
	startSites(t, s)

	c, err := loginIMAP(s.port(143), "alice@example.org", "pass")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if replies, err := deliver(s.port(24), "x", "alice@example.org"); err != nil || !strings.HasPrefix(replies[0], "250 ") {
		t.Errorf("delivery: %q, %v", replies, err)
	}
	got := s.proxy.doveadm("director", "status", "-a", filepath.Join(s.director.runDir, "director-admin"), "alice@example.org")
	if home := lookup(t, s.director, "alice@example.org"); got.status != 0 || !strings.Contains(got.stdout, "Current: "+home.String()) {
		t.Errorf("doveadm director status: %+v; director lookup: %v", got, home)
	}
	s.director.must("kick", "alice@example.org")
	if text, err := c.say("n NOOP", "n "); err == nil {
		t.Errorf("after a kick: %q", text)
	}
}

// The units are without fault in systemd's eyes.
func TestUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatalf("%v; apt-get install systemd", err)
	}
	dir := t.TempDir()
	var paths []string
	for _, pattern := range []string{"*.service", "*.socket"} {
		units, err := filepath.Glob(filepath.Join(packaging, pattern))
		if err != nil || len(units) == 0 {
			t.Fatalf("%s: %v, %v", pattern, units, err)
		}
		for _, unit := range units {
			text, err := os.ReadFile(unit)
			if err != nil {
				t.Fatal(err)
			}
			// The program is verified to exist.
			path := filepath.Join(dir, filepath.Base(unit))
			if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/director", program)), 0o644); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, path)
		}
	}
	if got := runProgram(t, "", "systemd-analyze", append([]string{"verify"}, paths...)...); got.status != 0 || got.stdout+got.stderr != "" {
		t.Errorf("systemd-analyze verify: status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
}
