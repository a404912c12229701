package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testNames(t *testing.T) Names {
	t.Helper()
	names, err := ParseNames("user%d@example.org")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestChecker(t *testing.T) {
	type answered struct {
		user           uint32
		backend        string
		director       int
		sent, received time.Duration
	}
	const a, b, c = "192.0.2.1", "192.0.2.2", "2001:db8::3"
	tests := []struct {
		name     string
		moves    bool
		answers  []answered
		moved    int64
		examples []string
	}{
		{"always the same", false,
			[]answered{{0, a, 0, 1, 2}, {0, a, 1, 1, 2}, {1, b, 0, 1, 2}, {1, b, 1, 3, 4}}, 0, nil},
		{"another one by another director", false, []answered{{0, a, 0, 1, 2}, {0, b, 1, 1, 2}}, 0,
			[]string{"user1@example.org: 192.0.2.2 by d2, before 192.0.2.1 by d1"}},
		{"another one by the same director", false,
			[]answered{{1, c, 1, 1, 2}, {1, b, 1, 3, 4}, {1, b, 0, 5, 6}}, 0,
			[]string{"user2@example.org: 192.0.2.2 by d2, before 2001:db8::3 by d2"}},
		{"moved", true,
			[]answered{{0, a, 0, 1, 2}, {0, b, 1, 3, 4}, {0, b, 0, 5, 6}, {0, c, 0, 7, 8}}, 2, nil},
		{"moved while an answer was on its way", true,
			[]answered{{0, a, 0, 1, 2}, {0, b, 1, 3, 5}, {0, a, 0, 4, 6}, {0, b, 0, 7, 8}}, 1, nil},
		{"moved, but not for one director", true,
			[]answered{{0, a, 0, 1, 2}, {0, b, 1, 3, 4}, {0, a, 0, 5, 6}}, 1,
			[]string{"user1@example.org: 192.0.2.1 by d1, before 192.0.2.2 by d2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newChecker(&Config{
				Moves: tt.moves, Users: Users{Names: testNames(t), Count: 2},
				Directors: []Target{{Name: "d1"}, {Name: "d2"}},
			})
			for _, x := range tt.answers {
				n, ok := k.number([]byte(x.backend))
				if !ok {
					t.Fatalf("%s has no number", x.backend)
				}
				k.note(x.user, n, x.director, x.sent, x.received)
			}
			diff := cmp.Diff(tt.examples, k.examples)
			if diff != "" || k.wrong != int64(len(tt.examples)) || k.moved != tt.moved {
				t.Errorf("%d wrong, %d moved (want %d), examples (-want +got):\n%s",
					k.wrong, k.moved, tt.moved, diff)
			}
		})
	}
}

func TestCheckerTakesAddressesOnly(t *testing.T) {
	k := newChecker(&Config{Users: Users{Names: testNames(t), Count: 1}})
	for _, text := range []string{"", "mail1", "192.0.2", "192.0.2.1:143"} {
		if n, ok := k.number([]byte(text)); ok {
			t.Errorf("%q has number %d", text, n)
		}
	}
}
