package check

import (
	"net/netip"
	"strings"
	"testing"
	"time"
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

// TestUnheardMoves judges users who are answered by directors that need not have heard of a move or
// flush. There is nothing to accuse, so nothing to pardon, unless they must have heard of it.
func TestUnheardMoves(t *testing.T) {
	for _, test := range []struct {
		name string
		tell func(s *story)
		text string // "": fine
	}{
		{"one to where the user hashes for one that is apart", func(s *story) {
			hashesApart(s)
			s.kick("d1", calm+sec(8.1), alice, placeWithout(b1))
			s.login("d2", calm+sec(8.2), alice, placeWithout(b1))
		}, ""},
		{"the same, and no kick before one answers that has heard of it", func(s *story) {
			hashesApart(s)
			s.login("d2", calm+sec(8.2), alice, placeWithout(b1))
		}, "d1 has not kicked"},
		{"a flush that comes after a move to where the user was", func(s *story) {
			s.split("d3", calm+sec(1), calm+sec(20))
			for _, d := range []string{"d1", "d2"} {
				s.silent[d] = true // they stay synced: d3 comes back to them
				s.add(Synced{At(sec(2)), d, true, "", 0})
			}
			flushedFromThere(s, 21.6, "d1", "d2")
		}, ""},
		{"the same, where all were in touch", func(s *story) { flushedFromThere(s, 11) },
			"d1 answered"},
		{"a flush back", func(s *story) {
			s.split("d3", calm+sec(40), end)
			flushedBack(s, "d3")
		}, ""},
		{"a flush back, of which all have heard", func(s *story) { flushedBack(s) }, "d3 answered"},
		{"a move, and one that is apart forgets what it made", func(s *story) {
			s.split("d2", calm+sec(4.5), end)
			forgottenMoved(s, 7, 9.9, "d1", "d3")
			s.login("d1", calm+sec(8), alice, b2)
			s.login("d2", calm+sec(8.5), alice, b1)
		}, ""},
		{"the same, and all forget it but one that is apart", func(s *story) {
			s.split("d3", calm+sec(4.5), end)
			forgottenMoved(s, 11, 11.5, "d3")
			s.login("d1", calm+sec(11.6), alice, b2)
		}, "d1 answered"},
	} {
		s := newStory()
		test.tell(s)
		c := s.checked(0)
		found := append(c.Breaches(), c.Pardoned()...)
		if len(found) > 0 != (test.text != "") ||
			len(found) > 0 && !strings.Contains(found[0].Text, test.text) {
			t.Errorf("%s: found %v, want %q", test.name, found, test.text)
		}
	}
}

// hashesApart has d1 move alice, and d3, which is apart, answer where that moves her: there b1 has
// lost its vhosts.
func hashesApart(s *story) {
	s.split("d3", calm, end)
	s.order("d3", calm+sec(6), calm+sec(6.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0},
		"d1", "d2")
	s.login("d1", calm+sec(7), alice, b1)
	s.add(Admin{At(calm + sec(8)), 100, "d1",
		Op{Kind: OpMove, User: alice, Backend: placeWithout(b1)}})
	s.login("d3", calm+sec(8.05), alice, placeWithout(b1))
}

// flushedFromThere has d3 flush alice off b1, and d1 move her to b1, where d1 has her still. So
// many seconds after calm d2 has heard of the flush, and d1 has not.
func flushedFromThere(s *story, heard float64, failed ...string) {
	s.login("d1", calm-sec(2), alice, b1)
	s.order("d1", calm, calm+sec(0.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	flush := s.order("d3", calm+sec(8), calm+sec(8.1), Op{Kind: OpFlush}, failed...)
	s.login("d1", calm+sec(9), alice, b1)
	var apart []string
	if len(failed) > 0 {
		apart = []string{"d3"}
	}
	s.order("d1", calm+sec(10), calm+sec(10.1),
		Op{Kind: OpMove, User: alice, Backend: b1}, apart...)
	s.add(FlushEnded{At(calm + sec(12)), flush})
	s.login("d2", calm+sec(heard), alice, placeWithout(b1))
	s.login("d1", calm+sec(heard+0.05), alice, b1)
}

// flushedBack has d1 move alice to b2 and, when d3 has that, flush her back to b1, which d3 had
// answered last.
func flushedBack(s *story, failed ...string) {
	s.expire = 2 * time.Minute
	s.login("d1", calm-sec(1), alice, b1)
	s.split("d3", calm, calm+sec(8))
	for _, d := range []string{"d1", "d2", "d3"} {
		s.kick(d, calm+sec(6.05), alice, b2)
		s.kick(d, calm+sec(50.05), alice, b1)
	}
	s.order("d1", calm+sec(6), calm+sec(6.1),
		Op{Kind: OpMove, User: alice, Backend: b2}, "d3")
	s.login("d1", calm+sec(6.2), alice, b2)
	s.login("d3", calm+sec(7), alice, b1)
	s.order("d1", calm+sec(50), calm+sec(50.1), Op{Kind: OpFlush}, failed...)
	s.add(FlushEnded{At(calm + sec(51)), s.lastID})
	s.login("d1", calm+sec(52), alice, b1)
	s.login("d3", calm+sec(55), alice, b2)
}
