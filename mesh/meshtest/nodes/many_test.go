package nodes

import (
	"os"
	"runtime/debug"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/mesh/replica"
)

// full says whether the tests that take minutes run in full size, as they do in continuous
// integration.
func full() bool { return os.Getenv("DIRECTORMESH_FULL") != "" }

// TestManyDirectors runs a large mesh for two minutes, with a change in the middle.
// DIRECTORMESH_DIRECTORS=200 makes it larger than any we know of; that takes half a minute on two
// cores, most of it for five million beats on forty thousand streams.
func TestManyDirectors(t *testing.T) {
	directors := 30
	switch {
	case full():
		directors = 50
	case testing.Short():
		directors = 10
	}
	if text := os.Getenv("DIRECTORMESH_DIRECTORS"); text != "" {
		var err error
		if directors, err = strconv.Atoi(text); err != nil {
			t.Fatalf("DIRECTORMESH_DIRECTORS: %v", err)
		}
	}
	if directors > 100 {
		// each collection looks at the stacks of 120,000 goroutines
		defer debug.SetGCPercent(debug.SetGCPercent(300))
	}
	synctest.Test(t, func(t *testing.T) {
		c := Start(t, Options{Directors: directors, Seed: 14, Faults: lan})
		t.Logf("synced after %s", c.WaitSynced(time.Minute))
		start := time.Now()
		_, err := c.Directors[directors/2].Do(t.Context(),
			replica.UpdateBackend{Addr: c.options.Backends[0].Addr, VHosts: 7})
		if err != nil {
			t.Error(err)
		}
		t.Logf("a change was on all after %s", time.Since(start))
		for _, d := range c.Live() {
			if got := d.Backends()[0].Backend.VHosts; got != 7 {
				t.Errorf("%s has %d vhosts, want 7", d.Name, got)
			}
		}
		time.Sleep(2*time.Minute - time.Since(c.started))
		if got := Synced(c.Directors[0]); got != directors {
			t.Errorf("after two minutes %d of %d are synced", got, directors)
		}
	})
}
