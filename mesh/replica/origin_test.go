package replica

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/waiters"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// exodus is a user who is moved by a director that goes.
type exodus struct {
	w        *world
	h        ring.UserHash
	old, new netip.Addr
	begun    mono.Time
	slow     map[string]time.Duration // kickers that take a while, by director
	kicks    map[string][]mono.Time
	due      []func()
}

// newExodus starts directors with a user who was seen at the last one.
func newExodus(t *testing.T, directors int, change ...func(*Config)) *exodus {
	w := started(t, directors, change...)
	w.noGossip = true
	e := &exodus{
		w: w, h: 16384,
		slow: make(map[string]time.Duration), kicks: make(map[string][]mono.Time),
	}
	e.old = w.directors[directors-1].must(e.h)
	e.new = backendsBut(e.old)[0]
	w.run(time.Second)
	for _, d := range w.directors {
		d.kicker = func(k Kick) (int, bool, bool) {
			e.kicks[d.name] = append(e.kicks[d.name], w.now)
			if wait := e.slow[d.name]; wait > 0 {
				at := w.now.Add(wait)
				e.due = append(e.due, func() {
					if at >= 0 && w.now >= at {
						at = -1
						d.core.KickDone(w.now, k.ID, KickResult{Count: 1, Known: true}, nil)
					}
				})
				return 0, false, false
			}
			return 0, true, true
		}
	}
	return e
}

// begin lets a director move the user; only those named hear of it at first.
func (e *exodus) begin(by *director, hear ...string) (op uint64) {
	e.begun = e.w.now
	e.w.filter = func(to *director, m wire.Message) bool {
		_, hold := m.(*wire.Hold)
		return !hold || slices.Contains(hear, to.name)
	}
	op = by.begin(Move{Hash: e.h, Backend: e.new, Wait: true})
	by.carryOut()
	e.w.filter = nil
	e.w.deliver()
	return op
}

// run lets time pass. While it does, nobody may be answered the new backend as long as somebody
// answers the old one, does not hold the user, or ends sessions on the old one.
func (e *exodus) run(d time.Duration) (released mono.Time) {
	w := e.w
	for end := w.now.Add(d); w.now < end; {
		w.run(25 * time.Millisecond)
		for _, do := range e.due {
			do()
		}
		w.deliver()
		var moved, not []string
		for _, d := range w.directors {
			if d.stopped {
				continue
			}
			m, status := d.dir.Find("", e.h, d.core.MeshTime(w.now))
			kicks := e.kicks[d.name]
			switch {
			case status == directory.Live && m.Backend == e.new && !m.Moving:
				moved = append(moved, d.name)
			case status != directory.Live || m.Backend != e.new:
				not = append(not, d.name+" does not hold")
			}
			if len(kicks) == 0 || w.now.Sub(kicks[0]) < e.slow[d.name] {
				not = append(not, d.name+" has not kicked")
			}
		}
		if len(moved) > 0 && len(not) > 0 {
			w.t.Fatalf("%v after the move began %v answer the new backend, but %v",
				w.now.Sub(e.begun), moved, not)
		}
		if len(moved) > 0 && released == 0 {
			released = w.now
		}
	}
	return released
}

// leave ends a director in good order.
func (d *director) leave() {
	d.core.Leave(d.w.now)
	d.w.deliver()
	d.crash()
}

func TestMovesOfOneThatIsGone(t *testing.T) {
	const kickDelay, margin = 2 * time.Second, 2 * time.Second
	tests := []struct {
		name   string
		hear   []string // of the move, before its originator is gone
		slow   map[string]time.Duration
		play   func(e *exodus)
		within time.Duration // from when the originator goes until the user is let in
	}{
		{"it dies", []string{"d1", "d2", "d3"}, nil, func(e *exodus) { e.w.directors[3].crash() },
			failAfter + kickDelay + margin},
		{"it leaves", []string{"d1", "d2", "d3"}, nil, func(e *exodus) { e.w.directors[3].leave() },
			kickDelay + margin},
		{"it dies between holds", []string{"d1"}, nil, func(e *exodus) { e.w.directors[3].crash() },
			failAfter + kickDelay + margin},
		{"it dies, the lowest has not heard", []string{"d3"}, nil,
			func(e *exodus) { e.w.directors[3].crash() }, failAfter + kickDelay + margin},
		{"it leaves between holds", []string{"d2"},
			nil, func(e *exodus) { e.w.directors[3].leave() },
			kickDelay + margin},
		{"a slow kicker", []string{"d1", "d2", "d3"},
			map[string]time.Duration{"d2": 9 * time.Second},
			func(e *exodus) { e.w.directors[3].leave() }, 9*time.Second + kickDelay + margin},
		{"it is started again at once", []string{"d1", "d2", "d3"}, nil, func(e *exodus) {
			e.w.directors[3].crash()
			e.w.directors[3].boots(false)
		}, kickDelay + margin},
		{"then the lowest dies", []string{"d1", "d2", "d3"},
			map[string]time.Duration{"d2": 9 * time.Second}, func(e *exodus) {
				e.w.directors[3].leave()
				e.run(2 * time.Second)
				if e.w.directors[0].core.counters.MovesTaken != 1 {
					e.w.t.Fatal("the lowest does not go on; the test shows nothing")
				}
				e.w.directors[0].crash()
			}, 2*time.Second + failAfter + 9*time.Second + kickDelay + margin},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := newExodus(t, 4)
			for name, length := range test.slow {
				e.slow[name] = length
			}
			e.begin(e.w.directors[3], test.hear...)
			e.run(100 * time.Millisecond)
			goes := e.w.now
			test.play(e)
			released := e.run(20 * time.Second)
			if took := released.Sub(goes); released == 0 || took > test.within {
				t.Errorf("the user is let in after %v, want %v at most", took, test.within)
			}
			for _, d := range e.w.directors[:3] {
				if d.stopped {
					continue
				}
				if got := d.must(e.h); got != e.new {
					t.Errorf("%s answers %v, want %v", d.name, got, e.new)
				}
				if n := len(e.kicks[d.name]); n != 1 {
					t.Errorf("%s kicked %d times: who goes on must get the report of before",
						d.name, n)
				}
			}
		})
	}
}

// Nobody goes on with a move whose originator a peer counts: it waits for others, which we may have
// lost.
func TestMoveOfOneThatAPeerCounts(t *testing.T) {
	for _, test := range []struct {
		name   string
		before bool // d1 and d4 have lost each other when the move begins
		bare   bool // only the moving row comes to d1, which does not show whose move it is
	}{
		{"a move that was heard of before", false, false},
		{"a move that a peer tells of", true, false},
		{"a move of which nobody tells", true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newExodus(t, 5)
			d1, d3, d4 := e.w.directors[0], e.w.directors[2], e.w.directors[3]
			lost := func() bool {
				return !d1.core.peers.get("d4").live && !d1.core.peers.get("d3").live
			}
			if test.before {
				e.w.split([]*director{d1}, e.w.directors[1:])
				e.w.until("d1 has lost all", time.Minute, lost)
				e.w.split([]*director{d3}, []*director{d4})
			}
			e.slow["d2"] = 9 * time.Second
			op := e.begin(d4, "d1", "d2", "d5")
			e.w.filter = func(to *director, m wire.Message) bool {
				_, part := m.(*wire.LogPart)
				return !test.bare || to != d1 || !part
			}
			e.w.heal()
			e.w.split([]*director{d1}, []*director{d3, d4})
			e.w.split([]*director{d3}, []*director{d4})
			e.run(10 * time.Second)
			if held := d1.core.moves.Held.Has(ring.User{Hash: e.h}); !held || !lost() {
				t.Fatalf("d1 holds the user: %v, it is not in touch with d3 and d4: %v; "+
					"the test shows nothing", held, lost())
			}
			e.run(10 * time.Second)
			if n := d1.core.counters.MovesTaken; n != 0 {
				t.Errorf("d1 went on with %d moves", n)
			}
			if done, ok := d4.done[op]; !ok || done.Err != nil {
				t.Errorf("the move ends with %+v (%v)", done, ok)
			}
			e.w.heal()
			e.w.until("all synced", 10*time.Second, e.w.allSynced)
			for _, d := range e.w.directors {
				if got := d.must(e.h); got != e.new || d.core.counters.ForgottenHolds > 0 {
					t.Errorf("%s answers %v, want %v; counters %+v",
						d.name, got, e.new, d.core.counters)
				}
			}
		})
	}
}

// A director that has lost the others keeps a user who is being moved: should it release the user,
// that would end the move for the others too as soon as they are back in touch.
func TestMoveHeldInASplit(t *testing.T) {
	e := newExodus(t, 5)
	e.slow["d2"] = 11 * time.Second
	d1, d4 := e.w.directors[0], e.w.directors[3]
	op := e.begin(d4, "d1", "d2", "d3", "d5")
	e.w.split([]*director{d1}, e.w.directors[1:])
	e.run(9 * time.Second)
	if d1.core.peers.all.live() != 0 {
		t.Fatal("d1 has not lost the others; the test shows nothing")
	}
	e.w.heal()
	e.run(18 * time.Second)
	if n := d1.core.counters.MovesTaken; n != 0 {
		t.Errorf("d1 went on with %d moves", n)
	}
	if done, ok := d4.done[op]; !ok || done.Err != nil {
		t.Errorf("the move ends with %+v (%v)", done, ok)
	}
	for _, d := range e.w.directors {
		if got := d.must(e.h); got != e.new {
			t.Errorf("%s answers %v, want %v", d.name, got, e.new)
		}
	}
}

// Nobody goes on with a move of one whose beats come, though it does not hear ours: it waits for
// directors that we may have lost.
func TestMoveOfOneThatIsDeafToUs(t *testing.T) {
	e := newExodus(t, 4)
	d1, d4 := e.w.directors[0], e.w.directors[3]
	e.w.lose = func(from, to *director, _ wire.Message) bool { return from == d1 && to == d4 }
	e.w.until("d1 and d4 have lost each other", time.Minute, func() bool {
		return !d1.core.peers.get("d4").live && !d4.core.peers.get("d1").live
	})
	e.slow["d3"] = 3 * time.Second
	op := e.begin(d4, "d1", "d2", "d3")
	if !d1.core.moves.Held.Has(ring.User{Hash: e.h}) {
		t.Fatal("d1 does not hear of the move; the test shows nothing")
	}
	e.run(10 * time.Second)
	if n := d1.core.counters.MovesTaken; n != 0 {
		t.Errorf("d1 went on with %d moves", n)
	}
	if done, ok := d4.done[op]; !ok || done.Err != nil {
		t.Errorf("the move ends with %+v (%v)", done, ok)
	}
}

// Without a director that goes on the users are locked out for long.
func TestMovesOfOneThatIsGoneUnguarded(t *testing.T) {
	e := newExodus(t, 4, func(c *Config) { c.Guards.NoGoingOn = true })
	e.begin(e.w.directors[3], "d1", "d2", "d3")
	e.w.directors[3].leave()
	if released := e.run(moves.HoldFor - time.Second); released != 0 {
		t.Errorf("the user is let in after %v although nobody goes on", released.Sub(e.begun))
	}
}

// Where nobody goes on with a move the others let the user in by themselves, before a lookup
// that has waited since gives up.
func TestWaiterOutlastsAForgottenHold(t *testing.T) {
	e := newExodus(t, 3, func(c *Config) { c.Guards.NoGoingOn = true })
	e.begin(e.w.directors[2], "d1", "d2")
	d1 := e.w.directors[0]
	_, id := d1.ask(e.h)
	if id == 0 {
		t.Fatal("the lookup does not wait")
	}
	e.w.directors[2].crash()
	e.w.run(waiters.Deadline + time.Second)
	if a, ok := d1.answers[id]; !ok || a.Err != nil || a.Backend != e.new {
		t.Errorf("the lookup ends with %+v (%v), want %v", a, ok, e.new)
	}
	if d1.core.counters.ForgottenHolds != 1 {
		t.Errorf("%d holds forgotten; the guard is not off", d1.core.counters.ForgottenHolds)
	}
}

// A director leaves while it moves ten thousand users. The next one takes them all at once,
// with a few messages.
func TestLeaverInALargeFlush(t *testing.T) {
	long(t)
	w := started(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	for h := ring.UserHash(1); d3.dir.Users(testBackend(2)) < maxParallel; h += 200003 {
		d3.must(h)
	}
	w.run(time.Second)
	if _, err := d1.do(SetDown{Addr: testBackend(2), Down: true}); err != nil {
		t.Fatal(err)
	}
	mapped := d2.dir.Users(testBackend(2))
	if _, err := d3.do(Flush{Addr: testBackend(2), MaxParallel: maxParallel}); err != nil {
		t.Fatal(err)
	}
	allHeld := func() bool { return d2.core.moves.Held.Len() >= min(mapped, maxParallel) }
	w.until("all are being moved", 5*time.Second, allHeld)
	messages := make(map[string]int)
	w.filter = func(to *director, m wire.Message) bool {
		if to == d2 {
			messages[fmt.Sprintf("%T", m)]++
		}
		return true
	}
	d3.leave()
	left := w.now
	noneHeld := func() bool { return d1.core.moves.Held.Len()+d2.core.moves.Held.Len() == 0 }
	w.until("nobody is held", 10*time.Second, noneHeld)
	if took := w.now.Sub(left); took > 4*time.Second {
		t.Errorf("the last user is let in after %v, want the kick delay and 2 s at most", took)
	}
	if n := messages["*wire.Hold"]; n == 0 || n > mapped/1000 {
		t.Errorf("%d holds for %d users", n, mapped)
	}
	if n := messages["*wire.Rows"]; n > 40 {
		t.Errorf("%d messages of rows for %d users", n, mapped)
	}
	for _, d := range []*director{d1, d2} {
		if n := d.dir.Users(testBackend(2)); n > 0 || d.core.counters.ForgottenHolds > 0 {
			t.Errorf("%s still counts %d users; counters %+v", d.name, n, d.core.counters)
		}
		f := d.core.Flushes()
		if len(f) != 1 || f[0].Lost || f[0].Runner != "d1" || f[0].running() {
			t.Errorf("%s shows %+v, want a flush that d1 has ended", d.name, f)
		}
	}
}

// Who goes on with a move runs the flush hook for it.
func TestHookOfAMoveGoneOnWith(t *testing.T) {
	e := newExodus(t, 3, func(c *Config) { c.Hook = true })
	var hooks []RunHook
	e.w.directors[0].hook = func(h RunHook) (bool, error) {
		hooks = append(hooks, h)
		return true, nil
	}
	e.begin(e.w.directors[2], "d1", "d2")
	e.w.directors[2].crash()
	e.run(failAfter + 4*time.Second)
	if len(hooks) != 1 || hooks[0].Hash != e.h || hooks[0].Old.Addr != e.old ||
		hooks[0].New != e.new {
		t.Errorf("d1 ran hooks %+v, want one from %v to %v", hooks, e.old, e.new)
	}
}

// Nobody goes on with the move of a user who was forgotten during it and does not log in again: it
// would end at once, each time.
func TestForgottenMoveIsLeftAlone(t *testing.T) {
	w := started(t, 2, func(c *Config) { c.KickDelay = 20 * time.Second })
	d1 := w.directors[0]
	const h = 16384
	if _, err := d1.do(Move{Hash: h, Backend: backendsBut(d1.must(h))[0]}); err != nil {
		t.Fatal(err)
	}
	if _, err := d1.do(Forget{}); err != nil {
		t.Fatal(err)
	}
	w.run(unknownFor + 5*time.Second)
	for _, d := range w.directors {
		if n := d.core.Counters().MovesTaken; n != 0 {
			t.Errorf("%s went on with the move %d times", d.name, n)
		}
	}
}

// A user who is forgotten during a move is free, and answered anew at once. Nobody goes on with the
// move, the director that ran it neither.
func TestForgottenMoveIsOver(t *testing.T) {
	w := started(t, 2, func(c *Config) { c.KickDelay = 20 * time.Second })
	d1 := w.directors[0]
	const h = 16384
	old := d1.must(h)
	if _, err := d1.do(Move{Hash: h, Backend: backendsBut(old)[0]}); err != nil {
		t.Fatal(err)
	}
	w.run(unknownFor + time.Second)
	if _, err := d1.do(Forget{}); err != nil {
		t.Fatal(err)
	}
	if got := d1.must(h); got != old {
		t.Fatalf("answered %v after the mapping was forgotten, want %v", got, old)
	}
	w.run(3 * time.Second)
	for _, d := range w.directors {
		if m := d.live(h); m.Backend != old || m.Moving {
			t.Errorf("%s has %+v, want %v", d.name, m, old)
		}
		if n := d.core.Counters().MovesTaken; n != 0 || d.core.moves.Held.Len() != 0 {
			t.Errorf("%s went on with %d moves and holds %d users",
				d.name, n, d.core.moves.Held.Len())
		}
	}
}

// A move that another director began may have ended long ago, and the user been moved again since:
// its hold comes late to a director that was away. That goes on with it, and gives way to what came
// after it.
func TestMoveGoneOnWithGivesWay(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	u := ring.User{Hash: 7}
	d1.must(7)
	old := d1.live(7)
	late := old
	late.Generation, late.Backend, late.Moving = old.Generation+1, another(old.Backend), true
	d1.core.mergeRows(w.now, []wire.Block{wire.Pack("", []directory.Mapping{late})}, nil)
	if !d1.core.moves.Held.Has(u) {
		t.Fatal("the user is not held")
	}
	d1.core.kickOwn(d1.core.moves.TakeOver(u))
	since := old
	since.Generation = late.Generation + 1
	for _, d := range w.directors {
		d.core.mergeRows(w.now, []wire.Block{wire.Pack("", []directory.Mapping{since})}, nil)
	}
	w.run(5 * time.Second)
	for _, d := range w.directors {
		if got := d.live(7); got.Generation != since.Generation || got.Backend != since.Backend {
			t.Errorf("%s has %+v, want %+v", d.name, got, since)
		}
	}
	w.wantRest()
}
