package replica

import (
	"testing"

	"directormesh/directory"
	"directormesh/ring"
)

// When a backend went down or up shows; that it was added, added again, updated or flushed does not.
func TestChangedAt(t *testing.T) {
	const added, again, changed = directory.Stamp(1 << 16), directory.Stamp(2 << 16), directory.Stamp(3 << 16)
	addr, vhosts := testBackend(1), 50
	table := func(stamps ...func(*directory.Table) (directory.Change, error)) *directory.Table {
		table := directory.NewTable(directory.Founding{At: 1, By: "d1"}, "d1", nil)
		for _, f := range stamps {
			change, err := f(table)
			if err != nil {
				t.Fatal(err)
			}
			table.Merge(change)
		}
		return table
	}
	add := func(stamp directory.Stamp, vhosts *int) func(*directory.Table) (directory.Change, error) {
		return func(t *directory.Table) (directory.Change, error) {
			return t.Add(stamp, "d1", addr, "", ring.Tag(""), vhosts)
		}
	}
	down := func(stamp directory.Stamp, down bool) func(*directory.Table) (directory.Change, error) {
		return func(t *directory.Table) (directory.Change, error) { return t.SetDown(stamp, "d1", addr, down) }
	}
	forget := func(t *directory.Table) (directory.Change, error) { return t.Forget(again, "d1", addr) }
	for _, test := range []struct {
		name  string
		table *directory.Table
		want  bool
	}{
		{"added", table(add(added, nil)), false},
		{"added again", table(add(added, nil), add(again, nil)), false},
		{"added again with vhosts", table(add(added, nil), add(again, &vhosts)), false},
		{"flushed", table(add(added, nil), forget), false},
		{"down", table(add(added, nil), down(changed, true)), true},
		{"up again", table(add(added, nil), down(again, true), down(changed, false)), true},
		{"changed, then added again", table(add(added, nil), down(again, true), add(changed, &vhosts)), true},
	} {
		row, ok := test.table.Row(addr)
		if got := !setWithAdd(row); !ok || got != test.want {
			t.Errorf("%s: a change shows: %v, want %v", test.name, got, test.want)
		}
	}
}
