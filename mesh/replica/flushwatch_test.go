package replica

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/replica/internal/flushes"
	"directormesh/mesh/wire"
)

// A director that comes later is told of the flushes that run.
func TestFlushIsToldToWhoComesLater(t *testing.T) {
	w, _ := drained(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	id := d1.flush(Flush{Addr: testBackend(1), MaxParallel: 1})
	ended := d2.flush(Flush{Addr: testBackend(3)})
	w.run(time.Second)
	d3 := w.start("d3")
	w.dial()
	w.deliver()
	if f := d3.flushed(id); !f.running() || f.Started == 0 || f.Total == 0 {
		t.Errorf("d3 sees %+v", f)
	}
	if f := d3.flushed(ended); f.running() {
		t.Errorf("d3 sees the one that has ended as %+v", f)
	}
	if n := len(d3.core.Flushes()); n != 2 {
		t.Errorf("d3 knows %d flushes, want 2", n)
	}
}

// When a director dies another one goes on with its flushes, but not with those that had ended or
// that others run. Each user is moved once.
func TestFlushesOfADirectorThatDies(t *testing.T) {
	w, users := drained(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	own := d3.flush(Flush{Addr: testBackend(2), MaxParallel: 1})
	ended := d1.flush(Flush{Addr: testBackend(3)})
	orphan := d1.flush(Flush{Addr: testBackend(1), MaxParallel: 3})
	w.run(3 * time.Second)
	end := d3.flushed(ended).Ended
	d1.crash()
	w.until("another director goes on", failAfter+time.Second,
		func() bool { return d3.flushed(orphan).Runner == "d2" })
	if n := d2.core.moves.Len(); n > 6 {
		t.Errorf("%d users are being moved, want 3 and those of the dead", n)
	}
	w.until("the flush ends", time.Minute, func() bool { return !d3.flushed(orphan).running() })
	for _, d := range []*director{d2, d3} {
		f := d.flushed(orphan)
		if f.Lost || f.Failed != 0 || f.Total != f.Moved || f.Moved+3 < uint64(users[0]) {
			t.Errorf("%s sees the flush of the dead as %+v, want some %d users moved",
				d.name, f, users[0])
		}
		if n := d.dir.Users(testBackend(1)); n != 0 {
			t.Errorf("%s has %d users left", d.name, n)
		}
		if n := d.core.counters.FlushesTaken; n != 1 && d == d2 || n != 0 && d == d3 {
			t.Errorf("%s has gone on with %d flushes", d.name, n)
		}
		if f := d.flushed(ended); f.Lost || f.Ended != end {
			t.Errorf("%s sees the flush that had ended as %+v", d.name, f)
		}
		if f := d.flushed(own); f.Lost || !f.running() {
			t.Errorf("%s sees the flush of another as %+v", d.name, f)
		}
	}
}

// An ended flush can be asked for during ten minutes, one that runs for as long as it does.
func TestEndedFlushesAreForgotten(t *testing.T) {
	w, _ := drained(t, 1)
	d1 := w.directors[0]
	id := d1.flush(Flush{Addr: testBackend(3)})
	w.run(200 * time.Millisecond)
	end := d1.flushed(id).Ended
	d1.kicker = func(Kick) (int, bool, bool) { return 0, false, false }
	// a move takes 14 s, then the next begins
	slow := d1.flush(Flush{Addr: testBackend(1), MaxParallel: 1})
	w.now = w.now.Add(flushes.KeptFor - d1.core.MeshTime(w.now).Sub(end) - 25*time.Millisecond)
	w.run(25 * time.Millisecond)
	if f := d1.flushed(id); f.Ended != end {
		t.Errorf("after ten minutes the flush is %+v", f)
	}
	w.run(25 * time.Millisecond)
	known := d1.core.Flushes()
	if len(known) != 1 || known[0].ID != slow {
		t.Errorf("%+v are known, want the one that runs", known)
	}
}

// Flushes are listed from the oldest on.
func TestFlushesAreListedByAge(t *testing.T) {
	w, _ := drained(t, 2)
	var want []FlushID
	for i := range 6 {
		want = append(want, w.directors[(i+1)%2].flush(Flush{Addr: testBackend(3)}))
		w.run(100 * time.Millisecond)
	}
	for _, d := range w.directors {
		var got []FlushID
		for _, f := range d.core.Flushes() {
			got = append(got, f.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", d.name, diff)
		}
	}
}

// All directors hear twice a second how a flush goes, and at the end.
func TestFlushIsToldOf(t *testing.T) {
	w, users := drained(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	told := 0
	w.lose = func(_, to *director, m wire.Message) bool {
		if _, ok := m.(*wire.FlushProgress); ok && to == d2 {
			told++
		}
		return false
	}
	id := d1.flush(Flush{Addr: testBackend(1), MaxParallel: 1})
	w.run(5 * time.Second)
	if told != 11 {
		t.Errorf("d2 was told %d times in five seconds, want 11", told)
	}
	ours, theirs := d1.flushed(id), d2.flushed(id)
	if ours.Moved-theirs.Moved > 1 || theirs.Moved == 0 {
		t.Errorf("d2 sees %+v, d1 %+v", theirs, ours)
	}
	d1.flush(Flush{Addr: testBackend(2)})
	w.run(2 * time.Minute)
	var ends []Log
	for _, l := range d1.logs {
		if l.Text == "flush ended" {
			ends = append(ends, l)
		}
	}
	field := func(backend string, moved int) Log {
		return Log{Level: LogInfo, Text: "flush ended", Fields: []Field{
			{"backend", backend}, {"moved", uint64(moved)}, {"failed", uint64(0)},
			{"cancelled", false},
		}}
	}
	want := []Log{field("192.0.2.2", users[1]), field("192.0.2.1", users[0])}
	if diff := cmp.Diff(want, ends); diff != "" {
		t.Errorf("logged (-want +got):\n%s", diff)
	}
}
