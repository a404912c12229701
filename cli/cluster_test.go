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
	for _, test := range []struct{ dir, says string }{
		{own, ""},
		{open, "others can write to"},
		{link, "is no directory of yours"},
		{file, "is no directory of yours"},
	} {
		cmd := exec.Command("../scripts/cluster", "status")
		cmd.Env = append(os.Environ(), "DIRECTORMESH_CLUSTER="+test.dir, "DIRECTORMESH_BIN=/bin/true")
		out, err := cmd.CombinedOutput()
		refused := err != nil && strings.Contains(string(out), "DIRECTORMESH_CLUSTER")
		if refused != (test.says != "") || !strings.Contains(string(out), test.says) {
			t.Errorf("%s: %v, %s", test.dir, err, out)
		}
	}
}
