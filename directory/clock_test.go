package directory

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestStampHoldsTime(t *testing.T) {
	now := Time(1_800_000_000_123)
	var c Clock
	first := c.Next(now)
	if first.Time() != now || first.Tick() != now.Tick() {
		t.Errorf("stamp %x says %d, tick %d; want %d, tick %d",
			first, first.Time(), first.Tick(), now, now.Tick())
	}
	if second := c.Next(now); second != first+1 || second.Time() != now {
		t.Errorf("second stamp %x of the same millisecond after %x", second, first)
	}
	if early := c.Next(now - 5000); early <= first {
		t.Errorf("stamp %x goes back with the time", early)
	}
}

func TestClockBounds(t *testing.T) {
	for _, test := range []struct {
		name string
		now  Time
		want Stamp
	}{
		{"time zero", 0, 1},
		{"before 1970", -5, 1},
		{"past 48 bits", math.MaxInt64, Stamp(maxStampTime) << 16},
	} {
		var c Clock
		if got := c.Next(test.now); got != test.want {
			t.Errorf("%s: %x, want %x", test.name, got, test.want)
		}
	}
}

// A reading is above all earlier readings and observations, and not before now.
func TestClockIsMonotonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Clock
		highest := Stamp(0)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			at := Time(rapid.Int64Range(0, 50).Draw(t, "at"))
			if rapid.Bool().Draw(t, "observe") {
				seen := StampAt(at) + Stamp(rapid.IntRange(0, 3).Draw(t, "counter"))
				c.Observe(seen)
				highest = max(highest, seen)
				continue
			}
			got := c.Next(at)
			if got <= highest || got < StampAt(at) {
				t.Fatalf("Next(%d) = %x after %x", at, got, highest)
			}
			highest = got
		}
	})
}

// A clock that is restarted goes on from the stamp given, also backwards.
func TestClockRestarts(t *testing.T) {
	var c Clock
	c.Next(start)
	early := StampAt(start.Add(-time.Hour)) + 7
	c.Restart(early)
	if got := c.Next(start.Add(-2 * time.Hour)); got != early+1 {
		t.Errorf("the first stamp is %x, want %x", got, early+1)
	}
}

func TestClockIsSafeForConcurrentUse(t *testing.T) {
	const workers, each = 4, 500
	var c Clock
	var wg sync.WaitGroup
	stamps := make([][]Stamp, workers)
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				s := c.Next(Time(i / 100))
				stamps[w] = append(stamps[w], s)
				c.Observe(s + 2)
			}
		})
	}
	wg.Wait()
	all := slices.Concat(stamps...)
	slices.Sort(all)
	if unique := len(slices.Compact(all)); unique != workers*each {
		t.Errorf("%d different stamps of %d", unique, workers*each)
	}
	for w, list := range stamps {
		if !slices.IsSorted(list) {
			t.Errorf("stamps of worker %d are not ascending", w)
		}
	}
}
