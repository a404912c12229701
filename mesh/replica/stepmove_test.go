package replica

import (
	"slices"
	"testing"
	"time"

	"directormesh/mesh/wire"
)

// A director that steps mesh time gives up the contacts of its life before. Its moves wait for the
// directors that these were with: they answer lookups meanwhile.
func TestMoveWaitsForPeersWhenTimeSteps(t *testing.T) {
	const h = 5
	for name, stays := range map[string]bool{"move": false, "move to where the user is": true} {
		w := started(t, 3, func(c *Config) { c.KickDelay = 0 })
		w.noGossip = true
		d1, d2 := w.directors[0], w.directors[1]
		from := d1.must(h)
		to := from
		if !stays {
			to = another(from)
		}
		w.run(time.Second)
		w.lose = func(from, _ *director, m wire.Message) bool {
			_, hold := m.(*wire.Hold)
			return hold && from == d1
		}
		id := d1.begin(Move{Hash: h, Backend: to, Wait: true})
		w.run(50 * time.Millisecond)
		d1.core.step(w.now, time.Second)
		w.lose = nil
		w.until("the end", 10*time.Second, func() bool {
			_, done := d1.done[id]
			if m := d2.live(h); !stays && m.Backend == to && !m.Moving && len(d2.kicked) == 0 {
				t.Fatalf("%s: d2 answers %v, and has not kicked", name, to)
			}
			return done
		})
		done := d1.done[id]
		if done.Err != nil || slices.Contains(done.Outcome.FailedPeers, "d2") {
			t.Errorf("%s: ended with %+v", name, done)
		}
		for _, d := range w.directors {
			if m := d.live(h); m.Backend != to || m.Moving {
				t.Errorf("%s: ended, and %s has %+v, want %v", name, d.name, m, to)
			}
		}
		w.run(time.Second)
		w.wantRest()
	}
}
