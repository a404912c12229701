package directory

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// noBackend is the backend of a user who was told to forget it.
var noBackend netip.Addr

func TestMappingMerge(t *testing.T) {
	for _, test := range []struct {
		name         string
		winner, over Mapping
	}{
		{"higher generation", Mapping{Generation: 3, Backend: b2, Stamp: 90},
			Mapping{Generation: 2, Backend: b1, Stamp: 10}},
		{"then older stamp", Mapping{Generation: 3, Backend: b2, Stamp: 10, Moving: true},
			Mapping{Generation: 3, Backend: b1, Stamp: 11}},
		{"then released", Mapping{Generation: 3, Backend: b2, Stamp: 10},
			Mapping{Generation: 3, Backend: b1, Stamp: 10, Moving: true}},
		{"then lower address", Mapping{Generation: 3, Backend: b1, Stamp: 10},
			Mapping{Generation: 3, Backend: b2, Stamp: 10}},
		{"IPv4 below IPv6", Mapping{Generation: 3, Backend: b2, Stamp: 10},
			Mapping{Generation: 3, Backend: b6, Stamp: 10}},
		{"no backend below all", Mapping{Generation: 3, Backend: noBackend, Stamp: 10},
			Mapping{Generation: 3, Backend: netip.IPv4Unspecified(), Stamp: 10}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, activity := range [][2]Tick{{5, 7}, {7, 5}, {7, 7}} {
				a, b := test.winner, test.over
				a.Activity, b.Activity = activity[0], activity[1]
				want := test.winner
				want.Activity = 7
				if got := merge(a, b); got != want {
					t.Errorf("merge(%+v, %+v) = %+v", a, b, got)
				}
				if got := merge(b, a); got != want {
					t.Errorf("merge(%+v, %+v) = %+v", b, a, got)
				}
			}
		})
	}
}

// drawMapping draws any mapping of few values, so that ties are common.
func drawMapping(t *rapid.T) Mapping {
	return Mapping{
		Hash:       7,
		Backend:    rapid.SampledFrom([]netip.Addr{noBackend, b1, b2, b6}).Draw(t, "backend"),
		Activity:   Tick(rapid.IntRange(1, 3).Draw(t, "activity")),
		Stamp:      Tick(rapid.IntRange(1, 3).Draw(t, "stamp")),
		Generation: uint16(rapid.IntRange(1, 3).Draw(t, "generation")),
		Moving:     rapid.Bool().Draw(t, "moving"),
	}
}

func TestMappingMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawMapping(t), drawMapping(t), drawMapping(t)
		if got := merge(a, a); got != a {
			t.Fatalf("not idempotent: %+v gives %+v", a, got)
		}
		if ab, ba := merge(a, b), merge(b, a); ab != ba {
			t.Fatalf("not commutative: %+v, %+v", ab, ba)
		}
		if l, r := merge(merge(a, b), c), merge(a, merge(b, c)); l != r {
			t.Fatalf("not associative: %+v, %+v", l, r)
		}
	})
}

func TestNextGeneration(t *testing.T) {
	for _, test := range [][2]uint16{
		{0, 1}, {1, 2}, {16382, 16383}, {16383, 16383}, {65535, 16383},
	} {
		if got := NextGeneration(test[0]); got != test[1] {
			t.Errorf("after generation %d comes %d, want %d", test[0], got, test[1])
		}
	}
}
