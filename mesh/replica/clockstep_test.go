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
