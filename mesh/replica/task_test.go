package replica

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// mapped returns a mesh with users, and where these are; there are n of them.
func mapped(t *testing.T, directors, n int, change ...func(*Config)) (
	w *world, places map[ring.UserHash]netip.Addr,
) {
	t.Helper()
	w = started(t, directors, change...)
	places = make(map[ring.UserHash]netip.Addr)
	for i := range ring.UserHash(n) {
		h := (i + 1) * 70_000_003
		places[h] = w.directors[0].must(h)
	}
	w.run(time.Second)
	return w, places
}

// order has a director carry out an operation, which must succeed.
func (d *director) order(op Operation) Outcome {
	d.w.t.Helper()
	outcome, err := d.do(op)
	if err != nil {
		d.w.t.Fatalf("%T: %v", op, err)
	}
	return outcome
}

// wantMoved checks on all directors that run that the users of one backend are where they hash now,
// and all others where they were.
func (w *world) wantMoved(places map[ring.UserHash]netip.Addr, from netip.Addr) {
	w.t.Helper()
	for _, d := range w.directors {
		if d.stopped {
			continue
		}
		for h, was := range places {
			want := was
			if was == from {
				want = d.core.target(ring.User{Hash: h})
			}
			if got := d.core.User(w.now, "", h); !got.Mapped || got.Current != want || got.Moving {
				w.t.Errorf("%s: user %v, who was on %v, is %+v, want %v", d.name, h, was, got, want)
			}
		}
	}
}

// wantKickedOnce checks that at each director that runs the sessions of each user of a backend were
// ended once, and those of nobody else.
func (w *world) wantKickedOnce(places map[ring.UserHash]netip.Addr, from netip.Addr) {
	w.t.Helper()
	for _, d := range w.directors {
		if d.stopped {
			continue
		}
		kicks := make(map[ring.UserHash]int)
		for _, k := range d.kicked {
			kicks[k.Target.Hash]++
		}
		for h, was := range places {
			want := 0
			if was == from {
				want = 1
			}
			if kicks[h] != want {
				w.t.Errorf("%s: user %v on %v is kicked %d times, want %d",
					d.name, h, was, kicks[h], want)
			}
		}
	}
}

// Whoever is asked knows when the last user of a backend has not only begun to move, but is moved.
func TestWhoIsLeaving(t *testing.T) {
	w, _ := mapped(t, 3, 40)
	for _, d := range w.directors { // each user has a session, so the kick delay counts
		d.kicker = func(Kick) (int, bool, bool) { return 1, true, true }
	}
	from := testBackend(1)
	w.directors[2].order(Drain{Addr: from})
	all := w.directors[0].dir.Users(from)
	w.until("all are on the way", 10*time.Second, func() bool {
		return w.directors[2].dir.Users(from) == 0
	})
	for _, d := range w.directors {
		b := d.core.Backends()[0]
		if b.Users != 0 || b.Leaving == 0 || b.Leaving > all {
			t.Errorf("%s: %d users, %d are leaving of %d", d.name, b.Users, b.Leaving, all)
		}
		for _, other := range d.core.Backends()[1:] {
			if other.Leaving > 0 {
				t.Errorf("%s: %d are leaving %v", d.name, other.Leaving, other.Backend.Addr)
			}
		}
	}
	w.run(1500 * time.Millisecond)
	if n := w.directors[2].core.Backends()[0].Leaving; n == 0 {
		t.Error("nobody is leaving any more within the kick delay")
	}
	w.run(2 * time.Second)
	for _, d := range w.directors {
		if b := d.core.Backends()[0]; b.Leaving > 0 {
			t.Errorf("%s: %d are still leaving", d.name, b.Leaving)
		}
	}
	w.wantRest()
}

// A drained backend loses its users, each of them once and to where it hashes, and gets no new
// ones. It stays drained. Undrained it gets new ones; those that were moved stay.
func TestDrainMovesAllUsers(t *testing.T) {
	w, places := mapped(t, 3, 200)
	d1, d3, from := w.directors[0], w.directors[2], testBackend(1)
	users := d1.dir.Users(from)
	if got := d3.order(Drain{Addr: from}).Mapped; got != users {
		t.Errorf("%d users are said to be mapped to it, want %d", got, users)
	}
	w.until("no user is left", time.Minute, func() bool { return d3.dir.Users(from) == 0 })
	w.run(3 * time.Second)
	w.wantMoved(places, from)
	w.wantKickedOnce(places, from)
	if n := d1.core.counters.TaskMoves; n != uint64(users) {
		t.Errorf("d1 has moved %d users, want %d", n, users)
	}
	if row, _ := d3.core.table.Row(from); !row.Drain.Value.On || row.VHosts.Value != 100 {
		t.Errorf("it is not drained any more: %+v", row)
	}
	w.wantRest()
	hash := func(n int) ring.UserHash { return ring.UserHash(n)*90_000_049 + 7 }
	for n := range 100 {
		if got := d3.must(hash(n)); got == from {
			t.Fatalf("a new user gets the backend that is drained")
		}
	}
	d3.order(Undrain{Addr: from})
	w.run(3 * time.Second)
	w.wantMoved(places, from2(w, places, from))
	got := 0
	for n := 100; n < 200; n++ {
		if d3.must(hash(n)) == from {
			got++
		}
	}
	if got == 0 {
		t.Error("it gets no new users when it is undrained")
	}
}

// from2 notes where the users of a backend are now, and returns no backend.
func from2(w *world, places map[ring.UserHash]netip.Addr, from netip.Addr) netip.Addr {
	for h, was := range places {
		if was == from {
			places[h] = w.directors[0].core.User(w.now, "", h).Current
		}
	}
	return netip.Addr{}
}

// When the director that drains dies or leaves, the one with the next name goes on. Each user is
// moved once.
func TestDrainIsGoneOnWith(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		w, places := mapped(t, 4, 400)
		from := testBackend(1)
		users := w.directors[3].dir.Users(from)
		w.directors[3].order(Drain{Addr: from, Pace: Pace{MaxParallel: 5}})
		for i, d := range w.directors[:2] {
			w.run(6 * time.Second)
			if n := d.core.counters.TaskMoves; n < 5 || n >= uint64(users) {
				t.Fatalf("%s has begun %d moves of %d users", d.name, n, users)
			}
			if n := w.directors[3].core.counters.TaskMoves; n != 0 {
				t.Errorf("d4 begins %d moves beside it", n)
			}
			if leaves && i == 0 {
				d.core.Leave(w.now)
				w.deliver()
			}
			d.crash()
			w.run(failAfter)
		}
		w.until("no user is left", 2*time.Minute,
			func() bool { return w.directors[3].dir.Users(from) == 0 })
		w.run(5 * time.Second)
		w.wantMoved(places, from)
	}
}

// A director that is in contact with fewer than half of the directors that it knows moves nobody by
// itself; where half of them are together, they go on.
func TestDrainWithoutHalfOfTheMesh(t *testing.T) {
	w, _ := mapped(t, 5, 300)
	all, from := w.directors, testBackend(1)
	all[4].order(Drain{Addr: from, Pace: Pace{MaxParallel: 1}})
	w.run(2 * time.Second)
	w.split(all[:2], all[2:])
	w.run(failAfter + 5*time.Second)
	before := all[0].core.counters.TaskMoves
	w.run(10 * time.Second)
	if n := all[0].core.counters.TaskMoves; n != before {
		t.Errorf("of two of five directors d1 goes on: %d moves", n-before)
	}
	if all[2].core.counters.TaskMoves == 0 {
		t.Error("of three of five directors d3 does not go on")
	}
	for i, d := range all {
		if got, want := d.core.OutOfContact(), i < 2; got != want {
			t.Errorf("d%d is out of contact: %v, want %v", i+1, got, want)
		}
	}
	w.heal()
	w.until("no user is left", 5*time.Minute, func() bool {
		return all[0].dir.Users(from) == 0 && all[4].dir.Users(from) == 0
	})
}

// A drain that has time takes it, and ends when it is to.
func TestDrainKeepsThePace(t *testing.T) {
	w, places := mapped(t, 2, 2000)
	d1, from := w.directors[0], testBackend(1)
	users := d1.dir.Users(from)
	const over = 40 * time.Second // sooner than mappings expire
	d1.order(Drain{Addr: from, Pace: Pace{Over: over, MaxParallel: 1000}})
	for i := range 10 {
		w.run(over / 10)
		rest := over/10*time.Duration(9-i) - d1.core.cfg.KickDelay - moveSlack
		left, want := d1.dir.Users(from), max(int(int64(users)*int64(rest)/int64(over)), 0)
		if left < want-users/20 || left > want+users/20 {
			t.Errorf("after %d tenths of the time %d of %d users are left, want about %d",
				i+1, left, users, want)
		}
	}
	w.until("no user is left", over/20, func() bool { return d1.dir.Users(from) == 0 })
	w.run(3 * time.Second)
	w.wantMoved(places, from)
}

// The number of users at a time wins over the time.
func TestDrainIsLate(t *testing.T) {
	w, _ := mapped(t, 2, 300)
	d1, from := w.directors[0], testBackend(1)
	d1.order(Drain{Addr: from, Pace: Pace{Over: time.Second, MaxParallel: 2}})
	for range 60 {
		w.run(100 * time.Millisecond)
		if n := d1.core.moves.Len(); n > 2 {
			t.Fatalf("%d users are being moved, want 2", n)
		}
	}
	if d1.dir.Users(from) == 0 {
		t.Fatal("nobody is left; the test shows nothing")
	}
}

// Users without sessions are left to expire where there is time, unless they log in again.
func TestDrainLeavesUsersToExpire(t *testing.T) {
	w, places := mapped(t, 2, 300)
	d1, from := w.directors[0], testBackend(1)
	w.run(d1.dir.Share() + idleMargin + time.Second)
	d1.order(Drain{Addr: from, Pace: Pace{Over: testExpire + d1.dir.Share()}})
	w.run(5 * time.Second)
	if n := d1.core.counters.TaskMoves; n != 0 {
		t.Errorf("%d users are moved who are to expire", n)
	}
	var back ring.UserHash
	for h, was := range places {
		if was == from {
			back = h
		}
	}
	w.run(10 * time.Second)
	d1.must(back)
	w.until("no user is left", testExpire, func() bool { return d1.dir.Users(from) == 0 })
	if n := d1.core.counters.TaskMoves; n != 1 {
		t.Errorf("%d users are moved, want the one that came back", n)
	}
}

// Without another backend that is usable a drain waits for one, and forgets nobody.
func TestDrainWaitsForABackend(t *testing.T) {
	w, places := mapped(t, 2, 100)
	d1, from := w.directors[0], testBackend(1)
	for n := 2; n <= 4; n++ {
		d1.order(SetDown{Addr: testBackend(n), Down: true})
	}
	if _, err := d1.do(Drain{Addr: from}); !errors.Is(err, directory.ErrTooLittleLeft) {
		t.Errorf("the last backend is drained: %v", err)
	}
	d1.order(Drain{Addr: from, Force: true})
	users := d1.dir.Users(from)
	w.run(5 * time.Second)
	if n := d1.dir.Users(from); n != users || len(d1.kicked) > 0 {
		t.Errorf("%d of %d users are left, %d were kicked", n, users, len(d1.kicked))
	}
	d1.order(SetDown{Addr: testBackend(3)})
	w.until("no user is left", time.Minute, func() bool { return d1.dir.Users(from) == 0 })
	w.run(3 * time.Second)
	w.wantMoved(places, from)
}

// A rebalance moves those who hash elsewhere, ends, and leaves those on a drained backend to its
// drain.
func TestRebalanceMovesUsers(t *testing.T) {
	w, places := mapped(t, 3, 300)
	d1, d2 := w.directors[0], w.directors[1]
	d2.order(UpdateBackend{Addr: testBackend(2), VHosts: 10})
	d2.order(Drain{Addr: testBackend(1), Pace: Pace{Over: time.Hour}})
	elsewhere := 0
	for h, was := range places {
		if was != testBackend(1) && d1.core.target(ring.User{Hash: h}) != was {
			elsewhere++
		}
	}
	if elsewhere < 10 {
		t.Fatalf("%d users hash elsewhere; the test shows nothing", elsewhere)
	}
	before := d1.dir.Users(testBackend(1))
	d2.order(Rebalance{})
	w.until("it is over", time.Minute, func() bool {
		row, _ := d2.core.table.Row(testBackend(2))
		return !row.Rebalance.Value.On
	})
	for h, was := range places {
		got := d2.core.User(w.now, "", h)
		if was != testBackend(1) && got.Current != got.Hashed {
			t.Errorf("user %v is on %v, and hashes to %v", h, got.Current, got.Hashed)
		}
	}
	if n := before - d1.dir.Users(testBackend(1)); n > 3 {
		t.Errorf("%d users of the backend that is drained in an hour were moved", n)
	}
	for _, d := range w.directors {
		for row := range d.core.table.Tasks() {
			if row.Addr != testBackend(1) || row.Rebalance.Value.On {
				t.Errorf("%s: a task is left: %+v", d.name, row)
			}
		}
	}
	w.wantRest()
}

// Without a usable backend a rebalance waits for one: it is not over before it has looked at all
// users by a ring that places them.
func TestRebalanceWaitsForABackend(t *testing.T) {
	w, places := mapped(t, 2, 100)
	d1, from := w.directors[0], testBackend(1)
	for n := 1; n <= 4; n++ {
		d1.order(SetDown{Addr: testBackend(n), Down: true})
	}
	d1.order(Rebalance{})
	w.run(10 * time.Second)
	if row, _ := d1.core.table.Row(from); !row.Rebalance.Value.On || len(d1.kicked) > 0 {
		t.Errorf("without a backend it is under way: %v; %d users were kicked",
			row.Rebalance.Value.On, len(d1.kicked))
	}
	for n := 2; n <= 4; n++ {
		d1.order(SetDown{Addr: testBackend(n)})
	}
	w.until("it is over", time.Minute, func() bool {
		row, _ := d1.core.table.Row(from)
		return !row.Rebalance.Value.On
	})
	w.run(3 * time.Second)
	for h := range places {
		if got := d1.core.User(w.now, "", h); got.Mapped && got.Current != got.Hashed {
			t.Errorf("user %v is on %v, and hashes to %v", h, got.Current, got.Hashed)
		}
	}
}

// All directors are killed in the middle of a drain; from their data directories they go on.
func TestDrainAfterARestartOfAll(t *testing.T) {
	w := onDisks(t, 3)
	places := w.logins(200)
	w.run(time.Second)
	d1, from := w.directors[0], testBackend(1)
	d1.order(Drain{Addr: from, Pace: Pace{MaxParallel: 5}})
	w.run(6 * time.Second)
	if n := d1.dir.Users(from); n == 0 {
		t.Fatal("nobody is left; the test shows nothing")
	}
	from2(w, places, netip.Addr{})
	w.killAll(time.Second)
	w.until("all synced", time.Minute, w.allSynced)
	w.until("no user is left", time.Minute, func() bool {
		for _, d := range w.directors {
			if d.dir.Users(from) > 0 {
				return false
			}
		}
		return true
	})
	w.run(5 * time.Second)
	w.wantMoved(places, from)
}

// A director of a release that knows no drains would go on sending users there: none begins.
func TestDrainBesideAnEarlierRelease(t *testing.T) {
	w, _ := mapped(t, 2, 10)
	d1 := w.directors[0]
	d1.core.peers.get("d2").registers = 0
	for _, op := range []Operation{Drain{Addr: testBackend(1)}, Rebalance{}} {
		if _, err := d1.do(op); !errors.Is(err, ErrOlderRelease) {
			t.Errorf("%T: %v", op, err)
		}
	}
}

// An operation with a condition is carried out if the table is as it was, by the digest.
func TestIfTable(t *testing.T) {
	w, _ := mapped(t, 2, 10)
	d1, d2 := w.directors[0], w.directors[1]
	digest := d1.core.TableDigest()
	if other := d2.core.TableDigest(); other != digest {
		t.Fatalf("digests %s and %s of one table", digest, other)
	}
	d1.order(IfTable{digest, UpdateBackend{Addr: testBackend(1), VHosts: 50}})
	w.run(time.Second)
	second := UpdateBackend{Addr: testBackend(2), VHosts: 50}
	if _, err := d2.do(IfTable{digest, second}); !errors.Is(err, ErrOtherTable) {
		t.Errorf("after another change: %v", err)
	}
	d2.order(UpdateBackend{Addr: testBackend(1), VHosts: 100})
	d2.order(IfTable{digest, second})
	if row, _ := d2.core.table.Row(testBackend(2)); row.VHosts.Value != 50 {
		t.Errorf("the vhost count is %d", row.VHosts.Value)
	}
}

// A rebalance that follows another one at once looks through all users again.
func TestRebalanceAfterAnother(t *testing.T) {
	w, _ := mapped(t, 1, 300)
	d1 := w.directors[0]
	over := func() bool {
		row, _ := d1.core.table.Row(testBackend(1))
		return !row.Rebalance.Value.On
	}
	for i := range 6 {
		d1.order(UpdateBackend{Addr: testBackend(1 + i%3), VHosts: 5 + 20*i})
		d1.order(Rebalance{})
		w.until("it is over", time.Minute, over)
		for _, m := range d1.dir.All(d1.core.MeshTime(w.now)) {
			if place := d1.core.target(ring.User{Hash: m.Hash}); place != m.Backend {
				t.Fatalf("rebalance %d is over, and user %v is on %v, not %v",
					i+1, m.Hash, m.Backend, place)
			}
		}
	}
}

// A rebalance that is ordered at one director as another director ends the one before is not ended
// by that: it has not been carried out.
func TestRebalanceAsAnotherEnds(t *testing.T) {
	w, _ := mapped(t, 2, 300)
	w.noGossip = true
	d1, d2 := w.directors[0], w.directors[1]
	under := func() bool {
		row, _ := d1.core.table.Row(testBackend(1))
		return row.Rebalance.Value.On
	}
	w.run(time.Second) // no push/pull comes before the end
	d1.order(Rebalance{})
	w.run(800 * time.Millisecond)
	var late []wire.Message
	w.lose = func(from, to *director, m wire.Message) bool {
		if from == d2 {
			late = append(late, m)
		}
		return from == d2
	}
	d2.begin(UpdateBackend{Addr: testBackend(1), VHosts: 5})
	d2.begin(Rebalance{})
	if !under() {
		t.Fatal("the first one has ended already; the test shows nothing")
	}
	w.until("d1 ends the first one", time.Second, func() bool { return !under() })
	w.lose = nil
	for _, m := range late {
		d1.hears(d2, m)
	}
	w.run(time.Second)
	w.until("the second one is over", 10*time.Second, func() bool { return !under() })
	for _, m := range d1.dir.All(d1.core.MeshTime(w.now)) {
		if place := d1.core.target(ring.User{Hash: m.Hash}); place != m.Backend {
			t.Fatalf("both are over, and user %v is on %v, not %v", m.Hash, m.Backend, place)
		}
	}
}

// A user is let in by the ring of before, at a director that hears late of the change and of the
// rebalance. That is not over before it has moved this user too.
func TestRebalanceWaitsForThoseLetInBefore(t *testing.T) {
	w, _ := mapped(t, 2, 0)
	w.noGossip = true
	d1, d2 := w.directors[0], w.directors[1]
	h := ring.UserHash(1)
	for d2.core.target(ring.User{Hash: h}) != testBackend(1) {
		h += 70_000_003
	}
	var late []wire.Message
	w.lose = func(from, _ *director, m wire.Message) bool {
		if from == d2 {
			late = append(late, m)
		}
		return from == d2
	}
	d2.must(h)
	change := d1.begin(UpdateBackend{Addr: testBackend(1), VHosts: 0})
	d1.begin(Rebalance{})
	w.run(2 * time.Second)
	if _, done := d1.done[change]; done {
		t.Fatal("d2 has confirmed the change already; the test shows nothing")
	}
	w.lose = nil
	for _, m := range late {
		d1.hears(d2, m)
	}
	w.until("it is over", 10*time.Second, func() bool {
		row, _ := d1.core.table.Row(testBackend(1))
		return !row.Rebalance.Value.On
	})
	if m := d1.live(h); m.Backend == testBackend(1) {
		t.Errorf("it is over, and the user has %+v", m)
	}
}

// acting are the directors that act for all.
func (w *world) acting() (names []string) {
	for _, d := range w.directors {
		if !d.stopped && d.core.actsForAll() {
			names = append(names, d.name)
		}
	}
	return names
}

// A director with the lowest name that has lost half of the others or more, but not all, does
// nothing for all. The others do not leave it to that one.
func TestLowestNameStandsBack(t *testing.T) {
	for _, n := range []int{4, 5} {
		w := started(t, n)
		d1 := w.directors[0]
		w.split([]*director{d1}, w.directors[2:])
		w.run(failAfter + 5*time.Second)
		if !d1.core.synced() || !w.directors[1].core.peers.get("d1").live {
			t.Fatal("d1 has lost d2 too; the test shows nothing")
		}
		if got, want := w.acting(), []string{"d2"}; !slices.Equal(got, want) {
			t.Errorf("of %d %v act for all, want %v", n, got, want)
		}
	}
}

// A director that is in contact with fewer than half does nothing for all, and says so: one that is
// in contact with just half of them does not leave it to that one.
func TestHalfActsBesideOneWithLess(t *testing.T) {
	w := started(t, 6)
	for _, d := range w.directors[3:] {
		d.crash()
	}
	w.split(w.directors[:1], w.directors[2:3])
	w.run(failAfter + 5*time.Second)
	if d2 := w.directors[1].core; d2.inMajority() || !d2.inContact() {
		t.Fatal("d2 is not in contact with just half; the test shows nothing")
	}
	if got, want := w.acting(), []string{"d2"}; !slices.Equal(got, want) {
		t.Errorf("%v act for all, want %v", got, want)
	}
}

// Directors that were removed are not missed: of the rest one acts, whether it has known them or
// not.
func TestOneActsAfterRemovals(t *testing.T) {
	w := started(t, 4)
	d1, d2 := w.directors[0], w.directors[1]
	for _, d := range w.directors[2:] {
		d.crash()
	}
	w.run(failAfter + time.Second)
	for _, d := range w.directors[2:] {
		outcome, err := d1.do(SetDirectorRemoved{Addr: d.core.cfg.Addr, Removed: true})
		if err != nil {
			t.Fatal(outcome, err)
		}
	}
	d2.crash()
	w.run(failAfter + time.Second)
	d2.boots(false)
	w.until("d2 is synced", time.Minute, func() bool { return d2.core.synced() })
	w.run(5 * time.Second)
	if got, want := w.acting(), []string{"d1"}; !slices.Equal(got, want) {
		t.Errorf("%v act for all, want %v", got, want)
	}
	outcome, err := d1.do(UpdateBackend{Addr: testBackend(1), VHosts: 7})
	if err != nil || len(outcome.FailedPeers) > 0 {
		t.Errorf("failed peers %v, %v; want none", outcome.FailedPeers, err)
	}
}

// A director that restarts where it reaches only one of the others knows by what that one says how
// many it has lost: it does nothing for all, and names them as failed.
func TestRestartAmongFew(t *testing.T) {
	w := started(t, 5)
	d1, d2 := w.directors[0], w.directors[1]
	d1.crash()
	w.run(failAfter + time.Second)
	w.split([]*director{d1}, w.directors[2:])
	d1.boots(false)
	w.until("d1 is synced", time.Minute, func() bool { return d1.core.synced() })
	w.run(2 * time.Second)
	if d1.core.inMajority() || d1.core.inContact() || d1.core.actsForAll() {
		t.Errorf("in the majority: %v, in contact: %v, acts for all: %v",
			d1.core.inMajority(), d1.core.inContact(), d1.core.actsForAll())
	}
	if !d2.core.actsForAll() {
		t.Error("the other does not act for all")
	}
	outcome, err := d1.do(UpdateBackend{Addr: testBackend(1), VHosts: 7})
	if want := []string{"d3", "d4", "d5"}; err != nil || !slices.Equal(outcome.FailedPeers, want) {
		t.Errorf("failed peers %v, %v; want %v", outcome.FailedPeers, err, want)
	}
	w.heal()
	w.until("all have met", time.Minute, func() bool {
		return w.allSynced() && len(d1.core.peers.unmet) == 0
	})
	if !d1.core.actsForAll() {
		t.Error("it does not act for all when it has met them")
	}
}

// A director that begins anew on the smaller side of a split has met nobody of the other side. It
// knows of them by those that let it in, and does nothing for all, until they were removed or are
// apart for as long as one that met them would remember them.
func TestAnewOnTheSmallerSide(t *testing.T) {
	for _, end := range []string{"heals", "removed", "long ago"} {
		w := started(t, 5)
		d1, d2 := w.directors[0], w.directors[1]
		w.split(w.directors[:2], w.directors[2:])
		w.run(failAfter + time.Second)
		d1.crash()
		w.run(failAfter + time.Second)
		d1.boots(false)
		acted := false
		w.until("d1 is synced", time.Minute, func() bool {
			acted = acted || d1.core.actsForAll()
			return d1.core.synced()
		})
		w.run(2 * failAfter)
		if got := w.acting(); acted || !slices.Equal(got, []string{"d3"}) {
			t.Errorf("d1 has acted: %v; in the end %v act for all, want d3", acted, got)
		}
		switch end {
		case "heals":
			w.heal()
			w.until("all have met", time.Minute, w.allSynced)
		case "removed":
			d1.order(SetDirectorRemoved{Name: "d3", Removed: true})
			d1.order(SetDirectorRemoved{Addr: w.directors[3].core.cfg.Addr, Removed: true})
			w.directors[2].crash()
			w.directors[3].crash()
		default:
			for _, d := range w.directors[2:] {
				d.crash()
				told := d1.core.apart[d.name]
				told.Together = told.Together.Add(-forgetDead)
				d1.core.apart[d.name] = told
				d2.core.peers.remove(d2.core.peers.get(d.name))
			}
		}
		w.run(time.Second)
		if got := w.acting(); !slices.Contains(got, "d1") || len(d1.core.peers.unmet) > 0 ||
			slices.Contains(got, "d2") {
			t.Errorf("%s: %v act for all, want d1", end, got)
		}
	}
}
