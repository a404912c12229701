package mesh

import (
	"testing"
	"time"
)

// hostClocks are the three clocks of a host under test.
type hostClocks struct {
	wall, awake, boot time.Duration
	noBoot            bool
	asked             int
}

func (h *hostClocks) pass(d time.Duration) {
	h.wall, h.awake, h.boot = h.wall+d, h.awake+d, h.boot+d
}

func (h *hostClocks) suspend(d time.Duration) { h.wall, h.boot = h.wall+d, h.boot+d }

func (h *hostClocks) clock() *suspendClock {
	return startSuspendClock(
		func() (time.Duration, time.Duration) { return h.wall, h.awake },
		func() (time.Duration, bool) { h.asked++; return h.boot, !h.noBoot })
}

func TestSuspendClock(t *testing.T) {
	for _, test := range []struct {
		name   string
		happen func(h *hostClocks)
		want   time.Duration // passed on our clock
		asked  int           // how often the kernel was
	}{
		{"time passes", func(h *hostClocks) { h.pass(time.Minute) }, time.Minute, 0},
		{"suspended", func(h *hostClocks) { h.pass(time.Second); h.suspend(time.Minute) },
			time.Minute + time.Second, 1},
		{"wall clock stepped on", func(h *hostClocks) { h.pass(time.Second); h.wall += time.Hour },
			time.Second, 1},
		{"wall clock stepped back",
			func(h *hostClocks) { h.pass(time.Second); h.wall -= time.Hour }, time.Second, 1},
		{"wall clock slewed", func(h *hostClocks) {
			h.pass(time.Second)
			h.wall += 100 * time.Millisecond
		}, time.Second, 0},
		{"kernel's clock lags", func(h *hostClocks) {
			h.pass(time.Second)
			h.wall += time.Hour
			h.boot -= time.Millisecond
		}, time.Second, 1},
		{
			"no such clock",
			func(h *hostClocks) { h.noBoot = true; h.pass(time.Second); h.suspend(time.Minute) },
			time.Second, 1,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := &hostClocks{wall: 1000 * time.Hour, awake: time.Hour, boot: 2 * time.Hour}
			c := h.clock()
			start := c.Now()
			h.asked = 0
			test.happen(h)
			for range 2 { // what was noticed once must not be counted twice
				if got := c.Now().Sub(start); got != test.want {
					t.Errorf("passed %s, want %s", got, test.want)
				}
			}
			if h.asked != test.asked {
				t.Errorf("the kernel was asked %d times, want %d", h.asked, test.asked)
			}
		})
	}
}

func TestSuspendClockOfThisHost(t *testing.T) {
	c := newSuspendClock()
	last := c.Now()
	for range 10_000 {
		now := c.Now()
		if now < last {
			t.Fatalf("%s after %s", now, last)
		}
		last = now
	}
}

func BenchmarkSuspendClock(b *testing.B) {
	c := newSuspendClock()
	for b.Loop() {
		c.Now()
	}
}
