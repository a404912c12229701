package mesh

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime reads CLOCK_BOOTTIME, which counts time spent suspended.
func bootTime() (time.Duration, bool) { return kernelTime(unix.CLOCK_BOOTTIME) }

// kernelTime reads one of the kernel's clocks; false where it has none of that number.
func kernelTime(clock int32) (time.Duration, bool) {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}
