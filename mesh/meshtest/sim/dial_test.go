package sim

import (
	"testing"
	"time"

	"directormesh/mesh/replica"
)

// Two attempts at once to open a stream to the same director, as when memberlist and the core have
// it dialled, end in one stream that both sides hold: the one that was there first is replaced.
func TestTwoAttempts(t *testing.T) {
	for _, apart := range []time.Duration{
		0, 5 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond,
	} {
		for seed := range uint64(20) {
			s := draw(seed, "two attempts", 2, time.Second)
			s.s.StartAt = []time.Duration{0, 0}
			w := newWorld(s.s, nil)
			w.until(3 * time.Second)
			d1, d2 := w.directors[0], w.directors[1]
			d2.out[0].breakNow("for the test")
			w.until(4*time.Second + time.Millisecond)
			d2.out[0] = nil
			attempt := func(trust replica.Trust) *link {
				to := replica.Dial{Name: "d1", Addr: d1.addr, Trust: trust}
				return &link{to: to, under: true, backoff: firstRetry}
			}
			heard, proven := attempt(replica.Heard), attempt(replica.Proven)
			d2.links = []*link{heard, proven}
			d2.connect(heard)
			w.after(apart, func() { d2.connect(proven) })
			w.until(6 * time.Second)
			if s := d2.out[0]; s == nil || s.broken || d1.in[1] != s {
				t.Errorf("seed %d, %v apart: d2 holds %+v, d1 %+v", seed, apart, s, d1.in[1])
			}
		}
	}
}
