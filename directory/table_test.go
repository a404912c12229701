package directory

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/ring"
)

var (
	b1 = netip.MustParseAddr("192.0.2.1")
	b2 = netip.MustParseAddr("192.0.2.2")
	b3 = netip.MustParseAddr("192.0.2.3")
	b6 = netip.MustParseAddr("2001:db8::6")

	mesh1 = MeshID(1)
	mesh2 = MeshID(2)
)

// diff compares values that hold addresses.
func diff(want, got any) string {
	return cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}),
		cmpopts.EquateEmpty())
}

func ptr[T any](v T) *T { return &v }

// apply merges what an operation made; it fails the test on an error.
func apply(t *testing.T, table *Table, c Change, err error) Change {
	t.Helper()
	if err != nil {
		t.Fatalf("operation failed: %v", err)
	}
	if !c.Empty() && table.Covers(c) {
		t.Fatalf("the table covers %+v before it is merged", c)
	}
	applied := table.Merge(c)
	if d := diff(c, applied); d != "" {
		t.Fatalf("a fresh change was not applied as it is (-made +applied):\n%s", d)
	}
	return applied
}

func configured() []ring.Backend {
	return []ring.Backend{
		{Addr: b1, VHosts: 100},
		{Addr: b2, Name: "mail2.example.org", Tag: "ssd", VHosts: 100},
	}
}

func TestConfiguredTable(t *testing.T) {
	table := NewTable(mesh1, "d1", configured())
	if d := diff(configured(), table.Backends()); d != "" {
		t.Errorf("backends (-want +got):\n%s", d)
	}
	want := Change{Mesh: mesh1, Backends: []BackendRow{
		{
			Addr:     b1,
			Presence: Register[Presence]{Value: Presence{Present: true}, Origin: "d1"},
			VHosts:   Register[int]{Value: 100, Origin: "d1"},
			State:    Register[State]{Origin: "d1"},
		},
		{
			Addr: b2,
			Presence: Register[Presence]{
				Value: Presence{Present: true, Tag: "ssd", Name: "mail2.example.org"}, Origin: "d1",
			},
			VHosts: Register[int]{Value: 100, Origin: "d1"},
			State:  Register[State]{Origin: "d1"},
		},
	}}
	if d := diff(want, table.Snapshot()); d != "" {
		t.Errorf("snapshot (-want +got):\n%s", d)
	}
}

func TestFound(t *testing.T) {
	table := NewTable(0, "d3", configured())
	if got := table.Mesh(); got != 0 {
		t.Errorf("a table that nobody founded a mesh with belongs to %v", got)
	}
	table.Found(mesh2)
	table.Found(mesh1)
	if got := table.Mesh(); got != mesh2 {
		t.Errorf("founded as %v, want %v for good", got, mesh2)
	}
	if d := diff(configured(), table.Backends()); d != "" {
		t.Errorf("founding changed the backends (-want +got):\n%s", d)
	}
}

func TestAdd(t *testing.T) {
	down := func(t *testing.T, table *Table) {
		c, err := table.SetDown(10, "d1", b2, true)
		apply(t, table, c, err)
	}
	remove := func(t *testing.T, table *Table) {
		down(t, table)
		c, err := table.Remove(11, "d1", b2)
		apply(t, table, c, err)
	}
	present := func(tag ring.Tag, name string) Register[Presence] {
		return Register[Presence]{
			Value: Presence{Present: true, Tag: tag, Name: name}, Stamp: 20, Origin: "d1",
		}
	}
	vhosts := func(n int) Register[int] { return Register[int]{Value: n, Stamp: 20, Origin: "d1"} }
	up := Register[State]{Stamp: 20, Origin: "d1"}
	noVerdict := Register[Verdict]{Stamp: 20, Origin: "d1"}
	noTask := Register[Task]{Stamp: 20, Origin: "d1"}
	noFactor := Register[Factor]{Stamp: 20, Origin: "d1"}
	noStandby := Register[bool]{Stamp: 20, Origin: "d1"}
	noStart := Register[Start]{Stamp: 20, Origin: "d1"}
	listed := Register[Listing]{Stamp: 20, Origin: "d1"}
	for _, test := range []struct {
		name   string
		before func(*testing.T, *Table)
		addr   netip.Addr
		host   string
		tag    ring.Tag
		vhosts *int
		want   BackendRow
		err    error
	}{
		{name: "new", addr: b3, tag: "ssd",
			want: BackendRow{
				Addr: b3, Presence: present("ssd", ""), VHosts: vhosts(100), State: up,
				Forgotten: 20, Drain: noTask, Rebalance: noTask,
				Verdict: noVerdict, Factor: noFactor, Standby: noStandby,
				Start:   noStart,
				Listing: listed,
			}},
		{name: "new with vhosts and name", addr: b6, host: "mail6", vhosts: ptr(0),
			want: BackendRow{
				Addr: b6, Presence: present("", "mail6"), VHosts: vhosts(0), State: up,
				Forgotten: 20, Drain: noTask, Rebalance: noTask,
				Verdict: noVerdict, Factor: noFactor, Standby: noStandby,
				Start:   noStart,
				Listing: listed,
			}},
		{name: "again", addr: b2, tag: "ssd",
			want: BackendRow{Addr: b2, Presence: present("ssd", "mail2.example.org")}},
		{name: "again without tag, with vhosts", addr: b2, vhosts: ptr(7),
			want: BackendRow{
				Addr: b2, Presence: present("ssd", "mail2.example.org"), VHosts: vhosts(7),
			}},
		{name: "again under another name", addr: b2, host: "new",
			want: BackendRow{Addr: b2, Presence: present("ssd", "new")}},
		{name: "again leaves down", before: down, addr: b2,
			want: BackendRow{Addr: b2, Presence: present("ssd", "mail2.example.org")}},
		{name: "removed, under another tag", before: remove, addr: b2, tag: "hdd",
			want: BackendRow{
				Addr: b2, Presence: present("hdd", ""), VHosts: vhosts(100), State: up,
				Forgotten: 20, Drain: noTask, Rebalance: noTask,
				Verdict: noVerdict, Factor: noFactor, Standby: noStandby,
				Start:   noStart,
				Listing: listed,
			}},
		{name: "another tag", addr: b2, tag: "hdd", err: ErrTagDiffers},
		{name: "a tag for an untagged one", addr: b1, tag: "hdd", err: ErrTagDiffers},
		{name: "too many vhosts", addr: b3, vhosts: ptr(1001), err: ErrVHosts},
		{name: "negative vhosts", addr: b3, vhosts: ptr(-1), err: ErrVHosts},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := NewTable(mesh1, "d1", configured())
			if test.before != nil {
				test.before(t, table)
			}
			c, err := table.Add(20, "d1", test.addr, test.host, test.tag, test.vhosts)
			if test.err != nil {
				if !errors.Is(err, test.err) || !c.Empty() {
					t.Fatalf("got %+v, %v; want error %q", c, err, test.err)
				}
				return
			}
			apply(t, table, c, err)
			if d := diff(Change{Mesh: mesh1, Backends: []BackendRow{test.want}}, c); d != "" {
				t.Errorf("change (-want +got):\n%s", d)
			}
		})
	}
}

func TestAddRefusesAddresses(t *testing.T) {
	table := NewTable(mesh1, "d1", nil)
	for _, addr := range []netip.Addr{{}, netip.MustParseAddr("fe80::1%eth0")} {
		if c, err := table.Add(20, "d1", addr, "", "", nil); err == nil {
			t.Errorf("Add(%q) gives %+v, want an error", addr, c)
		}
	}
}

func TestOperationsOnBackends(t *testing.T) {
	operations := map[string]func(table *Table, addr netip.Addr) (Change, error){
		"update": func(table *Table, addr netip.Addr) (Change, error) {
			return table.Update(20, "d1", addr, 50, nil)
		},
		"remove": func(table *Table, addr netip.Addr) (Change, error) {
			return table.Remove(20, "d1", addr)
		},
		"down": func(table *Table, addr netip.Addr) (Change, error) {
			return table.SetDown(20, "d1", addr, true)
		},
		"forget": func(table *Table, addr netip.Addr) (Change, error) {
			return table.Forget(20, "d1", addr)
		},
	}
	want := map[string]BackendRow{
		"update": {Addr: b2, VHosts: Register[int]{Value: 50, Stamp: 20, Origin: "d1"}},
		"remove": {Addr: b2, Presence: Register[Presence]{Stamp: 20, Origin: "d1"}, Forgotten: 20},
		"down": {
			Addr:  b2,
			State: Register[State]{Value: State{Down: true, Since: 20}, Stamp: 20, Origin: "d1"},
		},
		"forget": {Addr: b2, Forgotten: 20},
	}
	for name, operation := range operations {
		t.Run(name, func(t *testing.T) {
			table := NewTable(mesh1, "d1", configured())
			if _, err := operation(table, b3); !errors.Is(err, ErrUnknownBackend) ||
				!strings.Contains(err.Error(), "192.0.2.3") {
				t.Errorf("unknown backend: %v", err)
			}
			c, err := operation(table, b2)
			apply(t, table, c, err)
			if d := diff([]BackendRow{want[name]}, c.Backends); d != "" {
				t.Errorf("change (-want +got):\n%s", d)
			}
			c, err = table.Remove(30, "d1", b2)
			if name != "remove" {
				apply(t, table, c, err)
			}
			if c, err := operation(table, b2); !errors.Is(err, ErrUnknownBackend) {
				t.Errorf("removed backend: %+v, %v", c, err)
			}
		})
	}
}

func TestUpdateChecks(t *testing.T) {
	table := NewTable(mesh1, "d1", configured())
	for _, test := range []struct {
		vhosts int
		tag    *ring.Tag
		want   error
		text   string
	}{
		{0, nil, nil, ""},
		{1000, ptr(ring.Tag("")), nil, ""},
		{5, ptr(ring.Tag("ssd")), nil, ""},
		{5, ptr(ring.Tag("hdd")), ErrTagDiffers, `backend 192.0.2.2 has tag "ssd", not "hdd"`},
		{1001, nil, ErrVHosts, "vhost count too large: 1001"},
		{-3, nil, ErrVHosts, "vhost count negative: -3"},
	} {
		_, err := table.Update(20, "d1", b2, test.vhosts, test.tag)
		if !errors.Is(err, test.want) || (err != nil && !strings.Contains(err.Error(), test.text)) {
			t.Errorf("Update to %d with tag %v: error %v, want %v with %q",
				test.vhosts, test.tag, err, test.want, test.text)
		}
	}
}

// What was said last holds, also if it only repeats what was so; but the state keeps the time of
// its last change, and neither an add nor a flush is one.
func TestStateSince(t *testing.T) {
	table := NewTable(mesh1, "d1", configured())
	var stamp Stamp
	for _, step := range []struct {
		name string
		do   func(Stamp) (Change, error)
		want Register[State]
	}{
		{"up although up",
			func(s Stamp) (Change, error) { return table.SetDown(s, "d1", b1, false) },
			Register[State]{Stamp: 1, Origin: "d1"}},
		{"down", func(s Stamp) (Change, error) { return table.SetDown(s, "d1", b1, true) },
			Register[State]{Value: State{Down: true, Since: 2}, Stamp: 2, Origin: "d1"}},
		{"down again", func(s Stamp) (Change, error) { return table.SetDown(s, "d2", b1, true) },
			Register[State]{Value: State{Down: true, Since: 2}, Stamp: 3, Origin: "d2"}},
		{"add", func(s Stamp) (Change, error) { return table.Add(s, "d1", b1, "", "", ptr(5)) },
			Register[State]{Value: State{Down: true, Since: 2}, Stamp: 3, Origin: "d2"}},
		{"forget", func(s Stamp) (Change, error) { return table.Forget(s, "d1", b1) },
			Register[State]{Value: State{Down: true, Since: 2}, Stamp: 3, Origin: "d2"}},
		{"up", func(s Stamp) (Change, error) { return table.SetDown(s, "d1", b1, false) },
			Register[State]{Value: State{Since: 6}, Stamp: 6, Origin: "d1"}},
		{"remove", func(s Stamp) (Change, error) { return table.Remove(s, "d1", b1) },
			Register[State]{Value: State{Since: 6}, Stamp: 6, Origin: "d1"}},
		{"added anew", func(s Stamp) (Change, error) { return table.Add(s, "d1", b1, "", "", nil) },
			Register[State]{Stamp: 8, Origin: "d1"}},
	} {
		stamp++
		c, err := step.do(stamp)
		apply(t, table, c, err)
		if row, _ := table.Row(b1); row.State != step.want {
			t.Errorf("%s: %+v, want %+v", step.name, row.State, step.want)
		}
	}
}

func TestForgetAll(t *testing.T) {
	table := NewTable(mesh1, "d1", configured())
	c, err := table.Remove(10, "d1", b1)
	apply(t, table, c, err)
	c, err = table.Add(11, "d1", b3, "", "", nil)
	apply(t, table, c, err)
	c, err = table.Forget(20, "d1", netip.Addr{})
	apply(t, table, c, err)
	want := []BackendRow{{Addr: b2, Forgotten: 20}, {Addr: b3, Forgotten: 20}}
	if d := diff(want, c.Backends); d != "" {
		t.Errorf("rows (-want +got):\n%s", d)
	}
}

func TestSetDirectorRemoved(t *testing.T) {
	table := NewTable(mesh1, "d1", nil)
	d2 := netip.MustParseAddrPort("192.0.2.102:9090")
	wantState := func(added, removed bool) {
		t.Helper()
		if table.Added(d2) != added || table.Removed(d2) != removed {
			t.Errorf("added %v, removed %v; want %v, %v",
				table.Added(d2), table.Removed(d2), added, removed)
		}
	}
	wantState(false, false)
	remove := table.SetDirectorRemoved(20, "d1", d2, true)
	apply(t, table, remove, nil)
	wantState(false, true)
	add := table.SetDirectorRemoved(21, "d3", d2, false)
	apply(t, table, add, nil)
	wantState(true, false)
	if applied := table.Merge(remove); !applied.Empty() {
		t.Errorf("an old removal came back: %+v", applied)
	}
	want := []DirectorRow{{Addr: d2, Removed: Register[bool]{Stamp: 21, Origin: "d3"}}}
	if d := diff(want, table.Snapshot().Directors); d != "" {
		t.Errorf("directors (-want +got):\n%s", d)
	}
	if !want[0].Covers(remove.Directors[0]) || remove.Directors[0].Covers(want[0]) {
		t.Error("the addition must cover the removal, not the other way round")
	}
}

func TestBackendsAreUsable(t *testing.T) {
	table := NewTable(mesh1, "d1", nil)
	row := func(addr netip.Addr, vhosts Register[int]) BackendRow {
		return BackendRow{
			Addr:     addr,
			Presence: Register[Presence]{Value: Presence{Present: true}, Stamp: 1, Origin: "d9"},
			VHosts:   vhosts,
		}
	}
	table.Merge(Change{Mesh: mesh1, Backends: []BackendRow{
		row(b6, Register[int]{Value: 1 << 30, Stamp: 1, Origin: "d9"}),
		row(b2, Register[int]{Value: -7, Stamp: 1, Origin: "d9"}),
		row(b1, Register[int]{}),
		row(netip.Addr{}, Register[int]{}),
		row(netip.MustParseAddr("fe80::1%eth0"), Register[int]{}),
		// its presence is still on the way
		{Addr: b3, VHosts: Register[int]{Value: 50, Stamp: 1, Origin: "d9"}},
	}})
	want := []ring.Backend{{Addr: b1, VHosts: 100}, {Addr: b2, VHosts: 0}, {Addr: b6, VHosts: 1000}}
	if d := diff(want, table.Backends()); d != "" {
		t.Errorf("backends (-want +got):\n%s", d)
	}
}

func TestTombstonesAreBounded(t *testing.T) {
	table := NewTable(mesh1, "d1", configured())
	table.maxAbsent = 3
	var changes []Change
	for i := range 6 {
		addr := netip.MustParseAddr(fmt.Sprintf("198.51.100.%d", i))
		stamp := Stamp(100 + 10*i)
		c, err := table.Add(stamp, "d1", addr, "", "", nil)
		changes = append(changes, apply(t, table, c, err))
		c, err = table.Remove(stamp+1, "d1", addr)
		changes = append(changes, apply(t, table, c, err))
		if _, ok := table.Row(addr); !ok {
			t.Errorf("the tombstone of %s was dropped before it could be told", addr)
		}
	}
	for i, c := range changes {
		if removal := i%2 == 1; removal && i < 6 {
			if again := table.Merge(c); !again.Empty() {
				t.Errorf("a dropped tombstone was taken up again: %+v", again)
			}
		}
	}
	var kept []string
	for _, row := range table.Snapshot().Backends {
		kept = append(kept, row.Addr.String())
	}
	want := []string{"192.0.2.1", "192.0.2.2", "198.51.100.3", "198.51.100.4", "198.51.100.5"}
	if d := diff(want, kept); d != "" {
		t.Errorf("rows kept (-want +got):\n%s", d)
	}
	for i, c := range changes[1:] {
		if removal := i%2 == 0; removal && !table.Covers(c) {
			t.Errorf("a removal that was merged is not covered: %+v", c)
		}
	}
	if again := table.Merge(changes[0]); !again.Empty() || !table.Covers(changes[0]) {
		t.Errorf("an addition whose row was dropped brings the backend back: %+v", again)
	}
	unseen := Change{Mesh: mesh1, Backends: []BackendRow{{Addr: b3, Forgotten: 900}}}
	if table.Covers(unseen) {
		t.Error("a change that was never merged is covered")
	}
}

// A table of long ago, as an old data directory has it, brings back no backend that was removed
// since, even if the tombstone is not kept any more; nor one that was configured. From the whole
// table of today it learns what is gone, and what others add later it takes up.
func TestTableOfLongAgo(t *testing.T) {
	table := NewTable(mesh1, "d1", configured())
	table.maxAbsent = 3
	add := func(stamp Stamp, addr netip.Addr) {
		c, err := table.Add(stamp, "d1", addr, "", "", nil)
		apply(t, table, c, err)
	}
	remove := func(stamp Stamp, addr netip.Addr) {
		c, err := table.Remove(stamp, "d1", addr)
		apply(t, table, c, err)
	}
	at := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("198.51.100.%d", i)) }
	add(10, at(200)) // stays
	add(20, at(100)) // goes
	old := NewTable(mesh1, "d2", nil)
	old.maxAbsent = table.maxAbsent
	old.Merge(table.Snapshot())
	remove(30, at(100))
	remove(31, b1) // a configured one
	for i := range 6 {
		add(Stamp(100+10*i), at(i))
		remove(Stamp(101+10*i), at(i))
	}
	table.Merge(Change{Mesh: mesh1})
	if _, ok := table.Row(at(100)); ok {
		t.Fatal("the tombstone is kept; the test shows nothing")
	}
	want := table.Backends()
	before := old.Snapshot()
	if !table.Covers(before) {
		t.Error("the table of long ago is not covered")
	}
	if news := table.Merge(before); !news.Empty() {
		t.Errorf("the table of long ago brings %+v", news)
	}
	today := table.Snapshot()
	if old.Covers(today) {
		t.Error("the table of long ago covers that of today")
	}
	news := old.Merge(today)
	for _, tables := range []*Table{table, old} {
		if d := diff(want, tables.Backends()); d != "" {
			t.Errorf("backends (-want +got):\n%s", d)
		}
	}
	if !old.Covers(today) {
		t.Error("after the merge that of today is not covered")
	}
	third := NewTable(mesh1, "d3", nil)
	third.maxAbsent = table.maxAbsent
	third.Merge(before)
	third.Merge(news)
	if d := diff(want, third.Backends()); d != "" {
		t.Errorf("with what was new to the second, a third has (-want +got):\n%s", d)
	}
	// A few rows are no whole table, whatever they say.
	few := Change{Mesh: mesh1, Dropped: 1 << 40, Backends: today.Backends[:1]}
	liar := NewTable(mesh1, "d5", configured())
	if news := liar.Merge(few); len(liar.removedBy(few)) > 0 || liar.lastDropped != 0 {
		t.Errorf("a few rows that tell of dropped ones remove %+v", news)
	}
	// Another mesh knows nothing of what was removed here.
	other := NewTable(mesh2, "d4", nil)
	c, err := other.Add(5, "d4", at(150), "", "", nil)
	apply(t, other, c, err)
	if news := other.Merge(today); !slices.ContainsFunc(other.Backends(),
		func(b ring.Backend) bool { return b.Addr == at(150) }) {
		t.Errorf("a table of another mesh lost its backend: %+v", news)
	}
	table.Merge(old.Snapshot())
	add(900, at(100))
	is := func(b ring.Backend) bool { return b.Addr == at(100) }
	if !slices.ContainsFunc(table.Backends(), is) {
		t.Error("it cannot be added again")
	}
}

// Two tables have nothing in common if both have backends, of different meshes, and none is in
// both; one that was removed counts.
func TestDisjoint(t *testing.T) {
	table := func(mesh MeshID, addrs ...netip.Addr) *Table {
		var backends []ring.Backend
		for _, addr := range addrs {
			backends = append(backends, ring.Backend{Addr: addr, VHosts: 100})
		}
		return NewTable(mesh, "d1", backends)
	}
	removed := table(mesh1, b1, b2)
	c, err := removed.Remove(50, "d1", b2)
	apply(t, removed, c, err)
	for _, test := range []struct {
		name       string
		ours, them *Table
		want       bool
	}{
		{"different backends", table(mesh1, b1), table(mesh2, b2), true},
		{"one in common", table(mesh1, b1, b2), table(mesh2, b2, b3), false},
		{"one that was removed in common", removed, table(mesh2, b2), false},
		{"one mesh", table(mesh1, b1), table(mesh1, b2), false},
		{"this one of no mesh", table(0, b1), table(mesh2, b2), false},
		{"the other of no mesh", table(mesh1, b1), table(0, b2), false},
		{"this one empty", table(mesh1), table(mesh2, b2), false},
		{"the other empty", table(mesh1, b1), table(mesh2), false},
	} {
		if got := test.ours.Disjoint(test.them.Snapshot()); got != test.want {
			t.Errorf("%s: disjoint %v, want %v", test.name, got, test.want)
		}
	}
}
