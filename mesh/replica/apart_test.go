package replica

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// toldOfThree returns a world with d4, which has joined d1 and d2 while these are apart from d3.
func toldOfThree(t *testing.T) (w *world, d4 *director, parted directory.Time) {
	w = started(t, 3)
	w.run(time.Second)
	parted = w.directors[0].core.MeshTime(w.now)
	w.split(w.directors[:2], w.directors[2:])
	w.run(failAfter + time.Second)
	d4 = w.start("d4")
	w.split(w.directors[2:3], w.directors[3:])
	w.until("d4 has joined", 10*time.Second, d4.core.synced)
	return w, d4, parted
}

// A joiner is told who is apart, and since when. It tells the next one, and forgets it once it has
// been together with that director itself.
func TestToldWhoIsApart(t *testing.T) {
	w, d4, parted := toldOfThree(t)
	told := d4.core.apart["d3"]
	if off := told.Together.Sub(parted).Abs(); off > time.Second || len(d4.core.apart) != 1 {
		t.Errorf("d4 was told %+v, want d3 since %v", d4.core.apart, parted)
	}
	d1, d2 := w.directors[0], w.directors[1]
	d1.crash()
	d2.crash()
	w.run(failAfter + time.Second)
	d5 := w.start("d5")
	w.split(w.directors[2:3], w.directors[4:])
	w.until("d5 has joined", 10*time.Second, d5.core.synced)
	if got := d5.core.apart["d3"]; got != told {
		t.Errorf("d4 was told %+v, and tells d5 %+v", told, got)
	}
	if got := d5.core.apart["d1"].Together; got <= told.Together {
		t.Errorf("d5 is told that d4 lost d1 at %v, was at %v that it lost d3", got, told.Together)
	}
	w.heal()
	w.until("d4 has met d3", 10*time.Second, func() bool {
		return d4.core.peers.get("d3") != nil && d4.core.peers.get("d3").togetherAt != 0
	})
	if _, still := d4.core.apart["d3"]; still {
		t.Error("d4 still has what it was told of d3")
	}
}

// What is ordered at a director that began anew in a split names those of the other side, whom it
// has not met. Those that let it in named them to it. Alone with its data directory it cannot know
// whether they left while it was away: it names them as soon as it meets one that counts them.
func TestThoseBehindOneThatIsMetAreNamed(t *testing.T) {
	told, alone := started(t, 5), onDisks(t, 3)
	for _, test := range []struct {
		name  string
		w     *world
		side  int      // so many are on this side of the split, and the last of them begins anew
		apart []string // who is named in the split
	}{
		{"with others", told, 3, []string{"d4", "d5"}},
		{"alone with its disk", alone, 1, nil},
	} {
		w := test.w
		side, others := w.directors[:test.side], w.directors[test.side:]
		anew, comes, behind := side[test.side-1], others[0], others[1]
		w.split(side, others)
		w.run(failAfter + time.Second)
		anew.crash()
		anew.boots(test.side == 1)
		w.until("it is back", 10*time.Second, anew.core.synced)
		update := func(when string, want []string) {
			t.Helper()
			out, err := anew.do(UpdateBackend{Addr: testBackend(1), VHosts: 5 + len(want)})
			if err != nil || !slices.Equal(out.FailedPeers, want) {
				t.Errorf("began anew %s, %s: %v failed, error %v; want %v", test.name, when,
					out.FailedPeers, err, want)
			}
		}
		update("in the split", test.apart)
		w.heal()
		w.split(w.directors[:test.side-1], others)
		w.split(side, others[1:])
		w.lose = func(from, to *director, m wire.Message) bool { // so that the other one asks
			beat, ok := m.(*wire.Beat)
			return ok && from == comes && to == anew && beat.Synced && beat.Echo != 0
		}
		w.until("one of the other side is back", 5*time.Second, func() bool {
			p := anew.core.peers.get(comes.name)
			return anew.core.synced() && p != nil && p.live && p.Counted
		})
		if !behind.core.synced() || !comes.core.peers.get(behind.name).Counted ||
			len(anew.core.peers.unmet) > 0 {
			t.Fatal("it does not count the one behind it, or has for long; this shows nothing")
		}
		update("one is back", []string{behind.name})
		w.lose = nil
		w.heal()
		w.until("all have met", time.Minute, w.allSynced)
		update("all have met", nil)
	}
}

// Who is apart is named for as long as the others remember it, and if we do not know better.
func TestWhichOfThoseApartAreNamed(t *testing.T) {
	w, d4, _ := toldOfThree(t)
	c := d4.core
	addr, long := c.apart["d3"].Director.Addr, forgetDead
	ago := func(ago time.Duration) directory.Time { return c.MeshTime(w.now).Add(-ago) }
	told := func(name string, addr netip.AddrPort, at directory.Time) wire.Apart {
		return wire.Apart{Director: wire.Peer{Name: name, Addr: addr}, Together: at}
	}
	for _, test := range []struct {
		name  string
		told  wire.Apart
		named bool
	}{
		{"apart", told("d3", addr, ago(time.Hour)), true},
		{"a day ago", told("d3", addr, ago(long)), true},
		{"longer ago", told("d3", addr, ago(long+time.Millisecond)), false},
		{"we have met it", told("d1", addr, ago(time.Hour)), false},
		{"it goes by our name now", told("d3", c.cfg.Addr, ago(time.Hour)), false},
		{"it goes by another one", told("d3", c.peers.get("d1").addr, ago(time.Hour)), false},
	} {
		c.apart = map[string]wire.Apart{test.told.Director.Name: test.told}
		for _, before := range [][]string{nil, {"d3"}} {
			want := slices.Clone(before)
			if test.named {
				want = []string{"d3"}
			}
			if got := c.failedUnmet(w.now, slices.Clone(before)); !slices.Equal(got, want) {
				t.Errorf("%s: %v beside %v, want %v", test.name, got, before, want)
			}
		}
	}
	c.apart = nil
	c.disk = &disk{live: []wire.Peer{{Name: "d3", Addr: addr}}}
	d1 := c.peers.get("d1")
	for _, test := range []struct {
		name     string
		counts   string // whom d1 counts
		stranger bool
		named    bool
	}{
		{"it may have left", "d2", false, false}, {"it is counted", "d3", false, true},
		{"a stranger counts it", "d3", true, false},
	} {
		d1.counts = map[wire.Life]bool{{Name: test.counts, Boot: 7}: true}
		d1.mesh.ID = c.table.Mesh()
		if test.stranger {
			d1.mesh.ID++
		}
		if got := c.failedUnmet(w.now, nil); slices.Equal(got, []string{"d3"}) != test.named {
			t.Errorf("on the disk, and %s: %v is named", test.name, got)
		}
	}
	d1.mesh.ID = c.table.Mesh()
	c.apart = map[string]wire.Apart{"d3": told("d3", addr, ago(time.Hour))}
	out, err := w.directors[0].do(SetDirectorRemoved{Addr: addr, Removed: true})
	if err != nil || len(out.FailedPeers) > 0 {
		t.Fatal(out, err)
	}
	if got := c.failedUnmet(w.now, nil); len(got) > 0 {
		t.Errorf("%v is named, which was removed", got)
	}
}

// One that dials us once and never answers where it says that it can be reached is apart as before.
func TestOneThatOnlyDialledStaysApart(t *testing.T) {
	w, d4, _ := toldOfThree(t)
	d3 := w.directors[2]
	delete(w.cut, [2]string{"d3", "d4"})
	w.until("d3 has dialled d4", 5*time.Second, func() bool {
		return d4.core.peers.get("d3") != nil
	})
	w.split([]*director{d3}, []*director{d4})
	w.run(forgetUnmet + 10*time.Second)
	if d4.core.peers.get("d3") != nil {
		t.Fatal("d4 remembers that d3 has dialled; the test shows nothing")
	}
	out, err := d4.do(UpdateBackend{Addr: testBackend(1), VHosts: 5})
	if err != nil || !slices.Equal(out.FailedPeers, []string{"d3"}) {
		t.Errorf("done although %v failed, error %v; want d3 named", out.FailedPeers, err)
	}
}

// Where nobody is apart, nobody is named: not whoever has just joined, nor who has left since, be
// it before it has been together with one that was told of it.
func TestNobodyIsNamedWithoutNeed(t *testing.T) {
	w, d4, _ := toldOfThree(t)
	d3, told := w.directors[2], d4.core.apart["d3"]
	w.heal()
	w.until("all have met", 20*time.Second, w.allSynced)
	d4.core.apart["d3"] = told
	d3.leave()
	w.run(forgetLeft + time.Second)
	if d4.core.peers.get("d3") != nil || len(d4.core.apart) > 0 {
		t.Errorf("d4 remembers d3, which has left: %+v", d4.core.apart)
	}
	for _, name := range []string{"d5", "d6", "d7"} {
		joins := w.start(name)
		w.until(name+" has joined", 10*time.Second, joins.core.synced)
		for _, d := range w.directors {
			if d == d3 {
				continue
			}
			out, err := d.do(UpdateBackend{Addr: testBackend(1), VHosts: 5})
			if err != nil || len(out.FailedPeers) > 0 {
				t.Errorf("%s has joined: %s names %v, error %v", name, d.name, out.FailedPeers, err)
			}
		}
	}
}

// Who left while a director was away is not named by those that it lets in, although its data
// directory speaks of it: whoever was with both lets it in again, and is not apart from the other
// one. Who only fails is named, and so is one of whom nobody can tell.
func TestOfTheDiskAndLeftSince(t *testing.T) {
	for _, test := range []struct {
		name   string
		go3    func(d3 *director)
		anew   bool // d1 begins anew before d2 is back
		failed []string
	}{
		{"left", (*director).leave, false, nil},
		{"failed", (*director).crash, false, []string{"d3"}},
		{"left, before d1 began anew", (*director).leave, true, []string{"d3"}},
	} {
		w := onDisks(t, 3)
		d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
		w.run(2 * time.Second)
		d2.crash()
		w.run(failAfter + time.Second)
		test.go3(d3)
		w.run(forgetLeft + time.Second)
		if test.anew {
			d1.crash()
			d1.boots(false)
			w.until("d1 serves alone", 20*time.Second, d1.core.synced)
		}
		d2.boots(false)
		w.until("d2 is back", 20*time.Second, d2.core.synced)
		if missing := d2.core.missing(w.now); !slices.Equal(missing, test.failed) {
			t.Errorf("%s: d2 misses %v, want %v", test.name, missing, test.failed)
		}
		d4 := w.start("d4")
		w.until("d4 has joined", 10*time.Second, d4.core.synced)
		out, err := d4.do(UpdateBackend{Addr: testBackend(1), VHosts: 5})
		if err != nil || !slices.Equal(out.FailedPeers, test.failed) {
			t.Errorf("%s: d4 names %v, error %v; want %v", test.name, out.FailedPeers, err,
				test.failed)
		}
		w.run(2 * time.Second)
		whole, apart := d2.core.wholeNow(w.now)
		ago := d2.core.MeshTime(w.now).Sub(whole)
		if (len(apart) > 0 || ago > time.Second) != (test.failed != nil) {
			t.Errorf("%s: d2 is whole up to %v ago, apart from %v", test.name, ago, apart)
		}
	}
}

// Of two that let a director in, the one counts that was together with a third for longer. What one
// says counts for nobody whom the director has met itself, nor for itself.
func TestTwoSayWhoIsApart(t *testing.T) {
	w, d4, _ := toldOfThree(t)
	c := d4.core
	told := c.apart["d3"]
	for _, test := range []struct{ later, want time.Duration }{
		{-time.Second, 0}, {time.Second, time.Second}, {0, time.Second},
	} {
		said := told
		said.Together = told.Together.Add(test.later)
		met, self := said, said
		met.Director.Name, self.Director.Name = "d1", "d4"
		c.noteApart(w.now, []wire.Apart{said, met, self})
		got := c.apart["d3"].Together.Sub(told.Together)
		if got != test.want || len(c.apart) != 1 {
			t.Errorf("%+v: %v later, %+v", test, got, c.apart)
		}
	}
}

// What others say is bounded by what a mesh may have.
func TestToldOfTooMany(t *testing.T) {
	w := started(t, 1)
	c := w.directors[0].core
	var apart []wire.Apart
	for i := range MaxDirectors + 1 {
		who := wire.Peer{Name: fmt.Sprintf("x%d", i)}
		apart = append(apart, wire.Apart{Director: who, Together: 7})
	}
	c.noteApart(w.now, apart)
	apart[0].Together = 8
	c.noteApart(w.now, apart)
	if len(c.apart) != MaxDirectors || c.apart["x0"].Together != 8 {
		t.Errorf("it has noted %d, the first %+v", len(c.apart), c.apart["x0"])
	}
}

// A moment that lies ahead of mesh time would be kept, named to operators and told on for ever.
func TestToldOfAMomentAhead(t *testing.T) {
	w := started(t, 1)
	c := w.directors[0].core
	latest := c.MeshTime(w.now).Add(maxAhead)
	for _, test := range []struct {
		name string
		at   directory.Time
		want bool
	}{
		{"x1", latest, true}, {"x2", latest + 1, false}, {"x3", math.MaxInt64, false},
	} {
		who := wire.Peer{Name: test.name}
		c.noteApart(w.now, []wire.Apart{{Director: who, Together: test.at}})
		if _, noted := c.apart[test.name]; noted != test.want {
			t.Errorf("%s at %v: noted %v, want %v", test.name, test.at, noted, test.want)
		}
	}
}

// What was said of others is of mesh time before a step, unless it lies before the last moment in
// common, and of the mesh that is joined then.
func TestApartWhenTimeSteps(t *testing.T) {
	w, d4, _ := toldOfThree(t)
	c := d4.core
	for _, test := range []struct{ after, want time.Duration }{ // after that of the last moment
		{-time.Second, 20 * time.Second}, {time.Second, 0},
	} {
		told := c.apart["d3"].Together
		c.forgottenWith = told.Add(test.after).Micros()
		c.step(w.now, 20*time.Second)
		if got := c.apart["d3"].Together.Sub(told); got != test.want {
			t.Errorf("%+v: moved by %v", test, got)
		}
	}
	c.joinMesh(w.now, c.peers.get("d1"))
	if len(c.apart) != 0 {
		t.Errorf("it joins a mesh with %+v", c.apart)
	}
}

// With one that has stepped away from our time no moment is in common.
func TestApartOfOneThatStepped(t *testing.T) {
	w := started(t, 3)
	c := w.directors[0].core
	w.split(w.directors[:2], w.directors[2:])
	w.run(failAfter + time.Second)
	p := c.peers.get("d3")
	clock := p.clock
	for _, goesOn := range []bool{false, true} {
		p.clock = clock.NextLife(goesOn)
		apart := c.apartFrom(w.now)
		if len(apart) != 1 || apart[0].Director != p.self() || apart[0].Together == 0 != goesOn {
			t.Errorf("goes on: %v: apart from %+v", goesOn, apart)
		}
		whole, _ := c.wholeNow(w.now)
		if whole != p.togetherAt {
			t.Errorf("goes on: %v: whole up to %v, want %v", goesOn, whole, p.togetherAt)
		}
	}
}

// A director was away as others joined, and another one runs at its address now. Those that were
// only told of it must not take the name of the first for the second, or for themselves.
func TestNameOfOneWhoseAddressIsTaken(t *testing.T) {
	w := started(t, 3)
	away := w.directors[2]
	away.crash()
	w.run(failAfter + time.Second)
	joiner := w.start("d4")
	w.until("d4 is synced", 10*time.Second, joiner.core.synced)
	remove := SetDirectorRemoved{Name: away.name, Removed: true}
	if op, err := joiner.core.addressed(remove); err != nil ||
		op.(SetDirectorRemoved).Addr != away.core.cfg.Addr {
		t.Errorf("before: %+v, %v; want the address of %s", op, err, away.name)
	}
	w.directors = slices.DeleteFunc(w.directors, func(d *director) bool { return d == away })
	d5 := w.start("d5", func(c *Config) { c.Addr = away.core.cfg.Addr })
	w.until("d5 is synced", 20*time.Second, d5.core.synced)
	w.run(2 * forgetLeft) // those that met the one that was there before forget it
	for _, d := range w.directors {
		if op, err := d.core.addressed(remove); !errors.Is(err, ErrUnknownDirector) {
			t.Errorf("%s: %+v, %v; want that the name is unknown", d.name, op, err)
		}
	}
}
