package replica

import (
	"fmt"
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

// Of two that let a director in, the one counts that was together with a third for longer. What one
// says counts for nobody whom the director has met itself, nor for itself.
func TestTwoSayWhoIsApart(t *testing.T) {
	_, d4, _ := toldOfThree(t)
	c := d4.core
	told := c.apart["d3"]
	for _, test := range []struct{ later, want time.Duration }{
		{-time.Second, 0}, {time.Second, time.Second}, {0, time.Second},
	} {
		said := told
		said.Together = told.Together.Add(test.later)
		met, self := said, said
		met.Director.Name, self.Director.Name = "d1", "d4"
		c.noteApart([]wire.Apart{said, met, self})
		got := c.apart["d3"].Together.Sub(told.Together)
		if got != test.want || len(c.apart) != 1 {
			t.Errorf("%+v: %v later, %+v", test, got, c.apart)
		}
	}
}

// What others say is bounded by what a mesh may have.
func TestToldOfTooMany(t *testing.T) {
	c := started(t, 1).directors[0].core
	var apart []wire.Apart
	for i := range MaxDirectors + 1 {
		who := wire.Peer{Name: fmt.Sprintf("x%d", i)}
		apart = append(apart, wire.Apart{Director: who, Together: 7})
	}
	c.noteApart(apart)
	apart[0].Together = 8
	c.noteApart(apart)
	if len(c.apart) != MaxDirectors || c.apart["x0"].Together != 8 {
		t.Errorf("it has noted %d, the first %+v", len(c.apart), c.apart["x0"])
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
