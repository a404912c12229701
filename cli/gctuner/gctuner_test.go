package gctuner

import (
	"testing"
	"time"
)

func TestPercentFor(t *testing.T) {
	for _, test := range []struct {
		live, garbage uint64
		want          int
	}{
		{0, leastGarbage, mostPercent},
		{5 << 20, leastGarbage, mostPercent},
		{8 << 20, leastGarbage, mostPercent},
		{32 << 20, leastGarbage, 25},
		{64 << 20, leastGarbage, 12},
		{100 << 20, leastGarbage, leastPercent},
		{1 << 40, leastGarbage, leastPercent},
		{32 << 20, mostGarbage, mostPercent},
		{128 << 20, mostGarbage, 50},
		{1 << 40, mostGarbage, leastPercent},
	} {
		if got := percentFor(test.live, test.garbage); got != test.want {
			t.Errorf("%d live bytes, %d of garbage: %d percent, want %d",
				test.live, test.garbage, got, test.want)
		}
	}
}

// More garbage may come together for as long as collections take much of a processor.
func TestGarbage(t *testing.T) {
	at := time.Unix(1, 0)
	g := garbage{bytes: leastGarbage, at: at}
	spent := 0.0
	for i, step := range []struct {
		after time.Duration
		spent float64 // in that time
		want  uint64
	}{
		{time.Second, 0, leastGarbage},
		{time.Second, 0.05, leastGarbage},
		{time.Second, 0.06, 2 * leastGarbage},
		{2 * time.Second, 0.06, 2 * leastGarbage}, // neither dear nor cheap
		{time.Second, 1.5, 4 * leastGarbage},
		{time.Second, 0.2, mostGarbage},
		{time.Second, 0.2, mostGarbage},
		{time.Second, 0.03, mostGarbage},
		{time.Second, 0.009, mostGarbage / 2},
		{time.Minute, 0.1, mostGarbage / 4},
		{time.Second, 0, mostGarbage / 8},
		{time.Second, 0, leastGarbage},
	} {
		at, spent = at.Add(step.after), spent+step.spent
		if g.review(at, spent); g.bytes != step.want {
			t.Errorf("step %d, %+v: %d bytes are allowed", i, step, g.bytes)
		}
	}
}

// A burst is over once the collector has rested for some time, and is reported once.
func TestBurst(t *testing.T) {
	var b burst
	at := time.Unix(1, 0)
	for _, step := range []struct {
		after  time.Duration
		cycles uint64
		want   bool
	}{
		{quietTime, 0, false}, // there was none
		{time.Second, 1, false},
		{quietTime - 1, 1, false},
		{1, 1, true},
		{time.Hour, 1, false}, // reported already
		{time.Second, 2, false},
		{quietTime - 1, 3, false}, // it goes on
		{quietTime - 1, 3, false},
		{1, 3, true},
	} {
		at = at.Add(step.after)
		if got := b.over(at, step.cycles); got != step.want {
			t.Errorf("%+v: %v", step, got)
		}
	}
}
