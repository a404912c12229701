//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestFailedBackendUsersComeBack has a backend fail, and then all its users log in at the same
// time, at all directors: 5,000, or with DIRECTORMESH_DRAIN 100,000. Each is moved once, all
// directors name one backend, and nobody the one that has failed.
func TestFailedBackendUsersComeBack(t *testing.T) {
	t.Parallel()
	count, seconds := 5000, 5
	if os.Getenv("DIRECTORMESH_DRAIN") != "" {
		// Within less than 30 s more logins would wait than one program on a host may have, 10,000.
		count, seconds = 100_000, 30
	}
	w := newDrainWorld(t, 4)
	failing := w.backends[0]
	placed := map[string][]string{failing: users("back", count+1)[1:]}
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
	// Each at all directors; answers must agree.
	began := time.Now()
	got := runCommand(t, "bench", "-a", strings.Join(sockets, ","), "--each", "--rate",
		fmt.Sprint(3*count/seconds), "--users", fmt.Sprint(count), "--names", "back%d@example.org")
	if got.status != 0 {
		t.Errorf("logins: exit status %d: %s%s", got.status, got.stdout, got.stderr)
	}
	t.Logf("%d users came back at three directors within %.1f s:\n%s", count,
		time.Since(began).Seconds(), got.stdout)
	w.checkMoves(placed, "")
}
