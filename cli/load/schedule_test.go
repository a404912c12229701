package load

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The requests of all directors together are evenly spaced, none is missing, and rounding does not
// add up.
func TestScheduleIsEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(1, 200_000).Draw(t, "rate")
		n := rapid.IntRange(1, 9).Draw(t, "directors")
		d := time.Duration(rapid.Int64Range(1, int64(2*time.Minute)).Draw(t, "duration"))
		var total int64
		for k := range n {
			s := newSchedule(rate, k, n, d)
			total += s.total
			for _, i := range []int64{0, 1, s.total / 2, s.total - 1} {
				if i < 0 || i >= s.total {
					continue
				}
				want := float64(i*int64(n)+int64(k)) * 1e9 / rate
				if got := float64(s.due(i)); got < want-2 || got > want+2 {
					t.Fatalf("request %d of director %d is due at %.0f, want %.0f", i, k, got, want)
				}
				if s.due(i) > d {
					t.Fatalf("request %d of director %d is due after the end", i, k)
				}
			}
		}
		if want := float64(d) * rate / 1e9; float64(total) < want-1 || float64(total) > want+1 {
			t.Fatalf("%d requests in %v at %v a second", total, d, rate)
		}
	})
}

func TestSleeper(t *testing.T) {
	s, err := newSleeper()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, d := range []time.Duration{-1, 0, 1, time.Millisecond} {
		began := time.Now()
		if err := s.sleep(d); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < d {
			t.Errorf("slept %v, want %v", took, d)
		}
	}
}
