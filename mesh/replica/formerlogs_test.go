package replica

import (
	"testing"
	"time"

	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
)

// A director answers on its side of a split, dies there, and starts again from its disk. What it
// said and nobody got reaches all, also one that is out of touch when the others admit it; and what
// the others said meanwhile reaches it. Neither shows in digests.
func TestEndOfALogFromDisk(t *testing.T) {
	for name, test := range map[string]struct {
		after time.Duration // from what was said to the death
		power bool          // the host dies
		again int           // so often it starts in the split, and dies again there
		dies  bool          // and when the others have admitted it
	}{
		"at once":               {after: 300 * time.Millisecond},
		"at once, dies later":   {after: 300 * time.Millisecond, dies: true},
		"synced":                {after: 1200 * time.Millisecond, power: true},
		"long before":           {after: 30 * time.Second, power: true},
		"long before, and dies": {after: 30 * time.Second, dies: true},
		"dies twice, and later": {after: 15 * time.Second, again: 1, dies: true},
		"dies four times":       {after: 300 * time.Millisecond, again: 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := onDisks(t, 4)
			d1, d2, d4 := w.directors[0], w.directors[1], w.directors[3]
			const h, g = 31415, 27182
			d1.must(h)
			d2.must(g)
			w.run(20 * time.Second)
			w.split([]*director{d1}, w.directors[1:])
			w.run(failAfter + time.Second)
			d1.must(h)
			d2.must(g)
			want, others := d1.live(h), d2.live(g)
			w.run(test.after)
			restart := func() {
				d1.stopped = true
				if test.power {
					d1.disk.losePower()
				}
				d1.boots(false)
			}
			restart()
			for range test.again {
				w.until("it serves alone", 15*time.Second, d1.core.synced)
				w.run(8 * time.Second)
				restart()
			}
			w.heal()
			w.split([]*director{d4}, w.directors[:3])
			w.until("it is back", 15*time.Second, func() bool {
				return d1.core.synced() && d2.core.synced() && d1.core.peers.all.live() == 2
			})
			w.run(failAfter + time.Second)
			if d4.live(h) == want {
				t.Fatal("d4 has it all the same, the test shows nothing")
			}
			if got := d1.live(g); got != others {
				t.Errorf("it has %+v of the others, want %+v", got, others)
			}
			if test.dies {
				d1.crash()
			}
			w.heal()
			w.until("all synced", 20*time.Second, w.allSynced)
			for _, d := range w.directors {
				if d.stopped {
					continue
				}
				if got := d.live(h); got != want {
					t.Errorf("%s has %+v of the one that died, want %+v", d.name, got, want)
				}
				if got := d.live(g); got != others {
					t.Errorf("%s has %+v of the others, want %+v", d.name, got, others)
				}
			}
		})
	}
}

// A director comes from a split of minutes with the end of its former log. Who is out of touch with
// it alone hears from the others that they have got that, although the log ended long ago for them.
func TestEndOfALogOfLongAgo(t *testing.T) {
	w := onDisks(t, 4)
	d1, d4 := w.directors[0], w.directors[3]
	const h = 31415
	d1.must(h)
	w.run(20 * time.Second)
	w.split([]*director{d1}, w.directors[1:])
	w.run(70 * time.Second)
	d1.must(h)
	want := d1.live(h)
	w.run(5 * time.Second)
	d1.stopped = true
	d1.boots(false)
	w.heal()
	w.split([]*director{d1}, []*director{d4})
	w.until("it is back", 20*time.Second, d1.core.synced)
	w.run(2 * time.Second)
	if got := d4.live(h); got != want {
		t.Errorf("d4 has %+v, want %+v", got, want)
	}
}

// Where all start at once nobody knows the logs of the lives before. Nobody takes rows for that,
// not even where one of them founds the mesh before it has heard the others.
func TestFormerLogsWhereAllStart(t *testing.T) {
	for _, founds := range []bool{false, true} {
		w := onDisks(t, 3)
		w.logins(300)
		w.run(20 * time.Second)
		for _, d := range w.directors {
			d.stopped = true
		}
		told, rows := 0, 0
		w.seen = func(_ *director, e Effect) {
			s, ok := e.(Send)
			if !ok {
				return
			}
			switch m := s.Message.(type) {
			case *wire.GonePositions:
				told++
			case *wire.SnapshotChunk:
				for _, b := range m.Blocks {
					rows += b.Len()
				}
			}
		}
		for i, d := range w.directors {
			d.boots(founds && i == 0)
			if founds {
				w.run(100 * time.Millisecond)
			}
		}
		w.until("all synced", 30*time.Second, w.allSynced)
		if told == 0 {
			t.Error("nobody told of its former log, the test shows nothing")
		}
		if rows > 0 {
			t.Errorf("founds: %v: %d rows were sent", founds, rows)
		}
	}
}

// The logs of former lives are told for as long as those of other directors that are gone, and not
// by a disk that has lost something.
func TestFormerLogsThatAreNotTold(t *testing.T) {
	for name, test := range map[string]struct {
		pause   time.Duration
		damaged bool
		told    bool
	}{
		"a moment":   {pause: time.Second, told: true},
		"a while":    {pause: 4 * time.Minute, told: true},
		"long ago":   {pause: 6 * time.Minute},
		"is damaged": {pause: time.Second, damaged: true},
	} {
		w := onDisks(t, 1)
		d1 := w.directors[0]
		d1.must(7)
		w.run(2 * time.Second)
		d1.stopped, d1.disk.damaged, d1.disk.goOn = true, test.damaged, true
		w.now = w.now.Add(test.pause)
		d1.boots(false)
		if told := d1.core.logs.Len() > 0; told != test.told {
			t.Errorf("%s: told %v, want %v", name, told, test.told)
		}
	}
}

// A director that left founds the mesh from its disk, and the other one, which went on for longer
// than a mapping lives, comes after. It brings all of that, not only what its disk may lack, also
// where the disk is of a release that did not keep up to where its log went.
func TestFoundsFromAnOldDisk(t *testing.T) {
	w := onDisks(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	d1.core.Leave(w.now)
	w.deliver()
	d1.crash()
	w.run(2 * testExpire)
	const h = 31415
	d2.must(h)
	w.run(15 * time.Second)
	d2.must(h)
	w.run(15 * time.Second)
	d2.crash()
	for _, m := range d2.disk.kept {
		if mark, ok := m.(*wire.Mark); ok {
			mark.Logs = nil
		}
	}
	d1.boots(true)
	w.run(time.Second)
	d2.boots(false)
	w.until("the other one answers", 20*time.Second, d2.core.synced)
	if got, want := d1.live(h), d2.live(h); got != want {
		t.Errorf("it has %+v, want %+v", got, want)
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
