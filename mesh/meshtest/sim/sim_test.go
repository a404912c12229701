package sim

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
)

var (
	seedFlag = flag.Uint64("seed", 0, "run only the schedule of this seed, "+
		"of the kind of -kind or the general one, with a trace (see it with -v)")
	kindFlag = flag.String("kind", "", "run only schedules of this kind")
	userFlag = flag.String(
		"user", "", "with -seed: show this user's rows whenever they change: HASH or HASH@TAG")
	fromFlag = flag.Uint64("from", 1, "first seed")
)

const (
	usual = 100 // schedules, if nobody says how many
	// enough schedules meet everything that a schedule may meet; that fewer do is left to chance.
	enough = 1000
)

// schedules is how many seeds TestSchedules runs.
func schedules(t *testing.T) uint64 {
	text := os.Getenv("DIRECTORMESH_SCHEDULES")
	switch {
	case text == "" && testing.Short():
		return 30
	case text == "":
		return usual
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("DIRECTORMESH_SCHEDULES=%q: %v", text, err)
	}
	return n
}

// TestSchedules runs many random schedules of all kinds: 100, or as many as DIRECTORMESH_SCHEDULES
// says. Schedules depend on nothing but their kind and seed.
func TestSchedules(t *testing.T) {
	kinds := chosen(t)
	if *seedFlag != 0 {
		r := Run(kinds[0].Generate(*seedFlag), traceOf(t))
		for _, b := range r.Breaches {
			t.Error(b)
		}
		return
	}
	var (
		mu    sync.Mutex
		total Result
		next  atomic.Uint64
		tally = make(map[string]*kindTally)
	)
	next.Store(*fromFlag - 1)
	last := *fromFlag - 1 + schedules(t)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1); seed <= last; seed = next.Add(1) {
				k := Mixture(kinds, seed)
				begun := time.Now()
				r := Run(k.Generate(seed), nil)
				took := time.Since(begun)
				mu.Lock()
				total.Counters = add(total.Counters, r.Counters)
				total.Events, total.Logins = total.Events+r.Events, total.Logins+r.Logins
				total.Sessions += r.Sessions
				for _, b := range r.Pardoned {
					total.Pardoned = append(total.Pardoned, b)
					t.Logf("%s, seed %d: pardoned %v (to see it: %s)", k.Name, seed, b,
						replay(k, seed, b.User))
				}
				tallyOf(tally, k.Name).note(took, r)
				if len(r.Breaches) > 0 {
					t.Errorf("%s, seed %d: %v (%d breaches; to see it: %s)", k.Name, seed,
						r.Breaches[0], len(r.Breaches), replay(k, seed, r.Breaches[0].User))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d schedules; %d events, %d lookups, %d of them pardoned, %d sessions kicked; "+
		"counters: %+v", last-*fromFlag+1, total.Events, total.Logins, len(total.Pardoned),
		total.Sessions, total.Counters)
	for _, name := range slices.Sorted(maps.Keys(tally)) {
		t.Logf("%-10s %v", name, tally[name])
	}
	if *kindFlag != "" {
		return
	}
	for what, n := range required(total.Counters) {
		if n == 0 && schedules(t) >= enough {
			t.Errorf("no schedule met any of: %s", what)
		}
	}
}

// chosen are the kinds of schedules to run: all, or the one of the -kind flag. A seed without a
// kind is one of the general kind.
func chosen(t *testing.T) []Kind {
	kinds := Kinds()
	switch {
	case *kindFlag != "":
		i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == *kindFlag })
		if i < 0 {
			t.Fatalf("-kind %q: there is no such kind", *kindFlag)
		}
		return []Kind{{kinds[i].Name, kinds[i].Generate, 1}}
	case *seedFlag != 0:
		return []Kind{General}
	}
	return kinds
}

// kindTally is what the schedules of one kind took and showed.
type kindTally struct {
	runs, failed int
	took         time.Duration
}

func tallyOf(all map[string]*kindTally, name string) *kindTally {
	if all[name] == nil {
		all[name] = new(kindTally)
	}
	return all[name]
}

func (k *kindTally) note(took time.Duration, r Result) {
	k.runs++
	k.took += took
	if len(r.Breaches) > 0 {
		k.failed++
	}
}

func (k *kindTally) String() string {
	return fmt.Sprintf("%4d schedules, %3d with breaches, %5d ms each",
		k.runs, k.failed, (k.took / time.Duration(k.runs)).Milliseconds())
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

func replay(k Kind, seed uint64, u check.User) string {
	command := fmt.Sprintf("go test ./mesh/meshtest/sim -run 'TestSchedules$' -v -kind %s -seed %d",
		k.Name, seed)
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
	for _, k := range Kinds() {
		if k.Name == "fifty" || k.Name == "leaver" || k.Name == "days" {
			continue // they take long, and do nothing that others do not
		}
		if testing.Short() && k.Name != "general" && k.Name != "import" {
			continue // two side by side show the race detector what runs share
		}
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			const seed = 3
			var first, second strings.Builder
			Run(k.Generate(seed), &Trace{Out: &first})
			Run(k.Generate(seed), &Trace{Out: &second})
			a, b := strings.Split(first.String(), "\n"), strings.Split(second.String(), "\n")
			for i := range min(len(a), len(b)) {
				if a[i] != b[i] {
					t.Fatalf("line %d: first %q, then %q", i+1, a[i], b[i])
				}
			}
			if len(a) != len(b) {
				t.Fatalf("%d lines, then %d", len(a), len(b))
			}
		})
	}
}

// long leaves a test out of short runs, which are those with the race detector: it takes seconds,
// there many more, and each schedule has one goroutine.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long, and has one goroutine")
	}
}
