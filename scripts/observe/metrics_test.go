package observe

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// exposed is what a director serves at /metrics, without the values; the daemon's tests write it.
var exposed = filepath.Join("..", "..", "cli", "daemon", "testdata", "metrics.txt")

// promtool runs Prometheus' checker. It skips the test where there is none, but on CI.
func promtool(t *testing.T, stdin []byte, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no promtool: apt-get install prometheus")
		}
		t.Skip("no promtool: apt-get install prometheus")
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

// The metrics are written as Prometheus reads them, and are named as it advises.
func TestExposition(t *testing.T) {
	text, err := os.ReadFile(exposed)
	if err != nil {
		t.Fatal(err)
	}
	promtool(t, text, "check", "metrics")
}
