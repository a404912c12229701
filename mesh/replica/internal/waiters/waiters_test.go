package waiters

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/lookups"
	"directormesh/ring"
)

const start = mono.Time(time.Hour)

func idsOf(waits []*Wait) (ids []uint64) {
	for _, w := range waits {
		ids = append(ids, w.ID)
	}
	return ids
}

// Lookups are looked at again only when something changed, by age, and fail at their deadline.
func TestReviewAndDeadline(t *testing.T) {
	w := New()
	for i := range 4 {
		w.Add(start.Add(time.Duration(i)*time.Second), &Wait{ID: uint64(i + 1)})
	}
	if got := slices.Collect(w.Review()); got != nil {
		t.Errorf("%v are reviewed although nothing changed", idsOf(got))
	}
	w.Recheck()
	w.Cancel(2)
	w.Cancel(77) // unknown: nothing
	for x := range w.Review() {
		if x.ID == 3 {
			w.Finish(x)
		}
	}
	if w.Len() != 2 {
		t.Errorf("%d wait, want 2", w.Len())
	}
	if got := slices.Collect(w.Review()); got != nil {
		t.Errorf("%v are reviewed a second time", idsOf(got))
	}
	for _, test := range []struct {
		at   mono.Time
		want []uint64
	}{
		{start.Add(Deadline - 1), nil},
		{start.Add(Deadline), []uint64{1}},
		{start.Add(Deadline + 3*time.Second), []uint64{4}},
		{start.Add(2 * Deadline), nil},
	} {
		if diff := cmp.Diff(test.want, idsOf(w.TakeExpired(test.at))); diff != "" {
			t.Errorf("expired at %v (-want +got):\n%s", test.at.Sub(start), diff)
		}
	}
}

// Time alone has lookups of users who are being moved looked at once a second; what happens to such
// a user has those of that user looked at.
func TestReviewOfHeld(t *testing.T) {
	const alice, bob, carol = 1, 2, 3
	w := New()
	w.Pass(start)
	w.Review()(func(*Wait) bool { return true })
	for id, hash := range []ring.UserHash{alice, bob, carol, alice, bob} {
		x := &Wait{ID: uint64(id + 1), User: ring.User{Hash: hash}}
		w.Add(start, x)
		if x.NoteWhy(lookups.BeingMoved); hash == carol {
			x.NoteWhy(lookups.NoBackend)
		}
	}
	for _, step := range []struct {
		name   string
		happen func()
		want   []uint64
	}{
		{"nothing", func() {}, nil},
		{"time", func() { w.Pass(start.Add(heldEvery - 1)) }, []uint64{3}},
		{"a user", func() { w.RecheckUser(ring.User{Hash: bob}) }, []uint64{2, 5}},
		{"a user who does not wait", func() { w.RecheckUser(ring.User{Hash: 9}) }, nil},
		{"the same hash of another tag", func() {
			w.RecheckUser(ring.User{Tag: "a", Hash: bob})
		}, nil},
		{"time and a user", func() {
			w.Pass(start.Add(heldEvery - 1))
			w.RecheckUser(ring.User{Hash: alice})
		}, []uint64{3, 1, 4}},
		{"a second", func() { w.Pass(start.Add(heldEvery)) }, []uint64{1, 2, 3, 4, 5}},
		{"a moment more", func() { w.Pass(start.Add(heldEvery + 1)) }, []uint64{3}},
		{"all, and a user", func() {
			w.Recheck()
			w.RecheckUser(ring.User{Hash: alice})
		}, []uint64{1, 2, 3, 4, 5}},
		{"a user one of whose lookups is given up", func() {
			w.Cancel(1)
			w.RecheckUser(ring.User{Hash: alice})
		}, []uint64{4}},
		{"nothing again", func() {}, nil},
	} {
		step.happen()
		if diff := cmp.Diff(step.want, idsOf(slices.Collect(w.Review()))); diff != "" {
			t.Errorf("%s: reviewed (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestWhyIsNewsOnce(t *testing.T) {
	x := &Wait{}
	for i, step := range []struct {
		why  lookups.Verdict
		news bool
	}{
		{lookups.NotSynced, true}, {lookups.NotSynced, false}, {lookups.NoBackend, true},
		{lookups.NotSynced, true},
	} {
		if got := x.NoteWhy(step.why); got != step.news || x.Why() != step.why {
			t.Errorf("step %d: news is %v, waits because of %v", i, got, x.Why())
		}
	}
}

// A peer is asked for our own lookups only, one at a time, another one after a second; its answer
// counts for a second.
func TestAsking(t *testing.T) {
	w := New()
	x := &Wait{ID: 1, User: ring.User{Hash: 7}}
	w.Add(start, x)
	due := func(why lookups.Verdict, now mono.Time) bool {
		x.NoteWhy(why)
		return x.AskDue(now)
	}
	if due(lookups.BeingMoved, start) || !due(lookups.NotSynced, start) || x.Turn(5) != 2 {
		t.Errorf("a peer is asked for the wrong reason, or the wrong one: %d", x.Turn(5))
	}
	w.Ask(start, x, 9)
	if x.AskDue(start.Add(askAgain)) || !x.AskDue(start.Add(askAgain+1)) || x.Turn(5) != 3 {
		t.Errorf("asked again too soon or too late, or the same peer: %d", x.Turn(5))
	}
	if !x.Fresh(start.Add(RelayValid)) || x.Fresh(start.Add(RelayValid+1)) {
		t.Error("an answer counts for too short or too long")
	}
	if got := w.TakeAsked(9); got != x || !x.AskDue(start) {
		t.Errorf("request 9 is for %v", got)
	}
	if got := w.TakeAsked(9); got != nil {
		t.Errorf("request 9 is answered twice")
	}
	w.Ask(start, x, 10)
	if w.Unask(x); w.TakeAsked(10) != nil {
		t.Error("a question that was taken back is answered")
	}
	relayed := &Wait{Peer: logs.ID{Name: "d2", Boot: 1}, Request: 4}
	if relayed.NoteWhy(lookups.NotSynced); relayed.Own() || relayed.AskDue(start) {
		t.Error("what a peer relayed is relayed on")
	}
}

// Whatever happens, the four lists agree: nothing is kept of a lookup that has ended.
func TestListsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := New()
		now, id := start, uint64(0)
		draw := rapid.IntRange(0, 6)
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			var x *Wait
			if n := len(w.order); n > 0 {
				x = w.order[rapid.IntRange(0, n-1).Draw(t, "which")]
			}
			id++
			switch step := draw.Draw(t, "step"); {
			case step == 0:
				w.Add(now, &Wait{ID: id, User: ring.User{Hash: ring.UserHash(id % 3)}})
			case step == 1:
				w.Add(now, &Wait{Peer: logs.ID{Name: "d2", Boot: 1}, Request: id})
			case step == 2:
				now = now.Add(7 * time.Second)
				w.TakeExpired(now)
			case x == nil || x.done:
			case step == 3 && x.Own():
				w.Unask(x)
				w.Ask(now, x, id)
			case step == 4:
				w.TakeAsked(x.relay)
			case step == 5:
				w.Finish(x)
			case step == 6:
				w.Cancel(x.ID)
			}
			w.Recheck()
			for range w.Review() {
			}
			own, asked, users := 0, 0, 0
			for _, x := range w.order {
				if !slices.Contains(w.byUser[x.User], x) {
					t.Fatalf("lookup %d is not found by its user", x.ID)
				}
				if x.Own() {
					own++
					if w.byID[x.ID] != x {
						t.Fatalf("lookup %d is not found by its id", x.ID)
					}
				}
				if x.relay != 0 {
					asked++
					if w.relays[x.relay] != x {
						t.Fatalf("request %d is not found", x.relay)
					}
				}
			}
			for u, waits := range w.byUser {
				if len(waits) == 0 {
					t.Fatalf("user %v has a list, and no lookup", u)
				}
				users += len(waits)
			}
			if users != len(w.order) {
				t.Fatalf("%d lookups are found by their users, and there are %d",
					users, len(w.order))
			}
			if own != len(w.byID) || asked != len(w.relays) {
				t.Fatalf("%d of our own and %d requests, %d and %d are listed",
					own, asked, len(w.byID), len(w.relays))
			}
		}
	})
}
