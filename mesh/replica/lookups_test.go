package replica

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Of two equal directors one is asked one by one, the other in batches: nothing tells them apart.
func TestBatchesAreLookupsInTurn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		backends := testBackends(4)
		backends[2].Tag, backends[3].Tag = "ssd", "ssd"
		one, other := newWorld(t), newWorld(t)
		singly := one.start("d1", func(c *Config) { c.Backends = backends })
		batched := other.start("d1", func(c *Config) { c.Backends = backends })
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			if rapid.Bool().Draw(rt, "an order") {
				op := drawOperation(rt)
				singly.begin(op)
				batched.begin(op)
			}
			pass := time.Duration(rapid.SampledFrom([]int{
				0, 25, 500, 9_000, 40_000,
			}).Draw(rt, "ms")) * time.Millisecond
			one.hurry(pass)
			other.hurry(pass)
			if rapid.IntRange(0, 9).Draw(rt, "pause") == 0 {
				one.now = one.now.Add(2 * time.Second)
				other.now = other.now.Add(2 * time.Second)
			}
			batch := rapid.SliceOfN(rapid.Custom(drawLookup), 0, 70).Draw(rt, "batch")
			var want []netip.Addr
			for _, l := range batch {
				backend, ok := singly.core.TryLookup(one.now, l.Tag, l.Hash)
				if !ok {
					backend = netip.Addr{}
				}
				want = append(want, backend)
			}
			batched.core.TryLookups(other.now, batch)
			for i, l := range batch {
				if l.Backend != want[i] {
					rt.Fatalf("lookup %d, of %v in %q: %v, singly %v",
						i, l.Hash, l.Tag, l.Backend, want[i])
				}
			}
			equal := cmpopts.EquateComparable(directory.Mapping{})
			if diff := cmp.Diff(singly.pushed(), batched.pushed(), equal); diff != "" {
				rt.Fatalf("recorded (-singly +batched):\n%s", diff)
			}
		}
	})
}

// pushed empties the outbox.
func (d *director) pushed() (rows []directory.Mapping) {
	for b := range d.core.outbox.Take() {
		rows = b.Append(rows)
	}
	return rows
}

// hurry is run with few ticks, but still not so few that the director thinks it was paused.
func (w *world) hurry(d time.Duration) {
	for end := w.now.Add(d); w.now < end; {
		w.now = min(w.now.Add(500*time.Millisecond), end)
		w.step()
	}
}

// drawLookup draws one of few users, with an answer from before.
func drawLookup(t *rapid.T) ring.Lookup {
	return ring.Lookup{
		Tag:     rapid.SampledFrom([]ring.Tag{"", "", "ssd", "unknown"}).Draw(t, "tag"),
		Hash:    ring.UserHash(rapid.Uint32Range(0, 40).Draw(t, "user")) * 107374182,
		Backend: testBackend(rapid.IntRange(1, 4).Draw(t, "before")),
	}
}

func drawOperation(t *rapid.T) Operation {
	backend := testBackend(rapid.IntRange(1, 4).Draw(t, "backend"))
	switch rapid.IntRange(0, 3).Draw(t, "operation") {
	case 0:
		return SetDown{Addr: backend, Down: rapid.Bool().Draw(t, "down")}
	case 1:
		return UpdateBackend{Addr: backend, VHosts: rapid.IntRange(0, 200).Draw(t, "vhosts")}
	case 2:
		return Move{Hash: drawLookup(t).Hash, Backend: backend}
	}
	return Forget{backend}
}

func TestBatchesOfKnownUsersDoNotAllocate(t *testing.T) {
	w := newWorld(t)
	d := w.start("d1")
	batch := make([]ring.Lookup, 100)
	for i := range batch {
		batch[i].Hash = ring.UserHash(i * 40_000_000)
		d.must(batch[i].Hash)
	}
	if n := testing.AllocsPerRun(100, func() { d.core.TryLookups(w.now, batch) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A director that wakes up with many lookups answers them itself a round trip later: it does not
// bother its peers with them. One that cannot asks soon.
func TestWokenDirectorAnswersByItself(t *testing.T) {
	for name, alone := range map[string]bool{"admitted at once": false, "not admitted": true} {
		w := started(t, 3)
		d3 := w.directors[2]
		w.run(time.Second)
		d3.stopped = true
		w.run(2 * time.Second)
		d3.stopped = false
		if alone {
			w.filter = func(to *director, m wire.Message) bool {
				_, admitted := m.(*wire.Admitted)
				return !admitted || to != d3
			}
		}
		var ids []uint64
		for h := ring.UserHash(1); len(ids) < 100; h++ {
			if _, id := d3.ask(h * 80021); id != 0 {
				ids = append(ids, id)
			}
		}
		begun := w.now
		answered := func() bool { return len(d3.answers) == len(ids) }
		w.until("all are answered", time.Second, answered)
		if n := d3.core.counters.Relayed; (n > 0) != alone {
			t.Errorf("%s: %d lookups relayed, answers after %v", name, n, w.now.Sub(begun))
		}
	}
}
