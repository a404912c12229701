package replica

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
)

var compareAddrs = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})

// The directors that are to be dialled are those that are wanted and not connected: peers, hints,
// and those that an operator added.
func TestDials(t *testing.T) {
	added := netip.MustParseAddrPort("198.51.100.1:9090")
	hinted := netip.MustParseAddrPort("198.51.100.2:9090")
	add := func(w *world, addr netip.AddrPort, removed bool) {
		w.t.Helper()
		_, err := w.directors[0].do(SetDirectorRemoved{Addr: addr, Removed: removed})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	d2 := Dial{"d2", netip.MustParseAddrPort("127.0.0.2:9090"), Proven}
	d3 := Dial{"d3", netip.MustParseAddrPort("127.0.0.3:9090"), Proven}
	for _, test := range []struct {
		name   string
		do     func(w *world)
		dials  []Dial
		wanted []Dial
	}{
		{"all connected", func(*world) {}, nil, []Dial{d2, d3}},
		{"one dead", func(w *world) { w.directors[2].crash() }, []Dial{d3}, []Dial{d2, d3}},
		{"one left", func(w *world) {
			w.directors[2].core.Leave(w.now)
			w.deliver()
			w.directors[2].crash()
		}, nil, []Dial{d2}},
		{"one removed", func(w *world) { add(w, d3.Addr, true) }, nil, []Dial{d2}},
		{"one dead and removed", func(w *world) { w.directors[2].crash(); add(w, d3.Addr, true) },
			nil, []Dial{d2}},
		{"one added", func(w *world) { add(w, added, false) }, []Dial{{"", added, Named}},
			[]Dial{d2, d3}},
		{"one added and removed", func(w *world) { add(w, added, false); add(w, added, true) }, nil,
			[]Dial{d2, d3}},
		{"this one and a peer added",
			func(w *world) { add(w, w.directors[0].core.cfg.Addr, false); add(w, d3.Addr, false) },
			nil, []Dial{d2, d3}},
		{"one added that is dead", func(w *world) {
			add(w, d3.Addr, false)
			w.directors[2].crash()
		}, []Dial{d3}, []Dial{d2, d3}},
		{"one added of whom memberlist tells", func(w *world) {
			add(w, hinted, false)
			w.directors[0].core.MemberJoined(w.now, "x", hinted, 5)
		}, []Dial{{"x", hinted, Heard}}, []Dial{d2, d3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := started(t, 3)
			test.do(w)
			w.run(time.Second)
			c := w.directors[0].core
			if diff := cmp.Diff(test.dials, c.Dials(), compareAddrs); diff != "" {
				t.Errorf("dials (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wanted, c.WantedPeers(), compareAddrs); diff != "" {
				t.Errorf("wanted peers (-want +got):\n%s", diff)
			}
			for _, name := range []string{"d2", "d3", "x"} {
				want := cmp.Equal(test.wanted, []Dial{d2, d3}, compareAddrs) && name == "d3" ||
					name == "d2"
				if c.Wanted(name) != want {
					t.Errorf("%s is wanted: %v", name, !want)
				}
			}
		})
	}
}

// One director more or less: its streams end, and nobody waits for it.
func TestRemovedDirectorIsParted(t *testing.T) {
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	d3.stopped = true // hangs
	if _, err := d1.do(SetDirectorRemoved{Addr: d3.core.cfg.Addr, Removed: true}); err != nil {
		t.Fatal(err)
	}
	p := d1.core.peers.get("d3")
	if p.live || !p.left || p.out || p.in != 0 {
		t.Errorf("d1 still deals with d3: %+v", p)
	}
	if outcome, err := d1.do(UpdateBackend{Addr: testBackend(1), VHosts: 7}); err != nil ||
		len(outcome.FailedPeers) > 0 {
		t.Errorf("an update afterwards misses %v, %v", outcome.FailedPeers, err)
	}
	// It is told when it comes back, and relays nothing meanwhile.
	d3.stopped = false
	w.run(3 * time.Second)
	d3.ask(5)
	w.run(3 * time.Second)
	if n := d3.core.Counters().Relayed; n != 0 {
		t.Errorf("a removed director relays %d lookups", n)
	}
	if got := len(d3.lines("refused by a director")); got == 0 {
		t.Error("a removed director is not told")
	}
}

// The last director of a mesh that another one removed by mistake, and let in again, serves again.
func TestLastDirectorIsLetInAgain(t *testing.T) {
	w := started(t, 1)
	d1 := w.directors[0]
	remove := func(removed bool) { // as another one would tell it
		stamp := d1.core.hlc.Next(d1.core.MeshTime(w.now))
		change := d1.core.table.SetDirectorRemoved(stamp, "d9", d1.core.cfg.Addr, removed)
		d1.core.apply(w.now, change, nil)
		w.run(time.Second)
	}
	remove(true)
	self := d1.core.Self(w.now)
	if self.Synced || self.Reason != "removed from the mesh by ring remove" {
		t.Fatalf("it is %+v", self)
	}
	remove(false)
	if self := d1.core.Self(w.now); !self.Synced {
		t.Errorf("let in again it is %+v", self)
	}
	if n := len(d1.lines("this director was removed from the mesh, or let in again")); n != 2 {
		t.Errorf("logged %d times, want twice", n)
	}
}

// A director that is let in again waits for the others as one that starts does, however long it was
// outside: alone it would go on with moves, and answer by what it knew when it was removed.
func TestLetInAgainAfterLong(t *testing.T) {
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	remove := func(removed bool) {
		t.Helper()
		_, err := d1.do(SetDirectorRemoved{Addr: d3.core.cfg.Addr, Removed: removed})
		if err != nil {
			t.Fatal(err)
		}
	}
	remove(true)
	w.run(3 * contactLost)
	// It hears of that before it hears of anybody: as over real streams, which take their time.
	w.filter = func(to *director, m wire.Message) bool {
		_, beat := m.(*wire.Beat)
		return to != d3 || !beat
	}
	remove(false)
	w.run(time.Second)
	w.filter = nil
	w.run(5 * time.Second)
	if self := d3.core.Self(w.now); !self.Synced {
		t.Errorf("d3 is %+v", self)
	}
	if n := d3.core.Counters().ServedAlone; n != 0 {
		t.Errorf("d3 served alone %d times, although the others were there", n)
	}
}

// A director that was removed and let in again gives its log to one that starts. That must not
// learn of the removal first: it would part with the only director there is, for good.
func TestReplayOfARemoval(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	remove := func(removed bool) {
		t.Helper()
		_, err := d2.do(SetDirectorRemoved{Addr: d1.core.cfg.Addr, Removed: removed})
		if err != nil {
			t.Fatal(err)
		}
	}
	remove(true)
	d1.crash()
	d1.boots(false)
	w.until("d1 knows", 5*time.Second, func() bool { return d1.core.admission.removed })
	remove(false)
	w.until("all synced", 10*time.Second, w.allSynced)
	d2.crash()
	w.run(6 * time.Second)
	d3 := w.start("d3")
	w.until("d3 is d1's peer", 5*time.Second, func() bool {
		p := d3.core.peers.get("d1")
		return p != nil && p.live && d3.core.synced() && d1.core.synced()
	})
}

// A director that comes back to one of the others is told of the rest, for which it has to wait. It
// dials those at once, and once each.
func TestNamedPeersAreDialledAtOnce(t *testing.T) {
	w := started(t, 4)
	d1 := w.directors[0]
	w.split([]*director{d1}, w.directors[1:])
	w.until("d1 has lost all", time.Minute, func() bool { return d1.core.peers.all.live() == 0 })
	dialled := make(map[string]int)
	w.seen = func(d *director, e Effect) {
		if dial, ok := e.(Dial); ok && d == d1 && dial.Trust == Proven {
			dialled[dial.Name]++
		}
	}
	w.heal()
	w.split([]*director{d1}, w.directors[2:])
	w.run(3 * time.Second)
	if diff := cmp.Diff(map[string]int{"d3": 1, "d4": 1}, dialled); diff != "" {
		t.Errorf("dialled (-want +got):\n%s", diff)
	}
}

// A director hears of its removal only when a long split ends. On its side another one has died
// that had moved a user. Let in again it offers the mesh that user too: its own log says nothing of
// that, and of the log of the dead one nobody tells after so long.
func TestLetInAgainWithWhatOthersLack(t *testing.T) {
	const h = 5
	w := newWorld(t)
	for _, name := range []string{"d1", "d2", "d3", "d4"} {
		w.startLong(name)
	}
	w.until("all synced", 10*time.Second, w.allSynced)
	d1, d3, d4 := w.directors[0], w.directors[2], w.directors[3]
	w.split(w.directors[:2], w.directors[2:])
	w.run(failAfter + 2*time.Second)
	d1.order(SetDirectorRemoved{Addr: d3.core.cfg.Addr, Removed: true})
	moved := another(d4.must(h))
	d4.order(Move{Hash: h, Backend: moved, Wait: true})
	d4.crash()
	w.run(logs.GoneReported + time.Minute)
	w.heal()
	w.until("d3 hears", 5*time.Second, func() bool { return d3.core.admission.removed })
	w.run(time.Second)
	d1.order(SetDirectorRemoved{Addr: d3.core.cfg.Addr})
	w.until("d3 is in", 5*time.Second, func() bool {
		return d3.core.synced() && d3.core.peers.all.live() == 2
	})
	for _, d := range w.directors[:3] {
		if got := d.must(h); got != moved {
			t.Errorf("%s answers %v, want %v", d.name, got, moved)
		}
	}
}
