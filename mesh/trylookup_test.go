package mesh

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// stillNode is a node that nothing happens to: it has a core that answers, but no socket and no
// goroutine.
func stillNode(t *testing.T, clock func() mono.Time) *Node {
	t.Helper()
	cfg, _ := socketConfig("d1")
	cfg.Clock = clock
	n, err := prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.cancel)
	n.dir = directory.New(cfg.Expire)
	n.core = replica.New(replica.Config{
		Name: cfg.Name, Boot: 1, Mesh: cfg.Mesh, HashFormat: cfg.HashFormat,
		Addr:   netip.MustParseAddrPort("127.0.0.1:9090"),
		Expire: cfg.Expire, Backends: cfg.Backends, Founder: true, Wall: 1_795_445_000_000_000,
		Rand: rand.New(rand.NewPCG(1, 1)), Directory: n.dir,
	}, clock())
	return n
}

func answers(batch []ring.Lookup) (n int) {
	for _, l := range batch {
		if l.Backend.IsValid() {
			n++
		}
	}
	return n
}

// A process may be stopped between any two instructions. What it looked up counts only if it was
// not.
func TestLookupsInterruptedByAPause(t *testing.T) {
	for _, test := range []struct {
		name     string
		pauses   []time.Duration // before the first reading of the clock, and before the second
		answered bool
	}{
		{"none", []time.Duration{0, 0}, true},
		{"shortly before", []time.Duration{time.Second, 0}, true},
		{"long before", []time.Duration{time.Second + 1, 0}, false},
		{"shortly in between", []time.Duration{0, time.Second}, true},
		{"long in between", []time.Duration{0, time.Second + 1}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			now, pauses := mono.Time(time.Hour), []time.Duration(nil)
			n := stillNode(t, func() mono.Time {
				if len(pauses) > 0 {
					now, pauses = now.Add(pauses[0]), pauses[1:]
				}
				return now
			})
			batch := []ring.Lookup{{Hash: 1}, {Hash: 1}, {Hash: 7_000_000}, {Tag: "ssd", Hash: 1}}
			n.TryLookups(batch)
			known := batch[0].Backend
			if answers(batch) != 3 || batch[3].Backend.IsValid() {
				t.Fatalf("%v, want answers for all but the unknown tag", batch)
			}
			pauses = test.pauses
			batch[3] = ring.Lookup{Hash: 3_000_000_000} // a new one
			n.TryLookups(batch)
			switch got := answers(batch); {
			case !test.answered && got != 0:
				t.Errorf("%v, want no answers", batch)
			case test.answered && (got != 4 || batch[0].Backend != known):
				t.Errorf("%v, want answers, the first one %v again", batch, known)
			}

			now, pauses = mono.Time(time.Hour), test.pauses
			if got, ok := n.TryLookup("", 1); ok != test.answered || ok && got != known {
				t.Errorf("one by itself: %v %v, want %v %v", got, ok, known, test.answered)
			}
		})
	}
}

func TestBatchAfterClose(t *testing.T) {
	n := stillNode(t, func() mono.Time { return mono.Time(time.Hour) })
	batch := []ring.Lookup{{Hash: 1}}
	n.TryLookups(batch)
	n.cancel()
	if n.TryLookups(batch); answers(batch) != 0 {
		t.Errorf("%v, want no answer from a node that is closed", batch)
	}
}
