package replica

import (
	"slices"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

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

// The last peer of a director in a long split dies, and the first that the director meets of the
// other side are new there: one is that peer, or none is. The others' time has come to the peer's
// last moment meanwhile, and that is of this side's clock all the same.
func TestFirstMetInALongSplit(t *testing.T) {
	long(t)
	for _, ahead := range []time.Duration{-6 * time.Second, 6 * time.Second} {
		for _, goesOver := range []bool{false, true} {
			w := splitWithClocksApart(t, 10*time.Minute, ahead)
			d4, d5, theirs := w.directors[3], w.directors[4], w.directors[:3:3]
			d4.must(901)
			made := d4.live(901)
			w.run(2 * time.Second)
			d5.crash()
			w.run(failAfter + time.Second)
			w.cut[[2]string{"d6", "d4"}], w.cut[[2]string{"d4", "d6"}] = true, true
			w.cut[[2]string{"d7", "d4"}], w.cut[[2]string{"d4", "d7"}] = true, true
			w.start("d6")
			if goesOver {
				w.heal()
				w.split(slices.Concat(theirs, w.directors[4:]), []*director{d4})
				d5.disk = &testDisk{}
				d5.boots(false)
			} else {
				w.start("d7")
			}
			w.until("those are synced", 10*time.Second, func() bool {
				return !slices.ContainsFunc(w.directors, func(d *director) bool {
					return !d.stopped && !d.core.synced()
				})
			})
			w.run(ahead.Abs() + ownAhead)
			w.heal()
			w.split(theirs, []*director{d4})
			w.until("d4 has stepped", 5*time.Second, func() bool {
				return d4.core.counters.ClockSteps > 0
			})
			moved := d4.live(901).Activity.Time().Sub(made.Activity.Time())
			if off := (moved + ahead).Abs(); off > time.Second {
				t.Errorf("%v ahead, goes over: %v: 901 has moved by %v", ahead, goesOver, moved)
			}
		}
	}
}

// A director in a long split meets only a peer of its own side at first, one that has stepped over
// to the others. The last moment of a third one that died on this side is not in common with them.
func TestFirstMetHasStepped(t *testing.T) {
	const ahead = 6 * time.Second
	w := splitWithClocksApart(t, 10*time.Minute, -ahead)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	d2.must(901)
	made := d2.live(901)
	w.run(2 * time.Second)
	d3.crash()
	for _, d := range w.directors[:2] {
		w.cut[[2]string{"d6", d.name}], w.cut[[2]string{d.name, "d6"}] = true, true
	}
	w.start("d6") // so that the others are more
	w.run(failAfter + ahead + ownAhead)
	w.heal()
	w.split([]*director{d2}, w.directors[3:])
	w.until("both have stepped", 5*time.Second, func() bool {
		return d1.core.counters.ClockSteps > 0 && d2.core.counters.ClockSteps > 0
	})
	moved := d2.live(901).Activity.Time().Sub(made.Activity.Time())
	if off := (moved + ahead).Abs(); off > time.Second {
		t.Errorf("901 has moved by %v", moved)
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

// Where only one that began anew is met, those count that it counts, and that we are out of touch
// with or were only told of, in the lives in which they had our mesh time.
func TestMomentInCommonWithThoseBehindOneThatBeganAnew(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(c *Core, d3 *peer)
		behind bool // d3 counts
	}{
		{"out of touch", func(*Core, *peer) {}, true},
		{"in touch", func(_ *Core, d3 *peer) { d3.live = true }, false},
		{"not counted", func(c *Core, _ *peer) { c.peers.get("d2").counts = nil }, false},
		{"known in another life", func(_ *Core, d3 *peer) { d3.boot++ }, false},
		{"told of", func(c *Core, d3 *peer) {
			c.apart = map[string]wire.Apart{
				"d3": {Director: d3.self(), Together: d3.clock.With().Time()},
			}
			c.peers.remove(d3)
		}, true},
		{"told of in another life", func(c *Core, d3 *peer) {
			was := d3.self()
			was.Boot++
			c.apart = map[string]wire.Apart{
				"d3": {Director: was, Together: d3.clock.With().Time()},
			}
			c.peers.remove(d3)
		}, false},
	} {
		w := started(t, 3)
		c := w.directors[0].core
		d2, d3 := c.peers.get("d2"), c.peers.get("d3")
		d3.live = false
		d2.counts = map[wire.Life]bool{{Name: "d3", Boot: d3.boot}: true}
		with := func(p *peer, ago time.Duration) directory.Micros {
			p.clock = meshtime.Peer{}
			p.clock.Take(w.now, meshtime.Sample{AskedAt: w.now.Add(-ago)})
			p.clock.NoteTogether(&c.clock)
			return p.clock.With()
		}
		anew, behind := with(d2, time.Minute), with(d3, time.Hour/2)
		d2.clock = d2.clock.NextLife(false)
		d2.clock.Take(w.now, meshtime.Sample{MeshTime: 20 * time.Second, AskedAt: w.now})
		test.change(c, d3)
		want := anew
		if test.behind {
			want = behind
		}
		if got := c.momentInCommon(w.now, 20*time.Second); got != want {
			ago := c.clock.Micros(w.now).Sub(got)
			t.Errorf("%s: in common %v ago, want d3's: %v", test.name, ago, test.behind)
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
