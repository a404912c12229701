//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// backName is the pattern of the names of some users who come back.
func backName(part int) string { return fmt.Sprintf("back-%d-%%d@example.org", part) }

// TestFailedBackendUsersComeBack has a backend fail, and then all its users log in at the same
// time, at all directors: 5,000 at 1,000 users a second, or with DIRECTORMESH_DRAIN 100,000. Each
// is moved once, all directors name one backend, and nobody the one that has failed.
func TestFailedBackendUsersComeBack(t *testing.T) {
	t.Parallel()
	count, parts := 5000, 1
	if os.Getenv("DIRECTORMESH_DRAIN") != "" {
		count, parts = 100_000, 3
	}
	w := newDrainWorld(t, 4)
	failing := w.backends[0]
	placed := make(map[string][]string)
	for part := range parts {
		for n := range count / parts {
			placed[failing] = append(placed[failing], fmt.Sprintf(backName(part), n+1))
		}
	}
	w.mapThem(placed)
	w.servers[failing].Close()
	within(t, verdictTime, func() error {
		if b := w.backend(failing); b.Failure == nil || b.Failure.Kept {
			return fmt.Errorf("%s has not failed: %+v", failing, b)
		}
		return nil
	})
	var sockets []string
	for _, d := range w.mesh.directors {
		sockets = append(sockets, d.socket())
	}
	// Each at all directors, in parts that end within the time of a command; answers must agree.
	began := time.Now()
	for part := range parts {
		got := runCommand(t, "bench", "-a", strings.Join(sockets, ","), "--each", "--rate", "3000",
			"--duration", "1m", "--users", fmt.Sprint(count/parts), "--names", backName(part))
		if got.status != 0 {
			t.Errorf("logins: exit status %d: %s%s", got.status, got.stdout, got.stderr)
		}
		t.Logf("part %d of %d, after %.1f s:\n%s", part+1, parts, time.Since(began).Seconds(),
			got.stdout)
	}
	w.checkMoves(placed, "")
}
