//go:build e2e

package e2e

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestBadCommands gives wrong commands: each must end with its status and one line that says what
// is wrong, and change nothing.
func TestBadCommands(t *testing.T) {
	m := startMesh(t, 2, "--mail-servers", "192.0.2.1-192.0.2.2 192.0.2.51@ssd")
	d1 := m.directors[0]
	must(t, d1, "lookup", "alice@example.org")
	checkKnown(t, m, "alice@example.org")
	wantTable, wantMappings := table(t, d1), mappings(t, d1)
	file := filepath.Join(m.dir, "not-there")
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"update 192.0.2.77 50", 75, `192\.0\.2\.77: doesn't exist`},
		{"remove 192.0.2.77", 68, `192\.0\.2\.77: doesn't exist`},
		{"up 192.0.2.77", 68, `192\.0\.2\.77: doesn't exist`},
		{"down 192.0.2.77", 68, `192\.0\.2\.77: doesn't exist`},
		{"flush 192.0.2.77", 68, `192\.0\.2\.77: doesn't exist`},
		{"flush -F 192.0.2.77", 68, `192\.0\.2\.77: doesn't exist`},
		{"move alice@example.org 192.0.2.77", 68, `Host '192\.0\.2\.77' doesn't exist`},
		{"add 192.0.2.300", 64, `Invalid host '192\.0\.2\.300'`},
		{"add 5", 64, `Invalid host '5'`},
		{"update 192.0.2.1 -1", 64, `-1`},
		{"update 192.0.2.1 1001", 75, `1001`},
		{"update 192.0.2.1 many", 64, `many`},
		{"add 192.0.2.9 1001", 75, `1001`},
		{"add -t tape 192.0.2.51", 75, `ssd`},
		{"update 192.0.2.51@tape 10", 75, `ssd`},
		{"update 192.0.2.1", 64, `usage: director update`},
		{"status a b c", 64, `Extraneous arguments found: c`},
		{"map -h twelve", 75, `Invalid username hash: twelve`},
		{"lookup -f " + file, 65, `not-there`},
		{"lookup alice@example.org none", 68, `none`},
		{"ring remove 127.0.0.250", 68, `Not found`},
		{"ring add nonsense", 68, `No director named 'nonsense' has been seen here`},
		{"ring add 127.0.0.300", 64, `Invalid IP '127.0.0.300'`},
		{"ring add 127.0.0.9 99999", 64, `Invalid port '99999'`},
		{"frobnicate", 64, `frobnicate`},
		{"status --frobnicate", 64, `frobnicate`},
	} {
		t.Run(c.args, func(t *testing.T) {
			args := append(strings.Fields(c.args), "-a", d1.socket())
			checkFails(t, runCommand(t, args...), c.status, c.says)
		})
	}
	t.Run("unreachable", func(t *testing.T) {
		for _, addr := range []string{filepath.Join(m.dir, "no.sock"), "127.0.0.101:1"} {
			checkFails(t, runCommand(t, "status", "-a", addr), 75,
				regexp.QuoteMeta("cannot reach director at "+addr))
		}
		got := runCommand(t, "status", "--json", "-a", filepath.Join(m.dir, "no.sock"))
		if got.stdout != "" {
			t.Errorf("a failure with --json printed %q", got.stdout)
		}
	})
	t.Run("no permission", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Log("not run as root: the socket is made unusable instead of the user another")
			if err := os.Chmod(d1.socket(), 0); err != nil {
				t.Fatal(err)
			}
			checkFails(t, runCommand(t, "status", "-a", d1.socket()), 75, "permission denied")
			if err := os.Chmod(d1.socket(), 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
		checkFails(t, runAs(t, stranger(), "status", "-a", d1.socket()), 75, "permission denied")
	})
	for _, d := range m.directors {
		if diff := cmp.Diff(wantTable, table(t, d)); diff != "" {
			t.Errorf("the table of %s changed (-want +got):\n%s", d.name, diff)
		}
		if diff := cmp.Diff(wantMappings, mappings(t, d)); diff != "" {
			t.Errorf("the mappings of %s changed (-want +got):\n%s", d.name, diff)
		}
	}
}

// checkFails demands an exit status, nothing on stdout and one line on stderr.
func checkFails(t *testing.T, got outcome, status int, says string) {
	t.Helper()
	if got.status != status {
		t.Errorf("exit status %d, want %d", got.status, status)
	}
	if got.stdout != "" {
		t.Errorf("stdout has %q", got.stdout)
	}
	if !oneLine(got.stderr) {
		t.Errorf("stderr is not one line: %q", got.stderr)
	}
	if !regexp.MustCompile(says).MatchString(got.stderr) {
		t.Errorf("stderr is %q, it should say %s", got.stderr, says)
	}
}

// TestFlagsAnywhere writes flags where people write them.
func TestFlagsAnywhere(t *testing.T) {
	m := startMesh(t, 1, "--mail-servers", "192.0.2.1-192.0.2.2", "--user-kick-delay", "0s")
	d := m.directors[0]
	must(t, d, "lookup", "alice@example.org")
	if got := runCommand(t, "move", "alice@example.org", "192.0.2.2", "--wait", "-a",
		d.socket()); got.status != 0 {
		t.Errorf("move with flags behind its arguments: status %d: %s", got.status, got.stderr)
	}
	if at := userStatus(t, d, "alice@example.org").current; at != "192.0.2.2" {
		t.Errorf("after the move alice is on %s", at)
	}
	got := runCommand(t, "status", "alice@example.org", "--json", "-a", d.socket())
	if got.status != 0 || !strings.HasPrefix(got.stdout, "{") {
		t.Errorf("status USER --json -a ADDR: status %d: %s%s", got.status, got.stdout, got.stderr)
	}
	hash := strings.TrimSpace(must(t, d, "map", "-u", "alice@example.org"))
	names := filepath.Join(m.dir, "names")
	err := os.WriteFile(names, []byte("bob@example.org\nalice@example.org\n"), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if got := runCommand(t, "map", "-f", names, "-h", hash, "-a", d.socket()); got.status != 0 ||
		strings.TrimSpace(got.stdout) != "alice@example.org" {
		t.Errorf("map -h %s: status %d: %s%s", hash, got.status, got.stdout, got.stderr)
	}
	got = runCommand(t, "move", "alice@example.org", "192.0.2.2", "--json", "-a", d.socket())
	if got.status != 0 {
		t.Errorf("move alice 192.0.2.2 --json -a X: status %d: %s", got.status, got.stderr)
	}
}

// TestBadSettings starts directors with wrong settings: each must refuse to start with one line.
func TestBadSettings(t *testing.T) {
	m := startMesh(t, 1, "--mail-servers", "192.0.2.1")
	taken := m.directors[0]
	config := filepath.Join(m.dir, "bad.yaml")
	err := os.WriteFile(config, []byte("mail-servers: 192.0.2.1\nuser-expiry: 15m\n"), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	short := m.keyFile("short", "AAEC")
	for _, c := range []struct {
		name   string
		flags  []string
		status int
		says   string
	}{
		{"expire", []string{"--user-expire", "9s"}, 78, `user-expire: .*9s.*10s`},
		{"unknown key", []string{"--config", config}, 78, `user-expiry.*line 2`},
		{"reversed", []string{"--mail-servers", "192.0.2.9-192.0.2.1"},
			78, `mail-servers: "192\.0\.2\.9-192\.0\.2\.1": range ends before it starts`},
		{"too large", []string{"--mail-servers", "192.0.2.1-192.0.3.1"},
			78, `mail-servers: .*192\.0\.2\.1-192\.0\.3\.1`},
		{"bad address", []string{"--mail-servers", "192.0.2.256"},
			78, `mail-servers: .*192\.0\.2\.256`},
		{"twice", []string{"--mail-servers", "192.0.2.1 192.0.2.1"},
			78, `mail-servers: .*192\.0\.2\.1`},
		{"hash format", []string{"--username-hash", "%x"}, 78, `username-hash: .*%x`},
		{"key", []string{"--encrypt-key-file", short}, 78, `encrypt-key-file: .*3 bytes`},
		{"http", []string{"--http", "192.0.2.1:80"}, 78, `http: .*loopback`},
		{"unknown flag", []string{"--user-expiry", "15m"}, 64, `user-expiry`},
		{"mesh port in use", []string{"--bind", taken.addr.String()},
			75, taken.addr.String() + ".*in use"},
		{"run directory in use", []string{"--run-dir", taken.runDir}, 75, `another process serves`},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := []string{
				"serve", "--run-dir", filepath.Join(m.dir, "bad"), "--bind", "127.0.0.120:0",
			}
			began := time.Now()
			got := runCommand(t, append(args, c.flags...)...)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v to refuse", took)
			}
			checkFails(t, got, c.status, c.says)
		})
	}
	must(t, taken, "status")
}

// TestLocalHTTP asks over --http, and finds the metrics and health pages there.
func TestLocalHTTP(t *testing.T) {
	m := newMesh(t, 1, "--mail-servers", "192.0.2.1-192.0.2.2")
	d := m.directors[0]
	addr := netip.AddrPortFrom(d.addr.Addr(), freePort(t, d.addr.Addr())).String()
	public := netip.AddrPortFrom(d.addr.Addr(), freePort(t, d.addr.Addr())).String()
	d.start("--http", addr, "--metrics", public)
	m.awaitSynced(10*time.Second, d)
	for _, a := range []string{addr, "http://" + addr} {
		if got := runCommand(t, "status", "-a", a); got.status != 0 {
			t.Errorf("status by %s: %s", a, got.stderr)
		}
		for _, change := range [][]string{
			{"lookup", "alice@example.org"}, {"down", "192.0.2.1"}, {"flush", "all"},
		} {
			got := runCommand(t, append(change, "-a", a)...)
			checkFails(t, got, got.status, `only queries .* director.sock`)
			if got.status == 0 {
				t.Errorf("%v is done over %s", change, a)
			}
		}
	}
	for path, want := range map[string]string{
		"/healthz": "", "/readyz": "", "/metrics": "director_build_info",
		"/v1/backends": "192.0.2.1",
	} {
		status, body := fetch(t, "http://"+addr+path)
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: status %d, without %q: %.200s", path, status, want, body)
		}
		wanted := 200
		if strings.HasPrefix(path, "/v1/") {
			wanted = 404
		}
		if status, body := fetch(t, "http://"+public+path); status != wanted {
			t.Errorf("%s at --metrics: status %d, want %d: %.200s", path, status, wanted, body)
		}
	}
}
