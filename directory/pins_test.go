package directory

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"directormesh/ring"
)

var alice = ring.User{Hash: 0xa11ce}

func pin(u ring.User, backend netip.Addr, stamp Stamp, origin string) PinRow {
	return PinRow{User: u, Backend: Register[netip.Addr]{
		Value: backend, Stamp: stamp, Origin: origin,
	}}
}

// pinTable returns a table of two backends, and of a third with another tag.
func pinTable() *Table {
	return NewTable(mesh1, "d1", []ring.Backend{
		{Addr: b1, VHosts: 100}, {Addr: b2, VHosts: 100}, {Addr: b6, Tag: "ssd", VHosts: 100},
	})
}

func (t *Table) do(change Change, err error) {
	if err != nil {
		panic(err)
	}
	t.Merge(change)
}

// other is the backend of pinTable where the user does not hash.
func other(t *Table) netip.Addr {
	if place, _ := t.Places(nil).Lookup("", alice.Hash); place == b1 {
		return b2
	}
	return b1
}

// A pin counts while its backend takes users and has the user's tag, and comes back with it.
func TestWhenAPinCounts(t *testing.T) {
	for name, change := range map[string]func(t *Table, at netip.Addr) (Change, error){
		"down": func(t *Table, at netip.Addr) (Change, error) {
			return t.SetDown(20, "d1", at, true)
		},
		"no vhosts": func(t *Table, at netip.Addr) (Change, error) {
			return t.Update(20, "d1", at, 0, nil)
		},
		"drained": func(t *Table, at netip.Addr) (Change, error) {
			return t.Drain(20, "d1", at, Task{}, true)
		},
		"failed": func(t *Table, at netip.Addr) (Change, error) {
			return t.Judge(20, "d1", at, true)
		},
		"removed": func(t *Table, at netip.Addr) (Change, error) {
			return t.Remove(20, "d1", at)
		},
		"unpinned": func(t *Table, _ netip.Addr) (Change, error) {
			return t.Unpin(20, "d1", alice)
		},
	} {
		table := pinTable()
		before := table.Places(nil)
		hashed, _ := before.Lookup("", alice.Hash)
		to := other(table)
		table.do(table.PinUser(10, "d1", alice.Hash, to))
		digest := table.Digest()
		rings := table.Places(before)
		if place, _ := rings.Lookup("", alice.Hash); place != to || !table.PinCounts(alice) {
			t.Fatalf("%s: pinned to %v, goes to %v", name, to, place)
		}
		if place, _ := rings.Lookup("ssd", alice.Hash); place != b6 {
			t.Errorf("%s: the same hash in another tag goes to %v", name, place)
		}
		if place, _ := before.Lookup("", alice.Hash); place != hashed {
			t.Errorf("%s: the rings of before give %v, not %v", name, place, hashed)
		}
		table.do(change(table, to))
		if place, _ := table.Places(rings).Lookup("", alice.Hash); place != hashed ||
			table.PinCounts(alice) {
			t.Errorf("%s: the user goes to %v, not to %v", name, place, hashed)
		}
		if table.Digest() == digest {
			t.Errorf("%s: the digest is the same", name)
		}
		if pinned := len(table.Pins()); (pinned == 1) == (name == "unpinned") {
			t.Errorf("%s: %d pins are listed", name, pinned)
		}
	}
}

// The digest tells of pins, and what counts of them.
func TestDigestOfPins(t *testing.T) {
	table := pinTable()
	without := table.Digest()
	table.do(table.PinUser(10, "d1", alice.Hash, other(table)))
	if table.Digest() == without {
		t.Error("the digest does not tell of a pin")
	}
	table.do(table.Unpin(11, "d1", alice))
	if table.Digest() != without {
		t.Error("the digest tells of one that is gone")
	}
}

func TestPinErrors(t *testing.T) {
	table := pinTable()
	if _, err := table.Unpin(1, "d1", alice); !errors.Is(err, ErrNotPinned) {
		t.Errorf("unpin of one who is not: %v", err)
	}
	if _, err := table.PinUser(1, "d1", 1, netip.MustParseAddr("192.0.2.99")); !errors.Is(
		err, ErrUnknownBackend) {
		t.Errorf("pin to an unknown backend: %v", err)
	}
	for n := range MaxPins {
		table.do(table.PinUser(Stamp(n+1), "d1", ring.UserHash(n), b1))
	}
	if _, err := table.PinUser(1<<30, "d1", MaxPins, b1); !errors.Is(err, ErrFull) {
		t.Errorf("one pin too many: %v", err)
	}
	if _, err := table.PinUser(1<<30, "d1", 3, b2); err != nil {
		t.Errorf("another pin of one who is pinned: %v", err)
	}
}

// What is no pin, and what no honest mesh sends, finds no place, and is covered.
func TestPinsThatAreIgnored(t *testing.T) {
	for name, row := range map[string]PinRow{
		"without a stamp":  pin(alice, b1, 0, "d1"),
		"without a writer": pin(alice, b1, 5, ""),
		"with a zone":      pin(alice, netip.MustParseAddr("fe80::1%eth0"), 5, "d1"),
	} {
		table := pinTable()
		c := Change{Mesh: mesh1, Pins: []PinRow{row}}
		if applied := table.Merge(c); !applied.Empty() || !table.Covers(c) {
			t.Errorf("a pin %s was taken: %+v", name, applied)
		}
	}
	table := pinTable()
	var many Change
	for n := range 2*MaxPins + 1 {
		many.Pins = append(many.Pins, pin(ring.User{Hash: ring.UserHash(n)}, b1, 5, "d1"))
	}
	if applied := table.Merge(many); len(applied.Pins) != 2*MaxPins || table.Refused() != 1 {
		t.Errorf("%d pins were taken, %d refused", len(applied.Pins), table.Refused())
	}
}

// An old disk or peer brings back no pin that was taken away, be its tombstone kept or not.
func TestOldPinsStayGone(t *testing.T) {
	for _, dropped := range []bool{false, true} {
		t.Run(fmt.Sprint("dropped ", dropped), func(t *testing.T) {
			table := pinTable()
			table.pins.maxAbsent = 4
			table.do(table.PinUser(1, "d1", alice.Hash, b1))
			old := table.Clone()
			table.do(table.Unpin(2, "d1", alice))
			if dropped {
				for n := range 6 {
					h := ring.UserHash(100 + n)
					table.do(table.PinUser(Stamp(10+2*n), "d1", h, b1))
					table.do(table.Unpin(Stamp(11+2*n), "d1", ring.User{Hash: h}))
				}
				table.Merge(Change{}) // drops
			}
			if _, kept := table.Pin(alice); kept == dropped {
				t.Fatalf("the tombstone is kept: %v", kept)
			}
			if applied := table.Merge(old.Snapshot()); !applied.Empty() {
				t.Errorf("the old table brought %+v", applied)
			}
			old.pins.maxAbsent = 4
			if old.Covers(table.Snapshot()) {
				t.Error("the old table claims to have it all")
			}
			old.Merge(table.Snapshot())
			if row, _ := old.Pin(alice); row.Pinned() {
				t.Errorf("the old table holds on to %+v", row)
			}
			table.Merge(old.Snapshot())
			if !table.Covers(old.Snapshot()) || !old.Covers(table.Snapshot()) {
				t.Error("they do not agree")
			}
			if _, err := table.PinUser(99, "d1", alice.Hash, b2); err != nil {
				t.Fatal(err)
			}
			table.do(table.PinUser(99, "d1", alice.Hash, b2))
			if !table.PinCounts(alice) {
				t.Error("a new pin does not count")
			}
		})
	}
}
