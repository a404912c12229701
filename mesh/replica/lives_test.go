package replica

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// backendsBut are the backends but some.
func backendsBut(but ...netip.Addr) []netip.Addr {
	var others []netip.Addr
	for i := range 4 {
		if b := testBackend(i + 1); !slices.Contains(but, b) {
			others = append(others, b)
		}
	}
	return others
}

// restarts ends a director without a word and starts it again at once.
func (d *director) restarts() {
	d.crash()
	d.boots(false)
	d.w.until("synced after the restart", 20*time.Second, d.w.allSynced)
}

// slowKicker never gives an answer.
func slowKicker(Kick) (count int, known, answers bool) { return 0, false, false }

// A director chooses the same numbers again in each of its lives. A hold of the second life is no
// repeat of that of the first.
func TestHoldAgainAfterARestart(t *testing.T) {
	w := started(t, 3)
	w.noGossip = true // it would kick by itself, as the row changes
	d2, d3 := w.directors[1], w.directors[2]
	const h = 31415
	others := backendsBut(d3.must(h))
	w.run(time.Second)
	var id uint64
	var lives []logs.ID
	for i, to := range others[:2] {
		if i > 0 {
			d2.restarts()
			d2.core.lastID = id
		}
		id = d2.core.lastID
		lives = append(lives, logs.ID{Name: "d2", Boot: d2.core.boot})
		d3.kicked = nil
		if _, err := d2.do(Move{Hash: h, Backend: to, Wait: true}); err != nil {
			t.Fatal(err)
		}
		kicked := func(k Kick) bool { return k.Target.Hash == h && k.Target.Keep == to }
		if !slices.ContainsFunc(d3.kicked, kicked) {
			t.Errorf("move %d: d3 kicks %+v, want what is not on %v", i+1, d3.kicked, to)
		}
	}
	numbers := make(map[uint64]int)
	for _, life := range lives {
		for _, a := range d3.core.answers.To(w.now, life) {
			numbers[a.ID.ID]++
		}
	}
	if len(numbers) != 1 || numbers[slices.Collect(maps.Keys(numbers))[0]] != 2 {
		t.Errorf("d3 remembers holds of d2 %v, want the same number in two lives", numbers)
	}
}

// What a director still owes a peer for a hold of an earlier life says nothing to the next one,
// which has given out the same number for something else.
func TestAnswersForAnEarlierLife(t *testing.T) {
	w := started(t, 3)
	w.noGossip = true
	d2, d3 := w.directors[1], w.directors[2]
	d3.kicker = slowKicker
	const h = 27182
	others := backendsBut(d3.must(h))
	w.run(time.Second)
	d2.begin(Move{Hash: h, Backend: others[0]})
	w.run(time.Second)
	before := slices.Collect(d2.core.moves.Overdue(w.now, 0))[0]
	d3.core.Receive(w.now, d3.sessions["d2"], &wire.KickUser{ID: 77, Value: "user"})
	w.run(100 * time.Millisecond)
	d2.crash()
	d2.boots(false)
	var got []wire.Message
	w.filter = func(to *director, m wire.Message) bool {
		switch m := m.(type) {
		case *wire.Held:
			if to == d2 && m.ID == before.ID {
				got = append(got, m)
			}
		case *wire.Kicked, *wire.KickUserDone:
			if to == d2 {
				got = append(got, m)
			}
		}
		return true
	}
	w.until("d2 is back", 20*time.Second, d2.core.synced)
	for _, k := range d3.kicked {
		d3.core.KickDone(w.now, k.ID, KickResult{Count: 1, Known: true}, nil)
	}
	w.run(100 * time.Millisecond)
	for _, m := range got {
		t.Errorf("d2 gets an answer for its life before: %T %+v", m, m)
	}
}

// A flush of the life before is not taken for one of the next.
func TestFlushesOfTwoLives(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	first, err := d2.do(Flush{})
	if err != nil {
		t.Fatal(err)
	}
	d2.restarts()
	second, err := d2.do(Flush{})
	if err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if first.Flush == second.Flush || len(d1.core.Flushes()) != 2 {
		t.Errorf("flushes %v and %v, d1 knows %+v", first.Flush, second.Flush, d1.core.Flushes())
	}
}

// A peer that comes back in another life has to confirm a hold once more before it counts as
// holding the user, and is given the time for it.
func TestPeerThatComesBackHoldsAgain(t *testing.T) {
	w := started(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	d2.kicker = slowKicker // keeps the move under way
	const h = 16180
	others := backendsBut(d1.must(h))
	w.run(time.Second)
	d1.begin(Move{Hash: h, Backend: others[0]})
	w.run(6 * time.Second)
	m := d1.core.moves.Get(ring.User{Hash: h})
	d3Has := func() bool { return m.HeldBy("d3") && m.ReportedBy("d3") }
	if !d3Has() {
		t.Fatal("d3 has not confirmed and reported; the test shows nothing")
	}
	d3.crash()
	d3.boots(false)
	var late []wire.Message // takes a while
	w.filter = func(to *director, m wire.Message) bool {
		_, held := m.(*wire.Held)
		if held && to == d1 && d3.core.peers.get("d1").CountsUs {
			late = append(late, reread(t, m))
		}
		return !held || to != d1
	}
	w.until("d3 is counted", 5*time.Second, func() bool { return len(late) > 0 })
	if d3Has() {
		t.Error("d3's new life counts as holding the user")
	}
	w.run(time.Second)
	w.filter = nil
	for _, m := range late {
		d1.inbox = append(d1.inbox, mail{d1.sessions["d3"], m})
	}
	w.until("d3 has confirmed and reported", 3*time.Second, d3Has)
	if d3.core.answers.Len() == 0 {
		t.Error("d3's new life was not asked")
	}
	if n := d1.core.counters.Exclusions; n > 0 {
		t.Errorf("%d exclusions", n)
	}
}

// A hello that was under way while its sender stepped its clock is of the life before. It must not
// leave us with a stream on which nothing is sent any more, and whose end nobody would notice.
func TestHelloOfAnotherLifeEndsOurStream(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	late := d2.core.Hello(w.now, Dial{Name: "d1", Addr: d1.core.cfg.Addr})
	late.From.Boot++
	d1.core.Take()
	if _, _, err := d1.core.Accept(w.now, late); err != nil {
		t.Fatal(err)
	}
	for _, e := range d1.core.Take() {
		if c, ok := e.(CloseStream); ok && c.Peer == "d2" && c.Only == OurStream {
			return
		}
	}
	t.Error("the stream to d2's other life stays open, and nothing is sent on it")
}

// An answer that was under way while its sender died, and was started again, is of the life before.
// It must not leave the new life with a stream to us that we do not listen to.
func TestAnswerOfAnotherLifeEndsItsStream(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	late := d2.core.Hello(w.now, Dial{Name: "d1", Addr: d1.core.cfg.Addr})
	late.From.Boot--
	late.Answers = d1.core.boot
	d1.core.Take()
	if err := d1.core.Opened(w.now, Dial{Name: "d2", Addr: d2.core.cfg.Addr}, late); err != nil {
		t.Fatal(err)
	}
	for _, e := range d1.core.Take() {
		if c, ok := e.(CloseStream); ok && c.Peer == "d2" && c.Only == TheirStream {
			return
		}
	}
	t.Error("d2's stream to us stays open, and nothing of it is taken")
}

// A stream may take the place of one that still works, since both directors may dial at once. What
// the older one has not brought is lost: nobody waits for it.
func TestStreamInThePlaceOfAnother(t *testing.T) {
	again := func(w *world, from, to *director) {
		dial := Dial{Name: to.name, Addr: to.core.cfg.Addr}
		reply, session, err := to.core.Accept(w.now, from.core.Hello(w.now, dial))
		if err == nil {
			to.sessions[from.name] = session
			err = from.core.Opened(w.now, dial, reply)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name string
		dial func(w *world, donor, taker *director)
	}{
		{"of the donor", func(w *world, donor, taker *director) { again(w, donor, taker) }},
		{"of the taker", func(w *world, donor, taker *director) { again(w, taker, donor) }},
	} {
		w := started(t, 2)
		donor, taker := w.directors[0], w.directors[1]
		donor.must(7)
		taker.core.requestSnapshot(w.now, taker.core.peers.get(donor.name))
		request := sent[*wire.SnapshotRequest](taker, donor)
		if len(request) != 1 {
			t.Fatalf("%d requests", len(request))
		}
		donor.core.gotSnapshotRequest(w.now, donor.core.peers.get(taker.name), request[0])
		donor.core.Take() // the chunk is lost
		donor.core.question(w.now, donor.core.peers.get(taker.name))
		donor.core.Take() // and so is this
		test.dial(w, donor, taker)
		if taker.core.receiver.Current() != nil {
			t.Errorf("another stream %s: it waits for a snapshot that does not come", test.name)
		}
		if n := donor.core.donations.Len(); test.name == "of the donor" && n > 0 {
			t.Errorf("another stream %s: %d snapshots are given", test.name, n)
		}
		w.run(100 * time.Millisecond)
		if donor.core.peers.get(taker.name).Probing() {
			t.Errorf("another stream %s: a question waits for an answer that was lost", test.name)
		}
	}
}
