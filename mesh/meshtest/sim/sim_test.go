package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
)

var (
	seedFlag = flag.Uint64("seed", 0, "run only the schedule of this seed, with a trace (see it with -v)")
	userFlag = flag.String("user", "", "with -seed: show this user's rows whenever they change: HASH or HASH@TAG")
	fromFlag = flag.Uint64("from", 1, "first seed")
)

// enough schedules meet everything that a schedule may meet; that fewer do is left to chance.
const enough = 100

// schedules is how many seeds TestSchedules runs.
func schedules(t *testing.T) uint64 {
	text := os.Getenv("DIRECTORMESH_SCHEDULES")
	switch {
	case text == "" && testing.Short():
		return 30
	case text == "":
		return enough
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("DIRECTORMESH_SCHEDULES=%q: %v", text, err)
	}
	return n
}

// TestSchedules runs many random schedules: 100, or as many as DIRECTORMESH_SCHEDULES says. Schedules depend on nothing but their seed.
func TestSchedules(t *testing.T) {
	if *seedFlag != 0 {
		r := Run(Generate(*seedFlag), traceOf(t))
		for _, b := range r.Breaches {
			t.Error(b)
		}
		return
	}
	var (
		mu     sync.Mutex
		total  Result
		next   atomic.Uint64
		failed int
	)
	next.Store(*fromFlag - 1)
	last := *fromFlag - 1 + schedules(t)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1); seed <= last; seed = next.Add(1) {
				r := Run(Generate(seed), nil)
				mu.Lock()
				total.Counters = add(total.Counters, r.Counters)
				total.Events, total.Logins, total.Sessions = total.Events+r.Events, total.Logins+r.Logins, total.Sessions+r.Sessions
				if len(r.Breaches) > 0 {
					failed++
					t.Errorf("seed %d: %v (%d breaches; to see it: %s)", seed, r.Breaches[0], len(r.Breaches), replay(seed, r.Breaches[0].User))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d schedules, %d of them with breaches; %d events, %d lookups, %d sessions kicked; counters: %+v",
		last-*fromFlag+1, failed, total.Events, total.Logins, total.Sessions, total.Counters)
	for what, n := range required(total.Counters) {
		if n == 0 && schedules(t) >= enough {
			t.Errorf("no schedule met any of: %s", what)
		}
	}
}

// required are the counts that must not be zero: what was never met was not tested.
func required(c replica.Counters) map[string]uint64 {
	return map[string]uint64{
		"lookups held for a move":                   c.HeldLookups,
		"lookups that waited for a mapping's end":   c.EndOfLifeWaits,
		"lookups that waited for a barrier":         c.BarrierWaits,
		"lookups at directors that were not synced": c.UnsyncedWaits,
		"lookups without a usable backend":          c.NoBackendWaits,
		"lookups relayed":                           c.Relayed,
		"conflicts":                                 c.Conflicts,
		"late rows after a forget":                  c.LateRows,
		"gaps":                                      c.Gaps,
		"gaps repaired":                             c.GapsRepaired,
		"pauses":                                    c.Pauses,
		"exclusions":                                c.Exclusions,
		"directors that learned of their exclusion": c.Excluded,
		"clock steps":                               c.ClockSteps,
		"failures of peers":                         c.PeerFailures,
		"holds that nobody released":                c.ForgottenHolds,
		"digests compared":                          c.DigestRounds,
		"leaves repaired":                           c.LeavesRepaired,
		"repeated deltas":                           c.RepeatedDeltas,
	}
}

func replay(seed uint64, u check.User) string {
	command := fmt.Sprintf("go test ./mesh/meshtest/sim -run 'TestSchedules$' -v -seed %d", seed)
	if u.Hash != 0 {
		command += " -user " + u.String()
	}
	return command
}

// traceOf is a trace into the test's log.
func traceOf(t *testing.T) *Trace {
	t.Helper()
	trace := &Trace{Out: testWriter{t}}
	if *userFlag != "" {
		hash, tag, _ := strings.Cut(*userFlag, "@")
		n, err := strconv.ParseUint(hash, 16, 32)
		if err != nil {
			t.Fatalf("-user %q: %v", *userFlag, err)
		}
		trace.User = check.User{Tag: tag, Hash: uint32(n)}
	}
	return trace
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// TestReplay demands that equal schedules run equally, to the last line of the trace.
func TestReplay(t *testing.T) {
	for seed := range uint64(6) {
		var first, second strings.Builder
		Run(Generate(seed+1), &Trace{Out: &first})
		Run(Generate(seed+1), &Trace{Out: &second})
		a, b := strings.Split(first.String(), "\n"), strings.Split(second.String(), "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("seed %d, line %d: first %q, then %q", seed+1, i+1, a[i], b[i])
			}
		}
		if len(a) != len(b) {
			t.Fatalf("seed %d: %d lines, then %d", seed+1, len(a), len(b))
		}
	}
}
