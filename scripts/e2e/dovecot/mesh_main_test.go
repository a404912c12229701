//go:build e2e

package dovecot

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	defer func() { os.RemoveAll(made24) }() // nothing if it is ""
	if program = os.Getenv("DIRECTOR_BIN"); program != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "dv-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "director")
	if out, err := exec.Command("go", "build", "-o", program, "directormesh/cli/director").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the director: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
