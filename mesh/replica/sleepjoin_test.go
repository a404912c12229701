package replica

import (
	"testing"
	"time"

	"directormesh/mesh/wire"
)

// sleep has all directors stand still for a time, and then wake up.
func (w *world) sleep(late time.Duration) {
	w.now = w.now.Add(late)
	w.step()
}

// A director that is refused hopes to be taken for as long as if it had not slept in between. Else
// it would serve alone beside the mesh as it wakes up.
func TestSleepAfterARefusal(t *testing.T) {
	w := started(t, 1)
	d1 := w.directors[0]
	w.cut[[2]string{"d1", "d2"}], w.cut[[2]string{"d2", "d1"}] = true, true
	d2 := w.start("d2")
	w.run(2 * time.Second)
	d2.core.Refused(w.now, &wire.Refuse{From: d1.core.self(), Reason: "the old one is there still"})
	w.run(time.Second / 2)
	w.sleep(8 * time.Second)
	w.run(2 * time.Second)
	if d2.core.synced() {
		t.Error("it serves alone 2.5 s after it was refused, the pause left out")
	}
	w.until("it serves alone", failAfter, d2.core.synced)
}

// One that joins, and has seen its peer a moment before it slept, does not give it up for that.
func TestSleepBesideAPeerInSight(t *testing.T) {
	w := started(t, 1)
	d1 := w.directors[0]
	w.lose = func(from, _ *director, m wire.Message) bool { return from == d1 }
	d2 := w.start("d2")
	w.run(contactLost - time.Second)
	w.breakStream(d1, d2)
	w.run(500 * time.Millisecond)
	w.sleep(8 * time.Second)
	w.run(2 * time.Second)
	if d2.core.synced() {
		t.Error("it serves alone, and has seen its peer 2.5 s ago, the pause left out")
	}
}
