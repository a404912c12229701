//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The same source makes the same packages, wherever it is and whatever the umask is.
func TestPackagesAreReproducible(t *testing.T) {
	t.Parallel()
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "elsewhere")
	runIn(t, top, "sh", "-c", `umask 077; mkdir "$0" && git ls-files -z --cached --others `+
		`--exclude-standard | xargs -0 cp --parents -t "$0"`, copied)
	here, there := packages(t, top, "022"), packages(t, copied, "077")
	if len(here) != 2 {
		t.Errorf("%d packages, want 2", len(here))
	}
	for name, raw := range here {
		if !bytes.Equal(raw, there[name]) {
			t.Errorf("%s: %d bytes here, %d other ones there", name, len(raw), len(there[name]))
		}
	}
}

// packages builds all packages of a source tree, and returns them by name.
func packages(t *testing.T, tree, umask string) map[string][]byte {
	t.Helper()
	out := t.TempDir()
	runIn(t, tree, "sh", "-c", `umask "$0"; VERSION=1.2.3 SOURCE_DATE_EPOCH=1750000000 OUT="$1" `+
		`scripts/package deb rpm`, umask, out)
	files, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	built := make(map[string][]byte)
	for _, file := range files {
		raw, err := os.ReadFile(filepath.Join(out, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		built[file.Name()] = raw
	}
	return built
}

func runIn(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
}
