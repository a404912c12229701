package replica

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/wire"
)

// An operator's answer names no director for which there was no time because this one slept: what
// that reported meanwhile is read after the first tick.
func TestSleepBeforeReportsAreRead(t *testing.T) {
	w := onDisks(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	var waits []wire.Message
	w.lose = func(from, _ *director, m wire.Message) bool {
		if from == d2 {
			waits = append(waits, m)
		}
		return from == d2
	}
	kick := d1.begin(KickUser{Value: "bob"})
	w.deliver()
	w.now = w.now.Add(kicks.ByNameLimit + 1)
	d1.core.Tick(w.now)
	w.lose = nil
	for _, m := range waits {
		d1.hears(d2, m)
	}
	w.deliver()
	want := AdminDone{ID: kick, Outcome: Outcome{Known: true}}
	if diff := cmp.Diff(want, d1.done[kick]); diff != "" {
		t.Errorf("the kick ended with (-want +got):\n%s", diff)
	}
}

// So it is with data directories.
func TestSleepBeforeDisksHaveKept(t *testing.T) {
	w := onDisks(t, 2)
	d1 := w.directors[0]
	d1.disk.stuck = true
	change := d1.begin(UpdateBackend{Addr: testBackend(1), VHosts: 5})
	w.deliver()
	if _, done := d1.done[change]; done || d1.core.barrier.Len() > 0 {
		t.Fatal("it waits for no disk, the test shows nothing")
	}
	w.now = w.now.Add(2 * keptWithin)
	d1.core.Tick(w.now)
	d1.core.Kept(w.now, d1.core.lastKeep)
	w.deliver()
	if done := d1.done[change]; len(done.Outcome.NotKept) > 0 || done.ID != change {
		t.Errorf("ended with %+v", done)
	}
}
