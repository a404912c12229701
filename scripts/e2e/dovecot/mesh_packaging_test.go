//go:build e2e

package dovecot

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// packaging is the directory of what is shipped to operators.
const packaging = "../../packaging"

// documents is the directory of what operators read.
const documents = "../../../cli/doc"

// unprivileged is a user that every Debian has; it stands for the director's own.
const unprivileged = "games"

// The configuration that is shipped for Dovecot 2.3 works as it is, with a director that runs as a
// user of its own: logins, mail, doveadm, kicks.
func TestShippedConfiguration(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 2)
	s := newSite(t, dovecot23, 1, addresses(backends), "", "")
	adapt := strings.NewReplacer(
		"/run/director/", s.proxy.path("")+"/",
		"/run/dovecot/", s.proxy.path("")+"/",
		"user = director", "user = "+unprivileged,
	)
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
`, s.ip) + shipped(t, "dovecot-2.3.conf", adapt))

	runShipped(t, s.director, backends, shipped(t, "director.yaml", adapt))
	startSites(t, s)

	c, err := loginIMAP(s.port(143), "alice@example.org", "pass")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if replies, err := deliver(s.port(24), "x", "alice@example.org"); err != nil ||
		!strings.HasPrefix(replies[0], "250 ") {
		t.Errorf("delivery: %q, %v", replies, err)
	}
	got := s.proxy.doveadm("director", "status", "-a",
		filepath.Join(s.director.runDir, "director-admin"), "alice@example.org")
	home := lookup(t, s.director, "alice@example.org")
	if got.status != 0 || !strings.Contains(got.stdout, "Current: "+home.String()) {
		t.Errorf("doveadm director status: %+v; director lookup: %v", got, home)
	}
	s.director.must("kick", "alice@example.org")
	if text, err := c.say("n NOOP", "n "); err == nil {
		t.Errorf("after a kick: %q", text)
	}
}

// The same for Dovecot 2.4 in full: a move and a kick end the sessions of all protocols, and LMTP,
// whose 20-lmtp.conf is Debian's, asks for the same user as logins do.
func TestShippedConfiguration24(t *testing.T) {
	t.Parallel()
	backends := startBackendsWith(t, 2, fmt.Sprintf(`protocols = imap pop3 lmtp sieve submission
submission_relay_host = %s
`, listen(t, 25, func(c net.Conn) { relay(c, make(chan string, 1)) })))
	const user = "alice@example.org"
	for _, b := range backends {
		b.mark(user)
	}
	s := newSite(t, dovecot24, 1, addresses(backends), "", "")
	inRoot := strings.NewReplacer(
		"/run/director/", s.proxy.seen("")+"/",
		"user = director", "user = "+unprivileged,
		"group = director", "group = "+unprivileged,
	)
	adapt := strings.NewReplacer(
		"/run/dovecot/", s.proxy.path("")+"/",
		"\nkick-ipc:", "\n#kick-ipc:",
		"\n#kick-anvil:", "\nkick-anvil:",
	)
	runShipped(t, s.director, backends, shipped(t, "director.yaml", adapt))
	s.proxy.configure(fmt.Sprintf(`protocols = imap pop3 lmtp sieve submission
listen = %[1]s
mail_driver = maildir
mail_path = /nonexistent
passdb static {
  password = pass
  fields {
    proxy = yes
  }
}
userdb static {
  fields {
    uid = 65534
    gid = 65534
    home = /nonexistent
  }
}
service lmtp {
  inet_listener lmtp {
    listen = %[1]s
    port = 24
  }
}
!include /etc/dovecot/conf.d/20-lmtp.conf
`, s.ip) + shipped(t, "dovecot-2.4.conf", inRoot))
	printed := ""
	for line := range strings.Lines(installBlock(t, "doveconf login_socket_path")) {
		if words := strings.Fields(line); words[0] == "doveconf" {
			asked := append([]string{"doveconf", "-c", s.proxy.configPath()}, words[1:]...)
			command := s.proxy.command(asked...)
			printed += runProgram(t, "", command[0], command[1:]...).stdout
		}
	}
	checkDoveconf(t, printed, "x/director", "x/proxy-notify", s.proxy.seen("director-userdb"))
	startSites(t, s)

	for _, ends := range []struct {
		name string
		end  func(home netip.Addr)
	}{
		{"move", func(home netip.Addr) {
			for _, b := range backends {
				if b.ip != home {
					s.director.must("move", "--wait", user, b.ip.String())
					return
				}
			}
		}},
		{"kick", func(netip.Addr) { s.director.must("kick", user) }},
	} {
		imap, err := loginIMAP(s.port(143), user, "pass")
		if err != nil {
			t.Fatal(err)
		}
		defer imap.Close()
		pop3, err := loginPOP3(s.port(110), user, "pass")
		if err != nil {
			t.Fatal(err)
		}
		defer pop3.Close()
		sessions := map[string]*mailConn{
			"IMAP": imap, "POP3": pop3, "ManageSieve": openSieve(t, s.port(4190), user),
			"submission": openSubmission(t, s.port(587), user),
		}
		home := lookup(t, s.director, user)
		if replies, err := deliver(s.port(24), "for-"+ends.name, user); err != nil ||
			!strings.HasPrefix(replies[0], "250 ") {
			t.Errorf("delivery: %q, %v", replies, err)
		}
		ends.end(home)
		for protocol, c := range sessions {
			err := c.SetDeadline(time.Now().Add(endTime))
			if err == nil {
				_, err = io.Copy(io.Discard, c.Conn) // until its end
			}
			if err != nil {
				t.Errorf("%s session after a %s: %v", protocol, ends.name, err)
			}
		}
		if got := s.director.must("map"); strings.Count(got, "<unknown>") != 1 {
			t.Errorf("LMTP and logins mean different users:\n%s", got)
		}
	}
	got := s.director.must("kick", "nobody@example.org", "--json")
	if !strings.Contains(got, `"sessions_left": []`) || !strings.Contains(got, `"no_kicker": []`) {
		t.Errorf("a kick of nobody: %s", got)
	}
}

// shipped returns a file of the packaging directory with paths and users of the test.
func shipped(t *testing.T, name string, adapt *strings.Replacer) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(packaging, name))
	if err != nil {
		t.Fatal(err)
	}
	return adapt.Replace(string(text))
}

// runShipped lets a director run by a settings file alone, as the unprivileged user.
func runShipped(t *testing.T, d *director, backends []*backend, settings string) {
	t.Helper()
	path := filepath.Join(d.runDir, "director.yaml")
	if err := os.WriteFile(path, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	d.flags = []string{
		"--config", path, "--mail-servers", backends[0].ip.String() + " " + backends[1].ip.String(),
	}
	d.prefix = []string{
		"setpriv", "--reuid", unprivileged, "--regid", unprivileged, "--clear-groups",
	}
	account, err := user.Lookup(unprivileged)
	if err != nil {
		t.Fatal(err)
	}
	uid, uidErr := strconv.Atoi(account.Uid)
	gid, gidErr := strconv.Atoi(account.Gid)
	if err := errors.Join(uidErr, gidErr, os.Chown(d.runDir, uid, gid)); err != nil {
		t.Fatal(err)
	}
}

// The units are without fault in systemd's eyes.
func TestUnits(t *testing.T) {
	t.Parallel()
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
			unit := strings.ReplaceAll(string(text), "/usr/local/bin/director", program)
			if err := os.WriteFile(path, []byte(unit), 0o644); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, path)
		}
	}
	got := runProgram(t, "", "systemd-analyze", append([]string{"verify"}, paths...)...)
	if got.status != 0 || got.stdout+got.stderr != "" {
		t.Errorf("systemd-analyze verify: status %d\n%s%s", got.status, got.stdout, got.stderr)
	}
}
