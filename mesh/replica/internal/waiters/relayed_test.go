package waiters

import (
	"testing"
	"time"

	"directormesh/mesh/mono"
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

// Of a director that is gone it is not known about whom a peer has asked it.
func TestRelayedOfAll(t *testing.T) {
	alice, bob := ring.User{Hash: 1}, ring.User{Hash: 2}
	var r Relayed
	r.Note(start.Add(RelayValid), bob)
	r.NoteAll(start)
	all := start.Add(RelayValid + RelayValid/100)
	for _, test := range []struct {
		after time.Duration
		user  ring.User
		want  mono.Time
	}{
		{0, alice, all}, {0, bob, all.Add(RelayValid)},
		{all.Sub(start), alice, all}, {all.Sub(start) + 1, alice, 0},
		{all.Sub(start) + 1, bob, all.Add(RelayValid)},
	} {
		if got := r.Until(start.Add(test.after), test.user); got != test.want {
			t.Errorf("%v after %v: until %v, want %v", test.user, test.after, got, test.want)
		}
	}
}
