package directory

import (
	"errors"
	"net/netip"
	"testing"

	"directormesh/ring"
)

func register(on bool, since, stamp Stamp, how Task) Register[Task] {
	how.On, how.Since = on, since
	return Register[Task]{Value: how, Stamp: stamp, Origin: "d1"}
}

// A drain keeps since when it is, whatever else is changed of it; its backend keeps its vhosts and
// is off the ring.
func TestDrain(t *testing.T) {
	table := NewTable(mesh1, "d1", append(configured(), ring.Backend{Addr: b3, VHosts: 100}))
	if _, err := table.Undrain(9, "d1", b1); !errors.Is(err, ErrNotDrained) {
		t.Errorf("undrained, and it never was drained: %v", err)
	}
	for _, step := range []struct {
		stamp Stamp
		how   Task
		off   bool
		want  Register[Task]
	}{
		{stamp: 10, how: Task{Parallel: 5}, want: register(true, 10, 10, Task{Parallel: 5})},
		{stamp: 11, how: Task{By: 99}, want: register(true, 10, 11, Task{By: 99})},
		{stamp: 12, off: true, want: register(false, 12, 12, Task{})},
		{stamp: 13, want: register(true, 13, 13, Task{})},
	} {
		var c Change
		var err error
		if step.off {
			c, err = table.Undrain(step.stamp, "d1", b1)
		} else {
			c, err = table.Drain(step.stamp, "d1", b1, step.how, false)
		}
		apply(t, table, c, err)
		row, _ := table.Row(b1)
		if diff := diff(step.want, row.Drain); diff != "" {
			t.Errorf("at %d (-want +got):\n%s", step.stamp, diff)
		}
		rings := ring.Build(table.Backends(), nil)
		on := false
		for h := range ring.UserHash(1000) {
			place, _ := rings.Lookup("", h<<22)
			on = on || place == b1
		}
		if on != step.off || row.vhosts() != 100 {
			t.Errorf("at %d: on the ring %v, with %d vhosts", step.stamp, on, row.vhosts())
		}
	}
}

// Half of the weight must remain in use, unless the operator insists.
func TestDrainLeavesHalf(t *testing.T) {
	backends := []ring.Backend{
		{Addr: b1, VHosts: 100}, {Addr: b2, VHosts: 50}, {Addr: b3, VHosts: 50},
		{Addr: b6, Tag: "ssd", VHosts: 100},
	}
	drain := func(t *testing.T, table *Table, addr netip.Addr) {
		c, err := table.Drain(5, "d1", addr, Task{}, true)
		apply(t, table, c, err)
	}
	for _, test := range []struct {
		name   string
		before func(*testing.T, *Table)
		drain  netip.Addr
		want   error
	}{
		{"half remains", nil, b1, nil},
		{"the only one", nil, b6, ErrTooLittleLeft},
		{"another is drained", func(t *testing.T, table *Table) { drain(t, table, b2) }, b1,
			ErrTooLittleLeft},
		{"another is down", func(t *testing.T, table *Table) {
			c, err := table.SetDown(5, "d1", b2, true)
			apply(t, table, c, err)
		}, b1, ErrTooLittleLeft},
		{"it is drained already", func(t *testing.T, table *Table) {
			drain(t, table, b2)
			drain(t, table, b1)
		}, b1, nil},
	} {
		table := NewTable(mesh1, "d1", backends)
		if test.before != nil {
			test.before(t, table)
		}
		if _, err := table.Drain(9, "d1", test.drain, Task{}, false); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if _, err := table.Drain(9, "d1", test.drain, Task{}, true); err != nil {
			t.Errorf("%s, forced: %v", test.name, err)
		}
	}
}

// A rebalance is of the backends of one tag or of all, but for those that are drained, and ends on
// each of them once.
func TestRebalance(t *testing.T) {
	table := NewTable(mesh1, "d1", append(configured(), ring.Backend{Addr: b3, VHosts: 100}))
	c, err := table.Drain(5, "d1", b3, Task{}, true)
	apply(t, table, c, err)
	untagged, nobodys := ring.Tag(""), ring.Tag("hdd")
	c, err = table.Rebalance(10, "d1", &untagged, Task{Parallel: 7})
	apply(t, table, c, err)
	want := []BackendRow{{Addr: b1, Rebalance: register(true, 10, 10, Task{Parallel: 7})}}
	if diff := diff(want, c.Backends); diff != "" {
		t.Errorf("of one tag (-want +got):\n%s", diff)
	}
	c, err = table.Rebalance(11, "d1", nil, Task{})
	apply(t, table, c, err)
	want = []BackendRow{
		{Addr: b1, Rebalance: register(true, 10, 11, Task{})},
		{Addr: b2, Rebalance: register(true, 11, 11, Task{})},
	}
	if diff := diff(want, c.Backends); diff != "" {
		t.Errorf("of all (-want +got):\n%s", diff)
	}
	if _, err := table.Rebalance(12, "d1", &nobodys, Task{}); !errors.Is(err, ErrUnknownBackend) {
		t.Errorf("of a tag that no backend has: %v", err)
	}
	c = table.EndRebalance(13, "d1", b1, b3)
	want = []BackendRow{{Addr: b1, Rebalance: register(false, 13, 12, Task{})}}
	if diff := diff(want, c.Backends); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
	table.Merge(c)
	if c := table.EndRebalance(14, "d1", b1); !c.Empty() {
		t.Errorf("ended twice: %+v", c)
	}
}

func TestUsersAtATime(t *testing.T) {
	table := NewTable(mesh1, "d1", configured())
	for n, want := range map[int]error{
		-1: ErrParallel, 0: nil, MaxParallel: nil, MaxParallel + 1: ErrParallel,
	} {
		_, err := table.Drain(9, "d1", b1, Task{Parallel: n}, true)
		_, rebalanced := table.Rebalance(9, "d1", nil, Task{Parallel: n})
		if !errors.Is(err, want) || !errors.Is(rebalanced, want) {
			t.Errorf("%d: %v and %v, want %v", n, err, rebalanced, want)
		}
	}
}
