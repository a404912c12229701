package digests

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// live are the digests of two directors' leaves.
type live struct {
	tags   []ring.Tag
	leaves map[Group][leavesInGroup]uint64
	looked int // groups
}

func (l *live) Tags() []ring.Tag { return slices.Clone(l.tags) }

func (l *live) DigestGroupLive(
	tag ring.Tag, group uint8, assigned, alive directory.Time,
) (leaves [leavesInGroup]uint64, rows int) {
	if assigned != 10 || alive != 20 {
		panic("as of other moments")
	}
	l.looked++
	return l.leaves[Group{tag, group}], 100
}

// Groups that differ are found, in all tags of both sides and only in those that the question is
// about, a few at a time.
func TestAlike(t *testing.T) {
	theirs := &live{
		tags: []ring.Tag{"a", "b", "c"},
		leaves: map[Group][leavesInGroup]uint64{
			{"a", 0}: {1: 5}, {"b", 255}: {7: 9}, {"c", 3}: {1: 1},
		},
	}
	ours := &live{
		tags: []ring.Tag{"a", "b", "bb"},
		leaves: map[Group][leavesInGroup]uint64{
			{"a", 0}: {1: 5}, {"b", 255}: {7: 8, 9: 1}, {"bb", 4}: {2: 2},
		},
	}
	for _, test := range []struct {
		name     string
		from, to ring.Tag
		want     []Group
	}{
		{"all", "", "", []Group{{"b", 255}, {"bb", 4}, {"c", 3}}},
		{"the first ones", "", "b", nil},
		{"in the middle", "b", "c", []Group{{"b", 255}, {"bb", 4}}},
		{"the last ones", "bb", "", []Group{{"bb", 4}, {"c", 3}}},
	} {
		m := wire.Comparison{Assigned: 10, Alive: 20, From: test.from, To: test.to}
		Fill(theirs, &m)
		ours.looked = 0
		var got []Group
		for a := NewAlike(ours, m); !a.Done(); {
			before := ours.looked
			for _, d := range a.Step(ours, 1000) {
				got = append(got, Group{d.Tag, d.Group})
				if d.Leaves != ours.leaves[Group{d.Tag, d.Group}] {
					t.Errorf("%s: other leaves of %v", test.name, d)
				}
			}
			if n := ours.looked - before; n > 10 {
				t.Errorf("%s: %d groups of 100 rows in one step of 1000 rows", test.name, n)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	m := wire.Comparison{Assigned: 10, Alive: 20}
	got := Unlike(theirs, &m, &wire.GroupLeaves{
		Tag: "b", Group: 255, Leaves: ours.leaves[Group{"b", 255}],
	})
	if diff := cmp.Diff([]uint16{255<<8 | 7, 255<<8 | 9}, got); diff != "" {
		t.Errorf("leaves (-want +got):\n%s", diff)
	}
}
