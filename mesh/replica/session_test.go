package replica

import (
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/waiters"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// sessions are the two ways in which a live session is reported.
var sessions = map[string]func(w *world, d *director, h ring.UserHash, on netip.Addr){
	"Refresh": func(w *world, d *director, h ring.UserHash, _ netip.Addr) {
		d.core.Refresh(w.now, "", h)
	},
	"Adopt": func(w *world, d *director, h ring.UserHash, on netip.Addr) {
		d.core.Adopt(w.now, "", h, on)
	},
}

// A director that must not answer lookups records no sessions either: others may know better.
func TestSessionsAtADirectorThatDoesNotAnswer(t *testing.T) {
	const h, stranger = 5, 6
	for name, report := range sessions {
		t.Run(name, func(t *testing.T) {
			w, joiner := relaying(t, 1)
			_, id := joiner.ask(h)
			w.deliver()
			on := joiner.answers[id].Backend
			w.run(joiner.dir.Share())
			before := joiner.live(h)
			report(w, joiner, h, on)
			report(w, joiner, stranger, on)
			if got := joiner.live(h); got != before {
				t.Errorf("before it is synced it records %+v, had %+v", got, before)
			}
			_, status := joiner.dir.Find("", stranger, joiner.core.MeshTime(w.now))
			if status != directory.None {
				t.Errorf("before it is synced it maps a user: %v", status)
			}
			d1 := w.directors[0]
			before = d1.live(h)
			w.now = w.now.Add(wakeAfter + 1)
			report(w, d1, h, on)
			report(w, d1, stranger, on)
			if got := d1.live(h); got != before {
				t.Errorf("after a pause it records %+v, had %+v", got, before)
			}
			if _, status := d1.dir.Find("", stranger,
				d1.core.MeshTime(w.now)); status != directory.None {
				t.Errorf("after a pause it maps a user: %v", status)
			}
			w.now-- // no pause
			if report(w, d1, h, on); d1.live(h) == before {
				t.Error("a second after its tick it records nothing")
			}
		})
	}
}

// The report of a session leaves a user alone who is being moved, is mapped nowhere, or is mapped
// elsewhere.
func TestSessionsOfUsersThatAreElsewhere(t *testing.T) {
	w := started(t, 1)
	d1 := w.directors[0]
	const h = 5
	was := d1.must(h)
	w.run(d1.dir.Share())
	d1.begin(Move{Hash: h, Backend: another(was)})
	moving := d1.live(h)
	for _, report := range sessions {
		report(w, d1, h, was)
		report(w, d1, h, another(was))
	}
	if got := d1.live(h); got != moving {
		t.Errorf("a user being moved becomes %+v, was %+v", got, moving)
	}
	w.run(3*time.Second + d1.dir.Share())
	mapped := d1.live(h)
	d1.core.Adopt(w.now, "", h, was)
	if got := d1.live(h); got != mapped || got.Backend != another(was) {
		t.Errorf("a session elsewhere makes it %+v, was %+v", got, mapped)
	}
	w.down(4)
	if _, err := d1.do(Flush{}); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	nowhere := d1.live(h)
	d1.core.Refresh(w.now, "", h)
	if got := d1.live(h); got != nowhere || got.Backend.IsValid() {
		t.Errorf("a user that is being sent nowhere becomes %+v, was %+v", got, nowhere)
	}
	w.run(3 * time.Second)
	d1.core.Adopt(w.now, "", h, was)
	w.run(3 * time.Second) // the user is moved there
	if got := d1.live(h); got.Backend != was || got.Moving {
		t.Errorf("a session of a user that is mapped nowhere makes it %+v, want %v", got, was)
	}
}

// Sessions tell a director that lost its mappings where users are, and through it the others, but
// do not bring back what is not in the table.
func TestAdoptedSessionsAreTold(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	d1.core.Adopt(w.now, "", 5, testBackend(3))
	d1.core.Adopt(w.now, "", 6, netip.MustParseAddr("198.51.100.1"))
	w.run(200 * time.Millisecond)
	if got, want := d2.live(5), d1.live(5); got != want || got.Backend != testBackend(3) {
		t.Errorf("d2 has %+v, d1 %+v", got, want)
	}
	for _, d := range w.directors {
		if _, status := d.dir.Find("", 6, d.core.MeshTime(w.now)); status != directory.None {
			t.Errorf("%s has a mapping to a backend that is not in the table", d.name)
		}
	}
}

// While a change of the ring is not confirmed by all, the end of a mapping's life is left to come
// if only the new ring gives its backend.
func TestMappingThatEndsWhileTheRingChanges(t *testing.T) {
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	before := d1.core.barrier.Today()
	backends := testBackends(4)
	backends[0].VHosts = 500
	after := ring.Build(backends, nil)
	var h ring.UserHash
	for {
		old, _ := before.Lookup("", h)
		next, _ := after.Lookup("", h)
		if old != testBackend(1) && next == testBackend(1) {
			break
		}
		h += 0x01000000
	}
	if _, err := d1.do(Move{Hash: h, Backend: testBackend(1), Wait: true}); err != nil {
		t.Fatal(err)
	}
	left := func() time.Duration {
		now := d1.core.MeshTime(w.now)
		m, _ := d1.dir.Find("", h, now)
		return d1.dir.Ends(m).Sub(now)
	}
	w.until("the mapping is about to end", time.Hour,
		func() bool { return left() <= directory.EndOfLife-time.Second })
	d3.stopped = true // hangs, so it does not confirm
	d1.begin(UpdateBackend{Addr: testBackend(1), VHosts: 500})
	w.run(100 * time.Millisecond)
	was := left()
	d1.core.Refresh(w.now, "", h)
	if got, id := d1.ask(h); id == 0 || left() > was {
		t.Errorf("answered %v, the mapping ends in %v, before in %v", got, left(), was)
	}
	w.until(
		"d3 counts as failed",
		failAfter+time.Second,
		func() bool { return len(d1.core.barrier.Rings()) == 1 },
	)
	if got := d1.must(h); got != testBackend(1) || left() <= was {
		t.Errorf("answered %v, the mapping ends in %v; want a longer life", got, left())
	}
}

// A user that is being sent nowhere is held until the release, though a backend is usable again.
func TestUserOnTheWayToNowhereIsHeld(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	d1.must(5)
	w.run(time.Second)
	w.down(4)
	if _, err := d1.do(Flush{}); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if _, err := d1.do(SetDown{Addr: testBackend(3), Down: false}); err != nil {
		t.Fatal(err)
	}
	got, id := d2.ask(5)
	if id == 0 {
		t.Fatalf("answered %v before the release", got)
	}
	if n := d2.core.Counters().HeldLookups; n != 1 {
		t.Errorf("%d held lookups are counted, want 1", n)
	}
	w.run(2 * time.Second)
	if got := d2.answers[id].Backend; got != testBackend(3) {
		t.Errorf("answered %v after the release", got)
	}
}

// A lookup that waits for one thing after the other is counted, and fails, by each in turn.
func TestLookupThatWaitsForSeveralThings(t *testing.T) {
	w, joiner := relaying(t, 1)
	w.also(func(_, _ *director, m wire.Message) bool {
		_, ok := m.(*wire.LookupRequest)
		return ok
	})
	_, id := joiner.ask(5)
	w.down(4)
	w.lose = nil
	w.until("all synced", 10*time.Second, w.allSynced)
	w.run(waiters.Deadline)
	if got := errorText(joiner.answers[id].Err); got != "temporary failure: no usable backend" {
		t.Errorf("the answer is %q", got)
	}
	if got := joiner.core.Counters(); got.UnsyncedWaits != 1 || got.NoBackendWaits != 1 {
		t.Errorf("counted %d and %d waits, want one each", got.UnsyncedWaits, got.NoBackendWaits)
	}
}
