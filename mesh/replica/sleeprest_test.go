package replica

import (
	"testing"
	"time"

	"directormesh/mesh/wire"
)

// A director sleeps while a peer is about to give it the rest of a dead director's log. The peer
// has its time again when it wakes up: what does not come in time counts as lost.
func TestSleepBeforeTheRestComes(t *testing.T) {
	const h = 5
	w := started(t, 3)
	w.noGossip = true
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	w.run(time.Second)
	w.lose = losing[*wire.Rows](d3, d1)
	backend := d3.must(h)
	w.until("d2 has the row", time.Second, func() bool { return d2.dir.Len() == 1 })
	d3.crash()
	w.lose = losing[*wire.LogPart](d2, d1)
	w.until("d1 wants the rest", 10*time.Second, func() bool {
		return len(d1.core.logs.Behind()) == 1
	})
	d1.stopped, w.lose = true, nil
	w.run(20 * time.Second)
	d1.stopped = false
	w.until("d1 is synced", 5*time.Second, d1.core.synced)
	if m := d1.live(h); m.Backend != backend {
		t.Errorf("d1 answers by itself, and has %+v, want %v", m, backend)
	}
}

// Nor does it exclude a peer at once of which it lacked rows when it fell asleep.
func TestSleepInAGap(t *testing.T) {
	w := started(t, 3)
	d1, d2 := w.directors[0], w.directors[1]
	w.run(time.Second)
	w.lose = losing[wire.Message](d2, d1)
	d2.must(5)
	w.run(100 * time.Millisecond)
	w.lose = losing[*wire.SnapshotChunk](d2, d1)
	w.until("d1 has a gap", 2*time.Second, func() bool { return d1.core.peers.get("d2").behind() })
	w.run(100 * time.Millisecond)
	d1.stopped, w.lose = true, nil
	w.run(donateWithin + 2*time.Second)
	d1.stopped = false
	w.until("d1 is synced", 15*time.Second, d1.core.synced)
	if n := d1.core.counters.Exclusions; n != 0 {
		t.Errorf("d1 has excluded %d peers", n)
	}
}
