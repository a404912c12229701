//go:build !linux

package mesh

import "time"

// bootTime has no portable source; without one the clock is Go's monotonic clock.
func bootTime() (time.Duration, bool) { return 0, false }
