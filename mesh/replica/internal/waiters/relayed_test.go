package waiters

import (
	"testing"
	"time"

	"directormesh/ring"
)

// A peer may give an answer for a second and a little more since it last got one about the user; a
// second later at most nothing is left of it.
func TestRelayed(t *testing.T) {
	alice, bob := ring.User{Hash: 1}, ring.User{Hash: 2}
	var r Relayed
	if r.Until(start, alice) != 0 {
		t.Error("an answer was given to nobody")
	}
	r.Clean(start)
	r.Note(start, alice)
	r.Note(start, bob)
	again := start.Add(RelayValid / 2)
	r.Note(again, bob)
	for _, test := range []struct {
		after  time.Duration
		alice  bool
		bob    bool
		length int
	}{
		{RelayValid / 2, true, true, 2},
		{RelayValid + RelayValid/100, true, true, 2},
		{RelayValid + RelayValid/100 + 1, false, true, 2},
		{RelayValid*3/2 + RelayValid/100, false, true, 2},
		{RelayValid*3/2 + RelayValid/100 + 1, false, false, 2},
		{2*RelayValid + RelayValid/100, false, false, 0},
	} {
		now := start.Add(test.after)
		r.Clean(now)
		if a, b := r.Until(now, alice), r.Until(now, bob); (a != 0) != test.alice ||
			(b != 0) != test.bob || r.Len() != test.length {
			t.Errorf("after %v: until %v and %v, %d in all", test.after, a.Sub(start), b.Sub(start),
				r.Len())
		}
	}
}
