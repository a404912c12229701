package replica

import (
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// wantForgotten checks that all directors have forgotten a user, and that each has ended the
// sessions on the backend so often.
func (w *world) wantForgotten(what string, h ring.UserHash, backend netip.Addr, kicks int) {
	w.t.Helper()
	for _, d := range w.directors {
		if m, status := d.dir.Find("", h, d.core.MeshTime(w.now)); status == directory.Live {
			w.t.Errorf("%s: %s has the user still, %+v", what, d.name, m)
		}
		times := 0
		for _, k := range d.kicked {
			if k.Target.Backend == backend {
				times++
			}
		}
		if times != kicks {
			w.t.Errorf("%s: %s has ended the sessions %d times, want %d",
				what, d.name, times, kicks)
		}
	}
}

// A backend is removed at one director, and added a moment later at another one that has not heard
// of that. In whatever order a director hears of the two, it ends the sessions of before. A command
// that only forgets the users ends none.
func TestRemovedAsItIsAdded(t *testing.T) {
	const h = 5
	for _, test := range []struct {
		name  string
		op    func(netip.Addr) Operation
		kicks int
	}{
		{"removed", func(b netip.Addr) Operation { return RemoveBackend{Addr: b} }, 1},
		{"forgotten", func(b netip.Addr) Operation { return Forget{Addr: b} }, 0},
	} {
		for _, behind := range []string{"", "d1", "d2"} { // from whom d3 hears later
			if test.kicks == 0 && behind == "d1" {
				continue // what it hears of d2 first could be a removal
			}
			w := started(t, 3)
			w.noGossip = true
			d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
			from := d1.must(h)
			w.run(time.Second)
			type delayed struct {
				from, to *director
				m        wire.Message
			}
			var late []delayed
			delays := func(_, _ *director) bool { return true }
			w.lose = func(from, to *director, m wire.Message) bool {
				if !delays(from, to) {
					return false
				}
				late = append(late, delayed{from, to, m})
				return true
			}
			hear := func() {
				now := late
				late = nil
				for _, l := range now {
					if !w.lose(l.from, l.to, l.m) {
						l.to.hears(l.from, l.m)
					}
				}
				w.deliver()
			}
			d1.begin(test.op(from))
			w.run(100 * time.Millisecond)
			d2.begin(AddBackend{Addr: from})
			w.run(100 * time.Millisecond)
			delays = func(from, to *director) bool { return to == d3 && from.name == behind }
			hear()
			w.run(200 * time.Millisecond)
			delays = func(_, _ *director) bool { return false }
			hear()
			w.run(time.Second)
			w.wantForgotten(test.name+", d3 behind "+behind, h, from, test.kicks)
		}
	}
}

// A backend is removed and added again while a director is away, for so long that it hears of both
// at once.
func TestRemovedAndAddedMeanwhile(t *testing.T) {
	const h = 5
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	from := d1.must(h)
	w.run(time.Second)
	w.split(w.directors[:2], w.directors[2:])
	w.run(failAfter + time.Second)
	d1.order(RemoveBackend{Addr: from})
	d1.order(AddBackend{Addr: from})
	for range 12 {
		d3.must(h)
		w.run(10 * time.Second)
	}
	w.heal()
	w.until("all synced", 10*time.Second, w.allSynced)
	w.run(3 * time.Second)
	w.wantForgotten("away meanwhile", h, from, 1)

	// A director that starts has answered nobody before.
	for range 2 {
		d3.crash()
		d3.kicked = nil
		w.run(failAfter + time.Second)
		d3.boots(false)
		w.until("all synced", 10*time.Second, w.allSynced)
	}
	if len(d3.kicked) > 0 {
		t.Errorf("a director that starts has ended sessions: %+v", d3.kicked)
	}
}
