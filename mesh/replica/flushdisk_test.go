package replica

import (
	"slices"
	"testing"
	"time"

	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// flushedOnDisks returns directors with data directories and users on a backend whose flush has
// been begun by the second; down are down since before it began.
func flushedOnDisks(t *testing.T, n int, down ...int) (w *world, id FlushID) {
	t.Helper()
	w = onDisks(t, n)
	w.logins(200)
	w.run(2 * time.Second)
	for _, i := range down {
		w.directors[i-1].crash()
	}
	if _, err := w.directors[1].do(UpdateBackend{Addr: testBackend(1)}); err != nil {
		t.Fatal(err)
	}
	id = w.directors[1].flush(Flush{Addr: testBackend(1), MaxParallel: 5})
	w.run(5 * time.Second)
	if f := w.directors[1].flushed(id); f.Moved == 0 || !f.running() {
		t.Fatalf("the flush is %+v; the test shows nothing", f)
	}
	return w, id
}

// untilEnded waits until all directors that are up know that a flush has ended.
func (w *world) untilEnded(id FlushID) {
	w.t.Helper()
	w.until("the flush has ended", 2*time.Minute, func() bool {
		return !slices.ContainsFunc(w.directors, func(d *director) bool {
			return !d.stopped && (!d.core.flushes.Knows(id) || d.flushed(id).running())
		})
	})
}

// movedBack moves a user to the backend that was flushed, and returns it.
func (d *director) movedBack() ring.UserHash {
	d.w.t.Helper()
	h := ring.UserHash(0x01234567)
	d.must(h)
	if _, err := d.do(Move{Hash: h, Backend: testBackend(1), Wait: true}); err != nil {
		d.w.t.Fatal(err)
	}
	return h
}

// wantNotRunAgain checks that no flush is gone on with, and that a user stays where movedBack has
// put the user.
func (d *director) wantNotRunAgain(h ring.UserHash) {
	d.w.t.Helper()
	if n := d.w.taken(); n != 0 {
		d.w.t.Errorf("%d flushes are gone on with", n)
	}
	if m := d.core.User(d.w.now, "", h); m.Current != testBackend(1) {
		d.w.t.Errorf("%v was moved by hand, and is %+v", h, m)
	}
}

// taken is how many flushes the directors that are up have gone on with in this life of theirs.
func (w *world) taken() (n uint64) {
	for _, d := range w.directors {
		if !d.stopped {
			n += d.core.counters.FlushesTaken
		}
	}
	return n
}

// A flush that ended or was cancelled while the founder was down is not run again when all start,
// although the founder's data directory says that it runs. How long ago it ended, and whether the
// disks of the others were written anew since, makes no difference.
func TestFlushThatEndedWithoutTheFounder(t *testing.T) {
	long(t)
	for _, test := range []struct {
		name      string
		cancelled bool
		later     time.Duration // all stop so long after its end
	}{
		{"a moment ago", false, time.Second},
		{"cancelled", true, time.Second},
		{"long ago", false, 13 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, id := flushedOnDisks(t, 3)
			d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
			d1.crash()
			if test.cancelled {
				w.run(failAfter)
				if outcome, err := d2.do(CancelFlush{}); err != nil || outcome.Count != 1 {
					t.Fatalf("%d are cancelled, %v", outcome.Count, err)
				}
			}
			w.untilEnded(id)
			w.run(test.later)
			d2.disk.keep(d2, Keep{})
			d3.disk.keep(d3, Keep{})
			h := d2.movedBack()
			w.run(2 * time.Second)
			w.killAll(time.Second)
			w.run(20 * time.Second)
			d1.wantNotRunAgain(h)
		})
	}
}

// A flush that began while the founder was down is gone on with when all start, also by a founder
// that has no data directory; one that was cancelled meanwhile moves nobody any more.
func TestFlushThatBeganWithoutTheFounder(t *testing.T) {
	long(t)
	for _, test := range []struct {
		name              string
		noDisk, cancelled bool
	}{
		{"down", false, false}, {"without a disk", true, false}, {"cancelled", false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, id := flushedOnDisks(t, 3, 1)
			d1, d2 := w.directors[0], w.directors[1]
			if test.noDisk {
				d1.disk = nil
			}
			if test.cancelled {
				if outcome, err := d2.do(CancelFlush{}); err != nil || outcome.Count != 1 {
					t.Fatalf("%d are cancelled, %v", outcome.Count, err)
				}
				if !d2.flushed(id).running() {
					t.Fatal("no move is under way; the test shows nothing")
				}
			}
			w.run(100 * time.Millisecond)
			before, on := d2.flushed(id), d2.dir.Users(testBackend(1))
			w.killAll(time.Second)
			w.untilEnded(id)
			if n := w.taken(); n != 1 {
				t.Errorf("%d flushes are gone on with, want one", n)
			}
			for _, d := range w.directors {
				f, left := d.flushed(id), d.dir.Users(testBackend(1))
				if f.Lost || f.Canceled != test.cancelled || f.Moved < before.Moved ||
					(left > 0) != test.cancelled {
					t.Errorf("%s: %d of %d users are left by %+v, before %+v",
						d.name, left, on, f, before)
				}
			}
		})
	}
}

// A founder that started alone learns of flushes by the disks of those that come later.
func TestFlushThatOneWhoComesLaterKnows(t *testing.T) {
	for _, test := range []struct {
		name  string
		began bool // while the founder was down, and has not ended; else it ended meanwhile
	}{{"began", true}, {"ended", false}} {
		t.Run(test.name, func(t *testing.T) {
			var down []int
			if test.began {
				down = []int{1}
			}
			w, id := flushedOnDisks(t, 2, down...)
			d1, d2 := w.directors[0], w.directors[1]
			if !test.began {
				d1.crash()
				w.untilEnded(id)
			}
			w.run(1100 * time.Millisecond)
			d2.crash()
			w.run(time.Second)
			d1.boots(false)
			w.until("the founder serves alone", 10*time.Second, d1.core.synced)
			w.run(time.Second)
			if runs := d1.core.flushes.Runs("d1", id); runs == test.began {
				t.Fatalf("the founder runs it: %v; the test shows nothing", runs)
			}
			d2.boots(false)
			w.until("all synced", 20*time.Second, w.allSynced)
			if runs := d1.core.flushes.Runs("d1", id); runs != test.began {
				t.Errorf("the founder runs it: %v", runs)
			}
			w.untilEnded(id)
			if n := d1.dir.Users(testBackend(1)); test.began && n > 0 {
				t.Errorf("%d users are left", n)
			}
		})
	}
}

// The data directory of one that comes back to a mesh that knows no more of a flush does not say
// for ever that it runs.
func TestFlushThatNobodyKnowsAnyMore(t *testing.T) {
	long(t)
	for _, away := range []time.Duration{30 * time.Second, time.Hour} {
		w, id := flushedOnDisks(t, 2)
		d1, d2 := w.directors[0], w.directors[1]
		d1.crash()
		w.untilEnded(id)
		w.run(away)
		if away < time.Minute { // else it has been forgotten
			d2.core.flushes.Clean(d2.core.MeshTime(w.now), 0)
		}
		d1.boots(false)
		w.until("all synced", 20*time.Second, w.allSynced)
		w.run(2*snapshots.Stall + time.Second) // until then a founder may ask
		d2.crash()
		w.run(2 * time.Second)
		h := d1.movedBack()
		w.run(1100 * time.Millisecond)
		d1.crash()
		w.run(time.Second)
		d1.boots(false)
		w.until("it serves alone", 10*time.Second, d1.core.synced)
		w.run(20 * time.Second)
		t.Logf("away for %v", away)
		d1.wantNotRunAgain(h)
	}
}

// Two come to a founder that goes on with a flush, and by the disk of one it has ended. The other
// had heard that it runs, and takes its rows from the founder alone.
func TestFlushThatEndedIsOverForAll(t *testing.T) {
	w, id := flushedOnDisks(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	d1.crash()
	d3.crash()
	w.untilEnded(id)
	w.run(1100 * time.Millisecond)
	d2.crash()
	w.run(time.Second)
	d1.boots(false)
	w.until("the founder serves alone", 10*time.Second, d1.core.synced)
	w.run(time.Second)
	if !d1.core.flushes.Runs("d1", id) {
		t.Fatal("the founder does not run it; the test shows nothing")
	}
	d2.boots(false)
	d3.boots(false)
	w.until("all synced", 20*time.Second, w.allSynced)
	w.run(time.Second)
	for _, d := range w.directors {
		if f := d.flushed(id); f.running() {
			t.Errorf("%s takes it to run: %+v", d.name, f)
		}
	}
}

// A flush that was cancelled stays so for a founder that goes on with it, also if the one who comes
// later and knows of that has given it up since.
func TestFlushThatWasCancelledAndGivenUp(t *testing.T) {
	w, id := flushedOnDisks(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	w.run(1100 * time.Millisecond)
	d1.crash()
	if _, err := d2.do(CancelFlush{}); err != nil {
		t.Fatal(err)
	}
	given := d2.core.flushes.Known(id).Progress
	given.Ended = d2.core.MeshTime(w.now)
	d2.core.keepFlush(id, given) // as if nobody had gone on with it for a minute
	w.run(100 * time.Millisecond)
	d2.crash()
	w.run(time.Second)
	d1.boots(false)
	w.until("the founder serves alone", 10*time.Second, d1.core.synced)
	w.run(time.Second)
	if !d1.core.flushes.Runs("d1", id) {
		t.Fatal("the founder does not run it; the test shows nothing")
	}
	d2.boots(false)
	w.until("all synced", 20*time.Second, w.allSynced)
	w.untilEnded(id)
	for _, d := range w.directors {
		if f, left := d.flushed(id), d.dir.Users(testBackend(1)); !f.Canceled || left == 0 {
			t.Errorf("%s: %d users are left by %+v", d.name, left, f)
		}
	}
}

// A disk is written anew in the moment in which one that comes says that a flush runs which has
// ended. By that disk it has ended.
func TestFlushThatEndedWhileADiskIsWritten(t *testing.T) {
	w, id := flushedOnDisks(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	d1.crash()
	w.untilEnded(id)
	w.run(time.Second)
	written := false
	w.chunks = 1 // the rows come a moment later
	w.seen = func(_ *director, _ Effect) {
		if !written && len(d2.core.flushes.Kept()) > 0 {
			written = true
			d2.disk.keep(d2, Keep{})
		}
	}
	d1.boots(false)
	w.until("all synced", 20*time.Second, w.allSynced)
	if !written {
		t.Fatal("the disk is not written; the test shows nothing")
	}
	h := d2.movedBack()
	w.run(1100 * time.Millisecond)
	d1.crash()
	d2.crash()
	w.run(time.Second)
	d2.boots(false)
	w.until("it serves alone", 10*time.Second, d2.core.synced)
	w.run(20 * time.Second)
	d2.wantNotRunAgain(h)
}

// The founder of a mesh is told of flushes by the disk of one that comes, also when it takes what
// that one holds later than another director does.
func TestFlushThatTheFounderHearsOfLate(t *testing.T) {
	w, id := flushedOnDisks(t, 3, 1)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	w.run(1100 * time.Millisecond)
	d2.crash()
	d3.crash()
	d3.disk = nil
	w.run(time.Second)
	d1.boots(false)
	w.until("the founder serves alone", 10*time.Second, d1.core.synced)
	d3.boots(false)
	w.until("another one has joined it", 20*time.Second, d3.core.synced)
	w.run(time.Second)
	lost := false
	w.lose = func(from, to *director, m wire.Message) bool {
		if lost || !losing[*wire.SnapshotRequest](d1, d2)(from, to, m) {
			return false
		}
		lost = true
		return true
	}
	d2.boots(false)
	w.until("all synced", 30*time.Second, w.allSynced)
	if !lost || d1.core.counters.FlushesTaken+d3.core.counters.FlushesTaken != 1 {
		t.Errorf("lost: %v, %d flushes are gone on with, want one", lost, w.taken())
	}
	w.untilEnded(id)
	if n := d1.dir.Users(testBackend(1)); n > 0 {
		t.Errorf("%d users are left", n)
	}
}

// The founder lets all who are there know how flushes ended by its disk, also one whose own disk
// says nothing: later that may be the only one who knows.
func TestFounderTellsHowFlushesEnded(t *testing.T) {
	w, id := flushedOnDisks(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	w.untilEnded(id)
	w.run(time.Second)
	d1.crash()
	d2.crash()
	d2.disk = nil
	w.run(time.Second)
	d2.boots(false)
	d1.boots(false)
	w.until("all synced", 20*time.Second, w.allSynced)
	w.run(time.Second)
	if !d2.core.flushes.Knows(id) || !d2.core.flushes.Known(id).Progress.Done {
		t.Errorf("d2 does not know that it has ended")
	}
}
