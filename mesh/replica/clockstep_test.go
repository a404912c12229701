package replica

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// A table change that waits for its peers when mesh time steps ends with an error that says so; it
// was said in a life that is over. Other operations go on.
func TestOperationsWhenTimeSteps(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	d1.kicker = func(Kick) (int, bool, bool) { return 0, true, false }
	w.lose = losing[wire.Message](d2, d1)
	change := d1.begin(UpdateBackend{Addr: testBackend(1), VHosts: 5})
	kick := d1.begin(KickUser{Value: "bob"})
	w.deliver()
	before := d1.core.boot
	d1.core.step(w.now, time.Second)
	w.deliver()
	if done, ok := d1.done[change]; !ok || !errors.Is(done.Err, ErrClockStepped) {
		t.Errorf("the table change ended %v with %+v", ok, done)
	}
	if done, ok := d1.done[kick]; ok {
		t.Errorf("the kick ended with %+v", done)
	}
	c := d1.core
	if c.boot == before || !slices.Contains(c.boots, before) || c.Counters().ClockSteps != 1 {
		t.Errorf("the life is %d after %v, %d steps", c.boot, c.boots, c.Counters().ClockSteps)
	}
}

// A move that was beaten just before mesh time steps is beaten after that. It does not end as if
// the row that beat it were its own.
func TestBeatenMoveWhenTimeSteps(t *testing.T) {
	const h = 5
	for name, stays := range map[string]bool{"move": false, "move to where the user is": true} {
		w := started(t, 3)
		w.noGossip = true
		d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
		to := d1.must(h)
		if !stays {
			to = another(to)
		}
		w.run(time.Second)
		w.lose = losing[*wire.Hold](d1, d3)
		id := d1.begin(Move{Hash: h, Backend: to, Wait: true})
		w.run(100 * time.Millisecond)
		better := d2.live(h)
		better.Generation, better.Backend, better.Moving = 7, testBackend(4), false
		d2.silently(better)
		d3.silently(better)
		d1.hears(d2, &wire.Rows{Blocks: []wire.Block{wire.Pack("", []directory.Mapping{better})}})
		if d1.done[id].ID != 0 || d1.live(h) != better {
			t.Fatalf("%s: ended already, or d1 has %+v; the test shows nothing", name, d1.live(h))
		}
		d1.core.step(w.now, time.Second)
		w.lose = nil
		w.run(10 * time.Second)
		if done := d1.done[id]; done.ID != id || done.Err != nil {
			t.Errorf("%s: ended with %+v", name, done)
		}
		for _, d := range w.directors {
			if m := d.live(h); m.Backend != to || m.Moving {
				t.Errorf("%s: ended well, and %s has %+v, want %v", name, d.name, m, to)
			}
		}
		w.wantRest()
	}
}

// A director that has said nothing yet, and belongs to no mesh, steps within its life.
func TestStepOfASilentDirector(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(d *director)
		ends   bool
	}{
		{"silent", func(*director) {}, false},
		{"has said something", func(d *director) {
			d.core.outbox.Push("", directory.Mapping{Hash: 7, Backend: testBackend(1),
				Generation: 1})
		}, true},
		{"member", func(d *director) { d.core.admission.bootstrapped = true }, true},
	} {
		w := newWorld(t)
		w.start("d1")
		d2 := w.start("d2")
		test.change(d2)
		before := d2.core.boot
		d2.core.step(w.now, time.Hour)
		if got := d2.core.boot != before; got != test.ends ||
			(d2.core.admission.holds != nil) != test.ends {
			t.Errorf("%s: another life %v, holds %v; want %v",
				test.name, got, d2.core.admission.holds, test.ends)
		}
	}
}

// Marks go by themselves: what has anything else in it is a table change.
func TestTablesOfMarksOnly(t *testing.T) {
	marks := directory.BackendRow{Addr: testBackend(1), Forgotten: 7}
	more := marks
	more.VHosts = directory.Register[int]{Value: 5}
	for _, test := range []struct {
		name string
		m    wire.Table
		want bool
	}{
		{"marks", wire.Table{Change: directory.Change{Backends: []directory.BackendRow{marks,
			marks}}}, true},
		{"numbered", wire.Table{Seq: 1,
			Change: directory.Change{Backends: []directory.BackendRow{marks}}}, false},
		{"of a mesh", wire.Table{Change: directory.Change{Mesh: 7,
			Backends: []directory.BackendRow{marks}}}, false},
		{"with directors", wire.Table{Change: directory.Change{
			Directors: []directory.DirectorRow{{}}, Backends: []directory.BackendRow{marks},
		}}, false},
		{"with more", wire.Table{Change: directory.Change{Backends: []directory.BackendRow{marks,
			more}}}, false},
		{"nothing", wire.Table{}, false},
	} {
		if got := onlyMarks(&test.m); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// A director whose clock is suddenly off stops answering before it steps.
func TestStopsBeforeItSteps(t *testing.T) {
	w := started(t, 3)
	c := w.directors[0].core
	w.now = w.now.Add(time.Second)
	const ahead = 3 * time.Second
	for _, p := range c.peers.all {
		p.clock.Take(w.now, meshtime.Sample{MeshTime: ahead, Wall: ahead, AskedAt: w.now})
	}
	steps := c.Counters().ClockSteps
	c.disciplineClock(w.now)
	if got := c.Counters().ClockSteps; got != steps {
		t.Error("it steps while it answers")
	} else if !c.admission.clockOff {
		t.Error("its clock is not off, the test shows nothing")
	}
}

// Rows that peers may have, or that came from them, stay in a short step back. What peers drop,
// since it lies too far ahead, moves: also what came from them since this director was not synced.
func TestRowsWhenTimeSteps(t *testing.T) {
	for _, test := range []struct {
		by       time.Duration
		unsynced time.Duration // before the row was made
		moves    bool
	}{
		{-600 * time.Millisecond, 0, false},
		{-ownAhead, 0, false},
		{-ownAhead - time.Second, 0, true},
		{time.Second, 0, true},
		{-maxAhead - time.Second, 300 * time.Millisecond, true},
		{time.Second, 300 * time.Millisecond, false},
	} {
		w := started(t, 1)
		d1 := w.directors[0]
		w.now = w.now.Add(time.Minute)
		made, _ := d1.core.dir.Assign("", 7<<16, testBackend(1), d1.core.clock.At(w.now))
		d1.core.admission.unsyncedAt = w.now.Add(-test.unsynced)
		d1.core.step(w.now, test.by)
		now, _ := d1.core.dir.Find("", 7<<16, 0)
		if moved := now != made; moved != test.moves {
			t.Errorf("%+v: the row moves %v", test, moved)
		}
	}
}

// What a peer has stamped that was on this side of a long split moves, if it would lie so far ahead
// that peers drop it. What it stamped before that stays, as does all that lies less far ahead.
func TestPeersStampsWhenTimeSteps(t *testing.T) {
	for _, test := range []struct {
		by    time.Duration
		moves bool
	}{
		{-time.Minute, true},
		{-2*time.Minute - 3*time.Second, true},
		{-maxAhead, true},
		{-ownAhead - time.Second/2, true},
		{-ownAhead, false},
		{time.Minute, false},
	} {
		w := started(t, 1)
		d1 := w.directors[0]
		c := d1.core
		met := c.clock.At(w.now)
		old, split := directory.StampAt(met), directory.StampAt(met.Add(2*time.Minute))
		w.now = w.now.Add(2 * time.Minute)
		c.forgottenWith = met.Micros()
		rows := []directory.BackendRow{
			{Addr: testBackend(1), VHosts: directory.Register[int]{Value: 5, Stamp: old}},
			{Addr: testBackend(2), VHosts: directory.Register[int]{Value: 7, Stamp: split}},
		}
		for i := range rows {
			rows[i].VHosts.Origin = "d2"
		}
		c.apply(w.now, directory.Change{Backends: rows}, nil)
		c.step(w.now, test.by)
		moved := split
		if test.moves {
			moved = max(split.Add(meshtime.WholeSeconds(test.by)), old+1) // not to before it
		}
		for i, want := range []directory.Stamp{old, moved} {
			row, _ := c.table.Row(testBackend(i + 1))
			if row.VHosts.Value != 5+2*i || row.VHosts.Stamp != want {
				t.Errorf("step by %v: backend %d has %+v, want the stamp %v",
					test.by, i+1, row.VHosts, want)
			}
		}
	}
}

// What a director keeps of the logs of others is not given away any more once the rows have moved:
// who took them by it would have them as they were.
func TestLogsWhenTimeSteps(t *testing.T) {
	for _, test := range []struct {
		by   time.Duration
		kept bool
	}{{-ownAhead, true}, {-ownAhead - time.Second, false}} {
		w := started(t, 2)
		d1, d2 := w.directors[0], w.directors[1]
		d2.must(7)
		w.run(time.Second)
		log := d1.core.logs.Get(logs.ID{Name: "d2", Boot: d2.core.boot})
		d1.core.step(w.now, test.by)
		if _, part := log.Part(nil); len(part) > 0 != test.kept {
			t.Errorf("step by %v: %d messages are kept, want some: %v",
				test.by, len(part), test.kept)
		}
	}
}

// What a director wrote and nobody got before its life ended by a step is in what it is admitted
// again with. It reaches those too that were out of touch then, be it from those that took it.
func TestEndOfALogThatNobodyGot(t *testing.T) {
	for _, dies := range []bool{false, true} {
		w := started(t, 4)
		d1, d2, d4 := w.directors[0], w.directors[1], w.directors[3]
		const h = 31415
		d1.must(h)
		w.run(testExpire / 2)
		w.split([]*director{d1}, w.directors[1:])
		w.run(failAfter + time.Second)
		d1.must(h) // activity does not show in digests
		w.run(time.Second)
		d1.core.slew(1500 * time.Millisecond) // its clock runs away
		w.lose = func(from, to *director, m wire.Message) bool {
			switch m.(type) {
			case *wire.Rows: // still on the way when the step ends the streams
				return from == d1 && d1.core.counters.ClockSteps == 0
			case *wire.SnapshotRequest:
				return to == d1 && d1.core.counters.ClockSteps == 0
			}
			return false
		}
		w.heal()
		w.split([]*director{d4}, w.directors[:3])
		w.until("d1 has stepped", 15*time.Second, func() bool {
			return d1.core.counters.ClockSteps > 0 && d1.core.synced()
		})
		w.run(failAfter + time.Second)
		if d2.live(h).Activity <= d4.live(h).Activity {
			t.Fatalf("d2 has %+v, d4 %+v; the test shows nothing", d2.live(h), d4.live(h))
		}
		if dies {
			d1.crash()
		}
		w.heal()
		w.until("all synced", 20*time.Second, w.allSynced)
		if got, want := d4.live(h), d2.live(h); got != want {
			t.Errorf("d1 dies: %v: d4 has %+v, d2 %+v", dies, got, want)
		}
	}
}

// Where all have the log up to its end, nobody waits for more of it, and each takes one snapshot:
// that of what the director holds that stepped.
func TestEndOfALogThatAllGot(t *testing.T) {
	w := started(t, 3)
	d1 := w.directors[0]
	d1.must(7)
	w.run(2 * time.Second)
	asked := make(map[wire.Kind]int)
	w.seen = func(_ *director, e Effect) {
		if s, ok := e.(Send); ok {
			asked[s.Message.Kind()]++
		}
	}
	d1.core.slew(1500 * time.Millisecond)
	w.until("d1 has stepped", 5*time.Second, func() bool {
		return d1.core.counters.ClockSteps > 0 && d1.core.synced()
	})
	w.run(5 * time.Second)
	if log := d1.core.logs.Get(logs.ID{Name: "d1", Boot: d1.core.boots[0]}); log == nil {
		t.Error("it says nothing of its log that ended")
	}
	snapshots, parts := asked[wire.KindSnapshotRequest], asked[wire.KindLogRequest]
	if snapshots != 2 || parts != 0 || asked[wire.KindGonePositions] == 0 {
		t.Errorf("%d snapshots and %d parts of logs were asked for, want 2 and 0", snapshots, parts)
	}
	for _, d := range w.directors {
		if n := d.core.counters.RestsWanted; n > 0 {
			t.Errorf("%s waited %d times for the rest of a log", d.name, n)
		}
	}
}

// Who is out of touch as a director steps back may know by its last beat a moment of its clock that
// was ahead, later than that to which the step moves what it wrote. So it would not get that by a
// snapshot of all since then. It gets it, as the director says it again in its new life.
func TestEndOfALogByAClockThatWasAhead(t *testing.T) {
	w := started(t, 4)
	d1, d2, d4 := w.directors[0], w.directors[1], w.directors[3]
	const h = 31415
	d1.must(h)
	w.run(testExpire / 2)
	d1.core.slew(20 * time.Second)
	d1.core.beatToAll(w.now)
	w.lose = func(_, to *director, _ wire.Message) bool { return to == d1 } // it notices nothing
	w.deliver()
	w.lose = nil
	d1.must(h)
	w.split([]*director{d4}, w.directors[:3])
	w.until("d1 has stepped", 15*time.Second, func() bool {
		return d1.core.counters.ClockSteps > 0 && d1.core.synced()
	})
	w.run(failAfter + time.Second)
	ended := d4.core.logs.Get(logs.ID{Name: "d1", Boot: d1.core.boots[0]})
	if d2.live(h).Activity >= logs.Since(ended.WholeAt()) ||
		d2.live(h).Activity <= d4.live(h).Activity {
		t.Fatalf("d2 has %+v, d4 %+v; the test shows nothing", d2.live(h), d4.live(h))
	}
	w.heal()
	w.until("all synced", 20*time.Second, w.allSynced)
	if got, want := d4.live(h), d2.live(h); got != want {
		t.Errorf("d4 has %+v, d2 %+v", got, want)
	}
}

// splitWithClocksApart is a mesh of five directors whose clocks run apart in a long split: those of
// d4 and d5 are ahead in the end, or behind. What a data directory holds moves only if the split
// lasts for as long as clocks need to drift so far apart. Nobody is to be excluded for what they
// bring when it heals, and the test ends where that goes on and on.
func splitWithClocksApart(t *testing.T, lasts, ahead time.Duration) *world {
	t.Helper()
	w := onDisks(t, 5)
	w.splitFor(lasts, ahead)
	return w
}

// splitFor splits five directors for so long.
func (w *world) splitFor(lasts, ahead time.Duration) {
	w.t.Helper()
	w.split(w.directors[:3], w.directors[3:])
	w.run(lasts)
	faster := w.directors[3:]
	if ahead < 0 {
		faster = w.directors[:3]
	}
	for _, d := range faster {
		d.core.clock.Move(ahead.Abs())
	}
	w.run(2 * time.Second)
	excluded := 0
	w.seen = func(d *director, e Effect) {
		if s, ok := e.(Send); ok && s.Message.Kind() == wire.KindExclude {
			if excluded++; excluded > 100 {
				w.t.Fatalf("clocks %v apart: directors are excluded again and again", ahead)
			}
		}
	}
}

// healsAtOnce heals a split of splitWithClocksApart.
func (w *world) healsAtOnce() {
	w.t.Helper()
	w.heal()
	w.until("all synced", 3*time.Second, w.allSynced)
	w.run(time.Second)
	for _, d := range w.directors {
		if n := d.core.Counters().Exclusions; n != 0 {
			w.t.Errorf("%s has excluded %d peers", d.name, n)
		}
	}
}

// Two of five come out of a long split with other clocks, and meet one of the others. No clock is
// the right one yet, so nobody counts the other side and all go on. What is ordered on the smaller
// side names the one that it has met, as it does those that it has not.
func TestThoseOfOtherTimeAreNamed(t *testing.T) {
	for _, ahead := range []time.Duration{20 * time.Second, -20 * time.Second} {
		w := splitWithClocksApart(t, 20*time.Second, ahead)
		d3, d4 := w.directors[2], w.directors[3]
		w.heal()
		w.split(w.directors[:2], w.directors[3:])
		w.until("d4 is in touch with d3", 5*time.Second, func() bool {
			return d4.core.peers.get("d3").live && d3.core.peers.get("d4").live
		})
		for _, op := range []Operation{
			UpdateBackend{Addr: testBackend(1), VHosts: 5}, Move{Hash: 7, Backend: testBackend(2)},
			Pin{Hash: 8, Backend: testBackend(1)}, KickUser{Value: "jane"}, Flush{},
		} {
			id := d4.begin(op)
			w.until("the end", time.Second, func() bool { _, done := d4.done[id]; return done })
			if got := d4.done[id]; got.Err != nil ||
				!slices.Equal(got.Outcome.FailedPeers, []string{"d1", "d2", "d3"}) {
				t.Errorf("%v ahead: %T ended with %+v, want d1, d2 and d3 named", ahead, op, got)
			}
			if !d3.core.synced() || !d4.core.peers.get("d3").live {
				t.Fatal("d3 does not go on; the test shows nothing")
			}
		}
	}
}

// On one side of a long split a director begins anew, be it on this side, with its data directory,
// or on the other one. It has no moment in common with the others' clock, or the director that it
// leaves has none with it: its last beats of before were by the clock of this side.
func TestNewLivesInALongSplit(t *testing.T) {
	for _, ahead := range []time.Duration{20 * time.Second, 10 * time.Minute} {
		for name, begins := range map[string]func(w *world, d4, d5 *director){
			"on this side": func(w *world, d4, d5 *director) {
				d4.crash()
				w.run(failAfter + time.Second)
				d4.boots(false)
				w.until("d4 is back", 10*time.Second, func() bool {
					return d4.core.synced() && d5.core.peers.get("d4").Counted
				})
			},
			"over there": func(w *world, d4, d5 *director) {
				d5.crash()
				w.run(failAfter + time.Second)
				w.heal()
				w.split(slices.Concat(w.directors[:3], []*director{d5}), []*director{d4})
				d5.disk = nil
				d5.boots(false)
				w.until("d5 is back", 10*time.Second, d5.core.synced)
			},
		} {
			w := splitWithClocksApart(t, 20*time.Second, ahead)
			d4, d5 := w.directors[3], w.directors[4]
			if _, err := d5.do(UpdateBackend{Addr: testBackend(1), VHosts: 7}); err != nil {
				t.Fatal(err)
			}
			d4.must(901)
			d5.must(902)
			w.run(time.Second)
			begins(w, d4, d5)
			d4.must(903)
			w.run(time.Second)
			w.healsAtOnce()
			for _, h := range []ring.UserHash{901, 902, 903} {
				w.wantKnown(h)
			}
			for _, d := range w.directors {
				if row, _ := d.core.table.Row(testBackend(1)); row.VHosts.Value != 7 {
					t.Errorf("%s, %v: %s has %+v", name, ahead, d.name, row.VHosts)
				}
			}
		}
	}
}

// A director begins anew on a side of a long split that is behind, and its peer there dies. Its
// data directory says that those with whom it steps forward were apart from it. So its users do not
// expire the sooner for the time by which the clocks are apart.
func TestNewLifeOnASideThatIsBehind(t *testing.T) {
	const behind = 6 * time.Second
	w := splitWithClocksApart(t, 10*time.Minute, -behind)
	d4, d5 := w.directors[3], w.directors[4]
	d4.must(901)
	made := d4.live(901)
	w.run(2 * time.Second)
	d4.crash()
	w.run(failAfter + time.Second)
	d4.boots(false)
	w.until("d4 is back", 10*time.Second, d4.core.synced)
	w.run(2 * time.Second)
	d5.crash()
	w.run(failAfter + time.Second)
	d4.must(902)
	w.run(time.Second)
	w.healsAtOnce()
	for _, d := range w.directors[:4] {
		moved := d.live(901).Activity.Time().Sub(made.Activity.Time())
		if moved < behind-time.Second {
			t.Errorf("%s: 901 has moved by %v", d.name, moved)
		}
		d.live(902)
	}
}

// A director joins on a side of a long split, and its peer there dies. It has never met those with
// whom it steps, but its peer has, and has told it: what was stamped since that moves, also by its
// peer, and nothing else does. A start from what it has kept itself changes nothing of that, nor
// does a wall clock that is an hour off.
func TestJoinerInALongSplit(t *testing.T) {
	long(t)
	for _, ahead := range []time.Duration{-6 * time.Second, 6 * time.Second} {
		for _, again := range []bool{false, true} {
			wrongly := func(c *Config) { c.Wall = c.Wall.Add(-600 * ahead) }
			w := onDisks(t, 5)
			d1, d4, d5 := w.directors[0], w.directors[3], w.directors[4]
			if _, err := d1.do(Forget{Addr: testBackend(1)}); err != nil {
				t.Fatal(err)
			}
			w.run(2 * time.Second)
			d5.must(900)
			old := d5.live(900)
			w.run(2 * time.Second)
			w.split(w.directors[:3], w.directors[3:])
			for range 40 {
				w.run(testExpire / 2)
				d5.must(900)
			}
			w.splitFor(0, ahead)
			d4.crash()
			w.run(failAfter + time.Second)
			d5.must(900)
			d5.must(901)
			d4.disk = &testDisk{}
			d4.boots(false, wrongly)
			w.until("d4 is back", 10*time.Second, d4.core.synced)
			d4.must(902)
			w.run(2 * time.Second)
			before := map[ring.UserHash]directory.Mapping{901: d4.live(901), 902: d4.live(902)}
			d5.crash()
			w.run(failAfter + time.Second)
			if again {
				d4.crash()
				w.run(time.Second)
				d4.boots(false, wrongly)
				w.until("d4 serves alone", 10*time.Second, d4.core.synced)
			}
			w.heal()
			w.until("d4 has stepped", 3*time.Second, func() bool {
				return d4.core.counters.ClockSteps > 0 && d4.core.synced()
			})
			w.run(time.Second)
			for _, d := range w.directors[:4] {
				if m := d.live(900); m.Stamp != old.Stamp {
					t.Errorf("%v, again: %v: %s has %+v, was %+v", ahead, again, d.name, m, old)
				}
				for h, was := range before {
					moved := d.live(h).Activity.Time().Sub(was.Activity.Time())
					if off := (moved + ahead).Abs(); off > time.Second {
						t.Errorf("%v, again: %v: at %s %d has moved by %v",
							ahead, again, d.name, h, moved)
					}
				}
			}
		}
	}
}

// In a split of days a director forgets those that it does not hear. With them it had one time up
// to the split, and not up to the death of its last peer, which it still knows.
func TestForgottenInALongSplit(t *testing.T) {
	long(t)
	for _, ahead := range []time.Duration{-6 * time.Second, 6 * time.Second} {
		w := splitWithClocksApart(t, 10*time.Minute, ahead)
		d4, d5 := w.directors[3], w.directors[4]
		others := w.directors[:3]
		for _, d := range others {
			d4.core.peers.get(d.name).seenAt = w.now.Add(-2 * forgetDead)
		}
		d4.must(901)
		made := d4.live(901)
		w.run(10 * time.Second)
		for _, d := range others {
			if d4.core.peers.get(d.name) != nil {
				t.Fatalf("d4 still knows %s, the test shows nothing", d.name)
			}
		}
		d5.crash()
		w.run(failAfter + time.Second)
		w.healsAtOnce()
		for _, d := range w.directors[:4] {
			moved := d.live(901).Activity.Time().Sub(made.Activity.Time())
			if off := (moved + ahead).Abs(); off > time.Second {
				t.Errorf("%v: at %s 901 has moved by %v", ahead, d.name, moved)
			}
		}
	}
}

// The last peer of a director in a long split begins anew on the other side. It had the time of
// this side until just now, but those beside it did not, and their time is what counts.
func TestPeerGoesOverInALongSplit(t *testing.T) {
	long(t)
	for _, ahead := range []time.Duration{-6 * time.Second, 6 * time.Second} {
		for _, joins := range []bool{false, true} {
			w := splitWithClocksApart(t, 10*time.Minute, ahead)
			d4, d5 := w.directors[3], w.directors[4]
			d5.must(901)
			made := d5.live(901)
			if joins { // d5 tells it of the others
				d4.crash()
				w.run(failAfter + time.Second)
				d4.disk = &testDisk{}
				d4.boots(false)
				w.until("d4 is back", 10*time.Second, d4.core.synced)
			}
			w.run(2 * time.Second)
			d5.crash()
			w.run(failAfter + time.Second)
			w.heal()
			w.split(slices.Concat(w.directors[:3], []*director{d5}), []*director{d4})
			d5.disk = &testDisk{}
			d5.boots(false)
			w.until("d5 is back", 10*time.Second, d5.core.synced)
			w.healsAtOnce()
			for _, d := range w.directors {
				moved := d.live(901).Activity.Time().Sub(made.Activity.Time())
				if off := (moved + ahead).Abs(); off > time.Second {
					t.Errorf("%v, joins: %v: at %s 901 moved by %v", ahead, joins, d.name, moved)
				}
			}
		}
	}
}

// In a long split a director dies, and starts from its data directory when the sides have met. It
// steps before it has answered anything, and what it had read until then or reads later is of the
// time that it had. So it moves, as at its peer that lived on. It has been away for so long that
// what it holds is not set aside.
func TestStepOfWhatIsLoaded(t *testing.T) {
	long(t)
	for _, ahead := range []time.Duration{6 * time.Second, -6 * time.Second} {
		for _, slow := range []bool{false, true} {
			w := splitWithClocksApart(t, 10*time.Minute, ahead)
			d4, d5 := w.directors[3], w.directors[4]
			d4.must(901)
			w.run(2 * time.Second)
			d4.crash()
			w.run(30 * time.Second)
			w.heal()
			w.until("d5 has stepped", 3*time.Second, d5.core.synced)
			w.run(time.Second)
			want, _ := d5.dir.Find("", 901, d5.core.MeshTime(w.now))
			d5.crash()
			w.run(failAfter + time.Second)
			d4.disk.slow = slow
			d4.boots(false)
			w.run(time.Second)
			if slow {
				w.run(time.Second)
				d4.disk.load(d4)
			}
			w.until("d4 is back", 5*time.Second, d4.core.synced)
			w.run(time.Second)
			for _, d := range w.directors[:4] {
				if m, _ := d.dir.Find("", 901, d.core.MeshTime(w.now)); m != want {
					t.Errorf("%v ahead, slow: %v: %s has %v, want %v",
						ahead, slow, d.name, m, want)
				}
			}
		}
	}
}

// The first that a director meets, as it starts from its data directory after a long split, is the
// peer that was with it then. That has stepped meanwhile, to the time of those that were apart. So
// it tells as well as they do what is to be moved.
func TestStepToTheTimeOfAPeerThatHasStepped(t *testing.T) {
	for _, ahead := range []time.Duration{6 * time.Second, -6 * time.Second} {
		w := splitWithClocksApart(t, 10*time.Minute, ahead)
		d1, d4, d5 := w.directors[0], w.directors[3], w.directors[4]
		d4.must(901)
		for i, d := range []*director{d4, d1} {
			op := UpdateBackend{Addr: testBackend(1), VHosts: 7 + i}
			if _, err := d.do(op); err != nil {
				t.Fatal(err)
			}
			w.run(2 * time.Second)
		}
		d4.crash()
		w.run(30 * time.Second)
		w.healsAtOnce()
		want := d5.live(901)
		w.split(w.directors[:3], w.directors[3:4])
		d4.boots(false)
		w.run(time.Second)
		if steps := d4.core.counters.ClockSteps; steps != 1 && ahead > 0 {
			t.Errorf("d4 has stepped %d times", steps)
		}
		w.healsAtOnce()
		for _, d := range w.directors {
			if m := d.live(901); m != want {
				t.Errorf("%v ahead: %s has %+v, want %+v", ahead, d.name, m, want)
			}
			if row, _ := d.core.table.Row(testBackend(1)); row.VHosts.Value != 8 {
				t.Errorf("%v ahead: %s has %+v, d1 was told last", ahead, d.name, row.VHosts)
			}
		}
	}
}

// Who was with us when the disk was synced has stepped since, if its process goes on in another
// life. A process that began later has taken its mesh time from elsewhere.
func TestHasStepped(t *testing.T) {
	w := started(t, 3)
	c := w.directors[0].core
	w.now = w.now.Add(time.Hour)
	d2, d3 := c.peers.get("d2"), c.peers.get("d3")
	synced := c.clock.At(w.now).Add(-time.Minute)
	for _, test := range []struct {
		name  string
		boot  uint64 // of its life now, less that of its life then
		began time.Duration
		want  bool
	}{
		{"another life", 1, -time.Hour, true},
		{"the same life", 0, -time.Hour, false},
		{"another process", 1, -time.Second, false},
	} {
		was := d2.self()
		was.Boot -= test.boot
		c.disk = &disk{until: synced, live: []wire.Peer{was}}
		d2.began = w.now.Add(test.began)
		d3.began = d2.began
		if got := c.hasStepped(d2); got != test.want || c.hasStepped(d3) {
			t.Errorf("%s: has stepped: %v, want %v; d3: %v", test.name, got, test.want,
				c.hasStepped(d3))
		}
	}
}

// What a director has loaded and moved by a step it does not load again as it was if it dies soon
// after. It would win over what all have meanwhile: of mappings the earlier one does, of commands
// the later one.
func TestStepOfWhatIsLoadedIsKept(t *testing.T) {
	for _, ahead := range []time.Duration{6 * time.Second, -6 * time.Second} {
		w := splitWithClocksApart(t, 10*time.Minute, ahead)
		d4 := w.directors[3]
		d4.must(901)
		if _, err := d4.do(UpdateBackend{Addr: testBackend(1), VHosts: 7}); err != nil {
			t.Fatal(err)
		}
		w.run(2 * time.Second)
		made := d4.live(901)
		d4.crash()
		w.run(30 * time.Second)
		w.healsAtOnce()
		d4.boots(false)
		w.until("d4 is back", 5*time.Second, d4.core.synced)
		w.run(2 * time.Second)
		moved := d4.live(901)
		row, _ := d4.core.table.Row(testBackend(1))
		if moved.Stamp == made.Stamp {
			t.Fatalf("%v ahead: d4 has %+v as it was, the test shows nothing", ahead, moved)
		}
		d4.crash()
		w.run(time.Second)
		d4.boots(false)
		if m, _ := d4.dir.Find("", 901, 0); m != moved {
			t.Errorf("%v ahead: d4 has kept %+v, had %+v", ahead, m, moved)
		}
		if r, _ := d4.core.table.Row(testBackend(1)); r.VHosts != row.VHosts {
			t.Errorf("%v ahead: d4 has kept %+v, had %+v", ahead, r.VHosts, row.VHosts)
		}
		w.until("d4 is back again", 5*time.Second, d4.core.synced)
		w.run(time.Second)
		for _, d := range w.directors {
			if m := d.live(901); m != moved {
				t.Errorf("%v ahead: %s has %+v, had %+v", ahead, d.name, m, moved)
			}
		}
	}
}

// The data directory is written anew if a step before anything was said may have moved something
// that it holds, and only then: that takes time in which nothing is kept.
func TestStepWritesTheDiskAnew(t *testing.T) {
	for _, test := range []struct {
		name         string
		by           time.Duration
		whole, until time.Duration // after the time that is stepped to; 0: never
		anew         bool
	}{
		{"drifted", -20 * time.Second, -time.Hour, -time.Minute, true},
		{"not by so much", -20 * time.Second, -time.Minute, -time.Minute, false},
		{"a disk that lacks all", -20 * time.Second, 0, -time.Minute, false},
		{"just ahead", -20 * time.Second, -time.Minute, ownAhead + 500*time.Millisecond, true},
		{"forward", 20 * time.Second, -time.Minute, -time.Minute, false},
	} {
		w := onDisks(t, 1)
		c := w.directors[0].core
		w.now = w.now.Add(time.Hour)
		c.admission.bootstrapped, c.log = false, logs.Own{}
		then := c.clock.At(w.now).Add(test.by)
		c.disk = &disk{until: then.Add(test.until)}
		if test.whole != 0 {
			c.disk.whole = then.Add(test.whole)
		}
		before := c.lastKeep
		c.step(w.now, test.by)
		if anew := c.lastKeep != before; anew != test.anew {
			t.Errorf("%s: written anew: %v, want %v", test.name, anew, test.anew)
		}
	}
}

// A director dies on a side of a long split that is ahead, and starts from its data directory on
// the other one. What the disk holds lies ahead of mesh time there. Since it moves, as at the peer
// that stayed, it is not set aside: the director knows what it answered, and what only it was told.
func TestDiskOfASideThatIsAhead(t *testing.T) {
	const ahead = 8 * time.Second
	w := splitWithClocksApart(t, 14*time.Minute, ahead)
	d4, d5 := w.directors[3], w.directors[4]
	if _, err := d4.do(UpdateBackend{Addr: testBackend(1), VHosts: 7}); err != nil {
		t.Fatal(err)
	}
	d4.must(901)
	w.run(2 * time.Second)
	made := d4.live(901)
	d4.crash()
	w.run(time.Second)
	w.heal()
	w.split(w.directors[:4], w.directors[4:])
	d4.boots(false)
	w.until("d4 is back", 10*time.Second, d4.core.synced)
	w.run(2 * time.Second)
	if d4.mentions("lies ahead") {
		t.Error("it has set its disk aside")
	}
	moved := d4.live(901)
	if off := (moved.Stamp.Time().Sub(made.Stamp.Time()) + ahead).Abs(); off > time.Second {
		t.Errorf("d4 had %+v and has %+v", made, moved)
	}
	d4.crash()
	w.run(time.Second)
	d4.boots(false)
	if m, _ := d4.dir.Find("", 901, 0); m != moved {
		t.Errorf("d4 kept %+v, had %+v", m, moved)
	}
	w.until("d4 is back again", 10*time.Second, d4.core.synced)
	if d4.core.counters.ClockSteps > 0 {
		t.Error("d4 has stepped again")
	}
	w.healsAtOnce()
	for _, d := range w.directors {
		if m := d.live(901); m != moved {
			t.Errorf("%s has %+v, d4 had %+v", d.name, m, moved)
		}
		if row, _ := d.core.table.Row(testBackend(1)); row.VHosts.Value != 7 {
			t.Errorf("%s has %+v", d.name, row.VHosts)
		}
	}
	if d5.core.counters.ClockSteps == 0 {
		t.Error("d5 has not stepped, the test shows nothing")
	}
}

// The end of the disk moves as the rows do that it holds: by whole seconds, never to before the
// moment in common, and not in a short step back. What has moved once moves by the next step too.
func TestEndOfTheDiskMoves(t *testing.T) {
	for _, test := range []struct {
		by   time.Duration
		was  time.Duration // after the disk was whole
		want time.Duration
	}{
		{-20*time.Second - 100*time.Millisecond, time.Minute, 39 * time.Second},
		{20*time.Second + 900*time.Millisecond, time.Minute, 80 * time.Second},
		{-3 * time.Second, time.Minute, time.Minute},
		{-20 * time.Second, 5 * time.Second, 0},
		{-20 * time.Second, -time.Second, -time.Second},
		{-time.Minute, time.Minute, time.Minute}, // by more than the sides may have drifted
	} {
		w := onDisks(t, 1)
		c := w.directors[0].core
		w.now = w.now.Add(2 * time.Hour)
		c.admission.bootstrapped, c.log = false, logs.Own{}
		whole := c.clock.At(w.now).Add(-time.Hour)
		c.disk = &disk{whole: whole, until: whole.Add(test.was)}
		c.step(w.now, test.by)
		if got := c.disk.until.Sub(whole); got != test.want {
			t.Errorf("step by %v: %v is %v, want %v", test.by, test.was, got, test.want)
		}
	}
}

// The wall clock is off, too, as a director starts on the other side with what lies ahead there. An
// hour ahead nothing tells what the disk is off by, and it is set aside; an hour behind, mesh time
// goes on from where the disk ends. Whatever comes of it, nothing lies ahead, and all agree.
func TestWrongWallClockOnTheOtherSide(t *testing.T) {
	long(t)
	for _, off := range []time.Duration{-time.Hour, -time.Second, time.Second / 2, time.Hour} {
		w := splitWithClocksApart(t, 14*time.Minute, 8*time.Second)
		d4, d5 := w.directors[3], w.directors[4]
		if _, err := d4.do(UpdateBackend{Addr: testBackend(1), VHosts: 7}); err != nil {
			t.Fatal(err)
		}
		d4.must(901)
		w.run(2 * time.Second)
		d4.crash()
		d5.crash()
		w.run(time.Second)
		w.heal()
		d4.boots(false, func(c *Config) { c.Wall = c.Wall.Add(off) })
		w.until("d4 is back", 10*time.Second, d4.core.synced)
		w.run(2 * time.Second)
		if aside := d4.mentions("lies ahead"); aside != (off == time.Hour) {
			t.Errorf("off by %v: set aside: %v", off, aside)
		}
		if _, err := d4.do(UpdateBackend{Addr: testBackend(1), VHosts: 8}); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		want, status := d4.dir.Find("", 901, d4.core.MeshTime(w.now))
		if known := status == directory.Live; known != (off != time.Hour) {
			t.Errorf("off by %v: 901 is %v", off, status)
		}
		for _, d := range w.directors[:4] {
			m, _ := d.dir.Find("", 901, d.core.MeshTime(w.now))
			if m != want || m.Stamp > d.core.clock.At(w.now).Tick() {
				t.Errorf("off by %v: %s has %+v, want %+v", off, d.name, m, want)
			}
			if r, _ := d.core.table.Row(testBackend(1)); r.VHosts.Value != 8 {
				t.Errorf("off by %v: %s has %+v", off, d.name, r.VHosts)
			}
			if n := d.core.Counters().Exclusions; n != 0 {
				t.Errorf("off by %v: %s has excluded %d peers", off, d.name, n)
			}
		}
	}
}

// A director dies in a split, and starts from its data directory with a wall clock that is off. Its
// mesh time is off then, but not what the disk holds: that stays as it was stamped, and what was
// ordered keeps its place in the order.
func TestWrongWallClockAfterASplit(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, time.Hour} {
		w := splitWithClocksApart(t, 20*time.Second, 0)
		w.run(time.Minute)
		d4, d5 := w.directors[3], w.directors[4]
		d4.must(901)
		if _, err := d4.do(UpdateBackend{Addr: testBackend(1), VHosts: 7}); err != nil {
			t.Fatal(err)
		}
		w.run(2 * time.Second)
		want, _ := d4.dir.Find("", 901, d4.core.MeshTime(w.now))
		row, _ := d4.core.table.Row(testBackend(1))
		d4.crash()
		d5.crash()
		w.run(failAfter + time.Second)
		w.heal()
		d4.boots(false, func(c *Config) { c.Wall = c.Wall.Add(off) })
		w.until("d4 is back", 10*time.Second, d4.core.synced)
		w.run(time.Second)
		for _, d := range w.directors[:4] {
			if m, _ := d.dir.Find("", 901, d.core.MeshTime(w.now)); m != want {
				t.Errorf("off by %v: %s has %+v, want %+v", off, d.name, m, want)
			}
			if r, _ := d.core.table.Row(testBackend(1)); r.VHosts != row.VHosts {
				t.Errorf("off by %v: %s has %+v, want %+v", off, d.name, r.VHosts, row.VHosts)
			}
		}
	}
}

// A moment to which the peers' time has not come is not in common with them. What the data
// directory says of those that were apart counts then.
func TestMomentInCommon(t *testing.T) {
	w := started(t, 1)
	c := w.directors[0].core
	now := c.clock.Micros(w.now)
	for _, test := range []struct {
		name            string
		forgotten, disk time.Duration // how long ago; 0: none
		step, want      time.Duration
	}{
		{"forgotten", time.Minute, 0, -30 * time.Second, time.Minute},
		{"just now", time.Second, 0, -ownAhead - time.Second, time.Second},
		{"forgotten on this side", time.Minute, 0, -2 * time.Minute, 0},
		{"forward", time.Minute, 0, time.Hour, time.Minute},
		{"begun anew", time.Minute, time.Hour, -2 * time.Minute, time.Hour},
		{"begun anew long ago", 3 * time.Minute, time.Hour, -2 * time.Minute, 3 * time.Minute},
	} {
		c.forgottenWith, c.disk = now.Add(-test.forgotten), nil
		if test.disk != 0 {
			c.disk = &disk{whole: now.Add(-test.disk).Time()}
		}
		want := directory.Micros(0)
		switch test.want {
		case 0:
		case test.disk:
			want = c.disk.whole.Micros()
		default:
			want = now.Add(-test.want)
		}
		if got := c.momentInCommon(w.now, test.step); got != want {
			t.Errorf("%s: %v ago, want %v", test.name, now.Sub(got), test.want)
		}
	}
}

// What was said of a director that has begun anew since, or what the data directory says of it,
// counts only if no other one goes on.
func TestMomentInCommonWithOneThatBeganAnew(t *testing.T) {
	w := started(t, 3)
	c := w.directors[0].core
	ago := func(d time.Duration) directory.Time { return c.clock.At(w.now).Add(-d) }
	d2, d3 := c.peers.get("d2"), c.peers.get("d3")
	for _, onDisk := range []bool{false, true} {
		for _, test := range []struct {
			anew2, anew3 bool
			want         time.Duration
		}{
			{false, false, 40 * time.Minute},
			{false, true, time.Hour},
			{true, false, 40 * time.Minute},
			{true, true, 40 * time.Minute},
		} {
			was2, was3 := d2.self(), d3.self()
			if test.anew2 {
				was2.Boot++
			}
			if test.anew3 {
				was3.Boot++
			}
			c.disk, c.apart = nil, map[string]wire.Apart{
				"d2": {Director: was2, Together: ago(time.Hour)},
			}
			if onDisk {
				c.disk = &disk{whole: ago(40 * time.Minute), apart: []wire.Peer{was3}}
			} else {
				c.apart["d3"] = wire.Apart{Director: was3, Together: ago(40 * time.Minute)}
			}
			for _, p := range []*peer{d2, d3} {
				p.clock = meshtime.Peer{}
				p.clock.Take(w.now, meshtime.Sample{MeshTime: 20 * time.Second, AskedAt: w.now})
			}
			got := c.momentInCommon(w.now, 20*time.Second)
			if got.Time() != ago(test.want) {
				t.Errorf("on disk: %v, %+v: in common %v ago", onDisk, test,
					c.clock.At(w.now).Sub(got.Time()))
			}
		}
	}
}

// Clocks that are apart by about as much as a value may lie ahead: what peers of this side stamped
// just before the split heals must not lie ahead for a director whose clock is behind either.
func TestClocksApartByWhatIsDropped(t *testing.T) {
	for _, ahead := range []time.Duration{ownAhead, 4900 * time.Millisecond, maxAhead,
		maxAhead + 100*time.Millisecond, maxAhead + time.Second} {
		w := splitWithClocksApart(t, 20*time.Second, ahead)
		w.directors[0].core.clock.Move(-400 * time.Millisecond)
		w.run(time.Second)
		d4, d5 := w.directors[3], w.directors[4]
		for _, op := range []Operation{
			UpdateBackend{Addr: testBackend(1), VHosts: 7}, Forget{Addr: testBackend(2)},
		} {
			if _, err := d5.do(op); err != nil {
				t.Fatal(err)
			}
		}
		for i := range ring.UserHash(20) {
			d4.must(i << 20)
			d5.must(i<<20 + 1)
		}
		w.healsAtOnce()
	}
}

// Who was forgotten before a step is after it, and who was mapped after that moment is mapped,
// whether rows move or stay, and whoever forgot.
func TestForgottenWhenTimeSteps(t *testing.T) {
	const before, after = 7 << 16, 8 << 16
	for _, by := range []time.Duration{
		-time.Minute, -10 * time.Second, -3 * time.Second, time.Second, time.Minute,
	} {
		for _, ours := range []bool{true, false} {
			w := started(t, 1)
			d1 := w.directors[0]
			c := d1.core
			c.forgottenWith = c.clock.Micros(w.now)
			pass := func(d time.Duration) directory.Time {
				w.now = w.now.Add(d)
				return c.clock.At(w.now)
			}
			c.dir.Assign("", before, testBackend(1), pass(2*time.Minute))
			forgotten := directory.StampAt(pass(time.Second))
			if ours {
				forgotten, _ = c.nextStamp(w.now, 0)
			}
			c.apply(w.now, directory.Change{Backends: []directory.BackendRow{
				{Addr: testBackend(1), Forgotten: forgotten},
			}}, nil)
			c.dir.Assign("", after, testBackend(1), pass(time.Second))
			pass(15 * time.Second)
			c.admission.unsyncedAt = w.now
			c.step(w.now, by)
			for h, want := range map[ring.UserHash]directory.Status{
				before: directory.Dead, after: directory.Live,
			} {
				if m, status := c.dir.Find("", h, c.clock.At(w.now)); status != want {
					t.Errorf("step by %v, forgotten by us: %v: %+v is %v, want %v",
						by, ours, m, status, want)
				}
			}
		}
	}
}

// Of two commands on the two sides of a long split the one holds that came later, also if a peer of
// the one that was given the earlier one has it too, or alone.
func TestLastWordOfALongSplit(t *testing.T) {
	for _, ahead := range []time.Duration{10 * time.Second, time.Minute} {
		for _, dies := range []bool{false, true} {
			w := splitWithClocksApart(t, 20*time.Second, ahead)
			d1, d5 := w.directors[0], w.directors[4]
			for i, d := range []*director{d5, d1} {
				op := UpdateBackend{Addr: testBackend(1), VHosts: 7 + i}
				if _, err := d.do(op); err != nil {
					t.Fatal(err)
				}
				w.run(time.Second)
			}
			w.run(ahead)
			if dies {
				d5.crash()
				w.run(failAfter + time.Second)
			}
			w.healsAtOnce()
			for _, d := range w.directors {
				row, _ := d.core.table.Row(testBackend(1))
				if !d.stopped && row.VHosts.Value != 8 {
					t.Errorf("%v apart, d5 dies: %v: %s has %+v", ahead, dies, d.name, row.VHosts)
				}
			}
		}
	}
}

// Up to when rows were dropped for space is a moment of the clock that steps back, too. While it
// lay ahead no command could be given, and what the director wrote was dropped.
func TestDroppedRowsWhenTimeSteps(t *testing.T) {
	w := started(t, 1)
	d1 := w.directors[0]
	c := d1.core
	c.forgottenWith = c.clock.Micros(w.now)
	w.now = w.now.Add(2 * time.Minute)
	removed, unpinned := directory.Change{Mesh: c.table.Mesh()}, directory.Change{}
	for i := range max(directory.MaxTombstones, directory.MaxPins) + 1 {
		stamp := directory.StampAt(c.clock.At(w.now)) + directory.Stamp(i)
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		removed.Backends = append(removed.Backends, directory.BackendRow{
			Addr:     addr,
			Presence: directory.Register[directory.Presence]{Stamp: stamp, Origin: "d2"},
		})
		unpinned.Pins = append(unpinned.Pins, directory.PinRow{
			User:    ring.User{Hash: ring.UserHash(i)},
			Backend: directory.Register[netip.Addr]{Stamp: stamp, Origin: "d2"},
		})
	}
	c.apply(w.now, removed, nil)
	c.apply(w.now, unpinned, nil)
	c.apply(w.now, unpinned, nil)
	if whole := c.table.Snapshot(); whole.Dropped == 0 || whole.DroppedPins == 0 {
		t.Fatalf("dropped up to %v and %v; the test shows nothing",
			whole.Dropped, whole.DroppedPins)
	}
	c.step(w.now, -time.Minute)
	if last := c.table.LastStamp().Time(); last > c.latest(w.now) {
		t.Errorf("the table goes %v into the future", last.Sub(c.clock.At(w.now)))
	}
	if _, err := d1.do(UpdateBackend{Addr: testBackend(1), VHosts: 50}); err != nil {
		t.Error(err)
	}
}
