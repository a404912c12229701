package chaos

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A seed gives the same schedule each time, and another one another.
func TestDrawAgain(t *testing.T) {
	draw := func(seed uint64) (turns []Turn) {
		s := Draw(seed, 5, Needs{Hosts: true, Mounts: true})
		for range 20 {
			turns = append(turns, s.Next())
		}
		return turns
	}
	first := draw(7)
	if diff := cmp.Diff(first, draw(7)); diff != "" {
		t.Errorf("drawn again (-first +second):\n%s", diff)
	}
	if cmp.Equal(first, draw(8)) {
		t.Error("another seed gives the same schedule")
	}
}

// All kinds come that the machine has what it takes for, and no others; no two faults at one time
// that cannot be.
func TestTurns(t *testing.T) {
	for _, may := range []Needs{{}, {Mounts: true}, {Hosts: true, Mounts: true}} {
		seen := make(map[Kind]int)
		s := Draw(1, 5, may)
		for range 300 {
			turn := s.Next()
			if len(turn) == 0 {
				t.Fatal("a turn without faults")
			}
			for i, f := range turn {
				seen[f.Kind]++
				if n := f.Kind.needs(); n.Hosts && !may.Hosts || n.Mounts && !may.Mounts {
					t.Errorf("%v on a machine with %+v", f, may)
				}
				for _, g := range turn[:i] {
					if f.clashes(g) {
						t.Errorf("%v at %v and %v at %v", g, g.At, f, f.At)
					}
				}
				if all := len(f.Directors) == 0; all && f.At <= turn[:i].Lasts() && i > 0 {
					t.Errorf("%v at %v beside others", f, f.At)
				}
			}
		}
		for _, k := range kinds {
			if want := s.has(k.needs); (seen[k.kind] > 0) != want {
				t.Errorf("%+v: %s came %d times", may, k.kind, seen[k.kind])
			}
		}
	}
}
