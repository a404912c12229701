package directory

import (
	"errors"
	"net/netip"
	"testing"

	"directormesh/ring"
)

// A standby takes users while no other backend of its tag does, whatever keeps those from it.
func TestStandby(t *testing.T) {
	other := netip.MustParseAddr("192.0.2.77")
	none := func(*Table) (Change, error) { return Change{}, nil }
	for name, test := range map[string]struct {
		change func(t *Table) (Change, error)
		inUse  bool
	}{
		"both others are there": {none, false},
		"one is down": {func(t *Table) (Change, error) {
			return t.SetDown(20, "d", b1, true)
		}, false},
		"one has failed": {func(t *Table) (Change, error) {
			return t.Judge(20, "d", b1, true)
		}, false},
		"both have no vhosts": {func(t *Table) (Change, error) {
			t.do(t.Update(20, "d", b1, 0, nil))
			return t.Update(21, "d", b2, 0, nil)
		}, true},
		"both are down": {func(t *Table) (Change, error) {
			t.do(t.SetDown(20, "d", b1, true))
			return t.SetDown(21, "d", b2, true)
		}, true},
		"one is drained, one has failed": {func(t *Table) (Change, error) {
			t.do(t.Drain(20, "d", b1, Task{}, true))
			return t.Judge(21, "d", b2, true)
		}, true},
		"both are removed": {func(t *Table) (Change, error) {
			t.do(t.Remove(20, "d", b1))
			return t.Remove(21, "d", b2)
		}, true},
		"no longer a standby": {func(t *Table) (Change, error) {
			c, err := t.Add(20, "d", b6, "", "", nil)
			return c.SetStandby(20, "d", false), err
		}, true},
		"added again without saying so": {func(t *Table) (Change, error) {
			return t.Add(20, "d", b6, "", "", nil)
		}, false},
		"removed and added anew": {func(t *Table) (Change, error) {
			t.do(t.Remove(20, "d", b6))
			return t.Add(21, "d", b6, "", "", nil)
		}, true},
	} {
		table := NewTable(mesh1, "d", []ring.Backend{
			{Addr: b1, VHosts: 100}, {Addr: b2, VHosts: 100},
			{Addr: other, VHosts: 100, Tag: "ssd"}, // of no concern
		})
		before := table.Digest()
		c, err := table.Add(10, "d", b6, "", "", nil)
		table.do(c.SetStandby(10, "d", true), err)
		if table.Digest() == before {
			t.Error("the digest does not tell of a standby")
		}
		table.do(test.change(table))
		for _, b := range table.Backends() {
			if b.Addr == b6 && (b.Usable() != test.inUse || b.Idle == test.inUse) {
				t.Errorf("%s: the standby is %+v, want it in use: %v", name, b, test.inUse)
			}
		}
	}
}

// A standby that fails while others take users takes none of the places of those that may be out.
func TestFailedStandby(t *testing.T) {
	table := NewTable(mesh1, "d", []ring.Backend{{Addr: b1, VHosts: 100}, {Addr: b2, VHosts: 100}})
	c, err := table.Add(10, "d", b6, "", "", nil)
	table.do(c.SetStandby(10, "d", true), err)
	table.do(table.Judge(20, "d", b6, true))
	table.do(table.Judge(21, "d", b1, true))
	out := make(map[string]bool)
	for _, b := range table.Backends() {
		out[b.Addr.String()] = b.Out
	}
	if !out[b1.String()] || !out[b6.String()] || out[b2.String()] {
		t.Errorf("out are %v", out)
	}
}

// A backend may be drained into its standby.
func TestDrainToAStandby(t *testing.T) {
	table := NewTable(mesh1, "d", []ring.Backend{{Addr: b1, VHosts: 100}})
	if _, err := table.Drain(5, "d", b1, Task{}, false); !errors.Is(err, ErrTooLittleLeft) {
		t.Errorf("drained with nothing left: %v", err)
	}
	c, err := table.Add(10, "d", b6, "", "", nil)
	table.do(c.SetStandby(10, "d", true), err)
	table.do(table.Drain(20, "d", b1, Task{}, false))
	if place, ok := table.Places(nil).Lookup("", 7); !ok || place != b6 {
		t.Errorf("users go to %v", place)
	}
}
