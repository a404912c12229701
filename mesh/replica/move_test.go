package replica

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/wire"
)

// hookingDirector is one with a flush hook.
func hookingDirector(c *Config) { c.Hook = true }

// A move runs the flush hook once all have kicked, and its delay begins when the hook is through.
func TestMoveRunsTheHook(t *testing.T) {
	w := started(t, 2, hookingDirector)
	d1 := w.directors[0]
	var run []RunHook
	d1.hook = func(e RunHook) (bool, error) { run = append(run, e); return false, nil }
	const h = 5
	was := d1.must(h)
	w.run(time.Second)
	id := d1.begin(Move{Hash: h, Backend: another(was), Wait: true})
	w.run(3 * time.Second)
	if len(run) != 1 {
		t.Fatalf("the hook was run %d times", len(run))
	}
	old, _ := d1.core.table.Row(was)
	want := RunHook{
		ID: run[0].ID, Hash: h, Old: old, New: another(was),
		Cutoff: hookWithin - 25*time.Millisecond,
	}
	if diff := cmp.Diff(want, run[0], compareAddrs); diff != "" {
		t.Errorf("the hook (-want +got):\n%s", diff)
	}
	if len(w.directors[1].hooked) != 0 {
		t.Error("the hook runs at two directors")
	}
	d1.core.HookDone(w.now, run[0].ID, true, nil)
	w.run(2*time.Second - 50*time.Millisecond)
	if _, done := d1.done[id]; done {
		t.Error("released before the delay after the hook is over")
	}
	w.run(100 * time.Millisecond)
	if got := d1.done[id]; got.Err != nil || d1.must(h) != another(was) {
		t.Errorf("ended %+v, the user is on %v", got, d1.must(h))
	}
	if n := len(d1.lines("flush hook failed")); n != 0 {
		t.Errorf("%d failures are logged", n)
	}
	w.wantRest()
}

// A hook that fails is logged and holds up nothing; one that hangs is cut off.
func TestHookThatFailsOrHangs(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers bool
		within  time.Duration
	}{
		{"fails", true, 2 * time.Second},
		{"hangs", false, hookWithin + 2*time.Second},
	} {
		w := started(t, 1, hookingDirector)
		d1 := w.directors[0]
		d1.hook = func(RunHook) (bool, error) { return test.answers, errors.New("exit status 1") }
		was := d1.must(5)
		w.run(time.Second)
		id := d1.begin(Move{Hash: 5, Backend: another(was), Wait: true})
		w.run(test.within - 100*time.Millisecond)
		if _, done := d1.done[id]; done {
			t.Errorf("%s: released too early", test.name)
		}
		w.run(250 * time.Millisecond)
		if got, done := d1.done[id]; !done || got.Err != nil {
			t.Errorf("%s: after %v it has ended: %v, %v", test.name, test.within, done, got.Err)
		}
		got := d1.lines("flush hook failed")
		if (len(got) == 1 && got[0].Level == LogWarn) != test.answers {
			t.Errorf("%s: logged %+v", test.name, got)
		}
	}
}

// There is nothing to flush of a user who had no backend, or stays on it.
func TestMoveWithoutTheHook(t *testing.T) {
	w := started(t, 1, hookingDirector)
	d1 := w.directors[0]
	if _, err := d1.do(Move{Hash: 5, Backend: testBackend(1), Wait: true}); err != nil {
		t.Fatal(err)
	}
	w.until("the mapping is about to end", time.Hour, func() bool {
		now := d1.core.MeshTime(w.now)
		return d1.dir.Ends(d1.live(5)).Sub(now) <= directory.EndOfLife
	})
	if _, err := d1.do(Move{Hash: 5, Backend: testBackend(1), Wait: true}); err != nil {
		t.Fatal(err)
	}
	if d1.live(5).Generation != 2 {
		t.Fatal("the user was not moved the second time; the test shows nothing")
	}
	w.run(d1.dir.Share() + testExpire + time.Second) // dead
	if _, err := d1.do(Move{Hash: 5, Backend: testBackend(2), Wait: true}); err != nil {
		t.Fatal(err)
	}
	if len(d1.hooked) != 0 {
		t.Errorf("the hook is run for %+v", d1.hooked)
	}
	w.run(time.Second)
	if _, err := d1.do(Move{Hash: 5, Backend: testBackend(3), Wait: true}); err != nil {
		t.Fatal(err)
	}
	if len(d1.hooked) != 1 {
		t.Errorf("the hook is run for %+v, want the move from one backend to another", d1.hooked)
	}
}

// silently gives a director a row that nobody else has.
func (d *director) silently(m directory.Mapping) {
	d.dir.Merge("", []directory.Mapping{m}, d.core.MeshTime(d.w.now), nil)
}

// A director that has a better row answers a move with it, and the move begins again above that; if
// the row is that of another move, that one has won.
func TestMoveThatMeetsABetterRow(t *testing.T) {
	for _, test := range []struct {
		name   string
		moving bool
		last   bool // of the last generation
		want   error
	}{
		{name: "released"},
		{name: "moving", moving: true, want: ErrTryAgain},
		{name: "of the last generation", last: true, want: errCannotMove},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := started(t, 3)
			d1, d2 := w.directors[0], w.directors[1]
			const h = 5
			d1.must(h)
			w.run(time.Second)
			better := d2.live(h)
			better.Generation, better.Backend, better.Moving = 7, testBackend(4), test.moving
			if test.last {
				better.Generation = directory.MaxGeneration
			}
			d2.silently(better)
			_, err := d1.do(Move{Hash: h, Backend: testBackend(3), Wait: true})
			if !errors.Is(err, test.want) {
				t.Errorf("ended with %v, want %v", err, test.want)
			}
			if test.want != nil {
				return
			}
			for _, d := range w.directors {
				if m := d.live(h); m.Backend != testBackend(3) || m.Moving || m.Generation != 8 {
					t.Errorf("%s has %+v, want generation 8 on %v", d.name, m, testBackend(3))
				}
				if len(d.kicked) == 0 {
					t.Errorf("%s kicked nobody", d.name)
				}
			}
			w.run(5 * time.Second)
			w.wantRest()
		})
	}
}

// A move that began before this director knew of a mapping made elsewhere begins again above that.
func TestMoveBesideALookupElsewhere(t *testing.T) {
	w := started(t, 3)
	d1, d2 := w.directors[0], w.directors[1]
	const h = 5
	holds := 0
	w.lose = func(from, to *director, m wire.Message) bool {
		hold, ok := m.(*wire.Hold)
		if !ok || from != d1 || to != d2 {
			return false
		}
		holds++
		if holds > 1 {
			return false
		}
		for _, b := range hold.Blocks {
			for row := range b.All() {
				row.Stamp, row.Backend, row.Moving = row.Stamp-1, testBackend(4), false
				d1.silently(row)
			}
		}
		return false
	}
	w.noGossip = true
	if _, err := d1.do(Move{Hash: h, Backend: testBackend(3), Wait: true}); err != nil {
		t.Errorf("ended with %v", err)
	}
	if holds != 2 {
		t.Errorf("begun %d times, want 2", holds)
	}
	for _, d := range w.directors {
		if m := d.live(h); m.Backend != testBackend(3) || m.Moving {
			t.Errorf("%s has %+v, want %v", d.name, m, testBackend(3))
		}
	}
	w.run(5 * time.Second)
	w.wantRest()
}

// A move that meets a better row again and again gives up.
func TestMoveGivesUp(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	const h = 5
	d1.must(h)
	w.run(time.Second)
	holds := 0
	w.lose = func(_, to *director, m wire.Message) bool {
		if hold, ok := m.(*wire.Hold); ok && to == d2 {
			holds++
			for _, b := range hold.Blocks {
				for m := range b.All() {
					m.Generation, m.Backend, m.Moving = m.Generation+1, another(m.Backend), false
					d2.silently(m)
				}
			}
		}
		return false
	}
	w.noGossip = true
	if _, err := d1.do(Move{Hash: h, Backend: testBackend(3)}); !errors.Is(err, ErrTryAgain) {
		t.Errorf("ended with %v, want try again", err)
	}
	if holds != 1+moves.MaxRestarts {
		t.Errorf("begun %d times, want %d", holds, 1+moves.MaxRestarts)
	}
	w.run(time.Second)
	if a, b := d1.live(h), d2.live(h); a != b || a.Moving {
		t.Errorf("d1 has %+v, d2 %+v", a, b)
	}
}

// A move does not wait for ever for what others should report, and never longer than others hold
// the user.
func TestMoveWhoseReportsAreLost(t *testing.T) {
	for _, test := range []struct {
		delay, want time.Duration
	}{
		{2 * time.Second, reportWithin + 2*time.Second},
		{20 * time.Second, releaseBy},
	} {
		w := started(t, 2, func(c *Config) { c.KickDelay = test.delay })
		d1, d2 := w.directors[0], w.directors[1]
		was := d1.must(5)
		w.run(time.Second)
		w.lose = losing[*wire.Kicked](d2, d1)
		begun := w.now
		id := d1.begin(Move{Hash: 5, Backend: another(was), Wait: true})
		w.until("the release", time.Minute, func() bool { _, done := d1.done[id]; return done })
		if took := w.now.Sub(begun); took < test.want || took > test.want+100*time.Millisecond {
			t.Errorf("with a delay of %v it took %v, want %v", test.delay, took, test.want)
		}
		if err := d1.done[id].Err; err != nil || d2.must(5) != another(was) {
			t.Errorf("ended with %v, d2 answers %v", err, d2.must(5))
		}
	}
}

// An idle user is moved without a delay only if every kicker knows that there was nothing to kick.
func TestMoveOfAnIdleUser(t *testing.T) {
	for _, test := range []struct {
		name   string
		kicker func(Kick) (int, bool, bool)
		idle   time.Duration // beside the share
		want   time.Duration
	}{
		{"nothing to kick", kickerOf(0, true), idleMargin + time.Second, 0},
		{"a session ended", kickerOf(1, true), idleMargin + time.Second, 2 * time.Second},
		{"a kicker that does not know", kickerOf(0, false), idleMargin + time.Second,
			2 * time.Second},
		{"seen lately", kickerOf(0, true), idleMargin - time.Second, 2 * time.Second},
	} {
		w := started(t, 2)
		d1, d2 := w.directors[0], w.directors[1]
		was := d1.must(5)
		w.run(d1.dir.Share() + test.idle)
		d2.kicker = test.kicker
		begun := w.now
		if _, err := d1.do(Move{Hash: 5, Backend: another(was), Wait: true}); err != nil {
			t.Fatal(err)
		}
		if took := w.now.Sub(begun); took < test.want || took > test.want+200*time.Millisecond {
			t.Errorf("%s: took %v, want %v", test.name, took, test.want)
		}
	}
}

// A move to a backend that is not in the table, or of a user who is being moved, is refused; one to
// where the user is anyway only counts as activity.
func TestMovesThatAreNone(t *testing.T) {
	w := started(t, 1)
	d1 := w.directors[0]
	if _, err := d1.do(RemoveBackend{testBackend(4)}); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []netip.Addr{testBackend(4), netip.MustParseAddr("198.51.100.1"), {}} {
		_, err := d1.do(Move{Hash: 5, Backend: addr})
		if !errors.Is(err, directory.ErrUnknownBackend) {
			t.Errorf("to %v: %v", addr, err)
		}
	}
	was := d1.must(5)
	w.run(10 * time.Second)
	before := d1.live(5)
	logged, kicked := d1.core.log.Last(), len(d1.kicked)
	if _, err := d1.do(Move{Hash: 5, Backend: was}); err != nil {
		t.Error(err)
	}
	got := d1.live(5)
	if got.Activity <= before.Activity || got.Generation != before.Generation || got.Moving {
		t.Errorf("moved to where it is the user has %+v, had %+v", got, before)
	}
	w.run(100 * time.Millisecond)
	if d1.core.log.Last() != logged+2 || len(d1.kicked) != kicked {
		t.Errorf("%d messages are written, %d kicks asked for; want the row, a Hold, and none",
			d1.core.log.Last()-logged, len(d1.kicked)-kicked)
	}
	w.wantRest()
}

// A director that slept from an order on has told nobody of it: the time that a move has begins
// when it wakes.
func TestMoveOfOneThatSleptAtOnce(t *testing.T) {
	const h = 5
	w := started(t, 3)
	w.noGossip = true
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	a := d1.must(h)
	w.run(time.Second)
	w.lose = func(from, _ *director, m wire.Message) bool {
		_, hold := m.(*wire.Hold)
		return hold && from == d1
	}
	id := d1.begin(Move{Hash: h, Backend: another(a), Wait: true})
	d1.stopped = true
	w.run(releaseBy + 5*time.Second)
	d1.stopped, w.lose = false, nil
	w.breakStream(d1, d2)
	w.breakStream(d1, d3)
	w.until("the end", 20*time.Second, func() bool { _, done := d1.done[id]; return done })
	for _, d := range w.directors {
		if m := d.live(h); d1.done[id].Err != nil || m.Backend != another(a) {
			t.Errorf("ended with %+v, and %s has %+v", d1.done[id], d.name, m)
		}
	}
	w.run(time.Second)
	w.wantRest()
}
