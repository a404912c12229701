package check

import "testing"

// A move that loses against an older mapping, made where nobody had heard of that, leaves it its
// activity, although nobody was answered where it went. A forget of which the other side has not
// heard, or that is under way, keeps the checker from telling at once what the move has done.
func TestMovesThatLose(t *testing.T) {
	apart := func(s *story, moved, until, asked float64) {
		s.split("d3", calm, calm+sec(until))
		movedAway(s, moved, asked, "d3")
	}
	lost := func(s *story, moved, until, asked float64) {
		s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpForget, Backend: b3}, "d3")
		apart(s, moved, until, asked)
	}
	testStories(t, []tale{
		{"against one that lives on by it", func(s *story) { lost(s, 25, 30, 50) }, "", ""},
		{"against one that lived on by it", func(s *story) { lost(s, 25, 30, 101) },
			"G2", "hashes to"},
		{"against one that lived on by what is known", func(s *story) { apart(s, 25, 30, 80) },
			"G2", "hashes to"},
		{"when the other one must have ended", func(s *story) { lost(s, 46, 50, 60) },
			"G2", "hashes to"},
		{"where all have heard of it", func(s *story) {
			s.order("d1", calm+sec(24.9), calm+sec(25.05), Op{Kind: OpForget, Backend: b3})
			movedAway(s, 25, 50)
		}, "G2", "hashes to"},
		{"or one to where the other side has the user, which kicks", func(s *story) {
			s.split("d3", calm, calm+sec(30))
			for _, d := range []string{"d1", "d2"} {
				s.silent[d] = true // they stay synced: d3 comes back to them
				s.add(Synced{At(sec(2)), d, true, "", 0})
			}
			s.order("d1", calm+sec(1), calm+sec(1.1),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.order("d1", calm+sec(1.2), calm+sec(1.3), Op{Kind: OpForget, Backend: b3}, "d3")
			s.login("d3", calm+sec(2), alice, b1)
			s.login("d2", calm+sec(6), alice, placeWithout(b1))
			s.order("d1", calm+sec(20), calm+sec(20.1),
				Op{Kind: OpMove, User: alice, Backend: b1}, "d3")
			s.login("d1", calm+sec(55), alice, b1)
		}, "G2", "d2 has not kicked"},
	})
}

// movedAway has d3 let alice in on b1, and d1 move her to where she hashes without it. When b1 has
// lost its vhosts, d1 still answers it.
func movedAway(s *story, moved, asked float64, failed ...string) {
	to := placeWithout(b1)
	s.login("d3", calm+sec(2), alice, b1)
	s.order("d1", calm+sec(moved), calm+sec(moved+0.1),
		Op{Kind: OpMove, User: alice, Backend: to}, failed...)
	for _, d := range []string{"d1", "d2", "d3"} {
		s.kick(d, calm+sec(moved+0.05), alice, to)
	}
	s.order("d1", calm+sec(asked-5), calm+sec(asked-4.9),
		Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d1", calm+sec(asked), alice, b1)
}
