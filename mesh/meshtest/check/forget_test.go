package check

import (
	"net/netip"
	"testing"
)

// A forget drops what was mapped before it by the clock of its director. If that is behind, what
// others have just mapped lives on, also what they mapped anew because of an earlier forget.
func TestTwoForgets(t *testing.T) {
	testStories(t, []tale{
		{"a mapping made again while the first one was under way", func(s *story) {
			forgottenTwice(s, b1, 7.5)
			s.login("d1", calm+sec(14), alice, b1)
		}, "", ""},
		{"such a mapping, forgotten by the second one", func(s *story) {
			forgottenTwice(s, b1, 7.5)
			s.login("d1", calm+sec(14), alice, placeWithout(b1))
		}, "", ""},
		{"such a mapping, after an answer that shows it forgotten", func(s *story) {
			forgottenTwice(s, b1, 7.5)
			s.login("d1", calm+sec(14), alice, placeWithout(b1))
			s.login("d3", calm+sec(15), alice, b1)
		}, "G2", "d3 answered"},
		{"such a mapping, older than clocks differ", func(s *story) {
			forgottenTwice(s, b1, 10.5)
			s.login("d1", calm+sec(14), alice, b1)
		}, "G2", "hashes to"},
		{"a mapping that the first one did not concern", func(s *story) {
			forgottenTwice(s, b2, 7.5)
			s.login("d1", calm+sec(14), alice, b1)
		}, "G2", "hashes to"},
	})
}

// forgottenTwice has d3 answer alice while d1 forgets who is on a backend, d2 forget who is on b1,
// and then b1 lose its vhosts.
func forgottenTwice(s *story, first netip.Addr, second float64) {
	s.login("d2", calm, alice, b1)
	s.order("d1", calm+sec(7), calm+sec(7.6), Op{Kind: OpForget, Backend: first})
	s.login("d3", calm+sec(7.4), alice, b1)
	s.order("d2", calm+sec(second), calm+sec(second+0.05), Op{Kind: OpForget, Backend: b1})
	s.order("d1", calm+sec(12), calm+sec(12.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
}
