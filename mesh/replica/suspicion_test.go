package replica

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/ring"
)

// tombstones are rows of backends that were removed, one millisecond after the other.
func (d *director) tombstones(first, n int, at directory.Time) directory.Change {
	change := directory.Change{Mesh: d.core.table.Mesh()}
	for i := range n {
		stamp := directory.StampAt(at.Add(time.Duration(i) * time.Millisecond))
		change.Backends = append(change.Backends, directory.BackendRow{
			Addr: netip.AddrFrom4([4]byte{
				10, byte((first + i) >> 16), byte((first + i) >> 8), byte(first + i),
			}),
			Presence:  directory.Register[directory.Presence]{Stamp: stamp, Origin: d.name},
			Forgotten: stamp,
		})
	}
	return change
}

// Two sides of a split removed more backends than tables keep in mind. When they are together again
// no change stays without its confirmations, and nobody tells of the oldest ones again and again.
func TestMoreTombstonesThanAreKept(t *testing.T) {
	long(t)
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	w.run(time.Minute)
	now := d1.core.MeshTime(w.now)
	w.split(w.directors[:2], w.directors[2:])
	w.run(failAfter + time.Second)
	d1.core.apply(w.now, d1.tombstones(0, 10_005, now.Add(-20*time.Second)), nil)
	d3.core.apply(w.now, d3.tombstones(20_000, 20, now.Add(-time.Minute)), nil)
	w.run(time.Second)
	logged := d1.core.log.Last() + d3.core.log.Last()
	w.heal()
	w.until("all synced", 10*time.Second, w.allSynced)
	w.run(2 * confirmWithin)
	for _, d := range w.directors {
		if n := d.core.counters.Exclusions; n > 0 || d.core.barrier.Len() > 0 {
			t.Errorf("%s excluded %d peers and has %d changes open",
				d.name, n, d.core.barrier.Len())
		}
	}
	if more := d1.core.log.Last() + d3.core.log.Last() - logged; more > 20 {
		t.Errorf("%d messages were logged after the heal", more)
	}
}

// A session that is adopted on another backend than its user's place does not lead to two answers.
func TestAdoptBesideLookups(t *testing.T) {
	for _, changing := range []bool{false, true} {
		t.Run(fmt.Sprintf("while the ring changes: %v", changing), func(t *testing.T) {
			w := started(t, 3)
			d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
			if changing {
				d3.stopped = true // its confirmation is missing
				d1.begin(UpdateBackend{Addr: testBackend(1), VHosts: 300})
				w.run(100 * time.Millisecond)
			}
			first := make(map[ring.UserHash]netip.Addr)
			for step := range 40 {
				for h := ring.UserHash(1); h < 200; h++ {
					h *= 20_000_003
					if step == 0 {
						d1.core.Adopt(w.now, "", h, testBackend(2))
					}
					for _, d := range []*director{d1, d2} {
						got, ok := d.core.TryLookup(w.now, "", h)
						switch {
						case !ok:
						case !first[h].IsValid():
							first[h] = got
						case first[h] != got && step < 2:
							t.Fatalf("%v: %s answers %v for %v, before it was %v",
								w.now, d.name, got, h, first[h])
						}
					}
				}
				w.run(25 * time.Millisecond)
			}
		})
	}
}

// A user of the last generation cannot be moved, which is said at once. It is flushed and forgotten
// like any other, and everywhere alike.
func TestLastGeneration(t *testing.T) {
	const h = 77
	start := func(t *testing.T, moving bool) (*world, netip.Addr) {
		w := started(t, 3)
		place := w.directors[0].must(h)
		row := directory.Mapping{Hash: h, Backend: place, Generation: directory.MaxGeneration}
		row.Stamp = w.directors[0].core.MeshTime(w.now).Tick()
		row.Activity = row.Stamp
		for _, d := range w.directors {
			d.dir.Merge("", []directory.Mapping{row}, d.core.MeshTime(w.now), nil)
		}
		return w, place
	}
	agree := func(t *testing.T, w *world, want netip.Addr) {
		t.Helper()
		w.run(3 * time.Second)
		for _, d := range w.directors {
			if got := d.must(h); want.IsValid() && got != want || got != w.directors[0].must(h) {
				t.Errorf("%s answers %v, want %v", d.name, got, want)
			}
		}
	}
	t.Run("move", func(t *testing.T) {
		w, place := start(t, true)
		to := testBackend(1)
		if place == to {
			to = testBackend(2)
		}
		if _, err := w.directors[1].do(Move{Hash: h, Backend: to}); !errors.Is(err, errCannotMove) {
			t.Errorf("moved with %v, want %v", err, errCannotMove)
		}
		agree(t, w, place)
	})
	t.Run("flush", func(t *testing.T) {
		w, place := start(t, false)
		d := w.directors[1]
		if _, err := d.do(SetDown{Addr: place, Down: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := d.do(Flush{Addr: place}); err != nil {
			t.Fatal(err)
		}
		w.until("the flush ends", 10*time.Second,
			func() bool { f := d.core.Flushes(); return len(f) == 1 && f[0].Ended != 0 })
		if f := d.core.Flushes()[0]; f.Failed != 1 {
			t.Errorf("the flush ended with %+v, want one failed", f)
		}
		agree(t, w, place)
	})
	t.Run("forget", func(t *testing.T) {
		w, place := start(t, false)
		d := w.directors[1]
		if _, err := d.do(SetDown{Addr: place, Down: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := d.do(Forget{Addr: place}); err != nil {
			t.Fatal(err)
		}
		if got := w.directors[2].must(h); got == place {
			t.Errorf("still on %v", got)
		}
		w.run(3 * time.Second)
		agree(t, w, netip.Addr{})
	})
	t.Run("no backend", func(t *testing.T) {
		w, _ := start(t, false)
		for _, d := range w.directors {
			d.dir = d.core.dir
		}
		d := w.directors[1]
		before, _ := d.dir.Find("", h, d.core.MeshTime(w.now))
		next, _, _ := d.dir.Supersede("", h, netip.Addr{}, false, d.core.MeshTime(w.now), 0)
		if next.Generation != 0 {
			t.Errorf("superseded by %+v", next)
		}
		d.dir.Merge("", []directory.Mapping{{
			Hash: 99, Backend: before.Backend, Generation: directory.MaxGeneration - 1,
			Stamp: before.Stamp, Activity: before.Activity,
		}},
			d.core.MeshTime(w.now), nil)
		// The last generation is for a backend: a user forgotten in it could not log in until the
		// mapping had died.
		if next, _, _ := d.dir.Supersede("", 99, netip.Addr{}, false,
			d.core.MeshTime(w.now), 0); next.Generation != 0 {
			t.Errorf("superseded by %+v, which nothing can replace", next)
		}
	})
}
