package directory

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTickOfTime(t *testing.T) {
	epoch := Time(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
	for _, test := range []struct {
		name string
		time Time
		want Tick
	}{
		{"the first tick", epoch, 0},
		{"its last millisecond", epoch + 249, 0},
		{"the second tick", epoch + 250, 1},
		{"an hour later", epoch.Add(time.Hour), 4 * 3600},
		{"just before the first", epoch - 1, 0},
		{"long before the first", math.MinInt64 / 2, 0},
		{"the last tick", epoch + math.MaxUint32*250, math.MaxUint32},
		{"after the last", epoch + math.MaxUint32*250 + 250, math.MaxUint32},
		{"in 2057", Time(time.Date(2057, 12, 31, 0, 0, 0, 0, time.UTC).UnixMilli()),
			4 * 1_072_915_200},
	} {
		if got := test.time.Tick(); got != test.want {
			t.Errorf("%s: Tick of %d = %d, want %d", test.name, test.time, got, test.want)
		}
	}
}

func TestTickTruncates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tick := Tick(rapid.Uint32().Draw(t, "tick"))
		within := rapid.Int64Range(0, 249).Draw(t, "within")
		if got := (tick.Time() + Time(within)).Tick(); got != tick {
			t.Fatalf("tick %d + %d ms is in tick %d", tick, within, got)
		}
	})
}

func TestTimeArithmetic(t *testing.T) {
	base := Time(1_800_000_000_000)
	if got := base.Add(1500 * time.Millisecond); got != 1_800_000_001_500 {
		t.Errorf("Add gives %d", got)
	}
	if got := base.Add(-time.Minute).Sub(base); got != -time.Minute {
		t.Errorf("Sub gives %v", got)
	}
}

func TestMicros(t *testing.T) {
	for _, test := range []struct {
		micros Micros
		want   Time
	}{{0, 0}, {999, 0}, {1000, 1}, {-1, -1}, {-1000, -1}, {-1001, -2}} {
		if got := test.micros.Time(); got != test.want {
			t.Errorf("%d us lie in ms %d, want %d", test.micros, got, test.want)
		}
	}
	if got := Time(1234).Micros().Add(1500 * time.Nanosecond); got != 1_234_001 {
		t.Errorf("1,234 ms + 1.5 us = %d us", got)
	}
}

// The time between two moments is exact for as long as a Duration can hold it.
func TestMicrosApart(t *testing.T) {
	const most = math.MaxInt64 / 1000
	for _, test := range []struct {
		m, n Micros
		want time.Duration
	}{
		{7, 7, 0},
		{7, 5, 2 * time.Microsecond},
		{5, 7, -2 * time.Microsecond},
		{most, 0, most * time.Microsecond},
		{most + 1, 0, math.MaxInt64},
		{0, most, -most * time.Microsecond},
		{0, most + 1, math.MinInt64},
		{math.MaxInt64, math.MinInt64, math.MaxInt64},
		{math.MinInt64, math.MaxInt64, math.MinInt64},
	} {
		if got := test.m.Sub(test.n); got != test.want {
			t.Errorf("from %d to %d it is %v, want %v", test.n, test.m, got, test.want)
		}
	}
}
