//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// lookupMany looks users up by "lookup -f" and returns the backend of each. The answers must have
// the order of the file.
func lookupMany(t *testing.T, d *process, names []string) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "names")
	if err := os.WriteFile(file, []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	answers := make(map[string]string, len(names))
	i := 0
	for line := range strings.Lines(must(t, d, "lookup", "-f", file)) {
		user, backend, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || i >= len(names) || user != names[i] {
			t.Fatalf("lookup -f at %s: line %d is %q, not an answer for the name in this place",
				d.name, i+1, line)
		}
		answers[user] = backend
		i++
	}
	if i != len(names) {
		t.Fatalf("lookup -f at %s: %d answers for %d names", d.name, i, len(names))
	}
	return answers
}

// lookupAll looks users up and demands the oracle's answers.
func lookupAll(t *testing.T, d *process, names []string, o oracle) {
	t.Helper()
	answers := lookupMany(t, d, names)
	wrong := 0
	for _, user := range names {
		if want := o.backend(user); answers[user] != want {
			if wrong++; wrong <= 5 {
				t.Errorf("%s at %s: %s, the ring gives %s", user, d.name, answers[user], want)
			}
		}
	}
	if wrong > 0 {
		t.Fatalf("%d of %d answers of %s are wrong", wrong, len(names), d.name)
	}
}

// TestMillionNames asks every director for a million users.
func TestMillionNames(t *testing.T) {
	m := startMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.4")
	o := newOracle(evenly(100, fourBackends...))
	names := users("million", 1_000_000)
	for _, d := range m.directors {
		began := time.Now()
		lookupAll(t, d, names, o)
		t.Logf("a million names at %s: %v", d.name, time.Since(began).Round(10*time.Millisecond))
	}
	// Among a million names some share a hash, and with it a mapping.
	hashes := make(map[uint32]bool)
	for _, name := range names {
		hashes[userHash(name)] = true
	}
	within(t, 30*time.Second, func() error {
		for _, d := range m.directors {
			if users := countUsers(t, d); users != len(hashes) {
				return fmt.Errorf("%s counts %d users", d.name, users)
			}
		}
		return nil
	})
	for _, d := range m.directors {
		t.Logf("%s: at most %d MB in memory", d.name, d.peakMemory()>>20)
	}
}

// countUsers adds up the users of all backends.
func countUsers(t *testing.T, d *process) int {
	t.Helper()
	backends, err := client(t, d).Backends(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, b := range backends.Backends {
		sum += b.Users
	}
	return sum
}
