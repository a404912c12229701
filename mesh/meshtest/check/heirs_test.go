package check

import "testing"

// TestHeirs judges users of flushes that another director may have gone on with, from the
// beginning. Until it has ended, it may move a user twice.
func TestHeirs(t *testing.T) {
	first := placeWithout(b1)
	second := placeWithout(b1, first)
	apart := func(s *story) { s.split("d3", calm+sec(4), calm+sec(25)) }
	testStories(t, []tale{
		{"one that is apart shows where a flush had the user before another went on with it",
			func(s *story) {
				flushedTwice(s, 15)
				apart(s)
				s.login("d3", calm+sec(20), alice, first)
				s.login("d1", calm+sec(32), alice, second)
			}, "", ""},
		{"the same, and then one answers so that knows all", func(s *story) {
			flushedTwice(s, 15)
			apart(s)
			s.login("d3", calm+sec(20), alice, first)
			s.login("d1", calm+sec(32), alice, first)
			s.login("d1", calm+sec(35), alice, second)
		}, "G2", "d1 answered"},
		{"only one answers that knows all", func(s *story) {
			flushedTwice(s, 15)
			apart(s)
			s.login("d1", calm+sec(32), alice, first)
			s.login("d2", calm+sec(35), alice, second)
		}, "G2", "d2 answered"},
		{"the flush had ended before they were apart", func(s *story) {
			s.sleep("d2", calm+sec(2.2), calm+sec(2.8)) // so it does not run in calm
			flushedTwice(s, 3.5)
			apart(s)
			s.login("d3", calm+sec(20), alice, first)
			s.login("d1", calm+sec(32), alice, second)
		}, "G2", "d1 answered"},
		{"nobody was apart", func(s *story) {
			flushedTwice(s, 15)
			s.login("d3", calm+sec(10), alice, first)
			s.login("d1", calm+sec(12), alice, second)
		}, "G2", "d1 answered"},
		{"one that goes on with it has not come to the user yet", func(s *story) {
			flushedTwice(s, 30)
			s.stop("d3", calm+sec(4))
			s.login("d2", calm+sec(5), alice, first)
			s.login("d2", calm+sec(20), alice, first)
			s.login("d1", calm+sec(22), alice, second)
		}, "", ""},
		{"the same, where nobody else is left", func(s *story) {
			flushedTwice(s, 30)
			s.stop("d3", calm+sec(4))
			s.stop("d2", calm+sec(4))
			s.login("d1", calm+sec(5), alice, first)
			s.login("d1", calm+sec(20), alice, first)
			s.login("d1", calm+sec(22), alice, second)
		}, "", ""},
		{"it has come to all users", func(s *story) {
			flushedTwice(s, 8)
			s.stop("d3", calm+sec(4))
			s.login("d2", calm+sec(5), alice, first)
			s.login("d2", calm+sec(20), alice, first)
			s.login("d1", calm+sec(22), alice, second)
		}, "G2", "d1 answered"},
		{"one that went on with it is gone too", func(s *story) {
			flushedTwice(s, 15)
			apart(s)
			s.stop("d1", calm+sec(12))
			s.login("d2", calm+sec(32), alice, first)
			s.login("d3", calm+sec(35), alice, second)
		}, "G2", "d3 answered"},
		{"one is gone that had not begun it", func(s *story) {
			flushedTwice(s, 30)
			s.stop("d2", calm+sec(4))
			s.login("d1", calm+sec(5), alice, first)
			s.login("d1", calm+sec(20), alice, first)
			s.login("d3", calm+sec(22), alice, second)
		}, "G2", "d3 answered"},
	})
}

// TestRunners judges what a third director answers of that with which another one than its director
// has moved the user.
func TestRunners(t *testing.T) {
	testStories(t, []tale{
		{"a flush that one goes on with, out of touch with its director", func(s *story) {
			s.part("d1", "d3", calm, end)
			movedByHeir(s, "d3", "d3")
		}, "", ""},
		{"a flush that its director alone runs", func(s *story) {
			s.part("d1", "d3", calm, end) // d2 is in touch with both
			movedByHeir(s, "d1", "d1")
		}, "G2", "d1 answered"},
		{"a flush that one went on with before the two were in touch again", func(s *story) {
			s.part("d1", "d3", calm, calm+sec(9))
			movedByHeir(s, "d3", "d3")
		}, "G2", "d3 answered"},
		{"a flush that one goes on with of one that had gone on with it", func(s *story) {
			s.part("d1", "d4", calm-sec(6), calm+sec(6))
			movedByHeirOfAnHeir(s)
		}, "", ""},
		{"a flush that neither of the two went on with", movedByHeirOfAnHeir, "G2", "d5 answered"},
		{"a drain by one of which another does not hear", func(s *story) {
			s.part("d1", "d2", calm, end)
			drainedBy(s, "d3", "d2")
		}, "", ""},
		{"a drain that such a one does not run", func(s *story) {
			s.part("d2", "d3", calm, end)
			drainedBy(s, "d1", "d2")
		}, "G2", "d2 answered"},
		{"a drain of which all hear", func(s *story) {
			drainedBy(s, "d3", "d2")
		}, "G2", "d2 answered"},
	})
}

// movedByHeir has a director flush alice off b1, d2 answer what that made, and another one answer
// as before.
func movedByHeir(s *story, runner, last string) {
	s.login("d3", calm-sec(1), alice, b1)
	s.order("d2", calm+sec(3), calm+sec(3.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.order(runner, calm+sec(4), calm+sec(4.1), Op{Kind: OpFlush})
	s.login("d2", calm+sec(12.5), alice, placeWithout(b1))
	s.login(last, calm+sec(13), alice, b1)
}

// movedByHeirOfAnHeir has d4 flush alice off b1, d3 answer what that made, and d5 answer as before.
// d2 is out of touch with d1 and d5.
func movedByHeirOfAnHeir(s *story) {
	s.start("d4", 0)
	s.start("d5", 0)
	s.part("d1", "d2", calm, end)
	s.part("d2", "d5", calm, end)
	s.login("d3", calm-sec(1), alice, b1)
	s.order("d3", calm+sec(3), calm+sec(3.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.order("d4", calm+sec(4), calm+sec(4.1), Op{Kind: OpFlush})
	s.login("d3", calm+sec(12.5), alice, placeWithout(b1))
	s.login("d5", calm+sec(13), alice, b1)
}

// drainedBy has b1 drained, to which bob was moved; the one that has ordered it answers that he has
// gone back, and another one answers as before.
func drainedBy(s *story, orders, last string) {
	for _, d := range []string{"d1", "d2", "d3"} {
		s.kick(d, calm-sec(2), bob, b1)
	}
	s.order("d3", calm-sec(2), calm-sec(1), Op{
		Kind: OpMove, User: bob, Backend: b1, Wait: true,
	})
	s.login("d3", calm-sec(0.5), bob, b1)
	s.order(orders, calm+sec(7), calm+sec(7.1), Op{Kind: OpDrain, Backend: b1, Over: sec(20)})
	s.login(orders, calm+sec(8), bob, b2)
	s.login(last, calm+sec(8.5), bob, b1)
}

// flushedTwice has d3 flush alice off b1. Before the flush has ended, so many seconds after calm,
// the backend to which it moves her takes nobody any more.
func flushedTwice(s *story, ended float64) {
	s.expire = end
	s.login("d1", calm, alice, b1)
	s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	flush := s.order("d3", calm+sec(2), calm+sec(2.1), Op{Kind: OpFlush})
	s.order("d1", calm+sec(3), calm+sec(3.1),
		Op{Kind: OpUpdate, Backend: placeWithout(b1), VHosts: 0})
	s.add(FlushEnded{At(calm + sec(ended)), flush})
}
