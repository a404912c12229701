package replica

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/wire"
	"directormesh/ring"
)

// timed carries out an operation and says how long it took.
func (d *director) timed(op Operation) (Outcome, time.Duration) {
	d.w.t.Helper()
	began := d.w.now
	outcome, err := d.do(op)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return outcome, d.w.now.Sub(began)
}

// What was acknowledged at any director is on all disks: it holds although all lose power at that
// very moment.
func TestAcknowledgedIsKept(t *testing.T) {
	w := onDisks(t, 3)
	w.logins(30)
	w.run(1700 * time.Millisecond) // not when disks are synced anyway
	h := ring.UserHash(1) * 0x01234567
	to := another(w.directors[0].must(h))
	for i, op := range []Operation{
		AddBackend{Addr: testBackend(9)}, UpdateBackend{Addr: testBackend(1), VHosts: 5},
		RemoveBackend{Addr: testBackend(4)}, SetDown{Addr: testBackend(3), Down: true},
		Move{Hash: h, Backend: to},
	} {
		outcome, took := w.directors[i%3].timed(op)
		if outcome.NotKept != nil || outcome.KeptByNone || took > 200*time.Millisecond {
			t.Errorf("%T: %+v after %v", op, outcome, took)
		}
	}
	for _, d := range w.directors {
		d.stopped = true
		d.disk.losePower()
	}
	for _, d := range w.directors {
		d.boots(false)
	}
	w.until("all synced again", 30*time.Second, w.allSynced)
	w.until("the user is let in", 20*time.Second, func() bool {
		backend, ok := w.directors[1].core.TryLookup(w.now, "", h)
		return ok && backend == to
	})
	for _, d := range w.directors {
		one, _ := d.core.table.Row(testBackend(1))
		three, _ := d.core.table.Row(testBackend(3))
		four, _ := d.core.table.Row(testBackend(4))
		nine, _ := d.core.table.Row(testBackend(9))
		if one.VHosts.Value != 5 || !three.State.Value.Down || four.Presence.Value.Present ||
			!nine.Presence.Value.Present {
			t.Errorf("%s has %+v", d.name, d.core.Backends())
		}
	}
}

// A disk that does not sync holds the answer up for two seconds, and is named; it holds up nothing
// else.
func TestDisksThatDoNotSync(t *testing.T) {
	for _, test := range []struct {
		name   string
		stuck  []int
		want   []string
		none   bool
		within time.Duration
	}{
		{"none", nil, nil, false, 500 * time.Millisecond},
		{"a peer's", []int{1}, []string{"d2"}, false, 2500 * time.Millisecond},
		{"its own", []int{0}, []string{"d1"}, false, 2500 * time.Millisecond},
		{"all", []int{0, 1, 2}, []string{"d1", "d2", "d3"}, true, 2500 * time.Millisecond},
	} {
		w := onDisks(t, 3)
		w.run(3 * time.Second)
		for _, i := range test.stuck {
			w.directors[i].disk.stuck = true
		}
		id := w.directors[0].begin(UpdateBackend{Addr: testBackend(1), VHosts: 8})
		w.deliver()
		for i := range 50 {
			w.directors[i%3].must(ring.UserHash(i) << 20)
		}
		began := w.now
		w.until("done", 3*time.Second, func() bool {
			_, ok := w.directors[0].done[id]
			return ok
		})
		got := w.directors[0].done[id]
		want := AdminDone{ID: id, Outcome: Outcome{NotKept: test.want, KeptByNone: test.none}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		took := w.now.Sub(began)
		if took > test.within || len(test.stuck) > 0 && took < keptWithin {
			t.Errorf("%s: the answer took %v", test.name, took)
		}
		w.wantRest()
		w.run(4 * time.Second)
		for _, d := range w.directors {
			if d.core.counters.Exclusions > 0 || !d.core.synced() {
				t.Errorf("%s: %s: %+v", test.name, d.name, d.core.Self(w.now))
			}
		}
		for _, d := range w.directors {
			d.disk.stuck = false
		}
		w.run(time.Second)
		outcome, _ := w.directors[0].timed(SetDown{Addr: testBackend(2)})
		if outcome.NotKept != nil {
			t.Errorf("%s: once it syncs again: %+v", test.name, outcome)
		}
	}
}

// A director without a data directory is not waited for, and one that alone has one is.
func TestWithoutDisks(t *testing.T) {
	w := onDisks(t, 1)
	w.start("d2")
	w.until("all synced", 10*time.Second, w.allSynced)
	w.run(time.Second)
	for _, d := range w.directors {
		outcome, took := d.timed(UpdateBackend{Addr: testBackend(1), VHosts: 3})
		if outcome.NotKept != nil || took > 500*time.Millisecond {
			t.Errorf("at %s: %+v after %v", d.name, outcome, took)
		}
	}
	w.directors[0].disk.stuck = true
	outcome, _ := w.directors[1].timed(UpdateBackend{Addr: testBackend(1), VHosts: 4})
	if !slices.Equal(outcome.NotKept, []string{"d1"}) || !outcome.KeptByNone {
		t.Errorf("%+v", outcome)
	}
	w.directors[0].crash()
	w.run(failAfter + time.Second)
	outcome, took := w.directors[1].timed(UpdateBackend{Addr: testBackend(1), VHosts: 5})
	if !slices.Equal(outcome.NotKept, []string{"d1"}) || !outcome.KeptByNone || took > time.Second {
		t.Errorf("without the only disk: %+v after %v", outcome, took)
	}
}

// A director with a disk that has left for good is not missed.
func TestWithoutDiskThatLeft(t *testing.T) {
	w := onDisks(t, 1)
	w.start("d2")
	w.until("all synced", 10*time.Second, w.allSynced)
	w.run(time.Second)
	w.directors[0].core.Leave(w.now)
	w.deliver()
	w.directors[0].crash()
	w.run(failAfter + time.Second)
	outcome, _ := w.directors[1].timed(UpdateBackend{Addr: testBackend(1), VHosts: 5})
	if outcome.NotKept != nil || outcome.KeptByNone {
		t.Errorf("%+v", outcome)
	}
}

// The last part of an import ends when all of it is on the disks.
func TestImportIsKept(t *testing.T) {
	w := onDisks(t, 2)
	w.run(1700 * time.Millisecond)
	d1, d2 := w.directors[0], w.directors[1]
	var users []ImportedMapping
	for i := range 100 {
		users = append(users, ImportedMapping{
			Hash: ring.UserHash(i+1) * 0x01234567, Backend: testBackend(1 + i%4),
			Activity: d1.core.MeshTime(w.now),
		})
	}
	if _, took := d1.timed(Import{Mappings: users}); took > 100*time.Millisecond {
		t.Errorf("a part took %v", took)
	}
	if outcome, _ := d1.timed(Import{Keep: true}); outcome.NotKept != nil {
		t.Errorf("%+v", outcome)
	}
	for _, d := range w.directors {
		d.stopped = true
		d.disk.losePower()
	}
	for _, d := range w.directors {
		d.boots(false)
	}
	w.until("all synced again", 30*time.Second, w.allSynced)
	for _, u := range users {
		if m, status := d2.dir.Find("", u.Hash, d2.core.MeshTime(w.now)); m.Backend != u.Backend {
			t.Errorf("%v is on %v (%v), was imported on %v", u.Hash, m.Backend, status, u.Backend)
		}
	}
	d2.disk.stuck = true
	outcome, _ := d1.timed(Import{Mappings: users[:1], Keep: true})
	if outcome.NotKept != nil && !slices.Equal(outcome.NotKept, []string{"d2"}) {
		t.Errorf("with a disk that does not sync: %+v", outcome)
	}
}

// What a director has kept of a log is no more than what came of it without a hole.
func TestKeptOfALogWithAHole(t *testing.T) {
	w := onDisks(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	w.run(2 * time.Second)
	rows, chunks := losing[*wire.Rows](d1, d2), losing[*wire.SnapshotChunk](d1, d2)
	w.lose = func(from, to *director, m wire.Message) bool {
		return rows(from, to, m) || chunks(from, to, m)
	}
	d1.must(1)
	w.run(200 * time.Millisecond)
	lost := d1.core.log.Last()
	w.noGossip = true
	id := d1.begin(UpdateBackend{Addr: testBackend(1), VHosts: 3})
	w.deliver()
	w.now = w.now.Add(200 * time.Millisecond)
	d2.core.hurry = true
	d2.core.keepMark(w.now)
	d2.carryOut()
	if got := d2.core.peers.get("d1").disk.ours; got >= lost {
		t.Errorf("it has kept up to %d, and message %d was lost", got, lost)
	}
	w.lose = nil
	w.until("done", 10*time.Second, func() bool { _, ok := d1.done[id]; return ok })
}

// A step of mesh time begins another log: what peers had kept of the one before says nothing of it.
func TestKeptOfAnotherLife(t *testing.T) {
	w := onDisks(t, 3)
	w.run(2 * time.Second)
	d1 := w.directors[0]
	for range 5 {
		d1.timed(UpdateBackend{Addr: testBackend(1), VHosts: 3})
	}
	d1.disk.stuck = true
	id := d1.begin(UpdateBackend{Addr: testBackend(1), VHosts: 4})
	w.until("applied", time.Second, func() bool { return d1.core.ops[id].awaits != nil })
	d1.core.step(w.now, time.Second)
	for _, p := range d1.core.peers.all {
		if p.disk.kept != 0 {
			t.Errorf("%s has kept up to %d of a log that has just begun", p.name, p.disk.kept)
		}
	}
	w.until("done", 10*time.Second, func() bool { _, ok := d1.done[id]; return ok })
	if done := d1.done[id]; done.Err != nil || !slices.Contains(done.Outcome.NotKept, "d1") {
		t.Errorf("what had been applied before the step ended with %+v", done)
	}
}

// A disk that does not sync for long costs no memory.
func TestNotesAreBounded(t *testing.T) {
	var d peerDisk
	for n := range uint64(1000) {
		d.note(keptNote{mark: n + 1, seq: 10 * (n + 1)})
	}
	if len(d.notes) > maxNotes {
		t.Errorf("%d notes", len(d.notes))
	}
	if d.reached(999); d.ours >= 10*1000 {
		t.Errorf("reached %d by mark 999", d.ours)
	}
	if more := d.reached(1000); !more || d.ours != 10*1000 || len(d.notes) > 0 {
		t.Errorf("reached %d, %d notes left", d.ours, len(d.notes))
	}
}
