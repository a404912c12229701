package replica

import (
	"slices"
	"testing"
	"time"

	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/wire"
)

// A machine that was frozen with all its clocks learns of it by the first beat that was sent
// meanwhile. Until the others have answered, it answers nothing: users may have been moved.
func TestThaw(t *testing.T) {
	for _, test := range []struct {
		name    string
		stood   time.Duration
		guards  Guards
		answers bool
	}{
		{"too short for others to act", 900 * time.Millisecond, Guards{}, true},
		{"long", 6 * time.Second, Guards{}, false},
		{"just long enough", 1100 * time.Millisecond, Guards{}, false},
		{"unguarded", 6 * time.Second, Guards{NoThawCheck: true}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := started(t, 3, func(c *Config) { c.Guards = test.guards })
			d1, d2 := w.directors[0], w.directors[1]
			d1.must(7)
			theirs := d2.core
			d1.hears(d2, &wire.Beat{
				SentAt: int64(w.now), MeshTime: theirs.clock.Micros(w.now).Add(test.stood),
				Wall: theirs.clock.Wall(w.now), Synced: true, Counted: true,
				Seq: theirs.log.Last(), Mesh: theirs.meshRank(w.now), Majority: true,
			})
			if _, answers := d1.core.TryLookup(w.now, "", 7); answers != test.answers {
				t.Errorf("after a beat of a peer that is %v ahead it answers: %v",
					test.stood, answers)
			}
			w.until("all synced", 10*time.Second, w.allSynced)
		})
	}
}

// After a pause a director reads hellos that were written before it. They seem to come from
// directors whose clocks are far behind; yet these are those that it must ask before it answers.
func TestOldHelloAfterAPause(t *testing.T) {
	w := started(t, 3)
	d1, others := w.directors[0], w.directors[1:]
	d1.must(7)
	var hellos []*wire.Hello
	for _, d := range others {
		hellos = append(hellos, d.core.Hello(w.now, Dial{Name: d1.name, Addr: d1.core.cfg.Addr}))
	}
	w.now = w.now.Add(36 * time.Second)
	d1.core.Tick(w.now)
	for i, h := range hellos {
		_, session, err := d1.core.Accept(w.now, h)
		if err != nil {
			t.Fatal(err)
		}
		d1.sessions[others[i].name] = session
		d1.core.Tick(w.now)
	}
	if _, answers := d1.core.TryLookup(w.now, "", 7); answers {
		t.Error("it answers by what it knew before the pause")
	}
	for _, d := range others {
		if p := d1.core.peers.get(d.name); !p.live || !p.Counted {
			t.Errorf("%s: live %v, counted %v", d.name, p.live, p.Counted)
		}
	}
	w.until("all synced", 20*time.Second, w.allSynced)
}

// Where half of a mesh stood still with all their clocks, the others' time is right: they go on,
// and those step to it.
func TestHalfStoodStill(t *testing.T) {
	for _, test := range []struct {
		directors, stand int
		guards           Guards
		behind           bool // the mesh's time in the end
	}{
		{2, 1, Guards{}, false},
		{4, 2, Guards{}, false},
		{3, 1, Guards{}, false},
		{3, 2, Guards{}, true}, // the median is behind, and all agree on it
		{2, 1, Guards{NoThawCheck: true}, true},
	} {
		w := started(t, test.directors, func(c *Config) { c.Guards = test.guards })
		const stood = 12 * time.Second
		for _, d := range w.directors[:test.stand] {
			d.core.clock.Move(-stood)
		}
		w.run(time.Second)
		w.until("all synced", 20*time.Second, w.allSynced)
		want := time.Duration(0)
		if test.behind {
			want = -stood
		}
		for _, d := range w.directors {
			if off := d.offset() - want; off.Abs() > meshtime.Tolerance {
				t.Errorf("%d of %d stood still for %v: mesh time of %s is %v off",
					test.stand, test.directors, stood, d.name, off)
			}
			steps := d.core.Counters().ClockSteps
			stands := slices.Contains(w.directors[:test.stand], d)
			if (steps > 0) != (stands != test.behind) {
				t.Errorf("%d of %d stood still: %s made %d steps",
					test.stand, test.directors, d.name, steps)
			}
		}
	}
}

// A peer that held our beat for longer than it was under way by our clock shows that this stood
// still. We answer nothing then, but step only by what peers answer afterwards: what was queued
// meanwhile is of any moment.
func TestBeatHeldTooLong(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	d1.must(7)
	w.run(2 * time.Second)
	const stood = 800 * time.Millisecond // too short for heardTime
	theirs := d2.core
	d1.hears(d2, &wire.Beat{
		SentAt: int64(w.now), Echo: int64(w.now.Add(-10 * time.Millisecond)),
		EchoDelay: int64(stood),
		MeshTime:  theirs.clock.Micros(w.now).Add(stood), Wall: theirs.clock.Wall(w.now),
		Synced: true, Counted: true, Seq: theirs.log.Last(), Mesh: theirs.meshRank(w.now),
		Majority: true,
	})
	if skew := d1.core.peers.get("d2").clock.Skew(); skew != stood {
		t.Errorf("d2 is taken to be %v ahead, want %v", skew, stood)
	}
	d1.core.Tick(w.now)
	if _, answers := d1.core.TryLookup(w.now, "", 7); answers {
		t.Error("it answers although its clock stood still")
	}
	w.until("all synced", 10*time.Second, w.allSynced)
	if n := d1.core.Counters().ClockSteps; n != 0 {
		t.Errorf("%d steps by a beat of before the question, want none", n)
	}
}

// A peer of another time is not waited for, unless it is our clock that is off: then we are about
// to step, and a change that waits for the peer ends with an error and not as one that it missed.
func TestPeerOfAnotherTime(t *testing.T) {
	for _, off := range []bool{false, true} {
		w := started(t, 2)
		d1 := w.directors[0].core
		p := d1.peers.get("d2")
		p.clock.Take(w.now, meshtime.Sample{MeshTime: 12 * time.Second})
		d1.admission.clockOff = off
		if d1.checkPeers(w.now); p.Counted != off {
			t.Errorf("our clock is off: %v; the peer counts: %v", off, p.Counted)
		}
	}
}
