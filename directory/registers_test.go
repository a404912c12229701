package directory

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// These tests find a register that somebody adds to a row and forgets somewhere: each fills every
// field of the row by reflection.

var stampType = reflect.TypeFor[Stamp]()

// fillRow sets a field of a row, and all that is in it, to something that is not zero.
func fillRow(t *testing.T, v reflect.Value, stamp Stamp, origin string) {
	t.Helper()
	switch {
	case v.Type() == stampType:
		v.SetUint(uint64(stamp))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fillRow(t, v.Field(i), stamp, origin)
		}
	case v.Kind() == reflect.String:
		v.SetString(origin)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.Int, v.Kind() == reflect.Int64:
		v.SetInt(7)
	default:
		t.Fatalf("this test does not know how to fill a %s", v.Type())
	}
}

// registersOf are the fields of a row that are replicated, which is all but its address.
func registersOf(row reflect.Type) (names []string) {
	for i := range row.NumField() {
		if name := row.Field(i).Name; name != "Addr" {
			names = append(names, name)
		}
	}
	return names
}

// backendRow returns a row in which these fields are set.
func backendRow(t *testing.T, stamp Stamp, origin string, fields ...string) BackendRow {
	t.Helper()
	row := BackendRow{Addr: netip.MustParseAddr("192.0.2.1")}
	for _, name := range fields {
		fillRow(t, reflect.ValueOf(&row).Elem().FieldByName(name), stamp, origin)
	}
	return row
}

// stampsOf collects all stamps in a row.
func stampsOf(v reflect.Value) (stamps []Stamp) {
	switch {
	case v.Type() == stampType:
		stamps = append(stamps, Stamp(v.Uint()))
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[netip.Addr]() &&
		v.Type() != reflect.TypeFor[netip.AddrPort]():
		for i := range v.NumField() {
			stamps = append(stamps, stampsOf(v.Field(i))...)
		}
	}
	return stamps
}

func TestEachRegisterOfABackend(t *testing.T) {
	const before, after = Stamp(100 << 20), Stamp(200 << 20)
	all := registersOf(reflect.TypeFor[BackendRow]())
	base := backendRow(t, before, "d1", all...)
	for _, name := range all {
		t.Run(name, func(t *testing.T) {
			later := backendRow(t, after, "d2", name)
			if base.Covers(later) {
				t.Error("a row covers a later write")
			}
			if !base.Covers(backendRow(t, before, "d1", name)) {
				t.Error("a row does not cover what it holds")
			}
			merged := base
			won := merged.merge(later)
			if diff := diff(later, won); diff != "" {
				t.Errorf("what won (-want +got):\n%s", diff)
			}
			want := base
			field := reflect.ValueOf(&want).Elem().FieldByName(name)
			field.Set(reflect.ValueOf(later).FieldByName(name))
			if diff := diff(want, merged); diff != "" {
				t.Errorf("merged (-want +got):\n%s", diff)
			}
			if later.Empty() || later.lastStamp() != after {
				t.Errorf("empty %v, last stamp %v", later.Empty(), later.lastStamp())
			}
			if diff := diff(later, later.Commanded()); diff != "" {
				t.Errorf("what was commanded (-want +got):\n%s", diff)
			}
			change := Change{Backends: []BackendRow{later}}
			if until, dropped := change.Until(before); !dropped || !until.Empty() {
				t.Errorf("a change until before: %+v, dropped %v", until, dropped)
			}
		})
	}
}

// A director of an earlier release knows the registers that were there then, in the order in which
// they were added. Pins, which are rows of their own, count as one.
func TestKnownRegisters(t *testing.T) {
	const inFirstRelease = 4
	all := registersOf(reflect.TypeFor[BackendRow]())
	if want := inFirstRelease + Registers - 1; len(all) != want {
		t.Fatalf("a row has %d registers, want %d: set Registers", len(all), want)
	}
	row := backendRow(t, 7, "d1", all...)
	for n := range Registers + 1 {
		known := inFirstRelease + n
		if n >= PinRegister {
			known--
		}
		want := backendRow(t, 7, "d1", all[:known]...)
		if diff := diff(want, row.Known(n)); diff != "" {
			t.Errorf("with %d more registers (-want +got):\n%s", n, diff)
		}
	}
}

// TestRestampReachesEachStamp moves all stamps of a table.
func TestRestampReachesEachStamp(t *testing.T) {
	const before, after = Stamp(100 << 20), Stamp(200 << 20)
	director := DirectorRow{Addr: netip.MustParseAddrPort("192.0.2.101:9090")}
	for _, name := range registersOf(reflect.TypeFor[DirectorRow]()) {
		fillRow(t, reflect.ValueOf(&director).Elem().FieldByName(name), before, "d1")
	}
	table := NewTable(1, "d1", nil)
	all := registersOf(reflect.TypeFor[BackendRow]())
	table.Merge(Change{
		Mesh: 1, Backends: []BackendRow{backendRow(t, before, "d1", all...)},
		Directors: []DirectorRow{director},
	})
	table.Merge(Change{Mesh: 1, Pins: []PinRow{pin(alice, b1, before, "d1")}})
	later := func(Stamp) Stamp { return after }
	table.Restamp(later, later)
	stored := table.Snapshot()
	if len(stored.Backends) != 1 || len(stored.Directors) != 1 || len(stored.Pins) != 1 {
		t.Fatalf("the table holds %+v", stored)
	}
	stamps := append(stampsOf(reflect.ValueOf(stored.Backends[0])),
		stampsOf(reflect.ValueOf(stored.Directors[0]))...)
	stamps = append(stamps, stored.Pins[0].Backend.Stamp)
	for _, s := range stamps {
		if s != after {
			t.Errorf("a stamp is %v after all were moved to %v: %+v", s, after, stored)
		}
	}
	if len(stamps) < 6 {
		t.Errorf("only %d stamps found", len(stamps))
	}
}

func TestEachRegisterOfADirector(t *testing.T) {
	const before, after = Stamp(100 << 20), Stamp(200 << 20)
	addr := netip.MustParseAddrPort("192.0.2.101:9090")
	row := func(stamp Stamp, fields ...string) DirectorRow {
		r := DirectorRow{Addr: addr}
		for _, name := range fields {
			fillRow(t, reflect.ValueOf(&r).Elem().FieldByName(name), stamp, "d1")
		}
		return r
	}
	all := registersOf(reflect.TypeFor[DirectorRow]())
	for _, name := range all {
		later := row(after, name)
		if row(before, all...).Covers(later) {
			t.Errorf("%s: a row covers a later write", name)
		}
		change := Change{Directors: []DirectorRow{later}}
		if change.LastStamp() != after {
			t.Errorf("%s: last stamp %v", name, change.LastStamp())
		}
		table := NewTable(1, "d1", nil)
		table.Merge(Change{Mesh: 1, Directors: []DirectorRow{row(before, all...)}})
		applied := table.Merge(Change{Mesh: 1, Directors: []DirectorRow{later}})
		if applied.Empty() {
			t.Errorf("%s: a later write is not merged", name)
		}
	}
}

// A register that nobody has written loses to any that was, whatever else it holds.
func TestUnsetRegisterLoses(t *testing.T) {
	values := func(a, b int) int { return a - b }
	unset := Register[int]{Value: 9, Stamp: 9}
	written := Register[int]{Value: 1, Stamp: 1, Origin: "d1"}
	for _, test := range []struct {
		name string
		a, b Register[int]
		want int
	}{
		{"before one that is set", unset, written, -1},
		{"after one that is set", written, unset, 1},
		{"both unset", unset, Register[int]{}, 0},
	} {
		if got := test.a.compare(test.b, values); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

// TestAddBeginsAnew adds a backend that was removed: nothing of its earlier life may go on.
func TestAddBeginsAnew(t *testing.T) {
	const before, after = Stamp(100 << 20), Stamp(200 << 20)
	all := registersOf(reflect.TypeFor[BackendRow]())
	row := backendRow(t, before, "d1", all...)
	row.Presence.Value = Presence{}
	table := NewTable(1, "d1", nil)
	table.Merge(Change{Mesh: 1, Backends: []BackendRow{row}})
	change, err := table.Add(after, "d2", row.Addr, "", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if reflect.ValueOf(change.Backends[0]).FieldByName(name).IsZero() {
			t.Errorf("the register %s of a backend that was removed goes on", name)
		}
	}
}

// registerNames are the names of a backend's registers in the documents.
var registerNames = map[string]string{
	"Presence": "presence", "VHosts": "vhost count", "State": "up or down, and since when",
	"Forgotten": "forgotten up to", "Drain": "drained, until when and how fast",
	"Rebalance": "rebalanced, until when and how fast", "Verdict": "failed or not, and since when",
	"Factor": "factor of balancing", "Standby": "standby or not",
	"Start":   "slow start, since when and over how long",
	"Listing": "gone from its name or not",
}

// TestRegistersAreDocumented wants a row for each register of a backend in mesh/doc/protocol.md.
func TestRegistersAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "mesh", "doc", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range registersOf(reflect.TypeFor[BackendRow]()) {
		named := registerNames[name]
		if named == "" {
			t.Errorf("give the register %s a name for readers here", name)
		} else if !strings.Contains(string(page), "\n| "+named+" | ") {
			t.Errorf("protocol.md has no row of the register %q", named)
		}
	}
}

// TestEachRegisterIsListed wants every register of a backend in what the table says of its
// backends, from where status, API and ring have it.
func TestEachRegisterIsListed(t *testing.T) {
	const before, after = Stamp(100 << 20), Stamp(200 << 20)
	base := BackendRow{
		Addr:     netip.MustParseAddr("192.0.2.1"),
		Presence: Register[Presence]{Value: Presence{Present: true}, Stamp: before, Origin: "d1"},
	}
	for _, name := range registersOf(reflect.TypeFor[BackendRow]()) {
		if name == "Forgotten" {
			continue // it is about the mappings of the past
		}
		table := NewTable(1, "d1", nil)
		table.Merge(Change{Mesh: 1, Backends: []BackendRow{base}})
		listed := table.Backends()
		table.Merge(Change{Mesh: 1, Backends: []BackendRow{backendRow(t, after, "d2", name)}})
		if diff := diff(listed, table.Backends()); diff == "" {
			t.Errorf("the list of backends does not show a write of %s", name)
		}
	}
}
