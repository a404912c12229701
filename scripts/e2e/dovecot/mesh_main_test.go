//go:build e2e

package dovecot

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// parallel is how many tests run at the same time unless -parallel says otherwise: they wait far
// more than they work.
const parallel = "8"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", parallel); err != nil {
		panic(err)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	defer func() { os.RemoveAll(made24) }() // nothing if it is ""
	if program = os.Getenv("DIRECTORMESH_BIN"); program != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "dv-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "director")
	if out, err := exec.Command("go", "build", "-o", program, "directormesh/cli/director").
		CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the director: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
