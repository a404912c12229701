package directory

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"directormesh/ring"
)

func drawMesh(t *rapid.T) MeshID {
	return rapid.SampledFrom([]MeshID{0, mesh1, mesh2}).Draw(t, "mesh")
}

func drawRegister[T comparable](t *rapid.T, label string, values ...T) Register[T] {
	if !rapid.Bool().Draw(t, label+" set") {
		return Register[T]{}
	}
	return Register[T]{
		Value:  rapid.SampledFrom(values).Draw(t, label),
		Stamp:  Stamp(rapid.IntRange(0, 3).Draw(t, label+" stamp")),
		Origin: rapid.SampledFrom([]string{"d1", "d2"}).Draw(t, label+" origin"),
	}
}

var drawnTasks = []Task{{}, {On: true}, {On: true, Since: 2, By: 5}, {On: true, Parallel: 9}}

func drawChange(t *rapid.T) Change {
	c := Change{Mesh: drawMesh(t)}
	for range rapid.IntRange(0, 4).Draw(t, "rows") {
		c.Backends = append(c.Backends, BackendRow{
			Addr: rapid.SampledFrom([]netip.Addr{b1, b2, b6, {}}).Draw(t, "backend"),
			Presence: drawRegister(t, "presence", Presence{}, Presence{Present: true},
				Presence{Present: true, Tag: "ssd"}, Presence{Present: true, Name: "mail"}),
			VHosts: drawRegister(t, "vhosts", 0, 100),
			State: drawRegister(t, "state", State{}, State{Since: 2}, State{Down: true},
				State{Down: true, Since: 2}),
			Forgotten: Stamp(rapid.IntRange(0, 3).Draw(t, "forgotten")),
			Drain:     drawRegister(t, "drain", drawnTasks...),
			Rebalance: drawRegister(t, "rebalance", drawnTasks...),
		})
	}
	for range rapid.IntRange(0, 2).Draw(t, "directors") {
		c.Directors = append(c.Directors, DirectorRow{
			Addr: rapid.SampledFrom([]netip.AddrPort{
				{}, netip.AddrPortFrom(b1, 9090),
			}).Draw(t, "director"),
			Removed: drawRegister(t, "removed", false, true),
		})
	}
	for range rapid.IntRange(0, 2).Draw(t, "pins") {
		c.Pins = append(c.Pins, PinRow{
			User: rapid.SampledFrom([]ring.User{alice, {Tag: "ssd", Hash: 7}}).Draw(t, "user"),
			Backend: drawRegister(t, "pinned", netip.Addr{}, b1, b2,
				netip.MustParseAddr("fe80::1%eth0")),
		})
	}
	return c
}

func drawTable(t *rapid.T, mesh MeshID) *Table {
	table := NewTable(mesh, "d1", nil)
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		table.Merge(drawChange(t))
	}
	return table
}

func (t *Table) clone() *Table {
	c := NewTable(t.mesh, "", nil)
	c.Merge(t.Snapshot())
	return c
}

func joined(a, b *Table) *Table {
	c := a.clone()
	c.Merge(b.Snapshot())
	return c
}

func wantEqual(t *rapid.T, law string, a, b *Table) {
	t.Helper()
	if d := diff(a.Snapshot(), b.Snapshot()); d != "" {
		t.Fatalf("%s:\n%s", law, d)
	}
}

func TestTableMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mesh := drawMesh(t)
		a, b, c := drawTable(t, mesh), drawTable(t, mesh), drawTable(t, mesh)
		wantEqual(t, "a+a = a", joined(a, a), a)
		wantEqual(t, "a+b = b+a", joined(a, b), joined(b, a))
		wantEqual(t, "(a+b)+c = a+(b+c)", joined(joined(a, b), c), joined(a, joined(b, c)))
	})
}

// Deltas may arrive in any order and more than once.
func TestTableMergesDeltasInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		deltas := rapid.SliceOfN(rapid.Custom(drawChange), 0, 6).Draw(t, "deltas")
		start := drawTable(t, drawMesh(t))
		one, other := start.clone(), start.clone()
		for _, c := range deltas {
			one.Merge(c)
		}
		again := rapid.Permutation(slices.Concat(deltas, deltas[:len(deltas)/2])).Draw(t, "order")
		for _, c := range again {
			other.Merge(c)
		}
		wantEqual(t, "another order gives another table", one, other)
	})
}

func TestTableReportsWhatItApplied(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, c := drawTable(t, drawMesh(t)), drawChange(t)
		before := table.clone()
		covered := table.Covers(c)
		applied := table.Merge(c)

		elsewhere := before.clone()
		elsewhere.Merge(applied)
		wantEqual(t, "what was applied has another effect elsewhere", table, elsewhere)

		unchanged := diff(before.Snapshot(), table.Snapshot()) == ""
		if covered != unchanged {
			t.Fatalf("covered before: %v; unchanged by the merge: %v", covered, unchanged)
		}
		if !table.Covers(c) || !table.Covers(applied) {
			t.Fatal("the table does not cover what it has merged")
		}
		if again := table.Merge(c); !again.Empty() {
			t.Fatalf("the second merge applied %+v", again)
		}
		absent := 0
		for _, row := range table.Snapshot().Backends {
			if !row.present() {
				absent++
			}
		}
		if table.absent != absent {
			t.Fatalf("table counts %d absent rows, has %d", table.absent, absent)
		}
	})
}

func TestRowCoversAsItMerges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := func(c Change) BackendRow {
			if len(c.Backends) == 0 {
				return BackendRow{Addr: b1}
			}
			c.Backends[0].Addr = b1
			return c.Backends[0]
		}
		stored, change := row(drawChange(t)), row(drawChange(t))
		covers := stored.Covers(change)
		if won := stored.merge(change); won.Empty() != covers {
			t.Fatalf("covers: %v, but the merge took over %+v", covers, won)
		}
		if !stored.Covers(change) {
			t.Fatalf("%+v does not cover %+v after the merge", stored, change)
		}
	})
}

func TestUnseenConfiguredRowIsNotCovered(t *testing.T) {
	table := NewTable(mesh1, "d1", configured())
	row := BackendRow{Addr: b3, VHosts: Register[int]{Value: 50, Origin: "d1"}}
	if table.Covers(Change{Mesh: mesh1, Backends: []BackendRow{row}}) {
		t.Error("a register that the table has never seen is covered")
	}
	if !table.Covers(Change{Mesh: mesh2, Backends: []BackendRow{row}}) {
		t.Error("a configured register of another mesh is not covered, but would be ignored")
	}
}

// Where two meshes meet, configured rows of the one that joins go, commands stay.
func TestJoin(t *testing.T) {
	stays := NewTable(mesh1, "d1", []ring.Backend{{Addr: b1, VHosts: 100}})
	joins := NewTable(mesh2, "d2", []ring.Backend{{Addr: b2, VHosts: 100}, {Addr: b3, VHosts: 100}})
	c, err := joins.Add(50, "d2", b3, "", "", nil)
	apply(t, joins, c, err)
	c, err = joins.Update(51, "d2", b2, 7, nil)
	apply(t, joins, c, err)

	joins.Join(mesh1)
	applied := joins.Merge(stays.Snapshot())
	stays.Merge(joins.Snapshot())
	want := []ring.Backend{{Addr: b1, VHosts: 100}, {Addr: b3, VHosts: 100}}
	for name, table := range map[string]*Table{"stays": stays, "joins": joins} {
		if table.Mesh() != mesh1 {
			t.Errorf("%s: mesh %v, want %v", name, table.Mesh(), mesh1)
		}
		if d := diff(want, table.Backends()); d != "" {
			t.Errorf("%s: backends (-want +got):\n%s", name, d)
		}
	}
	if applied.Mesh != mesh1 || len(applied.Backends) != 1 {
		t.Errorf("applied %+v, want 192.0.2.1 of %v", applied, mesh1)
	}
}

// Merging never makes a table part of another mesh, nor takes over what is
// configured there. What is configured where there is no mesh counts nowhere.
func TestConfiguredRowsStayInTheirMesh(t *testing.T) {
	row := BackendRow{
		Addr: b3, Presence: Register[Presence]{Value: Presence{Present: true}, Origin: "d9"},
	}
	for _, mesh := range []MeshID{0, mesh1, mesh2} {
		for _, from := range []MeshID{0, mesh1, mesh2} {
			table := NewTable(mesh, "d1", configured())
			applied := table.Merge(Change{Mesh: from, Backends: []BackendRow{row}})
			if counts := from != 0 && from == mesh; applied.Empty() == counts {
				t.Errorf("from %v to %v: applied %+v", from, mesh, applied)
			}
			if table.Mesh() != mesh {
				t.Errorf("from %v to %v: the table is now of %v", from, mesh, table.Mesh())
			}
		}
	}
}

// Simultaneous commands on different directors all hold afterwards.
func TestConcurrentCommandsHold(t *testing.T) {
	d1 := NewTable(mesh1, "d1", configured())
	d2 := d1.clone()
	down, err := d1.SetDown(20, "d1", b1, true)
	if err != nil {
		t.Fatal(err)
	}
	add, err := d1.Add(21, "d1", b3, "", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	update, err := d2.Update(20, "d2", b1, 50, nil)
	if err != nil {
		t.Fatal(err)
	}
	remove, err := d2.Remove(21, "d2", b2)
	if err != nil {
		t.Fatal(err)
	}
	drain, err := d2.Drain(22, "d2", b1, Task{Parallel: 9}, true)
	if err != nil {
		t.Fatal(err)
	}
	rebalance, err := d1.Rebalance(22, "d1", nil, Task{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Change{down, add, update, remove, drain, rebalance} {
		d1.Merge(c)
	}
	for _, c := range []Change{drain, rebalance, update, remove, down, add} {
		d2.Merge(c)
	}
	want := []ring.Backend{
		{Addr: b1, VHosts: 50, Down: true, Drained: true, Rebalanced: true},
		{Addr: b3, VHosts: 100},
	}
	for name, table := range map[string]*Table{"d1": d1, "d2": d2} {
		if d := diff(want, table.Backends()); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// A table that joins another mesh forgets configured backends altogether: they are no tombstones.
func TestJoinLeavesNoTombstones(t *testing.T) {
	table := NewTable(mesh1, "d1", configured())
	c, err := table.Add(50, "d1", b3, "", "hdd", nil)
	apply(t, table, c, err)
	c, err = table.Remove(51, "d1", b3)
	apply(t, table, c, err)
	table.Join(mesh2)
	for _, addr := range []netip.Addr{b1, b2} {
		if row, ok := table.Row(addr); ok {
			t.Errorf("%v is still known: %+v", addr, row)
		}
	}
	if _, ok := table.Row(b3); !ok {
		t.Error("what a command removed is no longer known")
	}
	if table.absent != 1 || len(table.tags) != 0 {
		t.Errorf("%d tombstones and the tags %v are counted, want one and none",
			table.absent, table.tags)
	}
}

// A row in which nothing is set says nothing: it must not take room in the table.
func TestEmptyRowsAreNotStored(t *testing.T) {
	table := NewTable(mesh1, "d1", nil)
	applied := table.Merge(Change{Mesh: mesh1, Backends: []BackendRow{{Addr: b1}}})
	if stored := table.Snapshot(); !applied.Empty() || !stored.Empty() {
		t.Errorf("applied %+v, holds %+v; want nothing", applied, stored)
	}
}
