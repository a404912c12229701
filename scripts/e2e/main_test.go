//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// program is the director under test; TestMain sets it before any test runs.
var program string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" && os.Getenv(wallOff) != "" {
		os.Exit(serveOff())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	// What the person who runs the tests has set must not reach the directors.
	for _, name := range []string{"DIRECTOR_ADDR", "DIRECTOR_JOIN", "DIRECTOR_MAIL_SERVERS"} {
		os.Unsetenv(name)
	}
	if program = os.Getenv("DIRECTORMESH_BIN"); program != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "director-e2e-bin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // some tests run it as another user
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	program = filepath.Join(dir, "director")
	if out, err := exec.Command("go", "build", "-o", program, "directormesh/cli/director").
		CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the director: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
