package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

// golden compares got with testdata/golden/name, or writes it there with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// pollInterval is how often a condition is looked at that a test waits for.
const pollInterval = 20 * time.Millisecond

// testResolve knows a few names.
func testResolve(_ context.Context, host string) ([]netip.Addr, error) {
	switch host {
	case "one.example.org":
		return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
	case "two.example.org":
		return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, nil
	}
	return nil, errors.New("no such host")
}

// result is how a command ended.
type result struct {
	status         int
	stdout, stderr string
}

// runCommand runs a command line in a zone two hours east of Greenwich.
func runCommand(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := Main(t.Context(), append([]string{"director"}, args...), IO{
		Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr,
		LookupEnv: func(string) (string, bool) { return "", false },
		Location:  time.FixedZone("EET", 2*3600),
		Resolve:   testResolve,
		Version:   "1.2.3",
	})
	return result{status, stdout.String(), stderr.String()}
}
