package replica

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/ring"
)

// TestSessionsLeftAreTold checks that whoever moves, kicks or flushes learns which directors saw
// sessions that they could not end, and which can end none, from all of them.
func TestSessionsLeftAreTold(t *testing.T) {
	w := newWorld(t)
	d1, d2, d3 := w.start("d1"), w.start("d2"), w.start("d3")
	w.until("all synced", 20*time.Second, w.allSynced)
	cannot := func(Kick) (int, bool, bool) { return 0, false, true }
	d2.left, d2.kicker = 2, cannot
	d3.blind, d3.kicker = true, cannot
	left, blind := []SessionsLeft{{"d2", 2}}, []string{"d3"}

	const h = 5
	from := d1.must(h)
	to := testBackend(1)
	if to == from {
		to = testBackend(2)
	}
	w.run(time.Second)
	// In this order: the second move is one because the first was.
	for _, op := range []Operation{
		Move{Hash: h, Backend: to}, Move{Hash: h, Backend: from, Wait: true},
		KickUser{Value: "alice"},
	} {
		w.until("no move", time.Minute, func() bool { return d1.core.moves.Len() == 0 })
		got, err := d1.do(op)
		if err != nil || cmp.Diff(left, got.Left) != "" || cmp.Diff(blind, got.Blind) != "" {
			t.Errorf("%+v: %v, left %v, blind %v; want %v, %v",
				op, err, got.Left, got.Blind, left, blind)
		}
	}

	// The director that asked can be such a one itself.
	d1.left, d1.kicker = 1, cannot
	w.until("no move", time.Minute, func() bool { return d1.core.moves.Len() == 0 })
	got, err := d1.do(KickUser{Value: "alice"})
	if want := []SessionsLeft{{"d1", 1}, {"d2", 2}}; err != nil || cmp.Diff(want, got.Left) != "" {
		t.Errorf("kick: %v, left %v, want %v", err, got.Left, want)
	}

	users := 0
	for i := range ring.UserHash(40) {
		if d1.must((i+1)*107_374_182) == testBackend(3) {
			users++
		}
	}
	w.run(time.Second)
	if _, err := d1.do(SetDown{Addr: testBackend(3), Down: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := d1.do(Flush{Addr: testBackend(3)}); err != nil {
		t.Fatal(err)
	}
	ended := func(d *director) bool {
		flushes := d.core.Flushes()
		return len(flushes) > 0 && flushes[0].Ended != 0
	}
	w.until("flush ended", time.Minute, func() bool { return ended(d1) && ended(d2) })
	for _, d := range []*director{d1, d2} {
		if f := d.core.Flushes()[0]; users == 0 || f.Left != uint64(users) || !f.Blind {
			t.Errorf("%s: flush of %d users says %d left, blind %v; want all, true",
				d.name, users, f.Left, f.Blind)
		}
	}
}

// TestMoveTellsInTime checks that a move whose kickers take long is told as soon as all directors
// hold the user and a second has passed.
func TestMoveTellsInTime(t *testing.T) {
	w := newWorld(t)
	d1, d2 := w.start("d1"), w.start("d2")
	w.until("all synced", 20*time.Second, w.allSynced)
	d2.kicker = func(Kick) (int, bool, bool) { return 0, false, false }
	to := testBackend(1)
	if d1.must(5) == to {
		to = testBackend(2)
	}
	w.run(time.Second)
	began := w.now
	if _, err := d1.do(Move{Hash: 5, Backend: to}); err != nil {
		t.Fatal(err)
	}
	if took := w.now.Sub(began); took < tellWithin || took > 2*tellWithin {
		t.Errorf("told after %v, want a little more than %v", took, tellWithin)
	}
}

// When several backends are gone at once, their sessions are kicked in the order of the addresses.
func TestKicksOfRemovedBackendsAreInOrder(t *testing.T) {
	d := started(t, 1).directors[0]
	before := make(map[netip.Addr]ring.Tag)
	for i := range byte(20) {
		before[netip.AddrFrom4([4]byte{198, 51, 100, 20 - i})] = ""
	}
	d.core.kickRemoved(before, nil, true)
	var got []netip.Addr
	for _, e := range d.core.effects {
		if k, ok := e.(Kick); ok {
			got = append(got, k.Target.Backend)
		}
	}
	if len(got) != len(before) || !slices.IsSortedFunc(got, ring.CompareAddr) {
		t.Errorf("kicked are %v", got)
	}
}
