package replica

import (
	"testing"
	"time"

	"directormesh/mesh/mono"
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
		type letter struct {
			due mono.Time
			m   wire.Message
		}
		var post []letter
		cut := between(d1, other)
		w.lose = func(from, to *director, m wire.Message) bool {
			if from != slow || to != d1 {
				return test.cut && cut(from, to, m)
			}
			post = append(post, letter{w.now.Add(test.late), m})
			return true
		}
		d1.core.clock.Move(-test.stood)
		noticed := w.now.Add(300*time.Millisecond + test.late)
		for end := w.now.Add(10 * time.Second); w.now < end; {
			w.run(25 * time.Millisecond)
			for len(post) > 0 && post[0].due <= w.now {
				d1.hears(slow, post[0].m)
				post = post[1:]
			}
			if apart := w.spread(); w.now > noticed && apart > time.Second {
				t.Errorf("%+v: at %v two that are synced are %v apart", test, w.now, apart)
				break
			}
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
