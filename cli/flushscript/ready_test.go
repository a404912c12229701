package flushscript

import (
	"bufio"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"directormesh/ring"
)

// ready is where the scripts are that are shipped.
var ready = filepath.Join("..", "..", "scripts", "packaging", "flush")

// runReady runs a shipped script as a director or Dovecot's script service does.
func runReady(t *testing.T, script string, args ...string) (output string, err error) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(ready, script))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	return string(raw), err
}

// flushOf are the arguments for a user of this name, of two backends on the loopback.
func flushOf(t *testing.T, user string) []string {
	t.Helper()
	format, err := ring.ParseHashFormat("%Lu")
	if err != nil {
		t.Fatal(err)
	}
	return Flush{
		Hash: format.Hash(user), New: netip.MustParseAddr("127.0.0.92"),
		Old: ring.Backend{Addr: netip.MustParseAddr("127.0.0.91"), VHosts: 100},
	}.args()
}

// The index of the user goes, in the directory that Dovecot 2.3 makes for %LMu, and no other.
func TestReadyListIndex(t *testing.T) {
	dir := t.TempDir()
	// MD5 of alice@example.org and of bob@example.org
	alice := filepath.Join(dir, "fbf7c6aec1d4280b7c2704c1c0478bd6")
	bob := filepath.Join(dir, "7cdb8cd1ee8a9e1dd1b5a1ccd9a6e8a4")
	for _, user := range []string{alice, bob} {
		if err := os.MkdirAll(user, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(user, "list.index"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{"-d", dir}, flushOf(t, "Alice@Example.org")...)
	if said, err := runReady(t, "list-index", args...); err != nil || said != "" {
		t.Fatalf("%v: %s", err, said)
	}
	if _, err := os.Stat(alice); err == nil {
		t.Error("the index of the user is still there")
	}
	if _, err := os.Stat(filepath.Join(bob, "list.index")); err != nil {
		t.Errorf("the index of another user: %v", err)
	}
	for _, hash := range []string{"", "*", "/", "x", "1 2", "../"} {
		args := []string{"-d", dir, "FLUSH", hash, "192.0.2.1", "192.0.2.2", "up", "100"}
		if said, err := runReady(t, "list-index", args...); err == nil {
			t.Errorf("hash %q is taken: %s", hash, said)
		}
	}
	if _, err := os.Stat(bob); err != nil {
		t.Errorf("the index of another user: %v", err)
	}
}

func TestReadyNFSCache(t *testing.T) {
	args := flushOf(t, "alice")
	said, err := runReady(t, "nfs-cache", append([]string{"-d", t.TempDir()}, args...)...)
	if err != nil || said != "" {
		t.Errorf("%v: %s", err, said)
	}
	elsewhere := append([]string{"-d", "/no/such"}, args...)
	if _, err := runReady(t, "nfs-cache", elsewhere...); err == nil {
		t.Error("a directory that is not there is no error")
	}
	if _, err := runReady(t, "nfs-cache"); err == nil {
		t.Error("no arguments are no error")
	}
}

// scripting answers at a backend as Dovecot's script service does, and returns what was asked.
func scripting(t *testing.T, at, answer string) func() string {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	var asked string
	var serving sync.WaitGroup
	serving.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		in := bufio.NewScanner(c)
		for in.Scan() && in.Text() != "" {
			asked += in.Text() + "\n"
		}
		_, _ = c.Write([]byte(answer))
	})
	return func() string { l.Close(); serving.Wait(); return asked }
}

// Both backends run their scripts; the old one may be dead, and the new one must succeed.
func TestReadyOnBackends(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.91:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	args := flushOf(t, "alice")
	want := "VERSION\tscript\t4\t0\n-\n" + strings.Join(args, "\n") + "\n"
	for name, test := range map[string]struct {
		old, new string // answers; "": nobody is there
		ok       bool
		said     string
	}{
		"both":               {"done\n+\n", "+\n", true, ""},
		"the old one fails":  {"-\n", "+\n", true, "the old backend 127.0.0.91"},
		"the old one is off": {"", "+\n", true, "the old backend 127.0.0.91"},
		"the new one fails":  {"+\n", "no\n-\n", false, "the new backend 127.0.0.92"},
		"the new one is off": {"+\n", "", false, "the new backend 127.0.0.92"},
	} {
		var asked []func() string
		for at, answer := range map[string]string{
			"127.0.0.91:": test.old, "127.0.0.92:": test.new,
		} {
			if answer != "" {
				asked = append(asked, scripting(t, at+port, answer))
			}
		}
		said, err := runReady(t, "on-backends", append([]string{"-p", port}, args...)...)
		if (err == nil) != test.ok || !strings.Contains(said, test.said) ||
			test.said == "" && said != "" {
			t.Errorf("%s: %v, %s", name, err, said)
		}
		for _, a := range asked {
			if got := a(); got != want {
				t.Errorf("%s: asked %q, want %q", name, got, want)
			}
		}
	}
}
