package replica

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/directory"
	"directormesh/ring"
)

// drained returns a mesh with users on two backends, both down, and how many users each has.
func drained(t *testing.T, directors int, change ...func(*Config)) (w *world, users [2]int) {
	t.Helper()
	w = started(t, directors, change...)
	d1 := w.directors[0]
	for h := ring.UserHash(1); h < 60; h++ {
		d1.must(h * 70000003)
	}
	w.run(time.Second)
	for i := range users {
		if _, err := d1.do(SetDown{Addr: testBackend(i + 1), Down: true}); err != nil {
			t.Fatal(err)
		}
		if users[i] = d1.dir.Users(testBackend(i + 1)); users[i] < 5 {
			t.Fatalf("only %d users on %v; the test shows nothing", users[i], testBackend(i+1))
		}
	}
	return w, users
}

// flush begins one and returns its name.
func (d *director) flush(op Flush) FlushID {
	d.w.t.Helper()
	outcome, err := d.do(op)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return outcome.Flush
}

// flushed is what a director knows of a flush.
func (d *director) flushed(id FlushID) FlushStatus {
	d.w.t.Helper()
	for _, f := range d.core.Flushes() {
		if f.ID == id {
			return f
		}
	}
	d.w.t.Fatalf("%s does not know flush %v", d.name, id)
	return FlushStatus{}
}

func (f FlushStatus) running() bool { return f.Ended == 0 }

func TestCancelFlush(t *testing.T) {
	for _, test := range []struct {
		name string
		// number of the director that is told; d1 flushes the first backend, d2 the second
		at      int
		addr    netip.Addr
		count   int
		err     error
		running [2]bool
	}{
		{"own", 1, testBackend(1), 1, nil, [2]bool{false, true}},
		{"another's", 1, testBackend(2), 1, nil, [2]bool{true, false}},
		{"of a third director", 3, testBackend(1), 1, nil, [2]bool{false, true}},
		{"all", 3, netip.Addr{}, 2, nil, [2]bool{false, false}},
		{"of a backend that nobody flushes", 1, testBackend(3), 0, ErrNothingToCancel,
			[2]bool{true, true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, users := drained(t, 3)
			var ids [2]FlushID
			for i, d := range w.directors[:2] {
				ids[i] = d.flush(Flush{Addr: testBackend(i + 1), MaxParallel: 1})
			}
			w.run(time.Second)
			outcome, err := w.directors[test.at-1].do(CancelFlush{test.addr})
			if outcome.Count != test.count || !errors.Is(err, test.err) {
				t.Errorf("%d are cancelled, %v; want %d, %v",
					outcome.Count, err, test.count, test.err)
			}
			w.run(3 * time.Second) // the move under way ends
			for _, d := range w.directors {
				for i, want := range test.running {
					f := d.flushed(ids[i])
					if f.running() != want || f.Canceled == want || f.Lost || f.Failed != 0 {
						t.Errorf("%s sees flush %d as %+v; want it to run: %v",
							d.name, i+1, f, want)
					}
					if !want && (f.Moved == 0 || f.Moved >= uint64(users[i]) || f.Moving != 0 ||
						f.Scanning) {
						t.Errorf("%s: flush %d was cancelled with %+v, want some of %d users moved",
							d.name, i+1, f, users[i])
					}
				}
			}
		})
	}
}

// Of two flushes of one director only the one that is meant is cancelled, and none that has ended.
func TestCancelOneOfTwoFlushes(t *testing.T) {
	w, users := drained(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	first := d1.flush(Flush{Addr: testBackend(1), MaxParallel: 1})
	second := d1.flush(Flush{Addr: testBackend(2), MaxParallel: 1000})
	if outcome, err := d2.do(CancelFlush{testBackend(1)}); err != nil || outcome.Count != 1 {
		t.Errorf("cancelled %d, %v", outcome.Count, err)
	}
	w.run(4 * time.Second)
	if f := d2.flushed(first); !f.Canceled || f.running() {
		t.Errorf("the first is %+v", f)
	}
	if f := d2.flushed(second); f.Canceled || f.running() || f.Moved != uint64(users[1]) {
		t.Errorf("the second is %+v, want %d users moved", f, users[1])
	}
	outcome, err := d2.do(CancelFlush{})
	if !errors.Is(err, ErrNothingToCancel) || outcome.Count != 0 {
		t.Errorf("when all have ended %d are cancelled, %v", outcome.Count, err)
	}
	w.wantRest()
}

// Whoever cancels a flush hears OK when it starts no more moves, wherever it runs.
func TestCancelFlushWaitsForItsDirector(t *testing.T) {
	w, _ := drained(t, 3)
	d1, d2 := w.directors[0], w.directors[1]
	id := d1.flush(Flush{Addr: testBackend(1), MaxParallel: 1})
	w.run(time.Second)
	if outcome, err := d2.do(CancelFlush{}); err != nil || len(outcome.FailedPeers) > 0 {
		t.Fatalf("%v failed, %v", outcome.FailedPeers, err)
	}
	f := d1.flushed(id)
	if !f.Canceled {
		t.Fatalf("answered OK while the flush goes on as %+v", f)
	}
	w.run(3 * time.Second)
	if after := d1.flushed(id); after.Moved+after.Failed != f.Moved+f.Failed+f.Moving {
		t.Errorf("cancelled as %+v, it ended as %+v", f, after)
	}
}

// A flush whose director cannot be reached is cancelled all the same: that director is named, and
// hears of it when it can.
func TestCancelFlushOfUnreachableDirector(t *testing.T) {
	w, _ := drained(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	id := d1.flush(Flush{Addr: testBackend(1), MaxParallel: 1})
	w.run(time.Second)
	w.cut[[2]string{"d2", "d1"}] = true
	w.breakStream(d2, d1)
	outcome, err := d2.do(CancelFlush{})
	if err != nil || outcome.Count != 1 || !slices.Equal(outcome.FailedPeers, []string{"d1"}) {
		t.Errorf("%d are cancelled, %v failed, %v", outcome.Count, outcome.FailedPeers, err)
	}
	w.heal()
	w.until("the flush has ended", 30*time.Second, func() bool {
		f := d1.flushed(id)
		return f.Canceled && !f.running()
	})
}

// A flush that was cancelled stays so when its director dies before it has taken that, or before
// it has told anybody; whoever answers OK has told those who might go on with it.
func TestCancelFlushOfOneThatDies(t *testing.T) {
	w, _ := drained(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	id := d3.flush(Flush{Addr: testBackend(1), MaxParallel: 1})
	w.run(time.Second)
	w.split([]*director{d3}, []*director{d1, d2})
	if outcome, err := d2.do(CancelFlush{}); err != nil || outcome.Count != 1 {
		t.Fatalf("%d are cancelled, %v", outcome.Count, err)
	}
	before := d1.flushed(id)
	w.until("another one goes on with what was under way", 30*time.Second, func() bool {
		return !d1.flushed(id).running()
	})
	after := d1.flushed(id)
	if !after.Canceled || after.Moved+after.Failed > before.Moved+before.Failed+before.Moving {
		t.Errorf("cancelled as %+v, it ended as %+v", before, after)
	}
}

// A flush that another director has ended, which took its own for gone, does not go on at that one,
// whoever has the lower name.
func TestEndedFlushOfOneThatComesBack(t *testing.T) {
	w, _ := drained(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	id := d1.flush(Flush{Addr: testBackend(1), MaxParallel: 1})
	w.run(time.Second)
	f := d1.core.flushes.Known(id).Progress
	f.Director, f.Done, f.Ended = "d1", true, d2.core.MeshTime(w.now)
	d2.core.sendAll(&f)
	w.run(time.Second)
	if d1.core.flushes.Runs("d1", id) {
		t.Error("it runs on at the first")
	}
	f.Done, f.Ended = false, 0
	d2.core.sendAll(&f)
	w.run(time.Second)
	if d1.flushed(id).running() {
		t.Error("it has not ended any more")
	}
	if got := d2.core.flushes.Known(id).Progress; got.Ended == 0 {
		t.Errorf("one that goes on with it does not hear that it has ended: %+v", got)
	}
}

// A director that is removed gives its flushes up, and those who stay go on with them.
func TestFlushOfOneThatIsRemoved(t *testing.T) {
	w, _ := drained(t, 3)
	d1, d2 := w.directors[0], w.directors[1]
	id := d1.flush(Flush{Addr: testBackend(1), MaxParallel: 1})
	w.run(time.Second)
	op := SetDirectorRemoved{Addr: d1.core.cfg.Addr, Removed: true}
	if _, err := d2.do(op); err != nil {
		t.Fatal(err)
	}
	w.until("another one has ended it", 5*time.Minute, func() bool {
		return d2.core.flushes.Known(id).Progress.Done
	})
	if k := d2.core.flushes.Known(id); k.Runner == "d1" || k.Lost {
		t.Errorf("it is known as %+v", k)
	}
	if n := len(d1.core.flushes.Own()); n > 0 {
		t.Errorf("the removed one runs %d flushes", n)
	}
}

// A director that remembers more of the dead than its peers does not keep its flush waiting.
func TestFlushAmongTheDead(t *testing.T) {
	w, _ := drained(t, 4)
	d1, d2 := w.directors[0], w.directors[1]
	w.directors[2].crash()
	w.directors[3].crash()
	w.run(10 * time.Second)
	d2.crash()
	w.run(10 * time.Second)
	d2.boots(false)
	w.until("the two are synced", time.Minute, func() bool {
		clear(d2.core.apart) // it was told, and remembers them for a shorter time
		return d1.core.synced() && d2.core.synced() && d2.core.inMajority()
	})
	if !d1.core.outnumbered() {
		t.Fatal("d1 is not outnumbered; the test shows nothing")
	}
	id := d1.flush(Flush{Addr: testBackend(1)})
	w.until("the flush has ended", time.Minute, func() bool { return !d1.flushed(id).running() })
	if f := d1.flushed(id); f.Moved == 0 {
		t.Errorf("it moved nobody: %+v", f)
	}
}

func TestFlushOfUnknownBackend(t *testing.T) {
	w := started(t, 1)
	d1 := w.directors[0]
	if _, err := d1.do(RemoveBackend{testBackend(4)}); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []netip.Addr{testBackend(4), netip.MustParseAddr("198.51.100.1")} {
		if _, err := d1.do(Flush{Addr: addr}); !errors.Is(err, directory.ErrUnknownBackend) {
			t.Errorf("flush of %v gives %v", addr, err)
		}
	}
}

// So many users are in flight as were asked for, or as are configured.
func TestFlushInFlight(t *testing.T) {
	for asked, want := range map[int]int{-1: 3, 0: 3, 1: 1, 4: 4} {
		w, users := drained(t, 1, func(c *Config) { c.MaxParallelMoves = 3 })
		d1 := w.directors[0]
		id := d1.flush(Flush{Addr: testBackend(1), MaxParallel: asked})
		if f := d1.flushed(id); f.Total == 0 || f.Total >= uint64(users[0]) || !f.Scanning {
			t.Errorf(
				"the flush begins with %d of %d users found, want a part: the rest is for later",
				f.Total, users[0])
		}
		w.run(time.Second)
		if n := d1.core.moves.Len(); n != want {
			t.Errorf("%d asked for: %d users are being moved, want %d", asked, n, want)
		}
		if f := d1.flushed(id); f.Moving != uint64(want) || !f.running() {
			t.Errorf("%d asked for: the flush says %+v, want %d moving", asked, f, want)
		}
	}
}

// A flush of all moves those that are not where they hash to, of all tags.
func TestFlushOfAll(t *testing.T) {
	w, users := drained(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	tagged := ring.Tag("t")
	for i := 5; i <= 6; i++ {
		if _, err := d1.do(AddBackend{Addr: testBackend(i), Tag: tagged}); err != nil {
			t.Fatal(err)
		}
	}
	for h := ring.UserHash(0); h < 20; h++ { // the first are the first there can be
		if _, ok := d1.core.TryLookup(w.now, tagged, h*h*700003); !ok {
			t.Fatal("a lookup waits")
		}
	}
	if _, err := d1.do(SetDown{Addr: testBackend(5), Down: true}); err != nil {
		t.Fatal(err)
	}
	others := d1.dir.Len() - users[0] - users[1] - d1.dir.Users(testBackend(5))
	all := users[0] + users[1] + d1.dir.Users(testBackend(5))
	id := d1.flush(Flush{})
	w.run(3 * time.Second)
	want := FlushStatus{ID: id, Total: uint64(all), Moved: uint64(all), Runner: "d1"}
	ignored := cmpopts.IgnoreFields(FlushStatus{}, "Started", "Ended")
	diff := cmp.Diff(want, d2.flushed(id), ignored, cmpopts.EquateComparable(netip.Addr{}))
	if diff != "" {
		t.Errorf("flush (-want +got):\n%s", diff)
	}
	for _, i := range []int{1, 2, 5} {
		if n := d2.dir.Users(testBackend(i)); n != 0 {
			t.Errorf("%d users are still on %v", n, testBackend(i))
		}
	}
	if kicks := len(d2.kicked); kicks != all {
		t.Errorf("%d users were kicked, want %d: the other %d are where they belong",
			kicks, all, others)
	}
	w.wantRest()
}

// What a flush could not move has failed; what is gone meanwhile needs no move.
func TestFlushWhoseUsersAreForgotten(t *testing.T) {
	w, users := drained(t, 2)
	d1 := w.directors[0]
	id := d1.flush(Flush{Addr: testBackend(1), MaxParallel: 2})
	w.run(time.Second)
	if _, err := d1.do(Forget{}); err != nil {
		t.Fatal(err)
	}
	w.run(4 * time.Second)
	if kicks := len(d1.kicked); kicks != 2 {
		t.Errorf("%d users were kicked, want the 2 of the moves that had begun", kicks)
	}
	want := FlushStatus{
		ID: id, Backend: testBackend(1), Total: uint64(users[0]), Moved: uint64(users[0] - 2),
		Failed: 2, Runner: "d1",
	}
	for _, d := range w.directors {
		f := d.flushed(id)
		ignored := cmpopts.IgnoreFields(FlushStatus{}, "Started", "Ended")
		diff := cmp.Diff(want, f, ignored, cmpopts.EquateComparable(netip.Addr{}))
		if diff != "" || f.running() {
			t.Errorf("%s (-want +got):\n%s", d.name, diff)
		}
	}
}

// A flush leaves alone whom somebody else moves or has moved, and who was sent nowhere.
func TestFlushLeavesOthersMovesAlone(t *testing.T) {
	w, users := drained(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	var on []ring.UserHash // users of the first backend, in the order of hashes
	for _, m := range d1.dir.All(d1.core.MeshTime(w.now)) {
		if m.Backend == testBackend(1) {
			on = append(on, m.Hash)
		}
	}
	first, last := on[0], on[len(on)-1]
	d2.begin(Move{Hash: first, Backend: testBackend(2)})
	w.deliver()
	id := d1.flush(Flush{Addr: testBackend(1), MaxParallel: 1})
	w.run(600 * time.Millisecond) // until all are found and told of
	if f := d1.flushed(id); f.Total != uint64(users[0]-1) {
		t.Errorf("the flush has found %d users, want %d: one is being moved", f.Total, users[0]-1)
	}
	if _, err := d2.do(Move{Hash: last, Backend: testBackend(2), Wait: true}); err != nil {
		t.Fatal(err)
	}
	w.until("the flush ends", time.Minute, func() bool { return !d2.flushed(id).running() })
	if f := d2.flushed(id); f.Moved != uint64(users[0]-1) || f.Failed != 0 {
		t.Errorf("the flush ended with %+v", f)
	}
	for _, h := range []ring.UserHash{first, last} {
		if got := d1.core.User(w.now, "", h); got.Current != testBackend(2) || got.Moving {
			t.Errorf("%v is %+v, want it where it was moved to by hand", h, got)
		}
	}
}

// Where no backend is usable a flush kicks users and forgets where they were.
func TestFlushToNowhere(t *testing.T) {
	w, users := drained(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	for i := 3; i <= 4; i++ {
		if _, err := d1.do(SetDown{Addr: testBackend(i), Down: true}); err != nil {
			t.Fatal(err)
		}
	}
	id := d1.flush(Flush{Addr: testBackend(1)})
	w.run(3 * time.Second)
	if f := d2.flushed(id); f.Moved != uint64(users[0]) || f.running() {
		t.Errorf("the flush is %+v", f)
	}
	if len(d2.kicked) != users[0] || d2.kicked[0].Target.Keep.IsValid() {
		t.Errorf("%d users were kicked, want %d, from all backends", len(d2.kicked), users[0])
	}
	again := d1.flush(Flush{})
	w.run(3 * time.Second)
	if f, rest := d2.flushed(again), d2.dir.Len()-users[0]; f.Total != uint64(rest) {
		t.Errorf("a flush of all finds %d users, want the %d on other backends", f.Total, rest)
	}
}

// Limits that change while a core runs hold for the moves and flushes that come; zero means the
// number that a core has by itself.
func TestSetLimits(t *testing.T) {
	w, users := drained(t, 3)
	d, from := w.directors[0], testBackend(1)
	if users[0] < 10 {
		t.Fatalf("%d users on %v; the test shows nothing", users[0], from)
	}
	for _, test := range []struct {
		limits Limits
		want   int // users in flight
		delay  time.Duration
	}{
		{Limits{KickDelay: 5 * time.Second, MaxParallelMoves: 7}, 7, 5 * time.Second},
		{Limits{KickDelay: time.Second}, defaultParallelMoves, time.Second},
	} {
		d.core.SetLimits(w.now, test.limits)
		if got := d.core.cfg; got.KickDelay != test.delay || got.MaxParallelMoves != test.want {
			t.Errorf("%+v: %v, %d at a time", test.limits, got.KickDelay, got.MaxParallelMoves)
		}
	}
	d.core.SetLimits(w.now, Limits{KickDelay: 5 * time.Second, MaxParallelMoves: 7})
	id := d.flush(Flush{Addr: from})
	w.run(time.Second)
	if got := d.flushed(id).Moving; got != 7 {
		t.Errorf("%d users are being moved, want 7", got)
	}
}

// All directors are killed in the middle of a flush; from their data directories they go on with
// it, by its name. One that is killed alone does not begin again what has ended meanwhile.
func TestFlushAfterARestartOfAll(t *testing.T) {
	w := onDisks(t, 3)
	w.logins(200)
	w.run(time.Second)
	d1, from := w.directors[0], testBackend(1)
	if _, err := d1.do(UpdateBackend{Addr: from}); err != nil {
		t.Fatal(err)
	}
	id := w.directors[1].flush(Flush{Addr: from, MaxParallel: 5})
	w.run(5 * time.Second)
	before := d1.flushed(id)
	if n := d1.dir.Users(from); n == 0 || before.Moved == 0 || !before.running() {
		t.Fatalf("%d users are left: %+v; the test shows nothing", n, before)
	}
	w.killAll(time.Second)
	ended := func() bool {
		for _, d := range w.directors {
			if f := d.flushed(id); f.running() || d.dir.Users(from) > 0 {
				return false
			}
		}
		return true
	}
	w.run(3 * time.Second)
	w.until("the flush has ended everywhere", time.Minute, ended)
	after := w.directors[2].flushed(id)
	if after.Lost || after.Failed > 0 || after.Moved < before.Moved ||
		after.Runner != "d1" || d1.core.counters.FlushesTaken != 1 {
		t.Errorf("ended as %+v", after)
	}

	// Its disk has a flush that the others end while it is away.
	w.logins(200)
	if _, err := d1.do(UpdateBackend{Addr: testBackend(2)}); err != nil {
		t.Fatal(err)
	}
	id = w.directors[1].flush(Flush{Addr: testBackend(2), MaxParallel: 5})
	w.run(3 * time.Second)
	d1.stopped = true
	w.run(60 * time.Second)
	if f := w.directors[1].flushed(id); f.running() {
		t.Fatalf("not ended: %+v; the test shows nothing", f)
	}
	d1.boots(false)
	w.until("all synced", time.Minute, w.allSynced)
	w.run(5 * time.Second)
	if n := d1.core.counters.FlushesTaken; n != 0 {
		t.Errorf("it went on with %d flushes", n)
	}
}

// A director that flushes is cut off, and another one goes on. When the first is back in touch with
// that one alone it begins no moves: it would wait for few directors. The other goes on, and what
// was cancelled there ends.
func TestFlushOfOneThatComesBack(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		w, _ := drained(t, 5)
		d1, d2 := w.directors[0], w.directors[1]
		id := d1.flush(Flush{Addr: testBackend(1), MaxParallel: 1})
		w.run(time.Second)
		w.split([]*director{d1}, w.directors[1:])
		w.until("another one goes on", 20*time.Second, func() bool {
			return d2.core.flushes.Runs("d2", id) && d1.core.peers.all.live() == 0
		})
		if cancelled {
			if outcome, err := d2.do(CancelFlush{}); err != nil || outcome.Count != 1 {
				t.Fatalf("%d are cancelled, %v", outcome.Count, err)
			}
		}
		w.heal()
		w.split([]*director{d1}, w.directors[2:])
		begun := func() (n uint64) {
			for _, f := range d1.core.flushes.Own() {
				n += f.Progress().Moved + f.Progress().Failed + f.Progress().Moving
			}
			return n
		}
		unsynced, outnumbered := false, false
		for end := w.now.Add(10 * time.Second); w.now < end; {
			before := begun()
			w.run(25 * time.Millisecond)
			unsynced = unsynced || !d1.core.synced()
			outnumbered = outnumbered || d1.core.synced() && d1.core.outnumbered()
			if begun() > before {
				t.Fatalf("it begins moves, synced: %v", d1.core.synced())
			}
		}
		if !unsynced || !outnumbered {
			t.Fatalf("it had to sync: %v, it was outnumbered then: %v; the test shows nothing",
				unsynced, outnumbered)
		}
		if got := d2.core.flushes.Runs("d2", id); got == cancelled {
			t.Errorf("cancelled: %v; it runs at the other: %v", cancelled, got)
		}
		if f := d1.flushed(id); f.Canceled != cancelled {
			t.Errorf("cancelled: %v; d1 says %+v", cancelled, f)
		}
	}
}
