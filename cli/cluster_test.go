package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// scripts/cluster believes no directory that somebody else may have put in its way.
func TestClusterTrustsOnlyItsOwn(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash here")
	}
	dir := t.TempDir()
	own, open := filepath.Join(dir, "own"), filepath.Join(dir, "open")
	link := filepath.Join(dir, "link")
	for _, d := range []string{own, open} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(own, link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	type test struct{ dir, says string }
	tests := []test{
		{own, ""},
		{open, "others can write to"},
		{link, "is no directory of yours"},
		{file, "is no directory of yours"},
	}
	if os.Geteuid() == 0 { // only root can give one away
		others := filepath.Join(dir, "others")
		if err := os.Mkdir(others, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(others, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		tests = append(tests, test{others, "is no directory of yours"})
	}
	for _, test := range tests {
		cmd := exec.Command("../scripts/cluster", "status")
		cmd.Env = append(os.Environ(), "DIRECTORMESH_CLUSTER="+test.dir,
			"DIRECTORMESH_BIN=/bin/true")
		out, err := cmd.CombinedOutput()
		refused := err != nil && strings.Contains(string(out), "DIRECTORMESH_CLUSTER")
		if refused != (test.says != "") || !strings.Contains(string(out), test.says) {
			t.Errorf("%s: %v, %s", test.dir, err, out)
		}
	}
}

// make install runs no Go: root, who installs, may have none.
func TestInstallNeedsNoGo(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("there is no make here")
	}
	cmd := exec.Command("make", "-C", "..", "-n", "install", "GO=no-go-here",
		"DESTDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	said := string(out)
	if err != nil || !strings.Contains(said, "install -m 755 bin/director") {
		t.Fatalf("%v: %s", err, said)
	}
	if strings.Contains(said, "no-go-here") {
		t.Errorf("it would run Go:\n%s", said)
	}
}
