package replica

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/waiters"
	"directormesh/ring"
)

// down takes the first n backends down.
func (w *world) down(n int) {
	w.t.Helper()
	for i := range n {
		if _, err := w.directors[0].do(SetDown{Addr: testBackend(i + 1), Down: true}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// A lookup without a usable backend waits for one, thirty seconds at most.
func TestLookupWaitsForABackend(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	w.down(4)
	_, saved := d1.ask(1)
	w.run(10 * time.Second)
	if _, answered := d1.answers[saved]; answered {
		t.Fatal("answered without a usable backend")
	}
	if self := d1.core.Self(w.now); self.Waiting != 1 {
		t.Errorf("%d lookups wait, want 1", self.Waiting)
	}
	if _, err := d1.do(SetDown{Addr: testBackend(2), Down: false}); err != nil {
		t.Fatal(err)
	}
	if got := d1.answers[saved]; got.Backend != testBackend(2) || got.Err != nil {
		t.Errorf("answered %+v when a backend is up again", got)
	}
	w.down(2)
	_, lost := d1.ask(2)
	_, cancelled := d1.ask(3)
	d1.core.CancelLookup(cancelled)
	begun := w.now
	w.run(waiters.Deadline - 25*time.Millisecond)
	if _, answered := d1.answers[lost]; answered {
		t.Fatalf("answered after %v", w.now.Sub(begun))
	}
	w.run(25 * time.Millisecond)
	var failure *TemporaryError
	got := d1.answers[lost]
	if !errors.As(got.Err, &failure) || failure.Reason != "no usable backend" {
		t.Errorf("after thirty seconds the answer is %+v", got)
	}
	if got, answered := d1.answers[cancelled]; answered {
		t.Errorf("a lookup that was given up is answered %+v", got)
	}
	if got := d1.core.Counters(); got.NoBackendWaits != 3 || got.FailedLookups != 1 {
		t.Errorf("%d waits and %d failures are counted, want 3 and 1",
			got.NoBackendWaits, got.FailedLookups)
	}
	w.run(25 * time.Millisecond)
	w.wantRest()
	d1.core.CancelLookup(lost) // when it has ended: nothing
}

// Lookup answers at once what needs no waiting.
func TestLookupAnswersAtOnce(t *testing.T) {
	w := started(t, 1)
	d1 := w.directors[0]
	backend, ok := d1.core.Lookup(w.now, 1, "", 5)
	if want := d1.must(5); !ok || backend != want {
		t.Errorf("answered %v, %v; want %v", backend, ok, want)
	}
	w.wantRest()
}

// In the last seconds of its life a mapping on a backend that is down, or to which the user no
// longer hashes, is left to die.
func TestMappingThatEndsIsLeftToDie(t *testing.T) {
	for _, test := range []struct {
		name string
		op   func(was netip.Addr) Operation
		want bool // to wait
	}{
		{"down", func(was netip.Addr) Operation { return SetDown{Addr: was, Down: true} }, true},
		{"hashed elsewhere",
			func(was netip.Addr) Operation { return UpdateBackend{Addr: was} }, true},
		{"as ever", func(was netip.Addr) Operation { return SetDown{Addr: was} }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := started(t, 2)
			d1, d2 := w.directors[0], w.directors[1]
			const h = 7
			was := d1.must(h)
			if _, err := d2.do(test.op(was)); err != nil {
				t.Fatal(err)
			}
			end := func() time.Duration {
				now := d1.core.MeshTime(w.now)
				m, _ := d1.dir.Find("", h, now)
				return d1.dir.Ends(m).Sub(now)
			}
			w.until("the mapping is about to end", time.Hour,
				func() bool { return end() <= directory.EndOfLife })
			left := end()
			got, id := d1.ask(h)
			if !test.want {
				if got != was || end() <= left {
					t.Errorf("answered %v, the mapping ends in %v; want %v and a longer life",
						got, end(), was)
				}
				return
			}
			if id == 0 {
				t.Fatalf("answered %v", got)
			}
			d1.core.Refresh(w.now, "", h)
			if end() > left && test.name == "hashed elsewhere" {
				t.Error("the report of a live session prolongs it")
			}
			w.run(left - 300*time.Millisecond)
			if a, answered := d1.answers[id]; answered {
				t.Fatalf("answered %+v before the mapping was dead", a)
			}
			w.run(600 * time.Millisecond)
			if a := d1.answers[id]; !a.Backend.IsValid() || a.Backend == was {
				t.Errorf("answered %+v, want another backend than %v", a, was)
			}
			if n := d1.core.Counters().EndOfLifeWaits; n != 1 {
				t.Errorf("%d waits are counted", n)
			}
		})
	}
}

// A mapping on a backend that is down is answered, and not prolonged by that; but a live session is
// there, so its report does prolong it.
func TestMappingOnADownBackendIsNotProlonged(t *testing.T) {
	w := started(t, 1)
	d1 := w.directors[0]
	was, elsewhere := d1.must(7), ring.UserHash(8)
	for d1.must(elsewhere) == was {
		elsewhere += 0x01000000
	}
	if _, err := d1.do(SetDown{Addr: was, Down: true}); err != nil {
		t.Fatal(err)
	}
	w.run(d1.dir.Share())
	before := d1.core.User(w.now, "", 7).Expires
	for _, h := range []struct {
		user     ring.UserHash
		prolongs bool
	}{{7, false}, {elsewhere, true}} {
		before := d1.core.User(w.now, "", h.user).Expires
		d1.must(h.user)
		if after := d1.core.User(w.now, "", h.user).Expires; (after > before) != h.prolongs {
			t.Errorf("user %x expires at %v, before the lookup at %v", h.user, after, before)
		}
	}
	d1.core.Refresh(w.now, "", 7)
	if after := d1.core.User(w.now, "", 7).Expires; after <= before {
		t.Error("the report of a live session does not prolong it")
	}
}

// Activity is recorded when the recorded one is older than half a share, and not before: so busy
// users cost no traffic.
func TestActivityIsRecordedAfterHalfAShare(t *testing.T) {
	for _, test := range []struct {
		name string
		use  func(w *world, d *director)
	}{
		{"lookup", func(w *world, d *director) { d.must(5) }},
		{"live session", func(w *world, d *director) { d.core.Refresh(w.now, "", 5) }},
		{"session on its backend", func(w *world, d *director) {
			d.core.Adopt(w.now, "", 5, d.core.User(w.now, "", 5).Current)
		}},
	} {
		w := started(t, 1)
		d1 := w.directors[0]
		w.until(
			"a tick begins", time.Second, func() bool { return d1.core.MeshTime(w.now)%250 == 0 })
		d1.must(5)
		w.run(time.Second)
		logged := d1.core.log.Last()
		w.run(d1.dir.Share()/2 - time.Second)
		test.use(w, d1)
		w.run(time.Second - 25*time.Millisecond)
		if d1.core.log.Last() != logged {
			t.Errorf("%s: recorded after half a share", test.name)
		}
		test.use(w, d1)
		w.run(time.Second)
		if d1.core.log.Last() != logged+1 {
			t.Errorf(
				"%s: %d messages after more than half a share, want 1",
				test.name,
				d1.core.log.Last()-logged,
			)
		}
	}
}
