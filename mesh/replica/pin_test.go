package replica

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/ring"
)

// wantUser checks where a user is at all directors that run, and that nobody moves the user.
func (w *world) wantUser(h ring.UserHash, backend netip.Addr) {
	w.t.Helper()
	for _, d := range w.directors {
		if d.stopped {
			continue
		}
		if got := d.core.User(w.now, "", h); got.Current != backend || got.Moving {
			w.t.Errorf("%s: user %v is %+v, want %v", d.name, h, got, backend)
		}
	}
}

// A user who is mapped elsewhere is moved with hold and kick before the command ends; one who is
// mapped nowhere gets the backend with the next login, at whichever director.
func TestPin(t *testing.T) {
	const h, absent = 5, 6
	w := started(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	to := another(d1.must(h))
	w.run(time.Second)
	d2.order(Pin{Hash: h, Backend: to})
	if m := d3.live(h); m.Backend != to || !m.Moving {
		t.Errorf("when the command ends d3 has %+v", m)
	}
	w.run(5 * time.Second)
	w.wantUser(h, to)
	if len(d1.kicked) == 0 {
		t.Error("no session was ended")
	}
	place := another(d1.core.target(ring.User{Hash: absent}))
	d1.order(Pin{Hash: absent, Backend: place})
	for _, d := range w.directors {
		if got := d.must(absent); got != place {
			t.Errorf("%s: pinned to %v, answered %v", d.name, place, got)
		}
	}
	if pins := d3.core.Pins(); len(pins) != 2 || !pins[0].Counts || pins[0].Backend != to {
		t.Errorf("the pins are %+v", pins)
	}
}

// A flush, a rebalance and a drain of another backend leave a user who is pinned alone; a move
// elsewhere is refused.
func TestPinnedUsersStay(t *testing.T) {
	const h = 5
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	home := d1.must(h)
	to := another(home)
	w.run(time.Second)
	d1.order(Pin{Hash: h, Backend: to, Wait: true})
	stamp := d1.live(h).Stamp
	d2.order(Flush{})
	d2.order(Rebalance{})
	d2.order(Drain{Addr: home, Force: true})
	w.run(10 * time.Second)
	if got := d1.live(h); got.Stamp != stamp || got.Backend != to {
		t.Errorf("the user was moved: %+v", got)
	}
	if _, err := d2.do(Move{Hash: h, Backend: home}); !errors.Is(err, ErrPinned) {
		t.Errorf("a move elsewhere: %v", err)
	}
	d2.order(Unpin{User: ring.User{Hash: h}})
	w.run(10 * time.Second)
	w.wantUser(h, to) // unpinning moves nobody
	d2.order(Move{Hash: h, Backend: home, Wait: true})
	w.wantUser(h, home)
}

// While its backend takes no users a pin does not count; as soon as it does, the user is moved
// there, whatever director has gone meanwhile.
func TestPinCountsAgain(t *testing.T) {
	const h = 5
	for name, ops := range map[string][2]func(b netip.Addr) Operation{
		"down": {
			func(b netip.Addr) Operation { return SetDown{Addr: b, Down: true} },
			func(b netip.Addr) Operation { return SetDown{Addr: b} },
		},
		"drain": {
			func(b netip.Addr) Operation { return Drain{Addr: b, Force: true} },
			func(b netip.Addr) Operation { return Undrain{Addr: b} },
		},
		"no vhosts": {
			func(b netip.Addr) Operation { return UpdateBackend{Addr: b} },
			func(b netip.Addr) Operation { return UpdateBackend{Addr: b, VHosts: 100} },
		},
		"removed": {
			func(b netip.Addr) Operation { return RemoveBackend{Addr: b} },
			func(b netip.Addr) Operation { return AddBackend{Addr: b} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := started(t, 3)
			d2 := w.directors[1]
			home := d2.must(h)
			to := another(home)
			w.run(time.Second)
			if name == "removed" { // nobody can be pinned there afterwards
				d2.order(Pin{Hash: h, Backend: to, Wait: true})
			}
			d2.order(ops[0](to))
			if name != "removed" {
				d2.order(Pin{Hash: h, Backend: to})
			}
			w.now = w.now.Add(1)
			for _, d := range w.directors { // where a login goes
				if got := d.must(h); got != home {
					t.Errorf("%s: answered %v, want %v", d.name, got, home)
				}
			}
			w.run(10 * time.Second)
			w.wantUser(h, home)
			if pins := d2.core.Pins(); len(pins) != 1 || pins[0].Counts {
				t.Errorf("the pins are %+v", pins)
			}
			w.directors[0].crash()
			w.run(10 * time.Second)
			d2.order(ops[1](to))
			w.run(10 * time.Second)
			w.wantUser(h, to)
		})
	}
}

// Of two halves of a split one pins and the other unpins: the later holds, and all agree on where
// the user is.
func TestPinsOfTwoSides(t *testing.T) {
	const h = 5
	w := started(t, 4)
	left, right := w.directors[:2], w.directors[2:]
	home := left[0].must(h)
	w.run(time.Second)
	w.split(left, right)
	w.run(10 * time.Second)
	left[0].order(Pin{Hash: h, Backend: another(home)})
	w.run(2 * time.Second)
	right[0].order(Pin{Hash: h, Backend: home})
	w.heal()
	w.run(30 * time.Second)
	w.wantUser(h, home)
	for _, d := range w.directors {
		if pin, _ := d.core.table.Pin(ring.User{Hash: h}); pin.Backend.Value != home {
			t.Errorf("%s: the pin is %+v", d.name, pin)
		}
	}
}

// A director of an earlier release would answer by hash: nobody is pinned while there is one.
func TestPinBesideAnEarlierRelease(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	d1.core.peers.get("d2").registers = directory.PinRegister - 1
	op := Pin{Hash: 5, Backend: testBackend(1)}
	if _, err := d1.do(op); !errors.Is(err, ErrOlderRelease) {
		t.Errorf("%v", err)
	}
	d1.core.peers.get("d2").registers = directory.PinRegister
	d1.order(op)
}
