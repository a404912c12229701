package replica

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// twoBackends are three directors, of which d1 and d3 are out of touch and have answered a user
// differently. To d2, which is in touch with both, the answer of d1 is the one that counts.
func twoBackends(t *testing.T, h ring.UserHash) (w *world, a, b netip.Addr) {
	t.Helper()
	w = started(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	w.split([]*director{d1}, []*director{d3})
	w.run(8 * time.Second)
	a = d1.must(h)
	w.run(50 * time.Millisecond)
	d2.order(UpdateBackend{Addr: a})
	b = d3.must(h)
	w.run(100 * time.Millisecond)
	if got := d2.must(h); b == a || got != a || d3.must(h) != b {
		t.Fatalf("d2 answers %v, d3 %v; the test shows nothing", got, b)
	}
	return w, a, b
}

// wantKicked checks that a director ended the sessions of a user but for those on a backend, once.
func (d *director) wantKicked(h ring.UserHash, keep netip.Addr) {
	d.w.t.Helper()
	want := []KickTarget{{ByHash: true, Hash: h, Keep: keep}}
	var got []KickTarget
	for _, k := range d.kicked {
		got = append(got, k.Target)
	}
	if diff := cmp.Diff(want, got, compareAddrs); diff != "" {
		d.w.t.Errorf("%s kicked (-want +got):\n%s", d.name, diff)
	}
}

// A move to where the user is, or a pin, ends when no live director answers otherwise any more.
// Nobody waits, and no session on that backend ends.
func TestMoveToWhereTheUserIs(t *testing.T) {
	const h = 5
	for _, op := range []func(to netip.Addr) Operation{
		func(to netip.Addr) Operation { return Move{Hash: h, Backend: to} },
		func(to netip.Addr) Operation { return Move{Hash: h, Backend: to, Wait: true} },
		func(to netip.Addr) Operation { return Pin{Hash: h, Backend: to} },
	} {
		w, a, _ := twoBackends(t, h)
		d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
		if _, pin := op(a).(Pin); pin {
			d2.order(UpdateBackend{Addr: a, VHosts: 100}) // else it would not count
		}
		before := d2.live(h)
		id := d2.begin(op(a))
		w.until("the end", time.Second, func() bool {
			if got := d2.must(h); got != a {
				t.Errorf("%T: meanwhile d2 answers %v, want %v", op(a), got, a)
			}
			_, done := d2.done[id]
			return done
		})
		if diff := cmp.Diff(AdminDone{ID: id}, d2.done[id]); diff != "" {
			t.Errorf("%T: ended with (-want +got):\n%s", op(a), diff)
		}
		for _, d := range w.directors {
			if got := d.must(h); got != a {
				t.Errorf("%T: acknowledged, but %s answers %v, want %v", op(a), d.name, got, a)
			}
		}
		if got := d3.live(h); got.Generation != before.Generation || got.Stamp != before.Stamp {
			t.Errorf("%T: d3 has %+v, want that of d2, %+v", op(a), got, before)
		}
		d3.wantKicked(h, a)
		if n := len(d1.kicked) + len(d2.kicked); n != 0 {
			t.Errorf("%T: d1 and d2 kicked %d times", op(a), n)
		}
		w.run(time.Second)
		w.wantRest()
	}
}

// Where a director has a better row the user is moved in earnest.
func TestMoveToWhereTheUserIsNotEverywhere(t *testing.T) {
	const h = 5
	for name, change := range map[string]uint16{"older": 0, "of a later generation": 6} {
		w := started(t, 3)
		d1, d2 := w.directors[0], w.directors[1]
		a := d1.must(h)
		w.run(2 * time.Second)
		better := d2.live(h)
		better.Generation, better.Stamp = better.Generation+change, better.Stamp-1
		better.Backend = another(a)
		d2.silently(better)
		id := d1.begin(Move{Hash: h, Backend: a, Wait: true})
		w.run(time.Second)
		if m := d2.live(h); m.Backend != a || !m.Moving || m.Generation != better.Generation+1 {
			t.Errorf("%s: meanwhile d2 has %+v", name, m)
		}
		w.run(2 * time.Second)
		if diff := cmp.Diff(AdminDone{ID: id}, d1.done[id]); diff != "" {
			t.Errorf("%s: ended with (-want +got):\n%s", name, diff)
		}
		w.wantUser(h, a)
		d2.wantKicked(h, a)
		w.wantRest()
	}
}

// A better row of the same backend is confirmed in its turn: nobody waits for a login then either.
func TestMoveToWhereTheUserIsByAnotherRow(t *testing.T) {
	const h = 5
	for name, heard := range map[string]bool{"in the answer": false, "before that": true} {
		w := started(t, 3)
		w.noGossip = true
		d1, d2 := w.directors[0], w.directors[1]
		w.lose = losing[*wire.Rows](d2, d1) // until then the two do not hear of each other
		a := d2.must(h)
		w.now = w.now.Add(600 * time.Millisecond)
		d1.must(h)
		if d1.live(h).Stamp <= d2.live(h).Stamp {
			t.Fatalf("%s: d1 has %+v, d2 %+v; the test shows nothing", name, d1.live(h), d2.live(h))
		}
		older := d2.live(h)
		id := d1.begin(Move{Hash: h, Backend: a})
		if heard {
			block := wire.Pack("", []directory.Mapping{older})
			d1.hears(d2, &wire.Rows{Blocks: []wire.Block{block}})
			w.now = w.now.Add(50 * time.Millisecond)
			d1.core.Tick(w.now)
			if m := d1.core.moves.Get(ring.User{Hash: h}); m == nil || m.Restarts != 1 {
				t.Errorf("%s: d1 goes on with %+v", name, m)
			}
		}
		w.lose = nil
		w.until("the end", time.Second, func() bool {
			for _, d := range w.directors {
				if got := d.must(h); got != a {
					t.Errorf("%s: meanwhile %s answers %v, want %v", name, d.name, got, a)
				}
			}
			_, done := d1.done[id]
			return done
		})
		if diff := cmp.Diff(AdminDone{ID: id}, d1.done[id]); diff != "" {
			t.Errorf("%s: ended with (-want +got):\n%s", name, diff)
		}
		for _, d := range w.directors {
			if m := d.live(h); m.Stamp != older.Stamp || m.Generation != 1 || len(d.kicked) != 0 {
				t.Errorf("%s: %s has %+v, and kicked %+v", name, d.name, m, d.kicked)
			}
		}
		w.run(time.Second)
		w.wantRest()
	}
}

// Then it has the time of any move, however long it has waited: here its director slept meanwhile,
// and the others moved the user.
func TestMoveToWhereTheUserIsNoMore(t *testing.T) {
	const h = 5
	w := started(t, 3)
	w.noGossip = true
	d1, d2 := w.directors[0], w.directors[1]
	a := d1.must(h)
	w.run(time.Second)
	w.lose = losing[*wire.Hold](d1, w.directors[2])
	id := d1.begin(Move{Hash: h, Backend: a, Wait: true})
	w.run(100 * time.Millisecond)
	d1.stopped = true
	w.run(releaseBy + 2*time.Second)
	d2.order(Move{Hash: h, Backend: another(a), Wait: true})
	d1.stopped, w.lose = false, nil
	began := w.now
	w.until("the end", 10*time.Second, func() bool { _, done := d1.done[id]; return done })
	if took := w.now.Sub(began); d1.done[id].Err != nil || took < d1.core.cfg.KickDelay {
		t.Errorf("ended after %v with %+v, want not before %v", took, d1.done[id],
			d1.core.cfg.KickDelay)
	}
	if m := d1.live(h); m.Backend != a || m.Generation != 3 {
		t.Errorf("d1 has %+v; the test shows nothing", m)
	}
	w.run(time.Second)
	w.wantUser(h, a)
	w.wantRest()
}

// A director that hangs is waited for until it has failed, and named. One whose stream broke is
// told again.
func TestMoveToWhereTheUserIsWaits(t *testing.T) {
	const h = 5
	w := started(t, 3)
	w.noGossip = true
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	a := d1.must(h)
	w.run(time.Second)
	w.lose = losing[*wire.Hold](d1, d3)
	id := d1.begin(Move{Hash: h, Backend: a})
	w.run(time.Second)
	if got := d1.must(h); d1.done[id].ID != 0 || got != a || d1.core.Moves() != 0 {
		t.Errorf("ended %v, d1 answers %v, %d users are moved", d1.done[id], got, d1.core.Moves())
	}
	w.lose = nil
	w.breakStream(d1, d3)
	w.run(time.Second)
	if diff := cmp.Diff(AdminDone{ID: id}, d1.done[id]); diff != "" {
		t.Errorf("told again, ended with (-want +got):\n%s", diff)
	}
	d3.stopped = true
	id = d1.begin(Move{Hash: h, Backend: a})
	w.run(failAfter - time.Second)
	if _, done := d1.done[id]; done {
		t.Error("ended although d3 has not confirmed")
	}
	if d1.must(h) != a || d2.must(h) != a {
		t.Errorf("meanwhile d1 answers %v, d2 %v, want %v", d1.must(h), d2.must(h), a)
	}
	w.run(2 * time.Second)
	want := AdminDone{ID: id, Outcome: Outcome{FailedPeers: []string{"d3"}}}
	if diff := cmp.Diff(want, d1.done[id]); diff != "" {
		t.Errorf("ended with (-want +got):\n%s", diff)
	}
	w.wantRest()
}

// A director that did not get what stood in the log before ends the sessions elsewhere all the
// same.
func TestMoveToWhereTheUserIsWithAGap(t *testing.T) {
	const h = 5
	w, a, _ := twoBackends(t, h)
	w.noGossip = true
	d2, d3 := w.directors[1], w.directors[2]
	w.lose = losing[*wire.Rows](d2, d3)
	d2.begin(Move{Hash: h, Backend: a})
	w.run(5 * time.Second)
	d3.wantKicked(h, a)
}

// While it waits another move of the user is refused there. One from elsewhere wins, as does a
// flush.
func TestMovesBesideOneToWhereTheUserIs(t *testing.T) {
	const h = 5
	for _, test := range []struct {
		name   string
		begin  func(d1, d2 *director, a netip.Addr) (refused []uint64)
		stays  error
		placed func(a, b netip.Addr) netip.Addr
	}{
		{"the same again", func(d1, _ *director, a netip.Addr) []uint64 {
			return []uint64{d1.begin(Move{Hash: h, Backend: a})}
		}, nil, func(a, _ netip.Addr) netip.Addr { return a }},
		{"elsewhere", func(d1, _ *director, a netip.Addr) []uint64 {
			return []uint64{d1.begin(Move{Hash: h, Backend: another(a)})}
		}, nil, func(a, _ netip.Addr) netip.Addr { return a }},
		{"elsewhere at another director", func(_, d2 *director, a netip.Addr) []uint64 {
			d2.begin(Move{Hash: h, Backend: another(a)})
			return nil
		}, ErrTryAgain, func(a, _ netip.Addr) netip.Addr { return another(a) }},
		{"a flush", func(d1, _ *director, a netip.Addr) []uint64 {
			d1.begin(Flush{Addr: a})
			return nil
		}, ErrTryAgain, func(_, b netip.Addr) netip.Addr { return b }},
	} {
		w := started(t, 3)
		d1, d2 := w.directors[0], w.directors[1]
		a := d1.must(h)
		w.run(time.Second)
		d1.order(UpdateBackend{Addr: a})
		b := d1.core.target(ring.User{Hash: h})
		id := d1.begin(Move{Hash: h, Backend: a})
		refused := test.begin(d1, d2, a)
		w.run(5 * time.Second)
		if got := d1.done[id]; got.ID != id || !errors.Is(got.Err, test.stays) {
			t.Errorf("%s: ended with %+v, want %v", test.name, got, test.stays)
		}
		for _, id := range refused {
			if got := d1.done[id]; !errors.Is(got.Err, ErrTryAgain) {
				t.Errorf("%s: the other ended with %+v", test.name, got)
			}
		}
		w.wantUser(h, test.placed(a, b))
		w.run(2 * time.Second)
		w.wantRest()
	}
}

// A flush may take the user in the very input in which such a move begins: that ended before it was
// announced, and the others end the user's sessions as for any move.
func TestFlushTakesOneWhoStaysAtOnce(t *testing.T) {
	w := started(t, 3)
	w.noGossip = true
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	const last = 6
	a, now := testBackend(1), d1.core.MeshTime(w.now)
	for h := ring.UserHash(1); h <= last; h++ {
		row := directory.Mapping{
			Hash: h, Backend: a, Activity: now.Tick(), Stamp: now.Tick(), Generation: 1,
		}
		if h == 1 { // not seen for so long that it is moved at once, and makes room
			row.Activity = now.Add(-50 * time.Second).Tick()
		}
		for _, d := range w.directors {
			d.silently(row)
		}
	}
	d1.order(UpdateBackend{Addr: a})
	b := d1.core.target(ring.User{Hash: last})
	id := d1.flush(Flush{Addr: a, MaxParallel: last - 1})
	w.until("the first moves", time.Second, func() bool { return d1.core.Moves() > 0 })
	if got := d1.core.Moves(); got != last-2 {
		t.Fatalf("%d moves run, want %d; the test shows nothing", got, last-2)
	}
	w.now = w.now.Add(24 * time.Millisecond)
	stays := d1.begin(Move{Hash: last, Backend: a})
	if got := d1.core.moves.Get(ring.User{Hash: last}); got == nil || got.Flush == 0 {
		t.Fatalf("the flush has not begun to move the user, but %+v; the test shows nothing", got)
	}
	w.run(5 * time.Second)
	if got := d1.done[stays]; got.ID != stays || !errors.Is(got.Err, ErrTryAgain) {
		t.Errorf("ended with %+v, want %v", got, ErrTryAgain)
	}
	if got := d1.flushed(id); got.running() || got.Moved != last {
		t.Errorf("the flush is at %+v", got)
	}
	w.wantUser(last, b)
	want := KickTarget{ByHash: true, Hash: last, Keep: b}
	for _, d := range []*director{d2, d3} {
		if !slices.ContainsFunc(d.kicked, func(k Kick) bool { return k.Target == want }) {
			t.Errorf("%s did not end the sessions of the user who was moved", d.name)
		}
	}
	w.wantRest()
}
