package check

import (
	"net/netip"
	"testing"
)

// TestPardons judges a user whom d1 has moved to b2 while d3, cut off or not, changes what b1
// takes, and d2 answers something else then. Where less has happened, or all know of it, the rules
// hold.
func TestPardons(t *testing.T) {
	for _, test := range []struct {
		name               string
		apart, changed     bool
		answer             netip.Addr
		pardoned, breaches int
	}{
		{"two changes, on two sides of a split", true, true, b1, 1, 0},
		{"a backend where nothing had the user go", true, true, b3, 0, 1},
		{"two changes, where all are in touch", false, true, b1, 0, 1},
		{"one change", true, false, b1, 0, 1},
	} {
		s := newStory()
		s.login("d1", calm, alice, b1)
		if test.apart {
			s.split("d3", calm+sec(2), end)
		}
		s.add(Admin{At(calm + sec(1)), 100, "d1", Op{Kind: OpMove, User: alice, Backend: b2}})
		for _, d := range []string{"d1", "d2", "d3"} {
			s.kick(d, calm+sec(1.5), alice, b2)
		}
		s.login("d1", calm+sec(3), alice, b2)
		if test.changed {
			s.add(Admin{At(calm + sec(8)), 101, "d3",
				Op{Kind: OpUpdate, Backend: b1, VHosts: 9}})
		}
		s.login("d2", calm+sec(9), alice, test.answer)
		c := s.checked(0)
		if n := len(c.Pardoned()); n != test.pardoned || len(c.Breaches()) != test.breaches {
			t.Errorf("%s: %d pardoned, breaches %v", test.name, n, c.Breaches())
		}
	}
}
