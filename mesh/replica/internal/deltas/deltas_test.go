package deltas

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// So many deltas are recognised as repeats, the oldest is forgotten first.
func TestDeltasAreRememberedForAWhile(t *testing.T) {
	var w Window
	id := func(n int) ID { return ID{wire.Life{Name: "d2", Boot: 2}, uint64(n)} }
	const added = 2*remembered + 5
	for n := range added {
		w.Add(id(n))
		for _, old := range []struct {
			n    int
			seen bool
		}{{n, true}, {n - remembered + 1, true}, {n - remembered, false}} {
			if old.n >= 0 && w.Has(id(old.n)) != old.seen {
				t.Fatalf("after %d deltas number %d is remembered: %v", n, old.n, !old.seen)
			}
		}
	}
	if len(w.seen) != remembered || len(w.order) != remembered {
		t.Errorf("%d and %d are remembered, want %d", len(w.seen), len(w.order), remembered)
	}
}

const now = mono.Time(time.Hour)

func delta(
	origin string,
	n uint64,
) *wire.Delta {
	return &wire.Delta{Origin: origin, Boot: 2, N: n}
}

// review gives the numbers of the deltas that are taken out, negative if they came too early.
func (e *Early) review(at mono.Time, running string, most int) (numbers []int) {
	runs := func(l wire.Life) bool { return l.Name == running }
	for d, ok := range e.Review(at, runs) {
		n := int(d.N)
		if !ok {
			n = -n
		}
		if numbers = append(numbers, n); len(numbers) == most {
			break
		}
	}
	return numbers
}

// A delta waits until its origin runs, or for some time. They come in the order in which they came,
// and each once.
func TestEarly(t *testing.T) {
	var e Early
	for i, d := range []*wire.Delta{
		delta("d2", 1), delta("d3", 2), delta("d2", 3), delta("d2", 1), delta("d4", 4),
	} {
		if !e.Add(now.Add(time.Duration(i)*time.Second), d) {
			t.Fatalf("there is no room for delta %d", d.N)
		}
	}
	for _, test := range []struct {
		name    string
		at      mono.Time
		running string
		most    int
		want    []int
	}{
		{"none runs", now.Add(EarlyFor), "", 9, nil},
		{"the first only", now, "d2", 1, []int{1}},
		{"the rest of one", now, "d2", 9, []int{3}},
		{"one runs, another waits", now.Add(EarlyFor), "d3", 9, []int{2}},
		{"too late", now.Add(EarlyFor + 4*time.Second), "", 9, nil},
		{"later than that", now.Add(EarlyFor + 4*time.Second + 1), "", 9, []int{-4}},
	} {
		if diff := cmp.Diff(test.want, e.review(test.at, test.running, test.most)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	if e.Len() != 0 || e.Bytes() != 0 || len(e.ids) != 0 {
		t.Errorf("%d of %d bytes are left", e.Len(), e.Bytes())
	}
	if !e.Add(now, delta("d2", 1)) || e.Len() != 1 {
		t.Error("what was taken out cannot come again")
	}
}

// What a delta changes counts for those behind it.
func TestReviewAsksInTurn(t *testing.T) {
	var e Early
	e.Add(now, delta("d2", 1))
	e.Add(now, delta("d3", 2))
	known := map[string]bool{"d2": true}
	var got []uint64
	for d := range e.Review(now, func(l wire.Life) bool { return known[l.Name] }) {
		got = append(got, d.N)
		known["d3"] = true
	}
	if diff := cmp.Diff([]uint64{1, 2}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Neither many deltas nor big ones take more than there is room for.
func TestEarlyIsBounded(t *testing.T) {
	var e Early
	for n := range uint64(MaxEarly) {
		if !e.Add(now, delta("d2", n)) {
			t.Fatalf("there is no room after %d", n)
		}
	}
	if e.Add(now, delta("d2", MaxEarly)) || !e.Add(now, delta("d2", 0)) || e.Len() != MaxEarly {
		t.Errorf("%d are kept", e.Len())
	}
	e = Early{}
	big := delta("d2", 1)
	big.Change.Backends = make([]directory.BackendRow, 2000)
	if !e.Add(now, big) {
		t.Fatal("there is no room for a big one")
	}
	again := *big
	again.N, again.Change.Backends = 2, make([]directory.BackendRow, 2095)
	if e.Add(now, &again) {
		t.Errorf("two big ones take %d bytes", e.Bytes())
	}
	again.Change.Backends = again.Change.Backends[:2094]
	if !e.Add(now, &again) || e.Bytes() > MaxEarlyBytes {
		t.Errorf("there is room for as much, and %d bytes are kept", e.Bytes())
	}
}
