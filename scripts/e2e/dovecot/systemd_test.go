//go:build e2e

package dovecot

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What is shipped for systemd and for Dovecot 2.3, installed as the guide tells, on a machine whose
// systemd, Dovecot and director are the real ones: systemd hands sockets and FIFO over and keeps
// them while the director is killed, restarted and stopped. Sessions go on, and somebody reads the
// FIFO for as long as it is there.
func TestSystemd(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 2)
	for _, b := range backends {
		b.mark("alice", "bob", "carol")
	}
	m := bootMachine(t)
	ip := newAddress(t)
	install(t, m, ip, backends)
	const fifo = "/run/dovecot/login/x/proxy-notify"
	logIn := func(user string) *mailConn {
		t.Helper()
		var c *mailConn
		var err error
		if !eventually(startTime, func() bool {
			c, err = loginIMAP(netip.AddrPortFrom(ip, 143).String(), user, "pass")
			return err == nil
		}) {
			t.Fatalf("%s: %v\n%s", user, err, m.logs())
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	reads := func(when string) {
		t.Helper()
		if ok, err := m.hasReader(fifo); !ok {
			t.Errorf("%s: nobody reads the FIFO (%v)", when, err)
		}
	}

	printed := m.must("bash", "-c", installBlock(t, "service/imap-login/executable"))
	checkDoveconf(t, printed, "imap-login x/director", "pop3-login x/director",
		"x/proxy-notify", "/run/director/director-userdb")
	m.must("systemctl", "start", "director.service", "dovecot.service")
	reads("after the start")
	session := logIn("alice")
	status := m.must("director", "status", "alice", "-a", "/run/director/director.sock")
	at, err := session.where()
	if err != nil {
		t.Fatal(err)
	}
	home := named(t, backends, at)
	if !strings.Contains(status, "Current: "+home.ip.String()+" (expires") {
		t.Errorf("alice is on %s, director status: %s", home.ip, status)
	}
	if !strings.Contains(m.logs(), `"encrypted":true`) {
		t.Errorf("the director has not taken the key:\n%s", m.logs())
	}
	units, err := filepath.Glob(filepath.Join(packaging, "director-*.socket"))
	if err != nil || len(units) == 0 {
		t.Fatalf("packaged sockets: %v, %v", units, err)
	}
	for _, unit := range units {
		door := strings.TrimSuffix(
			strings.TrimPrefix(filepath.Base(unit), "director-"), ".socket")
		if !strings.Contains(m.logs(), `"`+door+`_socket":"/run/`) {
			t.Errorf("the director was not handed its %s socket:\n%s", door, m.logs())
		}
	}
	got := m.must("doveadm", "director", "status", "-a", "/run/director/director-admin")
	if !strings.Contains(got, backends[0].ip.String()) {
		t.Errorf("doveadm director status: %s", got)
	}

	first := m.mainPID("director.service")
	m.must("systemctl", "kill", "--signal", "KILL", "director.service")
	reads("after a kill")
	if err := session.alive(); err != nil {
		t.Errorf("a session after the director was killed: %v", err)
	}
	logIn("bob")
	if second := m.mainPID("director.service"); second == first || second == "0" {
		t.Errorf("the director has process %s, before it was killed %s", second, first)
	}
	m.must("director", "kick", "alice", "-a", "/run/director/director.sock")
	if err := session.ended(stopTime); err != nil {
		t.Errorf("a kick after the restart: %v", err)
	}

	m.must("systemctl", "restart", "director.service")
	reads("after a restart")
	m.must("systemctl", "restart", "dovecot.service")
	reads("after a restart of Dovecot")
	session = logIn("carol")

	m.must("systemctl", "stop", "director.service")
	reads("after a stop")
	if err := session.alive(); err != nil {
		t.Errorf("a session after the director was stopped: %v", err)
	}
	// A login starts it again: its socket is systemd's.
	logIn("alice")
	if m.mainPID("director.service") == "0" {
		t.Error("nothing has started the director, and yet there was a login")
	}
	// Without its unit there is no FIFO: one without a reader would freeze the login processes.
	m.must("systemctl", "stop", "director.service", "director-notify.socket")
	if _, err := os.Stat(m.path(fifo)); err == nil {
		t.Error("nothing keeps the FIFO open, and it is still there")
	}
	if err := session.alive(); err != nil {
		t.Errorf("a session after the FIFO has gone: %v", err)
	}
}

// logsToFile has the director log to a file: there is no journal here.
func (m *machine) logsToFile() {
	m.t.Helper()
	m.write("/etc/systemd/system/director.service.d/log.conf",
		"[Service]\nStandardOutput=append:/var/log/director.log\n"+
			"StandardError=append:/var/log/director.log\n", 0o644)
}

// logs are what director and Dovecot have logged.
func (m *machine) logs() string {
	var all strings.Builder
	for _, name := range []string{"/var/log/director.log", "/var/log/dovecot.log"} {
		text, err := os.ReadFile(m.path(name))
		if err != nil {
			text = []byte(err.Error() + "\n")
		}
		all.Write(text)
	}
	return all.String()
}

// checkDoveconf demands of the answers to what the guide has people ask doveconf what it says that
// these must be.
func checkDoveconf(t *testing.T, printed string, wants ...string) {
	t.Helper()
	values := make(map[string]bool)
	format := make(map[string]int)
	for line := range strings.Lines(printed) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		values[value] = true
		if name == "auth_username_format" {
			format[value]++
		}
	}
	for _, want := range wants {
		if !values[want] {
			t.Errorf("doveconf does not print %q:\n%s", want, printed)
		}
	}
	if len(format) != 1 {
		t.Errorf("LMTP and logins ask for different users:\n%s", printed)
	}
}

// guideBlocks returns the blocks of cli/doc/install.md in their order: commands and settings.
func guideBlocks(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(documents, "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	fenced := regexp.MustCompile("(?ms)^ *```[a-z]*\n(.*?)^ *```$")
	for _, match := range fenced.FindAllSubmatch(text, -1) {
		blocks = append(blocks, string(match[1]))
	}
	return blocks
}

// guideBlock returns the first block of cli/doc/install.md that has this in it.
func guideBlock(t *testing.T, part string) string {
	t.Helper()
	for _, block := range guideBlocks(t) {
		if strings.Contains(block, part) {
			return block
		}
	}
	t.Fatalf("no block of the guide has %q", part)
	return ""
}

// installBlock returns the commands of the first block of cli/doc/install.md that has this in it.
func installBlock(t *testing.T, part string) string {
	t.Helper()
	return "set -e\n" + guideBlock(t, part)
}

// install follows cli/doc/install.md.
func install(t *testing.T, m *machine, ip netip.Addr, backends []*backend) {
	t.Helper()
	unchanged := strings.NewReplacer()
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	m.write("/root/source/bin/director", string(binary), 0o755)
	for _, name := range append(packagedUnits, "director.yaml") {
		m.write("/root/source/scripts/packaging/"+name, shipped(t, name, unchanged), 0o644)
	}
	m.write("/root/source/Makefile", shipped(t, "../../Makefile", unchanged), 0o644)
	m.must("bash", "-c", "cd /root/source\n"+installBlock(t, "make install"))
	m.write("/etc/director/director.yaml", shipped(t, "director.yaml", strings.NewReplacer(
		"mail-servers: []", fmt.Sprintf("mail-servers: [%s, %s]", backends[0].ip, backends[1].ip),
		"#encrypt-key-file:", "encrypt-key-file:",
		"bind: 127.0.0.1:9090", fmt.Sprintf("bind: %s:%d", ip, meshPort),
	)), 0o644)
	m.write("/etc/dovecot/dovecot.conf", fmt.Sprintf(`protocols = imap pop3 lmtp
listen = %s
log_path = /var/log/dovecot.log
ssl = no
disable_plaintext_auth = no
mail_location = maildir:/nonexistent
passdb {
  driver = static
  args = password=pass proxy=y
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}
`, ip)+shipped(t, "dovecot-2.3.conf", unchanged), 0o644)
	m.must("bash", "-c", installBlock(t, "keys generate"))
	m.must("bash", "-c", installBlock(t, "chown director: /etc/director/keys"))
	m.logsToFile()
	m.must("systemctl", "daemon-reload")
	m.must("systemctl", "enable", "director.service")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("systemd: %s\n%s",
				m.run("systemctl", "status", "--no-pager", "director*", "dovecot*").stdout,
				lastLines(m.logs(), logLines))
		}
	})
}
