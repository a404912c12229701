package rank

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

func TestCompare(t *testing.T) {
	const minute = 60_000
	for _, test := range []struct {
		name string
		a, b wire.MeshRank
		want int
	}{
		{"one mesh", wire.MeshRank{ID: 5, Age: 9 * minute}, wire.MeshRank{ID: 5, Grown: true}, 0},
		{"a mesh and none", wire.MeshRank{ID: 5}, wire.MeshRank{}, 1},
		{"ever had two directors", wire.MeshRank{ID: 5, Grown: true},
			wire.MeshRank{ID: 4, Age: 9 * minute}, 1},
		{"a minute older", wire.MeshRank{ID: 5, Age: 2 * minute},
			wire.MeshRank{ID: 4, Age: 2*minute - 1}, 1},
		{"of one minute, the lower id", wire.MeshRank{ID: 4, Age: minute},
			wire.MeshRank{ID: 5, Age: 2*minute - 1}, 1},
	} {
		if got := Compare(test.a, test.b, false); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
		if got := Compare(test.b, test.a, false); got != -test.want {
			t.Errorf("%s, the other way round: %d, want %d", test.name, got, -test.want)
		}
	}
}

// Ranks are a total order: of any meshes that meet exactly one stays.
func TestRanksAreATotalOrder(t *testing.T) {
	draw := func(t *rapid.T, name string) wire.MeshRank {
		return wire.MeshRank{
			ID:    directory.MeshID(rapid.IntRange(0, 4).Draw(t, name+" id")),
			Grown: rapid.Bool().Draw(t, name+" grown"),
			Age:   int64(rapid.IntRange(0, 200_000).Draw(t, name+" age")),
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		x, y, z := draw(t, "x"), draw(t, "y"), draw(t, "z")
		if x.ID == y.ID || y.ID == z.ID || x.ID == z.ID {
			t.Skip("one mesh has one rank")
		}
		if Compare(x, y, false) != -Compare(y, x, false) || Compare(x, y, false) == 0 {
			t.Fatalf("%+v and %+v are not ordered", x, y)
		}
		if Compare(x, y, false) > 0 && Compare(y, z, false) > 0 && Compare(x, z, false) < 0 {
			t.Fatalf("not transitive: %+v, %+v, %+v", x, y, z)
		}
	})
}

// To the millisecond, ages of one minute differ.
func TestCompareExactly(t *testing.T) {
	a, b := wire.MeshRank{ID: 5, Age: 61_001}, wire.MeshRank{ID: 4, Age: 61_000}
	if Compare(a, b, true) <= 0 || Compare(a, b, false) >= 0 {
		t.Errorf("exactly %d, else %d", Compare(a, b, true), Compare(a, b, false))
	}
}

// The age of a mesh grows with time, and is never less than what one of its directors knows.
func TestAge(t *testing.T) {
	const begun = mono.Time(time.Hour)
	for _, test := range []struct {
		name    string
		age     Age
		tells   wire.MeshRank
		company bool
		want    wire.MeshRank
	}{
		{"founded, nothing new", Founded(begun), wire.MeshRank{},
			false, wire.MeshRank{Age: 10_000}},
		{"a peer knows it longer", Founded(begun), wire.MeshRank{Age: 12_000}, false,
			wire.MeshRank{Age: 12_000}},
		{"a peer has just come", Founded(begun), wire.MeshRank{Age: 3}, true,
			wire.MeshRank{Age: 10_000, Grown: true}},
		{"a peer says it has grown", Founded(begun), wire.MeshRank{Grown: true}, false,
			wire.MeshRank{Age: 10_000, Grown: true}},
		{"joined", Claimed(begun, wire.MeshRank{Age: 5000, Grown: true}), wire.MeshRank{}, false,
			wire.MeshRank{Age: 15_000, Grown: true}},
		{"told less than nothing", Claimed(begun, wire.MeshRank{Age: -5}), wire.MeshRank{}, false,
			wire.MeshRank{Age: 10_000}},
		{"told of eternity", Claimed(begun, wire.MeshRank{Age: 1 << 62}), wire.MeshRank{}, false,
			wire.MeshRank{Age: maxAge.Milliseconds() + 10_000}},
	} {
		now := begun.Add(10 * time.Second)
		test.age.Learn(now, test.tells, test.company)
		test.want.ID = 7
		if got := test.age.Of(7, now); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
		test.want.Age += 1000
		if got := test.age.Of(7, now.Add(time.Second)); got != test.want {
			t.Errorf("%s, a second later: %+v, want %+v", test.name, got, test.want)
		}
	}
}
