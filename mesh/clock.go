package mesh

import (
	"sync/atomic"
	"time"
)

// A suspendClock is a monotonic clock that goes on while the machine sleeps. Lookups read it, so it must be cheap: normally it is
// Go's own monotonic clock, which costs no system call but stands still during a suspend. A suspend shows as the wall clock
// running ahead of the monotonic one; only then is the kernel's suspend-proof clock asked how long it was. (A step of the wall
// clock looks the same and costs one system call.)
type suspendClock struct {
	base atomic.Pointer[clockBase]
	boot func() (time.Duration, bool) // the kernel's clock; false where there is none
	now  func() time.Time
}

// A clockBase is one moment on both clocks.
type clockBase struct {
	at   time.Time // wall and monotonic
	boot time.Duration
}

// suspicious is how far the wall clock may run away from the monotonic one, by slewing or scheduling, before the kernel is asked.
const suspicious = 250 * time.Millisecond

func newSuspendClock() *suspendClock {
	c := &suspendClock{boot: bootTime, now: time.Now}
	c.rebase(c.now())
	return c
}

// Now returns the time since some moment before the process began.
func (c *suspendClock) Now() time.Duration {
	base, t := c.base.Load(), c.now()
	mono := t.Sub(base.at)
	wall := time.Duration(t.UnixNano() - base.at.UnixNano())
	if drift := wall - mono; drift > suspicious || drift < -suspicious {
		base = c.rebase(t)
		mono = t.Sub(base.at)
	}
	return base.boot + mono
}

// rebase reads the kernel's clock anew. It never sets this clock back: what the kernel's clock has less than the old base and
// the monotonic clock say is only the time between two readings.
func (c *suspendClock) rebase(t time.Time) *clockBase {
	for {
		old := c.base.Load()
		boot, ok := c.boot()
		if old != nil {
			if least := old.boot + t.Sub(old.at); !ok || boot < least {
				boot = least
			}
		}
		base := &clockBase{at: t, boot: boot}
		if c.base.CompareAndSwap(old, base) {
			return base
		}
	}
}
