package replica

import (
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/admission"
	"directormesh/mesh/replica/internal/waiters"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// relaying returns a mesh of n directors with users, and one more that is in touch with all but
// cannot get a snapshot: it has to ask them for each lookup.
func relaying(t *testing.T, n int) (w *world, joiner *director) {
	t.Helper()
	w = started(t, n)
	w.lose = func(_, to *director, m wire.Message) bool {
		_, chunk := m.(*wire.SnapshotChunk)
		return chunk && to == joiner
	}
	joiner = w.start("joiner")
	w.run(time.Second)
	if joiner.core.synced() {
		t.Fatal("the joiner is synced")
	}
	return w, joiner
}

// also loses what is told beside what is lost already.
func (w *world) also(lose func(from, to *director, m wire.Message) bool) {
	before := w.lose
	w.lose = func(from, to *director, m wire.Message) bool {
		return before(from, to, m) || lose(from, to, m)
	}
}

// live is the live mapping of a user.
func (d *director) live(h ring.UserHash) directory.Mapping {
	d.w.t.Helper()
	m, status := d.dir.Find("", h, d.core.MeshTime(d.w.now))
	if status != directory.Live {
		d.w.t.Fatalf("%s: the mapping of %v is %v", d.name, h, status)
	}
	return m
}

func TestRelayedLookup(t *testing.T) {
	w, joiner := relaying(t, 1)
	d1 := w.directors[0]
	_, id := joiner.ask(5)
	w.deliver()
	if got, want := joiner.answers[id].Backend, d1.must(5); got != want {
		t.Errorf("answered %v, the synced director says %v", got, want)
	}
	if got, want := joiner.live(5), d1.live(5); got != want {
		t.Errorf("the joiner has %+v, want %+v", got, want)
	}
	if got := joiner.core.Counters(); got.Relayed != 1 || got.UnsyncedWaits != 1 {
		t.Errorf("%d lookups relayed, %d waits counted, want one each",
			got.Relayed, got.UnsyncedWaits)
	}
}

// The lookup of a user being moved waits at the director that was asked, until the release.
func TestRelayedLookupOfAUserBeingMoved(t *testing.T) {
	w, joiner := relaying(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	to := another(d1.must(5))
	w.run(100 * time.Millisecond)
	if _, err := d2.do(Move{Hash: 5, Backend: to}); err != nil {
		t.Fatal(err)
	}
	var replies []wire.LookupReply
	w.also(func(_, _ *director, m wire.Message) bool {
		r, ok := m.(*wire.LookupReply)
		if ok {
			replies = append(replies, *r)
		}
		return false
	})
	d1.hears(joiner, &wire.LookupRequest{ID: 77, Hash: 5})
	w.until("the release", 3*time.Second, func() bool { return d1.core.moves.Held.Len() == 0 })
	w.deliver()
	if len(replies) != 1 || replies[0].ID != 77 || replies[0].Failed {
		t.Fatalf("replies %+v, want one", replies)
	}
	for m := range replies[0].Block.All() {
		if m != d1.live(5) || m.Backend != to {
			t.Errorf("the reply is %+v, want the row on %v", m, to)
		}
	}
	w.run(time.Second)
	if len(replies) != 1 {
		t.Errorf("replies %+v, want one", replies)
	}
}

// A relayed answer is not given when it is old, of somebody else, none, or when this director knows
// better.
func TestRelayedAnswersThatDoNotCount(t *testing.T) {
	const h = 5
	for _, test := range []struct {
		name   string
		change func(w *world, joiner *director, reply *wire.LookupReply)
		counts bool
	}{
		{"as it is", func(*world, *director, *wire.LookupReply) {}, true},
		{"a second old", func(w *world, _ *director, _ *wire.LookupReply) {
			w.now = w.now.Add(waiters.RelayValid)
		}, true},
		{"older", func(w *world, _ *director, _ *wire.LookupReply) {
			w.now = w.now.Add(waiters.RelayValid + 1)
		}, false},
		{"failed", func(_ *world, _ *director, r *wire.LookupReply) {
			*r = wire.LookupReply{ID: r.ID, Failed: true}
		}, false},
		{"of another user", func(w *world, _ *director, r *wire.LookupReply) {
			r.Block = wire.Pack("", []directory.Mapping{w.directors[0].live(h + 1)})
		}, false},
		{"of another tag", func(w *world, _ *director, r *wire.LookupReply) {
			r.Block = wire.Pack("ssd", []directory.Mapping{w.directors[0].live(h)})
		}, false},
		{"no backend", func(w *world, _ *director, r *wire.LookupReply) {
			m := w.directors[0].live(h)
			m.Backend = netip.Addr{}
			r.Block = wire.Pack("", []directory.Mapping{m})
		}, false},
		{"of a question that was not asked",
			func(_ *world, _ *director, r *wire.LookupReply) { r.ID++ }, false},
		{"of a user held here", func(w *world, joiner *director, _ *wire.LookupReply) {
			m := w.directors[0].live(h)
			m.Generation, m.Moving = m.Generation+1, true
			joiner.core.mergeRows(w.now, []wire.Block{wire.Pack("", []directory.Mapping{m})}, nil)
		}, false},
		{"beaten by a row of here", func(w *world, joiner *director, _ *wire.LookupReply) {
			m := w.directors[0].live(h)
			m.Generation, m.Backend = m.Generation+1, another(m.Backend)
			joiner.core.mergeRows(w.now, []wire.Block{wire.Pack("", []directory.Mapping{m})}, nil)
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, joiner := relaying(t, 1)
			d1 := w.directors[0]
			d1.must(h)
			d1.must(h + 1)
			var reply *wire.LookupReply
			w.also(func(_, _ *director, m wire.Message) bool {
				r, ok := m.(*wire.LookupReply)
				if ok && reply == nil {
					reply = r
				}
				return ok
			})
			_, id := joiner.ask(h)
			w.deliver()
			if reply == nil {
				t.Fatal("no reply")
			}
			test.change(w, joiner, reply)
			joiner.hears(d1, reply)
			joiner.carryOut()
			if _, answered := joiner.answers[id]; answered != test.counts {
				t.Errorf("answered: %v, want %v", answered, test.counts)
			}
			if test.counts {
				joiner.hears(d1, reply) // again
				joiner.carryOut()
				return
			}
			w.lose = losing[*wire.SnapshotChunk](d1, joiner)
			w.run(2 * time.Second)
			if m := joiner.live(h); m == d1.live(h) && joiner.answers[id].Backend != m.Backend {
				t.Errorf("later answered %+v, want %v", joiner.answers[id], m.Backend)
			}
		})
	}
}

// A director that does not answer is asked again after a second, then another one.
func TestRelayedLookupIsAskedAgain(t *testing.T) {
	w, joiner := relaying(t, 2)
	asked := map[string]int{}
	w.also(func(_, to *director, m wire.Message) bool {
		_, request := m.(*wire.LookupRequest)
		if request {
			asked[to.name]++
		}
		return request
	})
	_, id := joiner.ask(5)
	w.deliver()
	w.run(admission.AskAgain)
	if asked["d1"]+asked["d2"] != 1 {
		t.Errorf("asked %v within a second, want one", asked)
	}
	w.run(25 * time.Millisecond)
	if asked["d1"] != 1 || asked["d2"] != 1 {
		t.Errorf("asked %v after a second, want each once", asked)
	}
	w.run(waiters.Deadline)
	if got := joiner.answers[id].Err; errorText(got) != "temporary failure: not synced" {
		t.Errorf("after thirty seconds the answer is %v", got)
	}
	if n := asked["d1"] + asked["d2"]; n < 25 || n > 31 {
		t.Errorf("asked %d times in thirty seconds", n)
	}
}

// A director that is not synced answers nobody, and one that cannot answer in time says so.
func TestRelayedLookupThatFails(t *testing.T) {
	w, joiner := relaying(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	var replies []wire.LookupReply
	w.also(func(_, to *director, m wire.Message) bool {
		r, ok := m.(*wire.LookupReply)
		if ok {
			replies = append(replies, *r)
		}
		return ok
	})
	joiner.hears(d1, &wire.LookupRequest{ID: 77, Hash: 5})
	w.deliver()
	if len(replies) != 1 || replies[0].ID != 77 || !replies[0].Failed {
		t.Errorf("a director that is not synced replies %+v", replies)
	}
	w.down(4)
	replies = nil
	d2.hears(joiner, &wire.LookupRequest{ID: 78, Hash: 5})
	w.deliver()
	w.run(waiters.Deadline - 25*time.Millisecond)
	if len(replies) != 0 {
		t.Errorf("a director that waits for a backend replies %+v", replies)
	}
	w.run(25 * time.Millisecond)
	if len(replies) != 1 || replies[0].ID != 78 || !replies[0].Failed {
		t.Errorf("after thirty seconds it replies %+v", replies)
	}
	// Who asked may be gone when the answer is there.
	d2.hears(joiner, &wire.LookupRequest{ID: 79, Hash: 5})
	joiner.crash()
	w.run(waiters.Deadline + time.Second)
	if n := d2.core.Self(w.now).Waiting; n != 0 {
		t.Errorf("%d lookups still wait", n)
	}
}

// Only directors are asked that are in touch, synced and reachable.
func TestWhoIsAskedForALookup(t *testing.T) {
	for name, change := range map[string]func(*peer){
		"not in touch":  func(p *peer) { p.live = false },
		"not synced":    func(p *peer) { p.synced = false },
		"not reachable": func(p *peer) { p.out = false },
	} {
		w, joiner := relaying(t, 2)
		change(joiner.core.peers.get("d2"))
		for h := range ring.UserHash(4) {
			joiner.core.Lookup(w.now, joiner.id(), "", h)
		}
		for _, e := range joiner.core.Take() {
			if e, ok := e.(Send); ok && e.Message.Kind() == (&wire.LookupRequest{}).Kind() &&
				e.To[0] != "d1" {
				t.Errorf("%s: %v is asked", name, e.To)
			}
		}
		if n := joiner.core.Counters().Relayed; n != 4 {
			t.Errorf("%s: %d lookups are relayed, want 4", name, n)
		}
	}
}

// An answer to an earlier question is old, however lately the question was asked again.
func TestRelayedAnswerToAnEarlierQuestion(t *testing.T) {
	w, joiner := relaying(t, 1)
	d1 := w.directors[0]
	d1.must(5)
	var questions []uint64
	w.also(func(_, _ *director, m wire.Message) bool {
		q, ok := m.(*wire.LookupRequest)
		if ok {
			questions = append(questions, q.ID)
		}
		return ok
	})
	_, id := joiner.ask(5)
	w.deliver()
	w.run(admission.AskAgain + 25*time.Millisecond)
	if len(questions) != 2 {
		t.Fatalf("asked %d times, want twice", len(questions))
	}
	reply := func(n int) *wire.LookupReply {
		return &wire.LookupReply{
			ID: questions[n], Block: wire.Pack("", []directory.Mapping{d1.live(5)}),
		}
	}
	joiner.hears(d1, reply(0))
	joiner.carryOut()
	if a, answered := joiner.answers[id]; answered {
		t.Errorf("answered %+v by what was said a second ago", a)
	}
	joiner.hears(d1, &wire.LookupReply{ID: questions[1], Failed: true})
	w.run(25 * time.Millisecond)
	if len(questions) != 3 {
		t.Errorf("asked %d times, want again at once when the answer is that there is none",
			len(questions))
	}
	joiner.hears(d1, reply(2))
	joiner.carryOut()
	if _, answered := joiner.answers[id]; !answered {
		t.Error("the last answer does not count")
	}
}

// What was asked by another is never asked on.
func TestRelayedLookupIsNotRelayedOn(t *testing.T) {
	w, joiner := relaying(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	w.down(4)
	d1.hears(joiner, &wire.LookupRequest{ID: 77, Hash: 5})
	asked := 0
	w.also(func(from, _ *director, m wire.Message) bool {
		if _, ok := m.(*wire.LookupRequest); ok && from == d1 {
			asked++
		}
		return false
	})
	d1.hears(d3, &wire.Exclude{})
	w.run(2 * time.Second)
	if asked > 0 {
		t.Errorf("asked others %d times", asked)
	}
}

// asking returns a mesh of three, of which d3 is not synced, for one does not hear it ask for
// admission, and asks the others for each lookup.
func asking(t *testing.T) (w *world, d1, d2, d3 *director) {
	t.Helper()
	w = started(t, 3)
	d1, d2, d3 = w.directors[0], w.directors[1], w.directors[2]
	w.lose = losing[*wire.AdmitRequest](d3, d2)
	d3.stopped = true
	w.run(2 * time.Second)
	d3.stopped = false
	w.run(time.Second)
	if !d1.core.synced() || !d2.core.synced() || d3.core.synced() {
		t.Fatalf("synced: d1 %v, d2 %v, d3 %v", d1.core.synced(), d2.core.synced(),
			d3.core.synced())
	}
	return w, d1, d2, d3
}

// A director that was asked for a lookup makes a mapping, and dies before its log has reached all.
// The others have it of the director that asked.
func TestRelayedMappingOutlivesItsMaker(t *testing.T) {
	const h = 4 // of which d3 asks d1 first
	w, d1, d2, d3 := asking(t)
	w.also(losing[*wire.Rows](d1, d2))
	_, id := d3.ask(h)
	w.deliver()
	made := d1.live(h)
	if a := d3.answers[id]; a.Backend != made.Backend {
		t.Fatalf("d3 answers %+v, want %v", a, made.Backend)
	}
	if _, status := d2.dir.Find("", h, d2.core.MeshTime(w.now)); status != directory.None {
		t.Fatal("d2 has it all the same, the test shows nothing")
	}
	d1.crash()
	w.run(failAfter + time.Second)
	if got := d2.live(h); got != made {
		t.Errorf("d2 has %+v, want %+v", got, made)
	}
}

// What a relayed lookup prolongs waits for the batch, and what many make that have waited is one.
func TestBatchOfRelayedLookups(t *testing.T) {
	const h = 4
	w, d1, d2, d3 := asking(t)
	d1.must(h)
	w.run(20 * time.Second)
	var batches []int // rows of each
	w.also(func(from, to *director, m wire.Message) bool {
		if r, ok := m.(*wire.Rows); ok && from == d1 && to == d2 {
			batches = append(batches, r.Blocks[0].Len())
		}
		return false
	})
	before := d1.live(h)
	d1.hears(d3, &wire.LookupRequest{ID: 70, Hash: h})
	w.deliver()
	if m := d1.live(h); len(batches) > 0 || m.Activity == before.Activity {
		t.Errorf("prolonged by %d, and %v are written at once", m.Activity-before.Activity, batches)
	}
	w.run(time.Second)
	w.down(4)
	for i := range uint64(5) {
		d1.hears(d3, &wire.LookupRequest{ID: 80 + i, Hash: ring.UserHash(100 + i)})
	}
	w.run(time.Second)
	batches = nil
	if _, err := d1.do(SetDown{Addr: testBackend(1)}); err != nil {
		t.Fatal(err)
	}
	if len(batches) != 1 || batches[0] != 5 {
		t.Errorf("batches of %v rows, want one of 5", batches)
	}
}
