package replica

import (
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

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
	long(t)
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
	long(t)
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
	long(t)
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

// What comes from a disk is in mesh time, and does not move when the director steps, even if that
// served alone by a wrong clock in between.
func TestStepLeavesDisk(t *testing.T) {
	w := onDisks(t, 3)
	w.logins(20)
	w.run(10 * time.Second)
	stamps := make(map[ring.UserHash]directory.Tick)
	for _, m := range w.directors[0].dir.All(w.directors[0].core.MeshTime(w.now)) {
		stamps[m.Hash] = m.Stamp
	}
	for _, d := range w.directors {
		d.stopped = true
	}
	d3 := w.directors[2]
	d3.boots(false, func(cfg *Config) { cfg.Wall = cfg.Wall.Add(10 * time.Second) })
	w.until("d3 serves alone", 4*time.Second, d3.core.synced)
	alone := ring.UserHash(0x77777777)
	d3.must(alone)
	w.run(time.Second)
	w.directors[0].boots(false)
	w.directors[1].boots(false)
	w.until("all synced", 20*time.Second, w.allSynced)
	for _, d := range w.directors {
		for _, m := range d.dir.All(d.core.MeshTime(w.now)) {
			if want := stamps[m.Hash]; m.Stamp != want && m.Hash != alone {
				t.Errorf("%s has the stamp %v for %v, want %v", d.name, m.Stamp, m.Hash, want)
			}
		}
	}
	if d3.core.counters.ClockSteps+w.directors[0].core.counters.ClockSteps == 0 {
		t.Error("nobody stepped")
	}
}

// A director whose mesh time is stepped asks one that loads its data directory to be admitted. That
// one offers what it holds all the same: it answered that when the other was gone already.
func TestStepWhileAnotherLoads(t *testing.T) {
	w := onDisks(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	users := w.logins(20)
	w.run(2 * time.Second)
	d1.crash()
	w.run(failAfter + 10*time.Second)
	for i := range 20 {
		h := ring.UserHash(i+1) * 0x00abcdef
		users[h] = d2.must(h)
	}
	w.run(20 * time.Second)
	d2.crash()
	w.run(time.Second)
	d1.boots(false, func(cfg *Config) { cfg.Wall = cfg.Wall.Add(800 * time.Millisecond) })
	w.until("d1 serves alone", 5*time.Second, d1.core.synced)
	w.run(time.Second)
	d2.disk.slow = true
	d2.boots(false)
	w.until("d1 has stepped", 5*time.Second, func() bool {
		return d1.core.counters.ClockSteps > 0 && d1.core.synced()
	})
	if !d2.core.loading() {
		t.Fatal("d2 is not loading any more")
	}
	d2.disk.load(d2)
	w.until("all synced", 10*time.Second, w.allSynced)
	w.same(users)
}
