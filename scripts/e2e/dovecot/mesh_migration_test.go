//go:build e2e

package dovecot

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// oldPort is where Dovecot's director listens for its ring, beside our mesh.
const oldPort = 9089

// A live Dovecot director is replaced, and brought back, as cli/doc/migrate.md tells it: no user
// finds another backend.
func TestReplaceRingAndBack(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 2)
	s := newSite(t, dovecot23, 1, addresses(backends), "", "")
	users := userNames(12)
	for _, b := range backends {
		b.mark(users...)
	}
	passdb := fmt.Sprintf(`listen = %s
mail_location = maildir:/nonexistent
passdb {
  driver = static
  args = password=pass proxy=y
}
`, s.ip)
	ring := passdb + fmt.Sprintf(`protocols = imap
director_servers = %[1]s:%[2]d
director_mail_servers = %[3]s %[4]s
service imap-login {
  executable = imap-login director
}
service director {
  unix_listener login/director {
    mode = 0666
  }
  fifo_listener login/proxy-notify {
    mode = 0666
  }
  inet_listener {
    address = %[1]s
    port = %[2]d
  }
}
`, s.ip, oldPort, backends[0].ip, backends[1].ip)
	mesh := passdb + `protocols = imap
service imap-login {
  executable = imap-login x/director
}
login_proxy_notify_path = x/proxy-notify
service director {
  unix_listener director-admin {
    mode = 0
  }
}
`
	s.proxy.configure(ring)
	s.proxy.start(s.port(143), "unix:director-admin")
	homes := make(map[string]string)
	where := func() map[string]string {
		t.Helper()
		found := make(map[string]string)
		for _, user := range users {
			var err error
			if !eventually(startTime, func() bool { // login processes start anew after a reload
				var c *mailConn
				if c, err = loginIMAP(s.port(143), user, "pass"); err != nil {
					return false
				}
				defer c.Close()
				found[user], err = c.where()
				return err == nil
			}) {
				t.Fatalf("%s: %v", user, err)
			}
		}
		return found
	}
	same := func(when string) {
		t.Helper()
		for user, home := range where() {
			if home != homes[user] {
				t.Errorf("%s: %s is on %s, was on %s", when, user, home, homes[user])
			}
		}
	}
	where()
	// Some users are not where they hash.
	for i, user := range users[:4] {
		got := s.proxy.doveadm("director", "move", user, backends[i%2].ip.String())
		if got.status != 0 {
			t.Fatalf("doveadm director move: %+v", got)
		}
	}
	homes = where()

	// Our director runs beside Dovecot's and follows it.
	s.director.start()
	s.director.awaitMesh(1)
	follow := exec.Command(program, "import", "-a", s.director.socket(), "--from",
		s.proxy.path("director-admin"), "--follow")
	var told strings.Builder
	follow.Stderr = &told
	follow.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	imported := func() bool {
		status := s.director.must("map")
		return strings.Count(status, "\n") >= len(users)
	}
	if !eventually(startTime, imported) {
		t.Errorf("users are missing: %s", s.director.must("map"))
	}
	if got := s.proxy.doveadm("director", "move", users[5],
		backends[0].ip.String()); got.status != 0 {
		t.Fatalf("doveadm director move: %+v", got)
	}
	homes[users[5]] = backends[0].name
	if !eventually(startTime, func() bool {
		return strings.Contains(s.director.must("status", users[5]),
			"Current: "+backends[0].ip.String())
	}) {
		t.Errorf("a move on Dovecot's director is not followed: %s",
			s.director.must("status", users[5]))
	}
	// The switch.
	s.proxy.configure(mesh)
	if got := s.proxy.doveadm("reload"); got.status != 0 {
		t.Fatalf("doveadm reload: %+v", got)
	}
	if !eventually(startTime, func() bool {
		return s.proxy.doveadm("director", "status").status != 0
	}) {
		t.Fatal("Dovecot's director does not go away")
	}
	_ = follow.Process.Signal(syscall.SIGINT)
	if err := follow.Wait(); err != nil {
		t.Errorf("import --follow: %v: %s", err, told.String())
	}
	same("after the switch")
	if got := s.proxy.doveadm("director", "status", "-a",
		filepath.Join(s.director.runDir, "director-admin"), users[0]); got.status != 0 {
		t.Errorf("doveadm director status: %+v", got)
	}

	// And back: everybody to where the hash says, the table to the ring, the switch.
	s.director.must("flush", "all")
	homes = where()
	s.proxy.configure(ring)
	if got := s.proxy.doveadm("reload"); got.status != 0 {
		t.Fatalf("doveadm reload: %+v", got)
	}
	if !eventually(startTime, func() bool {
		return s.proxy.doveadm("director", "status").status == 0
	}) {
		t.Fatal("Dovecot's director does not come back")
	}
	for line := range strings.Lines(s.director.must("dump")) {
		args := strings.Fields(strings.Replace(line, "-a "+s.director.socket(), "", 1))
		if got := s.proxy.doveadm(args...); got.status != 0 {
			t.Errorf("doveadm %v: %+v", args, got)
		}
	}
	// Login processes of before the reload may still ask our director, which sends everybody to the
	// same backends.
	known := func() bool {
		same("after the way back")
		for _, user := range users {
			got := s.proxy.doveadm("director", "status", user)
			if got.status != 0 || strings.Contains(got.stdout, "n/a") {
				return false
			}
		}
		return true
	}
	if !eventually(startTime, known) {
		t.Error("Dovecot's director does not know the users again")
	}
}
