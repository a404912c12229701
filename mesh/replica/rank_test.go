package replica

import (
	"fmt"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// Two meshes that were founded at about the same moment become one, whatever the moment. So do
// three.
func TestMeshesFoundedTogetherBecomeOne(t *testing.T) {
	for n := 2; n <= 3; n++ {
		for lag := range 6 {
			t.Run(fmt.Sprintf("%d meshes, %d ticks apart", n, lag), func(t *testing.T) {
				w := newWorld(t)
				for i := range n {
					w.start(fmt.Sprintf("d%d", i+1), func(c *Config) { c.Founder = true })
					w.run(time.Duration(lag) * 25 * time.Millisecond)
				}
				w.until("one mesh", 15*time.Second, w.allSynced)
				id := w.directors[0].core.table.Mesh()
				for _, d := range w.directors {
					if got := d.core.table.Mesh(); got != id {
						t.Errorf("%s belongs to %v, d1 to %v", d.name, got, id)
					}
				}
			})
		}
	}
}

// Directors that were in touch as they started are split, and each side founds a mesh. For the
// larger side the others failed and have to ask it. When they meet, the mesh of the smaller side is
// the older one: it asks nobody, and the larger side joins it all the same.
func TestMeshesFoundedApartBecomeOne(t *testing.T) {
	w := newWorld(t)
	start := func(founder, other string) *director {
		d := w.start(founder, func(c *Config) { c.Founder = true })
		w.start(other)
		return d
	}
	older := start("d1", "d2")
	w.until("a mesh", 5*time.Second, w.allSynced)
	w.run(30 * time.Second)
	younger := start("d3", "d4")
	w.start("d5")
	w.split(w.directors[:2], w.directors[2:])
	w.run(31 * time.Second) // ages are compared in whole minutes
	id := older.core.table.Mesh()
	if other := younger.core.table.Mesh(); other == 0 || other == id {
		t.Fatalf("the meshes of the two sides are %v and %v; the test shows nothing", id, other)
	}
	w.heal()
	w.run(25 * time.Millisecond)
	for _, d := range w.directors[2:] {
		for _, other := range []string{"d1", "d2"} {
			p := d.core.peers.get(other)
			if !p.live {
				t.Fatalf("%s is not in touch with %s yet; the test shows nothing", d.name, other)
			}
			p.Fail(d.core.newID)
		}
	}
	w.until("one mesh", 4*time.Second, func() bool {
		return younger.core.table.Mesh() == id && w.allSynced()
	})
}

// A director that served alone, for however long, never outranks a mesh of two.
func TestStrayNeverOutranksAMesh(t *testing.T) {
	w := newWorld(t)
	stray := w.start("z", func(c *Config) { c.Founder = true })
	w.run(10 * time.Minute)
	w.cut[[2]string{"z", "d1"}], w.cut[[2]string{"d1", "z"}] = true, true
	w.cut[[2]string{"z", "d2"}], w.cut[[2]string{"d2", "z"}] = true, true
	d1 := w.start("d1", func(c *Config) { c.Founder = true })
	w.start("d2", func(c *Config) { c.Founder = false })
	w.run(5 * time.Second)
	id := d1.core.table.Mesh()
	w.heal()
	w.until("one mesh", 15*time.Second, w.allSynced)
	if got := stray.core.table.Mesh(); got != id || d1.core.table.Mesh() != id {
		t.Errorf("the stray belongs to %v, d1 to %v, want %v", got, d1.core.table.Mesh(), id)
	}
}

// The age of a mesh is that of its directors' running time, whoever founded it: it outlives the
// founder.
func TestAgeOutlivesTheFounder(t *testing.T) {
	w := started(t, 2)
	w.run(3 * time.Minute)
	w.start("d3")
	w.until("all synced", 10*time.Second, w.allSynced)
	w.directors[0].crash()
	w.run(time.Minute)
	if rank := w.directors[2].core.Self(w.now).Mesh; !rank.Grown || rank.Age < 4*60_000 {
		t.Errorf("d3 says its mesh ranks %+v, want over four minutes", rank)
	}
}

// A director joins a mesh that joins another one before all have confirmed its table: what was
// configured there is nowhere any more, and nobody need confirm it. What a command wrote holds.
func TestBarrierOfAMeshThatIsNoMore(t *testing.T) {
	for _, test := range []struct {
		stamp   directory.Stamp
		settled bool
	}{{0, true}, {5, false}} {
		w := started(t, 2)
		c := w.directors[0].core
		row := directory.BackendRow{Addr: testBackend(1)}
		row.VHosts = directory.Register[int]{Value: 20, Stamp: test.stamp, Origin: "d3"}
		c.begin(w.now, directory.Change{Backends: []directory.BackendRow{row}}, "", false)
		p := c.peers.get("d2")
		c.joinMesh(w.now, &peer{mesh: wire.MeshRank{ID: 7}})
		if got := c.barrier.Confirmed(p.barrierPeer()); got != test.settled {
			t.Errorf("stamp %d: d2 need not confirm: %v, want %v", test.stamp, got, test.settled)
		}
	}
}

// An operator's command decides which mesh stays only between meshes without a common backend; else
// the rank decides.
func TestCommandDecidesBetweenDisjointMeshesOnly(t *testing.T) {
	for _, test := range []struct {
		name              string
		disjoint, takesUs bool
		low               bool // the peer's mesh ranks below ours
		want              bool
	}{
		{"disjoint, takes us in", true, true, true, true},
		{"disjoint, no command", true, false, true, false},
		{"takes us in, but ranks lower", false, true, true, false},
		{"ranks higher", false, false, false, true},
	} {
		w := started(t, 2)
		c := w.directors[0].core
		p := c.peers.get("d2")
		p.disjoint, p.takesUs = test.disjoint, test.takesUs
		p.mesh = wire.MeshRank{ID: c.table.Mesh() + 1, Grown: true, Age: 1 << 40}
		if test.low {
			p.mesh = wire.MeshRank{ID: c.table.Mesh() + 1}
		}
		if got := c.outranked(w.now, p); got != test.want {
			t.Errorf("%s: outranked %v, want %v", test.name, got, test.want)
		}
	}
}
