package replica

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// foreignBackends has none in common with testBackends.
func foreignBackends() []ring.Backend {
	return []ring.Backend{
		{Addr: netip.MustParseAddr("198.51.100.1"), VHosts: 100},
		{Addr: netip.MustParseAddr("198.51.100.2"), VHosts: 100},
	}
}

// clusters starts two meshes of two that have not met: d1 and d2, and e1 and e2.
func clusters(t *testing.T, change ...func(*Config)) (w *world, d, e []*director) {
	t.Helper()
	w = newWorld(t)
	foreign := func(founder bool) []func(*Config) {
		return append([]func(*Config){func(c *Config) {
			c.Founder = founder
			c.Backends = foreignBackends()
		}}, change...)
	}
	d = []*director{w.start("d1", change...), w.start("d2", change...)}
	e = []*director{w.start("e1", foreign(true)...), w.start("e2", foreign(false)...)}
	w.split(d, e)
	w.until("two meshes", 10*time.Second, func() bool {
		for _, x := range w.directors {
			if !x.core.synced() || x.core.peers.all.live() != 1 {
				return false
			}
		}
		return true
	})
	w.run(2 * time.Minute)
	return w, d, e
}

func (d *director) meshID() string { return d.core.table.Mesh().String() }

// Two clusters refuse each other, whichever ranks higher, and nothing of the other is applied.
func TestDisjointMeshesRefuseEachOther(t *testing.T) {
	w, d, e := clusters(t)
	for _, x := range []*director{d[0], e[0]} {
		backend := x.core.Backends()[0].Backend.Addr
		if _, err := x.do(UpdateBackend{Addr: backend, VHosts: 50}); err != nil {
			t.Fatal(err)
		}
	}
	gossiped := w.gossiped
	w.heal()
	w.run(3 * strangerFor)
	for _, delta := range gossiped {
		for _, x := range w.directors {
			x.core.Gossip(w.now, delta)
		}
	}
	w.run(10 * time.Second)
	for _, mesh := range [][]*director{d, e} {
		for _, x := range mesh {
			if x.meshID() != mesh[0].meshID() || !x.core.synced() || x.core.peers.all.live() != 1 {
				t.Errorf("%s is %+v with %d peers",
					x.name, x.core.Self(w.now), x.core.peers.all.live())
			}
			for _, b := range x.core.Table().Backends {
				if ours := b.Addr.As4()[0] == 192; ours != (mesh[0] == d[0]) {
					t.Errorf("%s has the backend %v", x.name, b.Addr)
				}
			}
			if x.logged("director of another cluster refused")+x.logged("director refused")+
				x.logged("refused by a director") == 0 {
				t.Errorf("%s says nothing of the other cluster", x.name)
			}
		}
	}
	if d[0].meshID() == e[0].meshID() {
		t.Error("the clusters have become one")
	}
	if o, err := d[0].do(UpdateBackend{Addr: testBackend(1), VHosts: 60}); err != nil ||
		len(o.FailedPeers) > 0 {
		t.Errorf("an update names %v as failed, %v", o.FailedPeers, err)
	}
}

// With the guard off they would be merged.
func TestDisjointMeshesAreMergedUnguarded(t *testing.T) {
	w, d, e := clusters(t, func(c *Config) { c.Guards.NoStrangers = true })
	w.heal()
	w.until("one mesh", time.Minute, w.allSynced)
	if d[0].meshID() != e[0].meshID() {
		t.Error("the guard is not what keeps them apart")
	}
}

// Where `ring add` was given, that mesh stays, whichever ranks higher, and what was added joins it.
func TestRingAddTakesAStrangerIn(t *testing.T) {
	for _, stays := range []string{"d", "e"} {
		t.Run(stays, func(t *testing.T) {
			w, d, e := clusters(t)
			if stays == "e" {
				d, e = e, d
			}
			w.heal()
			w.run(20 * time.Second)
			mesh := d[0].meshID()
			for i, x := range e {
				id := d[0].begin(SetDirectorRemoved{Addr: x.core.cfg.Addr})
				w.until("added and joined", 20*time.Second, func() bool {
					_, done := d[0].done[id]
					return done && x.meshID() == mesh && x.core.synced() &&
						x.core.peers.all.live() >= 2+i
				})
				w.run(2 * time.Second)
				if d[0].meshID() != mesh || d[1].meshID() != mesh {
					t.Fatalf("the mesh that was to stay has given way")
				}
				if i == 0 && e[1].meshID() == mesh {
					t.Error("a director that was not added has joined too")
				}
			}
			w.until("one mesh", 20*time.Second, w.allSynced)
			for _, x := range w.directors {
				if got, want := len(x.core.Backends()), len(d[0].core.Backends()); got != want {
					t.Errorf("%s has %d backends, want %d", x.name, got, want)
				}
			}
		})
	}
}

// What a director knows of the logs of the cluster that it leaves is nothing to the next one: there
// nobody asks for the rest of them, not even of its own.
func TestLogsOfTheClusterThatIsLeft(t *testing.T) {
	for _, test := range []struct {
		name string
		ends func(e []*director)
	}{
		{"a peer dies", func(e []*director) { e[1].crash() }},
		{"it steps", func(e []*director) { e[0].core.step(e[0].w.now, time.Second) }},
	} {
		w, d, e := clusters(t)
		for _, x := range e {
			if _, err := x.do(AddBackend{Addr: netip.MustParseAddr("198.51.100.9")}); err != nil {
				t.Fatal(err)
			}
		}
		test.ends(e)
		w.run(10 * time.Second)
		if len(e[0].core.logs.Gone(w.now, logs.GoneReported)) == 0 {
			t.Fatalf("%s: no log has ended, the test shows nothing", test.name)
		}
		id := d[0].begin(SetDirectorRemoved{Addr: e[0].core.cfg.Addr})
		w.heal()
		w.until("added and joined", 20*time.Second, func() bool {
			_, done := d[0].done[id]
			return done && e[0].meshID() == d[0].meshID() && e[0].core.synced()
		})
		w.run(2 * time.Second)
		for _, x := range d {
			if n := x.core.counters.RestsWanted; n > 0 {
				t.Errorf("%s: %s waited %d times for the rest of a log", test.name, x.name, n)
			}
		}
	}
}

// A flush of the cluster that a director leaves is nothing to the next one: there nobody goes on
// with it when that director dies, and it is not on its disk.
func TestFlushesOfTheClusterThatIsLeft(t *testing.T) {
	w, d, e := clusters(t)
	e[0].disk, e[0].core.keeps = &testDisk{}, true
	for i := range 100 {
		e[0].must(ring.UserHash(i+1) * 0x01234567)
	}
	if _, err := e[0].do(UpdateBackend{Addr: foreignBackends()[0].Addr}); err != nil {
		t.Fatal(err)
	}
	id := e[0].flush(Flush{MaxParallel: 1})
	w.run(2 * time.Second)
	if !e[0].core.flushes.Runs("e1", id) {
		t.Fatal("it does not run; the test shows nothing")
	}
	added := d[0].begin(SetDirectorRemoved{Addr: e[0].core.cfg.Addr})
	w.heal()
	w.until("added and joined", 20*time.Second, func() bool {
		_, done := d[0].done[added]
		return done && e[0].meshID() == d[0].meshID() && e[0].core.synced()
	})
	w.run(2 * time.Second)
	for _, m := range e[0].disk.kept {
		if p, ok := m.(*wire.FlushProgress); ok {
			t.Errorf("its disk has %+v", p)
		}
	}
	e[0].crash()
	w.run(10 * time.Second)
	for _, x := range d {
		if x.core.flushes.Knows(id) || x.core.counters.FlushesTaken > 0 {
			t.Errorf("%s knows of the flush, and has gone on with %d", x.name,
				x.core.counters.FlushesTaken)
		}
	}
}

// A mesh without any backend, and one that shares only a removed one, are no strangers.
func TestMeshesThatMayMeet(t *testing.T) {
	for name, test := range map[string]struct {
		backends []ring.Backend
		do       func(*director)
	}{
		"no backend": {nil, func(*director) {}},
		"a removed backend in common": {
			append(foreignBackends(), testBackends(1)...),
			func(d *director) {
				if _, err := d.do(RemoveBackend{Addr: testBackend(1)}); err != nil {
					d.w.t.Fatal(err)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			d1 := w.start("d1")
			other := w.start("other", func(c *Config) {
				c.Founder, c.Backends = true, test.backends
			})
			w.split([]*director{d1}, []*director{other})
			w.run(5 * time.Second)
			test.do(other)
			w.heal()
			w.until("one mesh", 20*time.Second, w.allSynced)
		})
	}
}

// Nothing of a stranger's table is applied, whatever brings it.
func TestTablesOfStrangers(t *testing.T) {
	w, d, e := clusters(t)
	foreign, before := e[0].core.Table(), d[0].core.Table()
	state := d[1].recorded() // of a director that runs
	state.Change = foreign
	err := d[0].core.MergePushPull(w.now, state)
	if err == nil || !strings.Contains(err.Error(), "no backend in common") {
		t.Errorf("the state of a stranger is merged: %v", err)
	}
	d[0].core.take(w.now, d[0].core.peers.get("d2"), &wire.Table{Change: foreign})
	if got := d[0].core.Table(); len(got.Backends) != len(before.Backends) {
		t.Errorf("the table of a stranger was merged: %+v", got)
	}
}

func sameAddr(a, b netip.Addr) bool { return a == b }

// A director that starts in sight of two clusters joins one of them, whichever it meets first, and
// carries nothing of the one to the other, not even what commands wrote.
func TestJoinerBetweenClusters(t *testing.T) {
	long(t)
	joined := make(map[bool]int) // by whether it was the first
	for seed := range uint64(12) {
		w, d, e := clusters(t)
		for i, x := range []*director{d[0], e[0]} {
			added := netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)})
			if _, err := x.do(AddBackend{Addr: added}); err != nil {
				t.Fatal(err)
			}
		}
		tables := [][]directory.BackendRow{d[0].core.Table().Backends, e[0].core.Table().Backends}
		ids := []string{d[0].meshID(), e[0].meshID()}
		w.heal()
		if seed%2 == 0 {
			w.split(d, e)
		}
		n := w.start("n")
		meets := rand.New(rand.NewPCG(seed, 0))
		for _, x := range slices.Concat(d, e) {
			w.split([]*director{n}, []*director{x})
		}
		for range 8 {
			x := slices.Concat(d, e)[meets.IntN(4)]
			delete(w.cut, [2]string{n.name, x.name})
			delete(w.cut, [2]string{x.name, n.name})
			w.run(time.Duration(meets.IntN(12)) * 25 * time.Millisecond)
		}
		w.until("the newcomer is synced", 30*time.Second, n.core.synced)
		w.run(10 * time.Second)
		joined[n.meshID() == ids[0]]++
		for i, mesh := range [][]*director{d, e} {
			for _, x := range append(mesh, n) {
				if x == n && n.meshID() != ids[i] {
					continue
				}
				if x.meshID() != ids[i] || !x.core.synced() {
					t.Errorf("seed %d: %s is %+v", seed, x.name, x.core.Self(w.now))
				}
				diff := cmp.Diff(tables[i], x.core.Table().Backends, cmp.Comparer(sameAddr))
				if diff != "" {
					t.Errorf("seed %d: table of %s (-want +got):\n%s", seed, x.name, diff)
				}
			}
		}
		if t.Failed() {
			return
		}
	}
	if len(joined) != 2 {
		t.Errorf("all newcomers have joined the same cluster: %v", joined)
	}
}

// A mesh is refused at once for a minute since it was first seen. Only so many are remembered, and
// each with the moment at which it was first seen.
func TestStrangersAreRemembered(t *testing.T) {
	const first = mono.Time(time.Hour)
	s := make(strangers)
	s.note(first, 7)
	s.note(first.Add(time.Second), 7)
	if !s.refused(first.Add(strangerFor), 7) || s.refused(first, 8) {
		t.Error("the wrong mesh is refused")
	}
	if s.refused(first.Add(strangerFor+1), 7) || len(s) != 0 {
		t.Errorf("%d are remembered for too long", len(s))
	}
	for i := range maxStrangers + 3 {
		s.note(first.Add(time.Duration(i)), directory.MeshID(i+100))
	}
	if len(s) != maxStrangers || s[100] != first || s[100+maxStrangers-1] == 0 {
		t.Errorf("%d are remembered, want the first %d", len(s), maxStrangers)
	}
}

// A peer that refuses us as of another cluster is a stranger too.
func TestRefusedByAStranger(t *testing.T) {
	w := started(t, 3)
	c := w.directors[0].core
	c.Refused(w.now, &wire.Refuse{From: wire.Peer{Name: "d2"}, Stranger: 9})
	c.Refused(w.now, &wire.Refuse{From: wire.Peer{Name: "d9"}, Stranger: 9})
	d2, d3 := c.peers.get("d2"), c.peers.get("d3")
	if !d2.stranger || d3.stranger || !c.strangers.refused(w.now, 9) {
		t.Errorf("the peer is a stranger: %v; %v are remembered", d2.stranger, c.strangers)
	}
}
