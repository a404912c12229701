package replica

import (
	"testing"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// fastMoves are ways in which a move ends within less than a second.
func fastMoves() map[string]func(*Config) {
	return map[string]func(*Config){
		"no kick delay":         func(c *Config) { c.KickDelay = 0 },
		"the backend is vacant": func(c *Config) { c.AsksBackends = true },
	}
}

// notCounted returns a mesh of two, and a joiner that asks d1 for lookups and that those which move
// users do not count: it has not been heard to ask them for admission.
func notCounted(t *testing.T, change func(*Config), movers ...string) (*world, *director) {
	t.Helper()
	w := started(t, 2, change)
	var joiner *director
	w.lose = func(from, to *director, m wire.Message) bool {
		switch m.(type) {
		case *wire.SnapshotChunk:
			return to == joiner
		case *wire.AdmitRequest:
			for _, name := range movers {
				if from == joiner && to.name == name {
					return true
				}
			}
		}
		return false
	}
	joiner = w.start("joiner", change)
	w.noGossip = true
	w.run(time.Second)
	for _, name := range movers {
		if p := w.named(name).core.peers.get("joiner"); !p.live || p.Counted {
			t.Fatalf("the joiner is live %v, counted %v at %s", p.live, p.Counted, name)
		}
	}
	return w, joiner
}

// A relayed answer may be under way for most of a second. No move is over by then, however fast it
// is and whoever makes it, although it does not wait for the director that asked: that director
// would let the user in where the user has been before.
func TestRelayedAnswerBesideAFastMove(t *testing.T) {
	const h = 4 // of which the joiner asks d1 first
	for name, change := range fastMoves() {
		for _, mover := range []string{"d1", "d2"} {
			w, joiner := notCounted(t, change, "d1", "d2")
			d1, d2 := w.directors[0], w.directors[1]
			from := d1.must(h)
			w.run(100 * time.Millisecond)
			late := w.slowTo(joiner, d1, d2)
			_, id := joiner.ask(h)
			w.deliver()
			asked := w.now
			op := w.named(mover).begin(Move{Hash: h, Backend: another(from), Wait: true})
			held := w.now
			w.until("the end of the move", 3*time.Second, func() bool {
				for _, d := range w.directors[:2] {
					for _, a := range d.asked {
						d.core.VacantDone(w.now, a.ID, true)
					}
					d.asked = nil
				}
				if d1.core.moves.Held.Len() > 0 && d2.core.moves.Held.Len() > 0 {
					held = w.now
				}
				_, done := w.named(mover).done[op]
				return done
			})
			if err := w.named(mover).done[op].Err; err != nil {
				t.Fatal(err)
			}
			if took := held.Sub(asked); took < time.Second || took > 1500*time.Millisecond {
				t.Errorf("%s, moved by %s: let in elsewhere %v after the question", name, mover,
					took)
			}
			replies := 0
			for _, m := range *late {
				if _, ok := m.(*wire.LookupReply); ok {
					replies++
				}
				joiner.hears(d1, m)
			}
			joiner.carryOut()
			if a, answered := joiner.answers[id]; answered {
				t.Errorf("%s, moved by %s: the joiner answers %v", name, mover, a)
			}
			if replies == 0 {
				t.Errorf("%s, moved by %s: d1 has not been asked", name, mover)
			}
		}
	}
}

// A relayed answer that comes in time is given, and a move that begins later than a second after it
// is as fast as ever.
func TestFastMoveAfterARelayedAnswer(t *testing.T) {
	const h = 4
	for name, change := range fastMoves() {
		w, joiner := notCounted(t, change, "d1", "d2")
		d1, d2 := w.directors[0], w.directors[1]
		from := d1.must(h)
		w.run(100 * time.Millisecond)
		_, id := joiner.ask(h)
		w.deliver()
		if a := joiner.answers[id]; a.Backend != from {
			t.Fatalf("%s: the joiner answers %+v, want %v", name, a, from)
		}
		w.run(1100 * time.Millisecond)
		began := w.now
		op := d2.begin(Move{Hash: h, Backend: another(from), Wait: true})
		w.until("the end of the move", 3*time.Second, func() bool {
			for _, a := range d2.asked {
				d2.core.VacantDone(w.now, a.ID, true)
			}
			d2.asked = nil
			_, done := d2.done[op]
			return done
		})
		if took := w.now.Sub(began); took > 300*time.Millisecond {
			t.Errorf("%s: the move took %v", name, took)
		}
		w.run(time.Second)
		if n := d1.core.relayed.Len(); n != 0 {
			t.Errorf("%s: %d answers are remembered that nobody gives any more", name, n)
		}
	}
}

// A confirmation that waits for a relayed answer to be old is not given sooner because streams
// break or the Hold comes again, and not lost where the stream is down at that moment.
func TestLateConfirmation(t *testing.T) {
	const h = 4
	for name, test := range map[string]struct {
		cut, heal time.Duration
		confirms  int // the Hold, which comes again, and the answer, which is repeated
	}{
		"streams break": {300 * time.Millisecond, 325 * time.Millisecond, 1},
		"no stream when the confirmation is due": {
			900 * time.Millisecond, 1200 * time.Millisecond, 2,
		},
	} {
		w, joiner := notCounted(t, func(c *Config) { c.KickDelay = 0 }, "d1", "d2")
		d1, d2 := w.directors[0], w.directors[1]
		from := d1.must(h)
		w.run(100 * time.Millisecond)
		joiner.ask(h)
		w.deliver()
		asked := w.now
		holds, confirms := 0, 0
		var held mono.Time
		w.also(func(f, to *director, m wire.Message) bool {
			switch m.(type) {
			case *wire.Hold:
				if to == d1 {
					holds++
				}
			case *wire.Held:
				if f == d1 {
					held, confirms = w.now, confirms+1
				}
			}
			return false
		})
		op := d2.begin(Move{Hash: h, Backend: another(from), Wait: true})
		w.run(test.cut)
		w.split([]*director{d1}, []*director{d2})
		w.run(test.heal - test.cut)
		w.heal()
		w.until("the end of the move", 3*time.Second, func() bool {
			_, done := d2.done[op]
			return done
		})
		if took := held.Sub(asked); took <= time.Second || took > test.heal+time.Second {
			t.Errorf("%s: confirmed %v after the question", name, took)
		}
		if holds != 2 || confirms != test.confirms {
			t.Errorf("%s: %d Holds, confirmed %d times; want 2 and %d", name, holds, confirms,
				test.confirms)
		}
		if got := d2.done[op]; got.Err != nil || len(got.Outcome.FailedPeers) > 0 {
			t.Errorf("%s: ended with %+v", name, got)
		}
		if len(d1.kicked) != 1 {
			t.Errorf("%s: d1 ends sessions %d times", name, len(d1.kicked))
		}
		if n := len(d1.core.answers.TakeDue(w.now.Add(time.Hour))); n != 0 {
			t.Errorf("%s: %d confirmations wait still", name, n)
		}
	}
}

// A director that has just answered for another one, and leaves or begins a new life, is not waited
// for any more. Its answer may be under way all the same.
func TestRelayedAnswerOfADirectorThatIsGone(t *testing.T) {
	const h = 4
	leaves := func(w *world, d1 *director) { d1.core.Leave(w.now) }
	for name, test := range map[string]struct{ before, during func(w *world, d1 *director) }{
		"leaves before the move": {before: leaves},
		"leaves during the move": {during: leaves},
		"steps during the move": {during: func(w *world, d1 *director) {
			d1.core.step(w.now, 2*time.Second)
			d1.core.Take() // to close the streams: the joiner has not read its own to the end
			w.breakStream(d1, w.named("d2"))
			w.breakStream(w.named("d2"), d1)
			w.cut[[2]string{"d1", "joiner"}], w.cut[[2]string{"joiner", "d1"}] = true, true
		}},
	} {
		w, joiner := notCounted(t, func(c *Config) { c.KickDelay = 0 }, "d1", "d2")
		d1, d2 := w.directors[0], w.directors[1]
		from := d1.must(h)
		w.run(100 * time.Millisecond)
		session, late := joiner.sessions["d1"], w.slowTo(joiner, d1, d2)
		_, id := joiner.ask(h)
		w.deliver()
		asked := w.now
		if test.before != nil {
			test.before(w, d1)
			w.deliver()
		}
		op := d2.begin(Move{Hash: h, Backend: another(from), Wait: true})
		w.deliver()
		if test.during != nil {
			test.during(w, d1)
		}
		w.until("the end of the move", 3*time.Second, func() bool {
			_, done := d2.done[op]
			return done
		})
		if err := d2.done[op].Err; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, m := range *late {
			joiner.core.Receive(w.now, session, d1.says(m))
		}
		joiner.carryOut()
		if a, answered := joiner.answers[id]; answered {
			t.Errorf("%s: the joiner answers %v, %v after it has asked", name, a,
				w.now.Sub(asked))
		}
	}
}

// A director that asks may be one of which the mover has only heard, since the streams between the
// two are still being opened.
func TestRelayedAnswerToOneThatIsNotMetYet(t *testing.T) {
	const h = 4
	noDelay := func(c *Config) { c.KickDelay = 0 }
	w := started(t, 2, noDelay)
	d1, d2 := w.directors[0], w.directors[1]
	from := d1.must(h)
	w.cut[[2]string{"d2", "joiner"}], w.cut[[2]string{"joiner", "d2"}] = true, true
	joiner := w.start("joiner", noDelay)
	w.noGossip = true
	var late []wire.Message // on the slow stream from d1 to the joiner
	w.lose = losing[*wire.SnapshotChunk](d1, joiner)
	w.run(time.Second)
	w.also(func(f, to *director, m wire.Message) bool {
		if f == d1 && to == joiner {
			late = append(late, m)
		}
		return f == d1 && to == joiner
	})
	d2.core.MemberJoined(w.now, joiner.name, joiner.core.cfg.Addr, joiner.core.boot)
	session := joiner.sessions["d1"]
	_, id := joiner.ask(h)
	w.deliver()
	d1.core.Leave(w.now)
	w.deliver()
	op := d2.begin(Move{Hash: h, Backend: another(from), Wait: true})
	w.until("the end of the move", 3*time.Second, func() bool {
		_, done := d2.done[op]
		return done
	})
	if d2.core.peers.get(joiner.name) != nil {
		t.Fatal("d2 has met the joiner; the test shows nothing")
	}
	for _, m := range late {
		joiner.core.Receive(w.now, session, d1.says(m))
	}
	joiner.carryOut()
	if a, answered := joiner.answers[id]; answered {
		t.Errorf("the joiner answers %v", a)
	}
}

// Where all are synced nobody has asked a director that leaves, and no move waits for its answers.
func TestMovesAfterAFarewell(t *testing.T) {
	w := started(t, 3, func(c *Config) { c.KickDelay = 0 })
	d1, d2 := w.directors[0], w.directors[1]
	from := d1.must(4)
	w.run(time.Second)
	w.directors[2].core.Leave(w.now)
	w.deliver()
	op := d2.begin(Move{Hash: 4, Backend: another(from), Wait: true})
	w.run(500 * time.Millisecond)
	if outcome, done := d2.done[op]; !done || outcome.Err != nil {
		t.Errorf("the move is done: %v, %v", done, outcome.Err)
	}
}

// slowTo holds back what one director says to the joiner, and gathers it; what another one says to
// the joiner is lost.
func (w *world) slowTo(joiner, slow, lost *director) *[]wire.Message {
	late := new([]wire.Message)
	w.also(func(from, to *director, m wire.Message) bool {
		if from == slow && to == joiner {
			*late = append(*late, m)
			return true
		}
		return from == lost && to == joiner
	})
	return late
}
