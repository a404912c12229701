package replica

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"directormesh/ring"
)

func TestColdStart(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"d3", "d1", "d2"} {
		w.start(name, func(c *Config) { c.Founder = false })
	}
	w.until("all synced", 5*time.Second, w.allSynced)
	first := w.named("d1")
	if !slices.ContainsFunc(first.logs, func(l Log) bool {
		return strings.HasPrefix(l.Text, "mesh founded")
	}) {
		t.Error("d1 has the lowest name and did not found the mesh")
	}
	for _, d := range w.directors {
		if got := d.core.Self(w.now).Mesh; got.ID != first.core.table.Mesh() || !got.Grown {
			t.Errorf("%s lives in the mesh %+v, want that of d1, with more than one director",
				d.name, got)
		}
	}
}

func TestServesAloneWhenNobodyAnswers(t *testing.T) {
	w := newWorld(t)
	d := w.start("d1", func(c *Config) { c.Founder = false })
	w.run(startWait - 100*time.Millisecond)
	_, id := d.ask(1)
	if id == 0 {
		t.Fatal("answered before its peers had time to answer")
	}
	down := SetDown{Addr: testBackend(1), Down: true}
	if _, err := d.do(down); !errors.Is(err, ErrNotSynced) && err != nil {
		t.Fatalf("an admin change before the first sync: %v", err)
	}
	w.run(200 * time.Millisecond)
	if _, ok := d.answers[id]; !ok {
		t.Fatal("does not serve alone")
	}
	if self := d.core.Self(w.now); !self.Alone {
		t.Errorf("status does not say so: %+v", self)
	}
}

func TestBarrierHoldsOnlyUsersWhosePlaceChanges(t *testing.T) {
	w := started(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	before := d1.core.barrier.Today()
	d3.stopped = true // hangs
	id := d1.begin(UpdateBackend{Addr: testBackend(1), VHosts: 500})
	w.run(time.Second)
	if _, done := d1.done[id]; done {
		t.Fatal("the update ended although d3 has not confirmed")
	}
	now := d1.core.barrier.Today()
	var waiting []uint64
	for h := ring.UserHash(3); len(waiting) < 20; h += 0x01234567 {
		old, _ := before.Lookup("", h)
		place, _ := now.Lookup("", h)
		backend, id := d2.ask(h)
		switch {
		case old == place && id != 0:
			t.Fatalf("lookup of %v waits although its place is the same", h)
		case old == place && backend != place:
			t.Fatalf("%v answered %v, want %v", h, backend, place)
		case old != place && id == 0:
			t.Fatalf("%v answered %v although its place changes", h, backend)
		case id != 0:
			waiting = append(waiting, id)
		}
	}
	w.run(failAfter)
	for _, id := range waiting {
		if a, ok := d2.answers[id]; !ok || a.Err != nil {
			t.Fatalf("lookup %d: %+v after d3 was counted as failed", id, a)
		}
	}
	o := d1.done[id]
	if o.Err != nil || len(o.Outcome.FailedPeers) != 1 || o.Outcome.FailedPeers[0] != "d3" {
		t.Errorf("update ended with %+v, want d3 named as failed", o)
	}
}

func TestMoveOfIdleUserWithoutSessionsTakesNoDelay(t *testing.T) {
	w := started(t, 3, func(c *Config) { c.KickDelay = 20 * time.Second })
	d1 := w.directors[0]
	const h = 777
	d1.must(h)
	w.run(d1.dir.Share() + idleMargin + time.Second)
	old := d1.core.User(w.now, "", h)
	if !old.Mapped {
		t.Fatal("the mapping is gone already")
	}
	to := testBackend(1)
	if old.Current == to {
		to = testBackend(2)
	}
	begin := w.now
	if _, err := d1.do(Move{Hash: h, Backend: to, Wait: true}); err != nil {
		t.Fatal(err)
	}
	if took := w.now.Sub(begin); took > 200*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

// Who is told to be where it is anyway, just before its mapping ends, is not on two backends a
// moment later.
func TestMoveToTheSameBackendAtTheEndOfLife(t *testing.T) {
	// of a batch of 50 ms
	for _, before := range []time.Duration{25 * time.Millisecond, 50 * time.Millisecond} {
		w := started(t, 3)
		d1, d2 := w.directors[0], w.directors[1]
		const h = 4712
		to := testBackend(1)
		if d1.must(h) == to {
			to = testBackend(2)
		}
		if _, err := d1.do(Move{Hash: h, Backend: to, Wait: true}); err != nil {
			t.Fatal(err)
		}
		w.until("the mapping is ending", time.Hour, func() bool {
			now := d1.core.MeshTime(w.now)
			m, _ := d1.dir.Find("", h, now)
			return d1.dir.Ends(m).Sub(now) <= before
		})
		d1.begin(Move{Hash: h, Backend: to})
		w.deliver()
		for range 100 {
			if backend, id := d2.ask(h); id == 0 && backend != to {
				t.Fatalf("d2 answers %v after the user was moved to %v", backend, to)
			}
			w.run(25 * time.Millisecond)
		}
	}
}

func TestConcurrentMovesAgree(t *testing.T) {
	w := started(t, 5)
	const h = 4711
	old := w.directors[0].must(h)
	w.run(time.Second)
	var others []netip.Addr
	for i := range 4 {
		if b := testBackend(i + 1); b != old {
			others = append(others, b)
		}
	}
	a := w.directors[1].begin(Move{Hash: h, Backend: others[0], Wait: true})
	b := w.directors[2].begin(Move{Hash: h, Backend: others[1], Wait: true})
	w.run(10 * time.Second)
	place := w.directors[0].must(h)
	for _, d := range w.directors {
		if got := d.must(h); got != place {
			t.Errorf("%s answers %v, d1 %v", d.name, got, place)
		}
	}
	first, second := w.directors[1].done[a].Err, w.directors[2].done[b].Err
	if (first == nil) == (second == nil) {
		t.Errorf("the moves ended with %v and %v, want one to win", first, second)
	}
}

func TestSplitAndHeal(t *testing.T) {
	w := started(t, 5)
	left, right := w.directors[:2], w.directors[2:]
	w.run(time.Second)
	w.split(left, right)
	w.run(failAfter + time.Second)
	if _, err := left[0].do(UpdateBackend{Addr: testBackend(1), VHosts: 0}); err != nil {
		t.Fatal(err)
	}
	differ := 0
	for h := ring.UserHash(1); h < 100; h++ {
		if left[1].must(h*40000003) != right[1].must(h*40000003) {
			differ++
		}
	}
	if differ == 0 {
		t.Fatal("the sides agree on all users; the test shows nothing")
	}
	w.run(40 * time.Second) // longer than the logs are kept
	for h := ring.UserHash(1); h < 100; h++ {
		left[1].must(h * 40000003)
		right[1].must(h * 40000003)
	}
	w.run(time.Second)
	w.heal()
	w.until("all synced again", 10*time.Second, w.allSynced)
	kicks := 0
	for h := ring.UserHash(1); h < 100; h++ {
		place := w.directors[0].must(h * 40000003)
		for _, d := range w.directors {
			if got := d.must(h * 40000003); got != place {
				t.Fatalf("%s answers %v for %v, d1 %v", d.name, got, h, place)
			}
		}
	}
	for _, d := range w.directors {
		kicks += len(d.kicked)
	}
	if kicks < differ {
		t.Errorf("%d kicks for %d users that were answered differently", kicks, differ)
	}
}

func TestPauseWithMoveMeanwhile(t *testing.T) {
	w := started(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	const h = 99
	old := d3.must(h)
	w.run(time.Second)
	d3.stopped = true
	w.run(failAfter + time.Second)
	to := testBackend(1)
	if old == to {
		to = testBackend(2)
	}
	if _, err := d1.do(Move{Hash: h, Backend: to, Wait: true}); err != nil {
		t.Fatal(err)
	}
	w.run(30 * time.Second)
	if got := d2.must(h); got != to {
		t.Fatalf("d2 answers %v, want %v", got, to)
	}
	if backend, ok := d3.core.TryLookup(w.now, "", h); ok {
		t.Fatalf("d3 answers %v right after waking up", backend)
	}
	d3.stopped = false
	id := d3.id()
	if backend, ok := d3.core.Lookup(w.now, id, "", h); ok {
		t.Fatalf("d3 answers %v right after waking up", backend)
	}
	w.run(time.Second)
	if a := d3.answers[id]; a.Backend != to {
		t.Errorf("d3 answered %+v after a second, want %v", a, to)
	}
	w.until("all synced", 5*time.Second, w.allSynced)
}

func TestFlush(t *testing.T) {
	w := started(t, 3)
	d1, d2 := w.directors[0], w.directors[1]
	for h := ring.UserHash(1); h < 2000; h++ {
		d2.must(h * 2000003)
	}
	w.run(testExpire - 10*time.Second) // idle, but not yet gone
	if _, err := d1.do(SetDown{Addr: testBackend(2), Down: true}); err != nil {
		t.Fatal(err)
	}
	mapped := d1.dir.Users(testBackend(2))
	if mapped == 0 {
		t.Fatal("nobody on the backend")
	}
	if _, err := d1.do(Flush{Addr: testBackend(2), MaxParallel: 50}); err != nil {
		t.Fatal(err)
	}
	w.until("flush over, as seen at d2", 5*time.Second, func() bool {
		f := d2.core.Flushes()
		return len(f) == 1 && f[0].Ended != 0
	})
	if f := d2.core.Flushes()[0]; f.Moved != uint64(mapped) || f.Failed != 0 {
		t.Errorf("flush ended with %+v, want %d moved", f, mapped)
	}
	for _, d := range w.directors {
		if n := d.dir.Users(testBackend(2)); n != 0 {
			t.Errorf("%s still counts %d users", d.name, n)
		}
	}
}

// A flush has no more users in flight than kicks run at once on a director, whatever is asked for.
func TestFlushIsBounded(t *testing.T) {
	w := started(t, 1)
	d := w.directors[0]
	h := ring.UserHash(1)
	for d.dir.Users(testBackend(2)) <= maxParallel {
		d.must(h)
		h += 200003
	}
	if _, err := d.do(SetDown{Addr: testBackend(2), Down: true}); err != nil {
		t.Fatal(err)
	}
	d.begin(Flush{Addr: testBackend(2), MaxParallel: 10 * maxParallel})
	w.run(time.Second) // of two that each move takes
	if n := d.core.moves.Len(); n != maxParallel {
		t.Errorf("%d users are being moved, want %d", n, maxParallel)
	}
}

func TestForgetSurvivesLateRows(t *testing.T) {
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	const h = 31337
	old := d3.must(h)
	w.run(time.Second)
	if _, err := d1.do(SetDown{Addr: old, Down: true}); err != nil {
		t.Fatal(err)
	}
	w.split(w.directors[:2], w.directors[2:])
	w.run(failAfter + time.Second)
	if o, err := d1.do(Forget{}); err != nil {
		t.Fatal(err, o)
	}
	place := d1.must(h)
	if place == old {
		t.Fatalf("still on %v", old)
	}
	w.heal()
	w.until("all synced", 10*time.Second, w.allSynced)
	for _, d := range w.directors {
		if got := d.must(h); got != place {
			t.Errorf("%s answers %v, want %v", d.name, got, place)
		}
	}
}

func TestImport(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	const fresh, elsewhere, expired = 1, 2, 3
	d2.must(elsewhere)
	w.run(time.Second)
	other := testBackend(1)
	if d1.must(elsewhere) == other {
		other = testBackend(2)
	}
	now := d1.core.MeshTime(w.now)
	seen := now.Add(-20 * time.Second)
	o, err := d1.do(Import{Mappings: []ImportedMapping{
		{Hash: fresh, Backend: other, Activity: seen},
		{Hash: elsewhere, Backend: other, Activity: seen},
		{Hash: expired, Backend: other, Activity: now.Add(-time.Hour)},
		{Hash: 4, Backend: netip.MustParseAddr("198.51.100.1"), Activity: now},
	}})
	if err != nil || o.Count != 2 {
		t.Fatalf("import ended with %+v, %v, want 2 mappings", o, err)
	}
	w.run(time.Second)
	for _, d := range w.directors {
		for _, h := range []ring.UserHash{fresh, elsewhere} {
			if s := d.core.User(w.now, "", h); !s.Mapped || s.Current != other {
				t.Errorf("%s: %v is %+v, want it on %v", d.name, h, s, other)
			}
		}
	}
	s := d2.core.User(w.now, "", fresh)
	if s.Expires.Sub(seen.Add(testExpire)).Abs() > time.Second {
		t.Errorf("expires %v after the last activity, want %v", s.Expires.Sub(seen), testExpire)
	}
}

func TestRefreshAndAdopt(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	const h, stranger = 5, 6
	d1.must(h)
	d1.core.Refresh(w.now, "", stranger)
	d1.core.Adopt(w.now, "", stranger, testBackend(3))
	for range 10 {
		w.run(testExpire / 2)
		d2.core.Refresh(w.now, "", h)
		d1.core.Adopt(w.now, "", stranger, testBackend(3))
	}
	w.run(time.Second)
	for _, d := range w.directors {
		if s := d.core.User(w.now, "", h); !s.Mapped {
			t.Errorf("%s: the mapping of a live session expired", d.name)
		}
		if s := d.core.User(w.now, "", stranger); !s.Mapped || s.Current != testBackend(3) {
			t.Errorf("%s: the adopted session is mapped as %+v", d.name, s)
		}
	}
}
