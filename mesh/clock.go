package mesh

import (
	"sync/atomic"
	"time"

	"directormesh/mesh/mono"
)

// A suspendClock is a monotonic clock that goes on while the machine sleeps. Lookups read it, so it
// must be cheap: normally it is Go's own monotonic clock, which costs no system call but stands
// still during a suspend. A suspend shows as the wall clock running ahead of the monotonic one;
// only then is the kernel's suspend-proof clock asked how long it was. (A step of the wall clock
// looks the same and costs one system call.) Safe for concurrent use.
type suspendClock struct {
	read func() (wall, awake time.Duration) // each since a moment of its own
	boot func() (time.Duration, bool)       // the kernel's clock; false where there is none
	base atomic.Pointer[clockBase]
}

// A clockBase is one moment on all three clocks.
type clockBase struct {
	wall, awake, boot time.Duration
}

// suspicious is how far the wall clock may run away from the monotonic one, by slewing or
// scheduling, before the kernel is asked.
const suspicious = 250 * time.Millisecond

func newSuspendClock() *suspendClock {
	start := time.Now()
	read := func() (wall, awake time.Duration) {
		now := time.Now()
		return time.Duration(now.UnixNano()), now.Sub(start)
	}
	return startSuspendClock(read, bootTime)
}

func startSuspendClock(
	read func() (wall, awake time.Duration), boot func() (time.Duration, bool),
) *suspendClock {
	c := &suspendClock{read: read, boot: boot}
	wall, awake := read()
	c.rebase(wall, awake)
	return c
}

// Now is the present moment. The clock's zero lies before the process began.
func (c *suspendClock) Now() mono.Time {
	base := c.base.Load()
	wall, awake := c.read()
	ahead := (wall - base.wall) - (awake - base.awake)
	if ahead > suspicious || ahead < -suspicious {
		base = c.rebase(wall, awake)
	}
	return mono.Time(base.boot + awake - base.awake)
}

// rebase asks the kernel. It never sets this clock back: less than the old base and the monotonic
// clock make is only the time between two readings.
func (c *suspendClock) rebase(wall, awake time.Duration) *clockBase {
	for {
		old := c.base.Load()
		boot, ok := c.boot()
		if old != nil {
			if least := old.boot + awake - old.awake; !ok || boot < least {
				boot = least
			}
		}
		base := &clockBase{wall: wall, awake: awake, boot: boot}
		if c.base.CompareAndSwap(old, base) {
			return base
		}
	}
}
