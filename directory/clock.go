package directory

import (
	"sync/atomic"
	"time"
)

// Stamp is the reading of a hybrid logical clock: milliseconds of mesh time in
// the upper 48 bits, a counter in the lower 16. Stamps compare as numbers.
// Zero means "configured": a value that nobody set by command.
type Stamp uint64

const (
	stampCounterBits = 16
	maxStampTime     = Time(1)<<(64-stampCounterBits) - 1
)

// StampAt returns the first stamp of the millisecond t.
func StampAt(t Time) Stamp {
	return Stamp(min(max(t, 0), maxStampTime)) << stampCounterBits
}

// Time returns the mesh time in the stamp.
func (s Stamp) Time() Time { return Time(s >> stampCounterBits) }

// Add returns the stamp moved by d, in whole milliseconds, with the same counter.
func (s Stamp) Add(d time.Duration) Stamp {
	const counter = 1<<stampCounterBits - 1
	return StampAt(s.Time().Add(d)) | s&counter
}

// Tick returns the tick in which the stamp's time lies.
func (s Stamp) Tick() Tick { return s.Time().Tick() }

// Clock is a hybrid logical clock. Its readings follow mesh time, but never
// stand still and never fall behind a stamp that was observed, so a director
// that has seen a change can always write one that wins over it. The zero
// Clock is ready; it is safe for concurrent use.
type Clock struct {
	last atomic.Uint64
}

// Next returns a stamp above all that this clock has given out or observed,
// and not before now. It never returns zero.
func (c *Clock) Next(now Time) Stamp {
	for {
		last := c.last.Load()
		next := max(uint64(StampAt(now)), last+1)
		if c.last.CompareAndSwap(last, next) {
			return Stamp(next)
		}
	}
}

// Restart makes the next reading the first one after s, also if that sets the
// clock back. Only a director that steps its mesh time does that.
func (c *Clock) Restart(s Stamp) { c.last.Store(uint64(s)) }

// Observe makes later readings lie above s. It accepts any stamp: a caller that
// takes stamps from the network must first refuse stamps from the far future,
// or one such stamp drags along this clock and all clocks that hear from it.
func (c *Clock) Observe(s Stamp) {
	for {
		last := c.last.Load()
		if uint64(s) <= last || c.last.CompareAndSwap(last, uint64(s)) {
			return
		}
	}
}
