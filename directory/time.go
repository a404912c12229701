package directory

import (
	"math"
	"time"
)

// Time is a moment of mesh time in milliseconds since the Unix epoch. The
// package never asks a clock: every method that depends on time takes it.
type Time int64

// Add returns the moment d after t, with d cut to whole milliseconds.
func (t Time) Add(d time.Duration) Time { return t + Time(d/time.Millisecond) }

// Sub returns the time from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t-u) * time.Millisecond }

// Micros is a moment of mesh time, or of a wall clock, in microseconds since the
// Unix epoch. Clocks are compared in microseconds: whole milliseconds, cut at
// each exchange, would make them drift.
type Micros int64

// Time returns the millisecond in which m lies.
func (m Micros) Time() Time {
	ms := int64(m) / 1000
	if int64(m)%1000 < 0 {
		ms-- // round down, not towards zero
	}
	return Time(ms)
}

// Add returns the moment d after m, with d cut to whole microseconds.
func (m Micros) Add(d time.Duration) Micros { return m + Micros(d/time.Microsecond) }

// Sub returns the time from n to m. It is exact for moments less than 292 years
// apart, and the longest or shortest Duration beyond.
func (m Micros) Sub(n Micros) time.Duration {
	const most = math.MaxInt64 / int64(time.Microsecond)
	diff := int64(m) - int64(n)
	switch {
	case (diff < 0) != (m < n) && m > n, diff > most:
		return math.MaxInt64
	case (diff < 0) != (m < n), diff < -most:
		return math.MinInt64
	}
	return time.Duration(diff) * time.Microsecond
}

// Micros returns the first microsecond of t.
func (t Time) Micros() Micros { return Micros(t) * 1000 }

// Tick returns the tick in which t lies. Moments before the first tick give
// the first, moments after the last give the last.
func (t Time) Tick() Tick {
	switch k := t.tick(); {
	case k < 0:
		return 0
	case k > math.MaxUint32:
		return math.MaxUint32
	default:
		return Tick(k)
	}
}

// tick is Tick without its bounds.
func (t Time) tick() int64 {
	since := int64(t) - tickEpoch
	if since < 0 {
		since -= tickMillis - 1 // round down, not towards zero
	}
	return since / tickMillis
}

// Tick counts quarter seconds since 2024-01-01T00:00:00Z. It is what a mapping
// stores: 32 bits of them last until 2058, so ticks compare as plain numbers
// and never wrap.
type Tick uint32

// FirstTime is the first moment that a mapping can store.
const FirstTime Time = tickEpoch

const (
	tickEpoch  = 1_704_067_200_000 // 2024-01-01T00:00:00Z in Unix milliseconds
	tickMillis = 250
)

// Time returns the moment at which the tick begins.
func (k Tick) Time() Time { return tickEpoch + Time(k)*tickMillis }
