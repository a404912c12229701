package gctuner

import (
	"testing"
	"time"
)

func TestPercentFor(t *testing.T) {
	for live, want := range map[uint64]int{
		0:         mostPercent,
		5 << 20:   mostPercent,
		8 << 20:   mostPercent,
		32 << 20:  25,
		64 << 20:  12,
		100 << 20: leastPercent,
		1 << 40:   leastPercent,
	} {
		if got := percentFor(live); got != want {
			t.Errorf("%d live bytes: %d percent, want %d", live, got, want)
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
