// Package mono distinguishes moments of a director's monotonic clock from lengths of time. Both
// would be a [time.Duration] otherwise, and the compiler would take a moment where a length is
// meant. The compiler still takes a sum of two moments; a test of this package finds those in the
// whole repository.
package mono

import "time"

// Time is a moment by a director's monotonic clock, in nanoseconds since the clock's zero, which is
// some moment before the process began. The clocks of two directors have different zeros, so a
// peer's moments are compared with each other only. Moments are ordered by <, min and max work on
// them, and zero stands for never, or for long ago, in fields that hold when something was last
// done.
type Time int64

// Add returns the moment d after t.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns the time from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// String returns the time since the clock's zero, as a [time.Duration] prints it.
func (t Time) String() string { return time.Duration(t).String() }
