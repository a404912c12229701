package sim

import (
	"flag"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"directormesh/mesh/replica"
)

var (
	seedFlag = flag.Uint64("seed", 0, "run only the schedule of this seed, with a trace")
	fromFlag = flag.Uint64("from", 1, "first seed")
)

// schedules is how many seeds TestSchedules runs.
func schedules(t *testing.T) uint64 {
	text := os.Getenv("DIRECTORMESH_SCHEDULES")
	if text == "" {
		return 60
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("DIRECTORMESH_SCHEDULES=%q: %v", text, err)
	}
	return n
}

func TestSchedules(t *testing.T) {
	if *seedFlag != 0 {
		r := Run(Generate(*seedFlag), testWriter{t})
		for _, b := range r.Breaches {
			t.Error(b)
		}
		return
	}
	var total replica.Counters
	var events, logins, sessions int
	var mu sync.Mutex
	var next atomic.Uint64
	next.Store(*fromFlag - 1)
	last := *fromFlag - 1 + schedules(t)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for seed := next.Add(1); seed <= last; seed = next.Add(1) {
				r := Run(Generate(seed), nil)
				mu.Lock()
				total = add(total, r.Counters)
				events, logins, sessions = events+r.Events, logins+r.Logins, sessions+r.Sessions
				if len(r.Breaches) > 0 {
					t.Errorf("seed %d: %v (and %d more); see it with: go test ./mesh/meshtest/sim -run TestSchedules -v -seed %d",
						seed, r.Breaches[0], len(r.Breaches)-1, seed)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d events, %d logins, %d sessions kicked: %+v", events, logins, sessions, total)
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(p[:len(p)-1]))
	return len(p), nil
}
