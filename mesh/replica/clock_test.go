package replica

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// offBy is a wall clock that is off by a constant.
func offBy(off time.Duration) func(now mono.Time) directory.Micros {
	return func(now mono.Time) directory.Micros { return trueTime(now).Add(off) }
}

// startWithWalls starts a mesh whose directors have these wall clocks.
func startWithWalls(
	t *testing.T, walls []func(now mono.Time) directory.Micros, change ...func(*Config),
) *world {
	t.Helper()
	w := newWorld(t)
	for i, wall := range walls {
		changes := append([]func(*Config){func(c *Config) { c.Wall = wall(w.now) }}, change...)
		w.start(fmt.Sprintf("d%d", i+1), changes...).wall = wall
	}
	w.until("all synced", 20*time.Second, w.allSynced)
	return w
}

// offset is how far a director's mesh time is ahead of true time.
func (d *director) offset() time.Duration {
	return d.core.clock.Micros(d.w.now).Sub(trueTime(d.w.now))
}

// spread is the greatest difference of the mesh times of directors that are synced.
func (w *world) spread() time.Duration {
	var offsets []time.Duration
	for _, d := range w.directors {
		if !d.stopped && d.core.synced() {
			offsets = append(offsets, d.offset())
		}
	}
	if len(offsets) == 0 {
		return 0
	}
	return slices.Max(offsets) - slices.Min(offsets)
}

// Mesh time keeps to the median wall clock for as long as the mesh runs.
func TestMeshTimeFollowsTheMedianWallClock(t *testing.T) {
	length := 20 * time.Minute
	if testing.Short() {
		length = 3 * time.Minute
	}
	drift := func(now mono.Time) directory.Micros {
		return trueTime(now).Add(now.Sub(worldStart) / 20_000) // 50 us a second
	}
	for name, walls := range map[string][]func(now mono.Time) directory.Micros{
		"two":   {offBy(-2 * time.Millisecond), offBy(2 * time.Millisecond)},
		"three": {offBy(0), offBy(4 * time.Millisecond), drift},
		"five": {
			offBy(-2 * time.Hour), offBy(0), offBy(3 * time.Millisecond), drift, offBy(time.Minute),
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := startWithWalls(t, walls[1:])
			last := w.start("last", func(c *Config) { c.Wall = walls[0](w.now) })
			last.wall = walls[0]
			w.until("all synced", 20*time.Second, w.allSynced)
			for end := w.now.Add(length); w.now < end; {
				w.run(time.Second)
				var votes []time.Duration
				for _, wall := range walls {
					votes = append(votes, wall(w.now).Sub(trueTime(w.now)))
				}
				want := meshtime.Median(votes)
				for _, d := range w.directors {
					// The one whose wall clock was wrong stepped to the mesh; a little is slewed.
					settled := d != last || end.Sub(w.now) < length-2*time.Minute
					if off := d.offset() - want; settled && off.Abs() > 20*time.Millisecond {
						t.Fatalf("%v: mesh time of %s is %v off the median wall clock",
							w.now, d.name, off)
					}
				}
			}
		})
	}
}

// A wall clock that is set at run time moves mesh time slowly, and all directors together.
func TestWallClockIsSetAtRunTime(t *testing.T) {
	set := func(now mono.Time) directory.Micros {
		if now < worldStart.Add(time.Minute) {
			return trueTime(now)
		}
		return trueTime(now).Add(20 * time.Second)
	}
	w := startWithWalls(t, []func(mono.Time) directory.Micros{set, set, offBy(0)})
	for range 600 {
		before := w.directors[0].offset()
		w.run(time.Second)
		moved := (w.directors[0].offset() - before).Abs()
		if moved > meshtime.SlewPerSecond+time.Microsecond {
			t.Fatalf("%v: mesh time moved by %v in a second", w.now, moved)
		}
		if s := w.spread(); s > 50*time.Millisecond {
			t.Fatalf("%v: mesh times are %v apart", w.now, s)
		}
	}
	if off := w.directors[2].offset(); off < 2*time.Second {
		t.Errorf("after ten minutes mesh time has followed two of three wall clocks by %v only",
			off)
	}
	if n := w.directors[0].core.Counters().ClockSteps; n != 0 {
		t.Errorf("%d steps", n)
	}
}

// No two synced directors are over a second apart: over half a second off the median is too much. A
// step goes to the median, and what was stamped moves by whole seconds and not ahead of it.
func TestHalfASecondIsTooMuch(t *testing.T) {
	for _, test := range []struct {
		off   time.Duration
		steps uint64
	}{
		{450 * time.Millisecond, 0}, {-450 * time.Millisecond, 0},
		{550 * time.Millisecond, 1}, {-550 * time.Millisecond, 1},
		{-1800 * time.Millisecond, 1}, {1800 * time.Millisecond, 1},
	} {
		w := startWithWalls(t, []func(mono.Time) directory.Micros{offBy(0), offBy(0)})
		stray := w.start("stray", func(c *Config) { c.Wall = offBy(test.off)(w.now) })
		stray.wall = offBy(test.off)
		w.until("all synced", 20*time.Second, w.allSynced)
		if n := stray.core.Counters().ClockSteps; n != test.steps {
			t.Errorf("%v off: %d steps, want %d", test.off, n, test.steps)
		}
		if off := stray.offset().Abs(); test.steps > 0 && off > 100*time.Millisecond {
			t.Errorf("%v off: after the step %v", test.off, off)
		}
	}
}

// A step leaves nothing that was stamped here ahead of mesh time, and moves the moments at which
// that was shared.
func TestAfterAStep(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	w.run(2 * time.Second)
	d1.must(7)
	c := d1.core
	p := c.peers.get("d2")
	had := p.clock.With()
	if had == 0 {
		t.Fatal("d1 does not know that it had d2's time; the test shows nothing")
	}
	c.admission.unsyncedAt = w.now
	const step = 1600 * time.Millisecond
	c.step(w.now, step)
	if got := p.clock.With().Sub(had); got != step {
		t.Errorf("the moment in common with d2 moves by %v, want %v", got, step)
	}
	latest := c.clock.At(w.now).Tick()
	if m := d1.live(7); m.Stamp > latest || m.Activity > latest {
		t.Errorf("%+v lies ahead of mesh time, %v", m, latest)
	}
}

// A peer that steps away from our time has had none in common with us, by the time that it has
// then: of two that were split off and drifted together, the second one to step must move what it
// stamped since the split, not since the first one left it. One that starts again had our time in
// the life before.
func TestPeerThatStepsAway(t *testing.T) {
	for name, test := range map[string]struct {
		next    func(d2 *director)
		forgets bool
	}{
		"steps":        {func(d2 *director) { d2.core.step(d2.w.now, 37*time.Second) }, true},
		"starts again": {func(d2 *director) { d2.crash(); d2.boots(false) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := started(t, 2)
			d2 := w.directors[1]
			w.run(2 * time.Second)
			p := w.directors[0].core.peers.get("d2")
			life, had := p.boot, p.clock.With()
			if had == 0 {
				t.Fatal("d1 does not know that it had d2's time; the test shows nothing")
			}
			test.next(d2)
			w.until("the next life of d2", time.Second, func() bool { return p.boot != life })
			if got := p.clock.With(); (got == 0) != test.forgets || got != 0 && got != had {
				t.Errorf("the moment in common with d2 is %v, was %v", got, had)
			}
		})
	}
}

// Directors that do not see each other's votes all the time are kept together by the leash: without
// it each follows the votes it sees, is off, and has to step again and again. c lives in a mesh of
// three whose link to a is cut.
func TestLeash(t *testing.T) {
	long(t)
	for _, off := range []bool{false, true} {
		w := startWithWalls(t, []func(mono.Time) directory.Micros{
			offBy(-9 * time.Second), offBy(0), offBy(9 * time.Second)},
			func(c *Config) { c.Guards.NoClockLeash = off })
		a, c := w.directors[0], w.directors[2]
		w.split([]*director{a}, []*director{c})
		w.run(failAfter + time.Second)
		for _, p := range []*peer{a.core.peers.get(c.name), c.core.peers.get(a.name)} {
			p.clock = meshtime.Peer{} // as if they had never met
		}
		steps := -int(a.core.Counters().ClockSteps + c.core.Counters().ClockSteps)
		w.run(20 * time.Minute)
		steps += int(a.core.Counters().ClockSteps + c.core.Counters().ClockSteps)
		apart := (a.offset() - c.offset()).Abs()
		if apart > time.Second || (steps > 0) != off {
			t.Errorf("leash off: %v: a and c are %v apart after %d steps", off, apart, steps)
		}
	}
}

// strayClocks are the wall clock of a director that serves alone before it meets a mesh.
var strayClocks = map[string]time.Duration{
	"right":         0,
	"30 s ahead":    30 * time.Second,
	"2 h ahead":     2 * time.Hour,
	"2 h behind":    -2 * time.Hour,
	"no battery":    -26 * 365 * 24 * time.Hour,
	"a second off":  time.Second + 100*time.Millisecond,
	"11 s and more": 11*time.Second + 600*time.Millisecond,
}

// A stray director serves alone, by a wrong clock, and is commanded there. When it meets the mesh,
// the mesh's time does not move, all agree within ten seconds, and what was commanded holds.
func TestStrayMeetsMesh(t *testing.T) {
	for name, off := range strayClocks {
		t.Run(name, func(t *testing.T) {
			w := started(t, 3)
			d1 := w.directors[0]
			stray := w.start("z", func(c *Config) {
				c.Founder = false
				c.Wall = c.Wall.Add(off)
			})
			stray.wall = offBy(off)
			w.split(w.directors[:3], w.directors[3:])
			w.until("z serves alone", 20*time.Second, func() bool { return stray.core.synced() })
			w.run(time.Second)
			stray.must(1234567)
			if _, err := stray.do(UpdateBackend{Addr: testBackend(3), VHosts: 70}); err != nil {
				t.Fatal(err)
			}
			if _, err := d1.do(UpdateBackend{Addr: testBackend(2), VHosts: 30}); err != nil {
				t.Fatal(err)
			}
			w.run(2 * time.Second)
			w.heal()
			before := d1.offset()
			w.until("all synced", 10*time.Second, w.allSynced)
			w.run(time.Second)
			if moved := (d1.offset() - before).Abs(); moved > 50*time.Millisecond {
				t.Errorf("the time of the mesh moved by %v", moved)
			}
			if s := w.spread(); s > time.Second {
				t.Errorf("mesh times are %v apart", s)
			}
			for i, d := range []*director{d1, stray} {
				h := ring.UserHash(0x40000001 + i)
				d.must(h)
				w.run(time.Second)
				w.wantKnown(h)
			}
			w.wantKnown(1234567)
			if _, err := stray.do(SetDown{Addr: testBackend(4), Down: true}); err != nil {
				t.Fatal(err)
			}
			for _, d := range w.directors {
				for backend, want := range map[int]int{2: 30, 3: 70} {
					if row, _ := d.core.table.Row(testBackend(backend)); row.VHosts.Value != want {
						t.Errorf("%s has %d vhosts for backend %d, want %d",
							d.name, row.VHosts.Value, backend, want)
					}
				}
				if row, _ := d.core.table.Row(testBackend(4)); !row.State.Value.Down {
					t.Errorf("%s does not have backend 4 down", d.name)
				}
				if n := d.core.Counters().ValuesAhead; n != 0 {
					t.Errorf("%s dropped %d values that lay ahead", d.name, n)
				}
			}
		})
	}
}

// wantKnown wants a user's mapping at all directors.
func (w *world) wantKnown(h ring.UserHash) {
	w.t.Helper()
	for _, d := range w.directors {
		if _, status := d.dir.Find("", h, d.core.MeshTime(w.now)); status != directory.Live {
			w.t.Errorf("%s does not know %v", d.name, h)
		}
	}
}

// Anti-entropy goes on after a step, back or forth.
func TestDigestsAfterStep(t *testing.T) {
	for name, off := range map[string]time.Duration{
		"ahead": 40 * time.Minute, "behind": -40 * time.Minute,
	} {
		t.Run(name, func(t *testing.T) {
			w := started(t, 2)
			z := w.start("z", func(c *Config) { c.Founder, c.Wall = false, c.Wall.Add(off) })
			w.until("all synced", 10*time.Second, w.allSynced)
			for i, d := range []*director{w.directors[0], z} {
				h := ring.UserHash(0x50000001 + i)
				// as if its message had been lost
				d.dir.Assign("", h, testBackend(1), d.core.MeshTime(w.now))
				w.run(59 * time.Second)
				w.wantKnown(h)
			}
		})
	}
}

// The two sides of a split get other wall clocks. Each is commanded; then the split heals link by
// link. Synced directors are never over a second apart, and the last word of either side holds.
func TestSplitWithNewWallClocksHeals(t *testing.T) {
	long(t)
	for name, test := range map[string]struct {
		off  func(*Config)
		want bool // all holds
	}{
		"as it is":            {func(*Config) {}, true},
		"no check of clocks":  {func(c *Config) { c.Guards.NoClockCheck = true }, false},
		"a step moves it all": {func(c *Config) { c.Guards.MoveAllStamps = true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			problems := healSplitWithNewWallClocks(t, test.off)
			if (len(problems) == 0) != test.want {
				t.Errorf("want all to hold: %v; problems: %q", test.want, problems)
			}
		})
	}
}

func healSplitWithNewWallClocks(t *testing.T, change func(*Config)) (problems []string) {
	set := func(off time.Duration) func(now mono.Time) directory.Micros {
		return func(now mono.Time) directory.Micros {
			if now < worldStart.Add(10*time.Second) {
				return trueTime(now)
			}
			return trueTime(now).Add(off)
		}
	}
	right, late := offBy(0), set(1800*time.Second)
	w := startWithWalls(
		t, []func(mono.Time) directory.Micros{right, right, late, late, late}, change)
	a, c := w.directors[0], w.directors[2]
	order := func(d *director, backend, vhosts int) {
		if _, err := d.do(UpdateBackend{Addr: testBackend(backend), VHosts: vhosts}); err != nil {
			t.Fatal(err)
		}
		w.run(500 * time.Millisecond)
	}
	order(a, 1, 11)
	order(c, 4, 44)
	w.split(w.directors[:2], w.directors[2:])
	order(c, 1, 12) // just after the moment in common
	w.run(15 * time.Minute)
	if apart := (a.offset() - c.offset()).Abs(); apart < 3*time.Second {
		t.Fatalf("the sides are only %v apart, nothing is tried", apart)
	}
	order(a, 4, 45)
	order(a, 2, 22)
	order(c, 3, 33)
	a.must(901)
	c.must(902)
	for i, x := range w.directors[:2] {
		for j, y := range w.directors[2:] {
			w.run(time.Duration(i*3+j) * 200 * time.Millisecond)
			delete(w.cut, [2]string{x.name, y.name})
			delete(w.cut, [2]string{y.name, x.name})
		}
	}
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf(format, args...))
	}
	for range 40 * 15 {
		w.run(25 * time.Millisecond)
		whole := 0
		for _, d := range w.directors {
			if d.core.synced() && d.core.peers.all.live() == 4 {
				whole++
			}
		}
		if s := w.spread(); whole == 5 && s > time.Second && len(problems) == 0 {
			problem("synced directors are %v apart", s)
		}
	}
	if !w.allSynced() {
		problem("not all are synced 15 s after the last link")
	}
	for _, d := range w.directors {
		for i, want := range []int{12, 22, 33, 45} {
			if row, _ := d.core.table.Row(testBackend(i + 1)); row.VHosts.Value != want {
				problem("%s has %d vhosts for backend %d, want %d",
					d.name, row.VHosts.Value, i+1, want)
			}
		}
		for _, h := range []ring.UserHash{901, 902} {
			if _, status := d.dir.Find("", h, d.core.MeshTime(w.now)); status != directory.Live {
				problem("%s does not know %v", d.name, h)
			}
		}
	}
	return problems
}

// A peer gone bad sends values from the future. They are dropped, it is excluded, and the others go
// on.
func TestValuesAhead(t *testing.T) {
	w := started(t, 3)
	d1, bad := w.directors[0], w.directors[2]
	future := bad.core.MeshTime(w.now).Add(time.Hour)
	row := directory.Mapping{
		Hash: 77, Backend: testBackend(1), Generation: 1, Activity: future.Tick(),
		Stamp: future.Tick(),
	}
	register := directory.Register[int]{
		Value: 1, Stamp: directory.StampAt(future), Origin: bad.name,
	}
	for name, m := range map[string]wire.Message{
		"row": &wire.Rows{Blocks: []wire.Block{wire.Pack("", []directory.Mapping{row})}},
		"register": &wire.Table{Change: directory.Change{
			Backends: []directory.BackendRow{{Addr: testBackend(1), VHosts: register}},
		}},
		"stamp": &wire.Rows{Stamp: directory.StampAt(future)},
	} {
		t.Run(name, func(t *testing.T) {
			before := d1.core.Counters()
			bad.core.write(w.now, m)
			w.deliver()
			after := d1.core.Counters()
			if after.ValuesAhead == before.ValuesAhead || after.Exclusions == before.Exclusions {
				t.Errorf("d1 dropped nothing, or excluded nobody: %+v", after)
			}
			if !d1.core.synced() || !w.directors[1].core.synced() {
				t.Error("one bad value stops the others")
			}
			w.until("all synced", 20*time.Second, w.allSynced)
		})
	}
	for _, d := range w.directors[:2] {
		if _, status := d.dir.Find("", 77, d.core.MeshTime(w.now)); status != directory.None {
			t.Errorf("%s took the row", d.name)
		}
		if row, _ := d.core.table.Row(testBackend(1)); row.VHosts.Value != 100 {
			t.Errorf("%s took the register", d.name)
		}
	}
}

// A command whose stamp peers would drop is an error, not an OK.
func TestOwnStampAheadIsAnError(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	d1.core.hlc.Observe(directory.StampAt(d1.core.MeshTime(w.now).Add(10 * time.Second)))
	if _, err := d1.do(UpdateBackend{Addr: testBackend(1), VHosts: 50}); err != ErrStampAhead {
		t.Errorf("got %v, want %v", err, ErrStampAhead)
	}
	w.run(7 * time.Second)
	if _, err := d1.do(UpdateBackend{Addr: testBackend(1), VHosts: 50}); err != nil {
		t.Errorf("seconds later: %v", err)
	}
}

// A joiner's clock is a second off, and a row comes to it before it steps. The row is in mesh time
// and stays, or the older stamp that it would get would beat the right one everywhere.
func TestJoinerMovesNothing(t *testing.T) {
	for _, guards := range []Guards{{}, {MoveAllStamps: true}} {
		w := started(t, 2)
		d1 := w.directors[0]
		d1.kicker = func(Kick) (int, bool, bool) { return 0, true, false } // the user stays held
		const h = 7
		d1.begin(Move{Hash: h, Backend: testBackend(2)})
		w.run(time.Second)
		want, _ := d1.dir.Find("", h, d1.core.MeshTime(w.now))
		d3 := w.start("d3", func(c *Config) {
			c.Wall, c.Guards = c.Wall.Add(1300*time.Millisecond), guards
		})
		w.until("d3 is synced", 10*time.Second, d3.core.synced)
		if d3.core.counters.ClockSteps == 0 {
			t.Fatal("d3 did not step; the test shows nothing")
		}
		got, _ := d1.dir.Find("", h, d1.core.MeshTime(w.now))
		if (got == want) == guards.MoveAllStamps {
			t.Errorf("all stamps are moved: %v; d1 had %+v, and has %+v",
				guards.MoveAllStamps, want, got)
		}
	}
}

// What was measured of a peer's clock says something for as long as the peer may be silent.
func TestSampleLastsAsLongAsSilence(t *testing.T) {
	if meshtime.RecentFor != failAfter {
		t.Errorf("a sample lasts %v, a silence %v", meshtime.RecentFor, failAfter)
	}
}
