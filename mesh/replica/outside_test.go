package replica

import (
	"errors"
	"maps"
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/ring"
)

// removes removes another director from the mesh, or lets it in again.
func (d *director) removes(other *director, removed bool) {
	d.w.t.Helper()
	_, err := d.do(SetDirectorRemoved{Addr: other.core.cfg.Addr, Removed: removed})
	if err != nil {
		d.w.t.Fatal(err)
	}
}

// meanwhile adds a backend, and removes it again when the director that knows of it is out.
func (w *world) meanwhile(stays, goes *director) netip.Addr {
	w.t.Helper()
	addr := netip.MustParseAddr("192.0.2.99")
	if _, err := stays.do(AddBackend{Addr: addr}); err != nil {
		w.t.Fatal(err)
	}
	stays.removes(goes, true)
	w.run(time.Second)
	if _, err := stays.do(RemoveBackend{Addr: addr}); err != nil {
		w.t.Fatal(err)
	}
	return addr
}

// A removed director is all that is left, and holds a backend that was removed after it. One that
// starts begins a mesh of its own, until an operator lets the removed one in.
func TestRemovedTakesNobodyIn(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	addr := w.meanwhile(d1, d2)
	d1.crash()
	d3 := w.start("d3")
	w.until("d3 serves", 15*time.Second, func() bool { return d3.core.synced() })
	mesh := d3.core.table.Mesh()
	if mesh == d2.core.table.Mesh() {
		t.Error("d3 has joined the mesh of the director that was removed")
	}
	d3.removes(d2, false)
	w.until("d2 is back", 15*time.Second, func() bool { return d2.core.synced() })
	w.run(10 * time.Second)
	for _, d := range []*director{d2, d3} {
		if _, has := d.core.table.Row(addr); has || d.core.table.Mesh() != mesh {
			t.Errorf("%s has the table of the director that was removed", d.name)
		}
	}
}

// A removed director is no mesh: who starts beside it does not wait to be let in.
func TestStartBesideARemoved(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	d1.removes(d2, true)
	w.run(time.Second)
	d1.crash()
	d3 := w.start("d3")
	w.until("d3 serves", startWait+time.Second, func() bool { return d3.core.synced() })
	if d3.logged("refused by a director") == 0 {
		t.Error("d2 did not answer")
	}
	if self := d3.core.Self(w.now); self.Reason != "no peer answers, serving alone" {
		t.Errorf("d3 is %+v", self)
	}
}

// Two directors have removed each other in a split. One of them starts anew, is not removed again
// by what the other one knows, and lets that in.
func TestRemovedByEachOther(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	w.split([]*director{d1}, []*director{d2})
	w.run(10 * time.Second)
	d1.removes(d2, true)
	d2.removes(d1, true)
	for _, pair := range [][2]*director{{d1, d2}, {d2, d1}} { // they met for a moment
		row, _ := pair[0].core.table.Director(pair[1].core.cfg.Addr)
		heard := directory.Change{Directors: []directory.DirectorRow{row}}
		pair[1].core.heardOfRemoval(w.now, heard)
	}
	w.heal()
	w.run(10 * time.Second)
	if d1.core.synced() || d2.core.synced() {
		t.Fatal("one of them goes on")
	}
	d1.boots(false)
	w.until("d1 serves", 15*time.Second, func() bool { return d1.core.synced() })
	mesh := d1.core.table.Mesh()
	w.run(15 * time.Second)
	d1.removes(d2, false)
	w.until("both serve", 15*time.Second, w.allSynced)
	if d1.core.table.Mesh() != mesh || d2.core.table.Mesh() != mesh ||
		d1.core.peers.all.live() != 1 {
		t.Errorf("d1 is %+v, d2 is %+v", d1.core.Self(w.now), d2.core.Self(w.now))
	}
}

// What is added is dialled at once, by all: it dials nobody if it had been removed.
func TestAddedIsDialledAtOnce(t *testing.T) {
	w := started(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	d1.removes(d3, true)
	w.run(20 * time.Second)
	dialled := make(map[string]int)
	w.seen = func(d *director, e Effect) {
		if dial, ok := e.(Dial); ok && dial.Addr == d3.core.cfg.Addr {
			dialled[d.name]++
		}
	}
	for _, pair := range [][2]*director{{d1, d2}, {d2, d3}, {d3, d2}} {
		to := Dial{Name: pair[1].name, Addr: pair[1].core.cfg.Addr}
		if may := pair[0].core.MayDial(to); may != (pair[0] == d1) {
			t.Errorf("%s may dial %s: %v", pair[0].name, to.Name, may)
		}
	}
	d2.removes(d3, false)
	if !maps.Equal(dialled, map[string]int{"d1": 1, "d2": 1}) {
		t.Errorf("dialled by %v", dialled)
	}
	w.until("d3 is back", 10*time.Second, w.allSynced)
}

// A director that starts its mesh anew has not heard of a removal, and gets nothing of the one that
// was removed.
func TestNewMeshBesideARemoved(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	addr := w.meanwhile(d1, d2)
	d1.crash()
	d1.boots(true)
	mesh := d1.core.table.Mesh()
	w.run(15 * time.Second)
	if _, has := d1.core.table.Row(addr); has || d1.core.table.Mesh() != mesh {
		t.Error("d1 has what the director that was removed holds")
	}
	if !d1.core.synced() || d2.core.synced() {
		t.Errorf("d1 is %+v, d2 is %+v", d1.core.Self(w.now), d2.core.Self(w.now))
	}
}

// What a director that was removed knows of users is nothing to a mesh that began since and lets it
// in, though that has the same backends. It may still be loading what it knew.
func TestUsersOfTheMeshThatRemoved(t *testing.T) {
	for _, from := range []string{"memory", "disk", "slow disk"} {
		w := onDisks(t, 2)
		d1, d2 := w.directors[0], w.directors[1]
		const moved, idle = ring.UserHash(7), ring.UserHash(8)
		place := d2.must(moved)
		d2.must(idle)
		if _, err := d2.do(Move{Hash: moved, Backend: another(place)}); err != nil {
			t.Fatal(err)
		}
		d1.removes(d2, true)
		w.run(2 * time.Second)
		d1.crash()
		d1.disk = nil
		d1.boots(true)
		held := d2.disk.copy()
		if from != "memory" {
			d2.crash()
			d2.disk.slow = from == "slow disk"
			d2.boots(false)
		}
		w.run(time.Second)
		if got := d1.must(moved); got != place {
			t.Fatalf("%s: d1 has the user on %v; the test shows nothing", from, got)
		}
		d1.removes(d2, false)
		if from == "slow disk" {
			w.run(2 * time.Second)
			held.load(d2)
		}
		w.until("d2 is back", 15*time.Second, w.allSynced)
		w.run(5 * time.Second)
		if n := d1.core.counters.RestsWanted; n > 0 {
			t.Errorf("%s: d1 waited %d times for the rest of a log of the former mesh", from, n)
		}
		for _, d := range w.directors {
			if got := d.must(moved); got != place {
				t.Errorf("%s: %s has the user on %v, want %v", from, d.name, got, place)
			}
			m, status := d.dir.Find("", idle, d.core.MeshTime(w.now))
			if status != directory.None {
				t.Errorf("%s: %s knows %+v (%v)", from, d.name, m, status)
			}
		}
	}
}

// A stream that a director was opening when it was removed comes to nothing.
func TestRemovedWhileDialling(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	d3 := w.start("d3")
	w.split([]*director{d3}, []*director{d1, d2})
	to := Dial{Name: "d3", Addr: d3.core.cfg.Addr}
	hello := d2.core.Hello(w.now, to)
	d1.removes(d2, true)
	reply, _, err := d3.core.Accept(w.now, hello)
	if err != nil {
		t.Fatal(err)
	}
	if err := d2.core.Opened(w.now, to, reply); !errors.As(err, new(*outsideError)) {
		t.Errorf("opened by one that was removed: %v", err)
	}
	if _, _, err := d2.core.Accept(w.now, d3.core.Hello(w.now, Dial{Name: "d2"})); !errors.As(
		err, new(*outsideError)) {
		t.Errorf("accepted by one that was removed: %v", err)
	}
}

// A removed director dials nobody, whoever is named to it. Let in again it does.
func TestRemovedDialsNobody(t *testing.T) {
	w := started(t, 3)
	d1, d2 := w.directors[0], w.directors[1]
	dials := 0
	w.seen = func(d *director, e Effect) {
		if _, ok := e.(Dial); ok && d == d1 {
			dials++
		}
	}
	d2.removes(d1, true)
	hinted := netip.MustParseAddrPort("198.51.100.2:9090")
	d1.core.MemberJoined(w.now, "x", hinted, 5)
	d1.core.MemberJoined(w.now, "d3", w.directors[2].core.cfg.Addr, 5) // in another life
	w.run(10 * time.Second)
	if n := len(d1.core.Dials()) + len(d1.core.WantedPeers()); n != 0 || dials != 0 ||
		d1.core.Wanted("d2") {
		t.Errorf("it wants %v, would dial %v, and had %d dialled",
			d1.core.WantedPeers(), d1.core.Dials(), dials)
	}
	d2.removes(d1, false)
	w.until("d1 is back", 15*time.Second, func() bool { return d1.core.synced() })
	w.run(10 * time.Second)
	if n := len(d1.core.WantedPeers()); n != 2 || dials == 0 {
		t.Errorf("let in again it wants %d peers, and had %d dialled", n, dials)
	}
}

// A director that was removed stays so when it starts from its data directory, though nobody tells
// it again.
func TestRemovedStartsFromDisk(t *testing.T) {
	for _, founder := range []bool{false, true} {
		w := onDisks(t, 2)
		d1, d2 := w.directors[0], w.directors[1]
		d1.removes(d2, true)
		w.run(3 * time.Second)
		d1.crash()
		d2.crash()
		d2.boots(founder)
		w.run(30 * time.Second)
		if self := d2.core.Self(w.now); self.Synced || d2.mentions("serving") ||
			self.Reason != "removed from the mesh by ring remove" {
			t.Errorf("founder %v: it is %+v", founder, self)
		}
		d1.boots(false)
		w.until("d1 serves", 20*time.Second, func() bool { return d1.core.synced() })
		d1.removes(d2, false)
		w.until("d2 is back", 15*time.Second, func() bool { return d2.core.synced() })
	}
}
