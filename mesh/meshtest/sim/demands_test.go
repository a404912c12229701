package sim

import (
	"testing"
	"time"
)

// TestObserversAreDemanded has one of three directors come back without observing backends.
func TestObserversAreDemanded(t *testing.T) {
	for _, observes := range []bool{true, false} {
		g := draw(1, "sick", 3, 60*time.Second)
		g.s.Watches = true
		g.users(5)
		g.add(Action{At: 20 * time.Second, Kind: Crash, Director: 1, For: 2 * time.Second})
		s := g.finish()
		w := newWorld(s, nil)
		w.at(21*time.Second, func() { w.schedule.Watches = observes })
		w.at(23*time.Second, func() { w.schedule.Watches = true })
		w.until(s.End)
		if found := w.demands.broken["observers"]; found == observes {
			t.Errorf("all observe: %v; breaches: %v", observes, w.demands.breaches)
		}
	}
}
