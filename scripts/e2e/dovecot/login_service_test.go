//go:build e2e

package dovecot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The director run by Dovecot's own master process, which hands the sockets and the FIFO over:
// logins work, a killed director is started again, and proxied sessions do not notice.
func TestDovecotService(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 1)
	ip := newAddress(t)
	p := newInstance(t, "p1", "")
	d := newDirector(t, "d1", ip) // only for its directory and commands: Dovecot starts it
	p.configure(fmt.Sprintf(`protocols = imap
listen = %[1]s
mail_location = maildir:/nonexistent
passdb {
  driver = static
  args = password=pass proxy=y
}
service imap-login {
  executable = imap-login director
}
service director {
  executable = %[2]s serve --node-name d1 --bind %[1]s:%[3]d --mail-servers %[4]s --run-dir %[5]s --auth-login-socket %[6]s --auth-userdb-socket %[7]s --user-expire 10s
  user = root
  chroot =
  process_limit = 1
  process_min_avail = 1
  client_limit = 20000
  vsz_limit = 0
  idle_kill = 4294967295 s
  unix_listener director-admin {
    mode = 0600
  }
  unix_listener director-userdb {
    mode = 0600
  }
  unix_listener login/director {
    mode = 0666
  }
  fifo_listener login/proxy-notify {
    mode = 0666
  }
}
`, ip, program, meshPort, backends[0].ip, d.runDir, p.path("auth-login"), p.path("auth-userdb")))
	p.start(fmt.Sprintf("%s:143", ip), "unix:director-admin")
	c, err := loginIMAP(fmt.Sprintf("%s:143", ip), "alice@example.org", "pass")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := p.doveadm("director", "status")
	if got.status != 0 || !strings.Contains(got.stdout, backends[0].ip.String()) {
		t.Errorf("doveadm director status: %+v", got)
	}
	if got := p.doveadm("auth", "lookup", "-a", p.path("director-userdb"),
		"alice@example.org"); !strings.Contains(got.stdout, backends[0].ip.String()) {
		t.Errorf("doveadm auth lookup: %+v", got)
	}
	command := filepath.Base(program)
	command = command[:min(len(command), 15)] // what the kernel keeps of it
	old := p.process(command)
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := c.expect("n NOOP", "n OK", "n "); err != nil {
		t.Errorf("a session after the director was killed: %v", err)
	}
	if !eventually(startTime, func() bool {
		c, err := loginIMAP(fmt.Sprintf("%s:143", ip), "bob@example.org", "pass")
		if err != nil {
			return false
		}
		c.Close()
		return true
	}) {
		t.Error("nobody can log in after the director was killed")
	}
	if pid := p.process(command); pid == old {
		t.Error("the director was not started again")
	}
	// It stays: the master knows that it is alive and busy.
	if got := p.doveadm("director", "ring", "status"); got.status != 0 ||
		!strings.Contains(got.stdout, ip.String()) {
		t.Errorf("doveadm director ring status: %+v", got)
	}
}

// The same with Dovecot 2.4, whose listeners begin at another descriptor, and without root's
// rights.
func TestDovecotService24(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 1)
	ip := newAddress(t)
	p := newInstanceOf(t, dovecot24, "p1", "")
	installed := filepath.Join(p.dir, "director") // as Dovecot sees it
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.root+installed, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	runDir := p.dir + "/own"
	if err := os.MkdirAll(p.root+runDir, 0o777); err != nil {
		t.Fatal(err)
	}
	// it runs as Dovecot's user, whose id only the root knows
	if err := os.Chmod(p.root+runDir, 0o777); err != nil {
		t.Fatal(err)
	}
	p.configure(fmt.Sprintf(`protocols = imap
listen = %[1]s
mail_driver = maildir
mail_path = /nonexistent
login_socket_path = director
passdb static {
  password = pass
  fields {
    proxy = yes
  }
}
service director {
  executable = %[2]s serve --node-name d1 --bind %[1]s:%[3]d --mail-servers %[4]s --run-dir %[5]s --auth-login-socket %[6]s/auth-login --auth-userdb-socket %[6]s/auth-userdb
  user = dovecot
  drop_priv_before_exec = yes
  chroot =
  process_limit = 1
  process_min_avail = 1
  client_limit = 20000
  vsz_limit = unlimited
  idle_kill_interval = infinite
  unix_listener director-userdb {
    mode = 0600
  }
  unix_listener login/director {
    mode = 0666
  }
  fifo_listener login/proxy-notify {
    mode = 0666
  }
}
`, ip, installed, meshPort, backends[0].ip, runDir, p.seen("")))
	p.start(fmt.Sprintf("%s:143", ip))
	login := func(user string) {
		t.Helper()
		var err error
		if !eventually(startTime, func() bool {
			var c *mailConn
			if c, err = loginIMAP(fmt.Sprintf("%s:143", ip), user, "pass"); err == nil {
				c.Close()
			}
			return err == nil
		}) {
			t.Fatalf("%s cannot log in: %v", user, err)
		}
	}
	login("alice@example.org")
	before := runProgram(t, "", program, "ring", "status", "-a",
		filepath.Join(p.root+runDir, "director.sock"))
	if before.status != 0 || !strings.Contains(before.stdout, ip.String()) {
		t.Errorf("director ring status: %+v", before)
	}
	old := p.process("director")
	// A reload replaces the director: the new one has to wait until the old one has freed its port.
	if got := p.doveadm("reload"); got.status != 0 {
		t.Fatalf("doveadm reload: %+v", got)
	}
	if !eventually(startTime, func() bool {
		pid := p.findProcess("director")
		return pid != 0 && pid != old && syscall.Kill(old, 0) != nil
	}) {
		t.Fatal("the director is not replaced")
	}
	login("bob@example.org")
}
