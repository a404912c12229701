package directory

import (
	"errors"
	"net/netip"
	"testing"
)

// A backend that is gone from its name is drained until it is back, or until an operator wants it
// in use. Neither the drain that an operator asked for nor the vhost count is touched.
func TestListings(t *testing.T) {
	gone := func(t *Table) (Change, error) {
		listings := map[netip.Addr]Listing{b1: {Gone: true}, b6: {Gone: true}}
		return t.SetListings(20, "d", listings), nil
	}
	for name, test := range map[string]struct {
		then    func(t *Table) (Change, error)
		drained bool
		gone    bool
	}{
		"gone": {func(t *Table) (Change, error) { return t.change(), nil }, true, true},
		"back": {func(t *Table) (Change, error) {
			return t.SetListings(21, "d", map[netip.Addr]Listing{b1: {}}), nil
		}, false, false},
		"undrained": {func(t *Table) (Change, error) {
			return t.Undrain(21, "d", b1)
		}, false, true},
		"drained too": {func(t *Table) (Change, error) {
			t.do(t.Drain(21, "d", b1, Task{}, true))
			return t.SetListings(22, "d", map[netip.Addr]Listing{b1: {}}), nil
		}, true, false},
		"drained and undrained": {func(t *Table) (Change, error) {
			t.do(t.Drain(21, "d", b1, Task{}, true))
			return t.Undrain(22, "d", b1)
		}, false, true},
		"added again": {func(t *Table) (Change, error) {
			return t.Add(21, "d", b1, "", "", nil)
		}, false, true},
		"removed and added anew": {func(t *Table) (Change, error) {
			t.do(t.Remove(21, "d", b1))
			return t.Add(22, "d", b1, "", "", nil)
		}, false, false},
	} {
		table := NewTable(mesh1, "d", configured())
		before := table.Digest()
		c, err := gone(table)
		apply(t, table, c, err)
		if len(c.Backends) != 1 || table.Digest() == before {
			t.Fatalf("%s: gone by %+v", name, c)
		}
		if again, _ := gone(table); !again.Empty() {
			t.Errorf("%s: written although it stands: %+v", name, again)
		}
		c, err = test.then(table)
		apply(t, table, c, err)
		b := table.Backends()[0]
		if b.Drained != test.drained || b.Gone != test.gone || b.VHosts != 100 {
			t.Errorf("%s: %+v", name, b)
		}
		drained := 0
		for row := range table.Tasks() {
			if row.Addr == b1 {
				drained++
			}
		}
		if drained == 1 != test.drained {
			t.Errorf("%s: among the tasks %d times", name, drained)
		}
	}
}

// A backend gets another name, and is used again if its former one had lost the address. A command
// that somebody gave since what stood here holds against that.
func TestAdopt(t *testing.T) {
	table := NewTable(mesh1, "d", configured())
	table.do(table.Add(20, "d", b1, "former", "", nil))
	table.do(table.SetListings(21, "d", map[netip.Addr]Listing{b1: {Gone: true}}), nil)
	removed, err := table.Remove(30, "d2", b1)
	if err != nil {
		t.Fatal(err)
	}
	table.do(table.Adopt("d", b1, "now"))
	row, _ := table.Row(b1)
	if p := row.Presence; p.Value.Name != "now" || !p.Value.Present || row.Drained() {
		t.Errorf("it is %+v, %+v", p, row.Listing)
	}
	table.do(removed, nil)
	if row, _ := table.Row(b1); row.present() {
		t.Error("it came back")
	}
	if _, err := table.Adopt("d", b6, "now"); !errors.Is(err, ErrUnknownBackend) {
		t.Errorf("a backend that is not there: %v", err)
	}
}
