package replica

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/wire"
)

// A host that is cut off from some others stands still, with all its clocks, and is behind those
// that it still hears. What it read before of the clocks of the others agrees with its own: that
// must not let it answer by its own time, be it that it excludes them, that they are removed, that
// it stands still for short times only, or that it was about to be admitted.
func TestStandsStillInASplit(t *testing.T) {
	const noticedWithin = 300 * time.Millisecond // the first beat shows it
	for _, test := range []struct {
		name  string
		times int // that it stands still, one and a half seconds after one another
		stood time.Duration
		how   func(w *world, d1, d2, d3 *director)
	}{
		{"excludes", 1, 2400 * time.Millisecond, nil},
		{"removes", 1, 10700 * time.Millisecond, func(w *world, d1, _, d3 *director) {
			d1.begin(SetDirectorRemoved{Name: d3.name, Removed: true})
		}},
		{"moments", 3, 900 * time.Millisecond, nil},
		{"not synced", 1, 2400 * time.Millisecond, func(w *world, d1, d2, d3 *director) {
			w.lose = losing[*wire.Admitted](d2, d1)
			d1.core.beginAdmission(w.now)
			w.run(500 * time.Millisecond)
			if d1.core.synced() {
				t.Fatal("d1 is synced; the test shows nothing")
			}
		}},
	} {
		w := started(t, 3)
		d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
		w.run(2 * time.Second)
		if test.how != nil {
			test.how(w, d1, d2, d3)
		}
		w.lose = between(d1, d3)
		for range test.times {
			d1.core.clock.Move(-test.stood)
			w.run(noticedWithin)
			w.wantOneClock(test.name, 1200*time.Millisecond)
		}
		w.wantOneClock(test.name, 10*time.Second)
		if !d1.core.synced() || d1.offset().Abs() > time.Second {
			t.Errorf("%s: in the end d1 is synced: %v, and %v off",
				test.name, d1.core.synced(), d1.offset())
		}
	}
}

// Two hosts stand still together. One of them sees that by those that the other one cannot reach,
// and steps. That shows the other one that it stood still as well: the two must not answer by two
// clocks.
func TestOneOfTwoThatStoodStillSteps(t *testing.T) {
	for _, n := range []int{4, 5} {
		w := started(t, n)
		d1, d2 := w.directors[0], w.directors[1]
		w.lose = func(from, to *director, _ wire.Message) bool {
			return from == d2 && to != d1 || to == d2 && from != d1
		}
		for _, d := range []*director{d1, d2} {
			d.core.clock.Move(-4 * time.Second)
		}
		for end := w.now.Add(15 * time.Second); w.now < end; {
			w.run(25 * time.Millisecond)
			apart := d1.offset() - d2.offset()
			if d1.core.synced() && d2.core.synced() && apart.Abs() > time.Second {
				t.Fatalf("%d directors: at %v both are synced, and %v apart", n, w.now, apart)
			}
		}
		for _, d := range []*director{d1, d2} {
			if !d.core.synced() || d.offset().Abs() > time.Second {
				t.Errorf("%d directors: in the end %s is synced: %v, and %v off",
					n, d.name, d.core.synced(), d.offset())
			}
		}
	}
}

// What is known of the clocks may be another than when they were last looked at: a peer whose clock
// agreed with ours has stepped since, as another one shows that we must. Nobody becomes synced
// without another look.
func TestLooksAtClocksBeforeItIsSynced(t *testing.T) {
	w := started(t, 2)
	c := w.directors[0].core
	w.run(2 * time.Second)
	c.admission.synced = false
	c.peers.get("d2").clock.IsAhead(w.now, 2400*time.Millisecond)
	if c.evaluate(w.now); c.synced() {
		t.Error("it is synced, 2.4 s behind the other one")
	}
}

// Before it steps, a director waits for the clocks of those that it follows. One whose answers come
// too late to tell them does not keep it from that, be it that we stood still or that most others
// did, and we are the one to step.
func TestStepsBesideASlowPeer(t *testing.T) {
	for _, stood := range [][]string{{"d1"}, {"d2", "d3"}} {
		w := started(t, 3)
		d1 := w.directors[0]
		w.run(2 * time.Second)
		deliver := w.slowly(w.directors[2], d1, 3500*time.Millisecond)
		for _, name := range stood {
			w.named(name).core.clock.Move(-10700 * time.Millisecond)
		}
		before := d1.core.Counters().ClockSteps
		for end := w.now.Add(12 * time.Second); w.now < end; deliver() {
			w.run(25 * time.Millisecond)
		}
		if d1.core.Counters().ClockSteps == before {
			t.Errorf("%v stood still: d1 has not stepped", stood)
		}
		if apart := d1.offset() - w.directors[1].offset(); apart.Abs() > time.Second {
			t.Errorf("%v stood still: d1 is %v apart from d2", stood, apart)
		}
	}
}

// Two that start with their clocks on two sides of the others' are further apart than each may be
// from those, until they have slewed. That one of them stands still shows all the same.
func TestStandsStillBeforeItHasSlewed(t *testing.T) {
	w := newWorld(t)
	for _, off := range []time.Duration{0, 0, -400 * time.Millisecond, 400 * time.Millisecond} {
		name := fmt.Sprintf("d%d", len(w.directors)+1)
		w.start(name, func(c *Config) { c.Wall = c.Wall.Add(off) })
	}
	w.until("all synced", 10*time.Second, w.allSynced)
	d3, d4 := w.directors[2], w.directors[3]
	w.run(2 * time.Second)
	if apart := d4.offset() - d3.offset(); apart <= meshtime.Tolerance {
		t.Fatalf("d3 and d4 are %v apart; the test shows nothing", apart)
	}
	w.lose = func(from, to *director, _ wire.Message) bool {
		return from == d4 && to != d3 || to == d4 && from != d3
	}
	d4.core.clock.Move(-2400 * time.Millisecond)
	w.run(300 * time.Millisecond) // the first beat shows it
	w.wantOneClock("cut off from those in the middle", 12*time.Second)
}

// Whom a director waits for since a step it waits for after one more step, too; for whom it was in
// touch with from then on.
func TestWaitsForThoseOfBeforeAStep(t *testing.T) {
	w := started(t, 3)
	d1, d2 := w.directors[0], w.directors[1]
	c := d1.core
	gone := wire.Life{Name: "d9", Boot: 9}
	named := wire.Life{Name: d2.name, Boot: d2.core.boot}
	longAgo := w.now.Add(-failAfter - time.Second)
	c.admission.named.Note(w.now, gone)
	c.admission.named.Note(longAgo, named)
	c.step(w.now, time.Second)
	if !slices.Contains(c.admission.named.All(), gone) {
		t.Errorf("waits for %v only", c.admission.named.All())
	}
	if c.admission.named.Over(w.now, named, failAfter) {
		t.Error("does not wait for the one that it was in touch with")
	}
	if c.synced() {
		t.Error("is synced")
	}
}

// Where frames are slow streams take longer to open than it takes for a director to fail. One that
// was named, and is heard, is waited for a while longer.
func TestWaitsForOneThatIsHeard(t *testing.T) {
	for _, test := range []struct {
		name  string
		waits time.Duration
		heard time.Duration // so long ago
		over  bool
	}{
		{"not heard", failAfter, 2 * failAfter, false},
		{"not heard, too long", failAfter + 1, 2 * failAfter, true},
		{"heard", contactLost, failAfter, false},
		{"heard, a while ago", contactLost, failAfter + 1, true},
		{"heard, too long", contactLost + 1, 0, true},
	} {
		w := newWorld(t)
		c := w.start("d1").core
		who := wire.Life{Name: "d2", Boot: 2}
		now := w.now.Add(time.Minute)
		c.peers.add(&peer{
			name: "d2", boot: 2, seenAt: now.Add(-test.heard),
			log: c.logs.Open(logs.ID{Name: "d2", Boot: 2}),
		})
		c.admission.named.Note(now.Add(-test.waits), who)
		if got := c.reachedOrGone(now, who); got != test.over {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// A host that has stood still, and waits for the clocks of those that it does not hear, is paused
// for a moment. The time that it gives them for that is no answer of theirs.
func TestPausedAfterAStandstill(t *testing.T) {
	for _, stopped := range []time.Duration{1200 * time.Millisecond, 2 * time.Second} {
		w := started(t, 3)
		d1, d3 := w.directors[0], w.directors[2]
		w.run(2 * time.Second)
		w.lose = between(d1, d3)
		d1.core.clock.Move(-2400 * time.Millisecond)
		w.run(300 * time.Millisecond) // the first beat shows it
		d1.stopped = true
		w.run(stopped)
		d1.stopped = false
		w.wantOneClock(stopped.String(), 10*time.Second)
		w.until("d1 is synced", 3*time.Second, d1.core.synced)
		w.wantOneClock(stopped.String(), time.Second)
	}
}

// The first word after a standstill may be the hello of a new stream. It shows that we stood still
// as a beat does, and nobody else keeps us from answering.
func TestHelloAfterAStandstill(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	w.run(2 * time.Second)
	d1.must(7)
	d1.core.clock.Move(-7 * time.Second)
	hello := d2.core.Hello(w.now, Dial{Name: d1.name, Addr: d1.core.cfg.Addr})
	_, session, err := d1.core.Accept(w.now, hello)
	if err != nil {
		t.Fatal(err)
	}
	d1.sessions[d2.name] = session
	if _, answers := d1.core.TryLookup(w.now, "", 7); answers {
		t.Error("it answers although its clock stood still")
	}
	w.until("all synced", 10*time.Second, w.allSynced)
}

// Answers that take longer than before tell little of a clock, and are passed over for a while. But
// one that shows that the peer is ahead shows that we stood still; and that we did makes void what
// we know of the clock of one whose answers come later than that.
func TestStandsStillAndHearsLate(t *testing.T) {
	for _, test := range []struct {
		slow        string // the director whose messages come late
		late, stood time.Duration
		cut         bool // the other one is cut off
	}{
		{"d3", 100 * time.Millisecond, 2400 * time.Millisecond, false},
		{"d3", 600 * time.Millisecond, 2400 * time.Millisecond, false},
		{"d3", 3500 * time.Millisecond, 2400 * time.Millisecond, false},
		{"d2", time.Second, 7 * time.Second, true},
	} {
		w := started(t, 3)
		d1, slow, other := w.directors[0], w.named(test.slow), w.directors[1]
		if slow == other {
			other = w.directors[2]
		}
		w.run(2 * time.Second)
		if test.cut {
			w.lose = between(d1, other)
		}
		deliver := w.slowly(slow, d1, test.late)
		d1.core.clock.Move(-test.stood)
		noticed := w.now.Add(300*time.Millisecond + test.late)
		for end := w.now.Add(10 * time.Second); w.now < end; {
			w.run(25 * time.Millisecond)
			deliver()
			if apart := w.spread(); w.now > noticed && apart > time.Second {
				t.Errorf("%+v: at %v two that are synced are %v apart", test, w.now, apart)
				break
			}
		}
	}
}

// slowly has messages from one director to another one come late, whenever deliver is called. What
// is lost already stays so.
func (w *world) slowly(slow, reader *director, late time.Duration) (deliver func()) {
	type letter struct {
		due mono.Time
		m   wire.Message
	}
	var post []letter
	lose := w.lose
	w.lose = func(from, to *director, m wire.Message) bool {
		if from != slow || to != reader {
			return lose != nil && lose(from, to, m)
		}
		post = append(post, letter{w.now.Add(late), m})
		return true
	}
	return func() {
		for len(post) > 0 && post[0].due <= w.now {
			reader.hears(slow, post[0].m)
			post = post[1:]
		}
	}
}

// wantOneClock checks for a while that those that are synced go by one clock.
func (w *world) wantOneClock(what string, during time.Duration) {
	w.t.Helper()
	for end := w.now.Add(during); w.now < end; {
		w.run(25 * time.Millisecond)
		if apart := w.spread(); apart > time.Second {
			w.t.Errorf("%s: at %v two that are synced are %v apart", what, w.now, apart)
			return
		}
	}
}

// between loses all messages between two directors.
func between(a, b *director) func(from, to *director, m wire.Message) bool {
	return func(from, to *director, m wire.Message) bool {
		return from == a && to == b || from == b && to == a
	}
}
