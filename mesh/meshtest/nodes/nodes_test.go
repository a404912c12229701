package nodes

import (
	"testing"
	"testing/synctest"
	"time"

	"directormesh/mesh/meshtest/netsim"
)

// lan is what directors of one site have between them.
var lan = netsim.Faults{Delay: 200 * time.Microsecond, Jitter: 300 * time.Microsecond}

func TestThreeDirectors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Start(t, Options{Directors: 3, Seed: 1, Faults: lan, Trace: testing.Verbose()})
		t.Logf("synced after %s", c.WaitSynced(5*time.Second))

		fourth := c.Add()
		t.Logf("a fourth synced after %s", c.WaitSynced(5*time.Second))
		if got := len(fourth.Peers()); got != 4 {
			t.Errorf("the fourth sees %d directors, want 4", got)
		}
	})
}
