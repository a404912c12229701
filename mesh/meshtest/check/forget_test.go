package check

import (
	"net/netip"
	"testing"
	"time"
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

// Where a host stood still with its clocks, the second forget is there by a clock that is behind by
// that. It spares what was mapped meanwhile and after the first one.
func TestForgottenByOneThatStoodStill(t *testing.T) {
	testStories(t, []tale{
		{"a mapping made again meanwhile", func(s *story) {
			forgottenAfterSleep(s, true, 2, 4.5)
		}, "", ""},
		{"a mapping made again before that", func(s *story) {
			forgottenAfterSleep(s, true, -10, -8)
		}, "G2", "hashes to"},
		{"a mapping made again meanwhile, where only the process slept", func(s *story) {
			forgottenAfterSleep(s, false, 2, 4.5)
		}, "G2", "hashes to"},
	})
}

// Where clocks have come apart in a split, a forget on one side is there by a clock that is behind
// by that, and spares what the other side mapped meanwhile.
func TestForgottenByAClockThatDrifted(t *testing.T) {
	forgotten := func(s *story, behind, mapped float64) {
		s.expire = sec(90)
		s.split("d1", calm, calm+sec(20))
		for past := 10.5; past < 20; past++ {
			s.add(MeshTimes{At(calm + sec(past)), map[string]time.Duration{
				"d1": 0, "d2": sec(behind), "d3": sec(behind),
			}})
		}
		s.login("d2", calm+sec(mapped), alice, b1)
		s.order("d1", calm+sec(15), calm+sec(15.1), Op{Kind: OpForget, Backend: b1}, "d2", "d3")
		s.order("d1", calm+sec(50), calm+sec(50.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
		s.login("d1", calm+sec(52), alice, b1)
	}
	testStories(t, []tale{
		{"as much as that earlier", func(s *story) { forgotten(s, 5, 9) }, "", ""},
		{"earlier than that", func(s *story) { forgotten(s, 2, 9) }, "G2", "hashes to"},
	})
}

// forgottenAfterSleep has d1 forget who is on b1, d3 answer alice there anew, and d2, which stood
// still with or without its clocks, forget who is on b1 as it goes on. Then b1 loses its vhosts.
func forgottenAfterSleep(s *story, clocks bool, first, anew float64) {
	s.expire = sec(60)
	s.pause("d2", calm+sec(1.5), calm+sec(8.5), clocks)
	s.order("d1", calm+sec(first), calm+sec(first+0.1), Op{Kind: OpForget, Backend: b1}, "d2")
	s.login("d3", calm+sec(anew), alice, b1)
	s.order("d2", calm+sec(8.51), calm+sec(8.56), Op{Kind: OpForget, Backend: b1})
	s.order("d1", calm+sec(14), calm+sec(14.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d1", calm+sec(16), alice, b1)
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

// A forget drops what a move has made where it is given; elsewhere the move goes on until it comes.
// So it does where several moves overlap, of which the answers tell which one came last.
func TestForgottenWhileMoved(t *testing.T) {
	testStories(t, []tale{
		{"an answer by the move where the forget has not come", func(s *story) {
			forgottenMoved(s, 6, 6.5)
			s.login("d3", calm+sec(6.2), alice, b2)
			s.login("d2", calm+sec(6.3), alice, b1)
			s.login("d1", calm+sec(6.4), alice, b2)
		}, "", ""},
		{"and what was made where it was given holds", func(s *story) {
			forgottenMoved(s, 6, 6.5)
			s.login("d3", calm+sec(6.2), alice, b2)
			s.order("d1", calm+sec(7), calm+sec(7.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.login("d1", calm+sec(8), alice, b1)
		}, "", ""},
		{"such an answer by the director that was told to forget", func(s *story) {
			forgottenMoved(s, 6, 6.5)
			s.login("d2", calm+sec(6.2), alice, b2)
		}, "G2", "d2 answered"},
		{"such an answer when all have forgotten", func(s *story) {
			forgottenMoved(s, 6, 6.5)
			s.login("d3", calm+sec(6.6), alice, b2)
		}, "G2", "d3 answered"},
	})
}

// A forget of the backend to which a move goes ends the move, and kicks nobody. By a clock that is
// ahead it may come after the move although it was there first.
func TestForgottenWhereTheMoveGoes(t *testing.T) {
	to := placeWithout(b1)
	forgotten := func(s *story, at, done float64) {
		s.login("d2", calm, alice, b1)
		s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
		s.add(Admin{At(calm + sec(5)), 100, "d1", Op{Kind: OpMove, User: alice, Backend: to}})
		s.order("d2", calm+sec(at), calm+sec(done), Op{Kind: OpForget, Backend: to})
		s.login("d1", calm+sec(5.05), alice, to)
		s.kick("d2", calm+sec(5.07), alice, to)
	}
	testStories(t, []tale{
		{"after it", func(s *story) { forgotten(s, 5.01, 5.1) }, "", ""},
		{"just before it", func(s *story) { forgotten(s, 4.99, 5.1) }, "", ""},
		{"before it, as all had heard", func(s *story) { forgotten(s, 4.8, 4.9) },
			"G2", "d2 has not kicked"},
	})
}

// forgottenMoved has d1 move alice to b3, and d3 on to b2. Then d2 forgets who is there and answers
// her where she hashes, before others have heard of it.
func forgottenMoved(s *story, at, done float64, failed ...string) {
	for _, d := range []string{"d1", "d2", "d3"} {
		s.kick(d, calm+sec(1), alice, b3)
		s.kick(d, calm+sec(4), alice, b2)
	}
	s.login("d1", calm, alice, b1)
	s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpMove, User: alice, Backend: b3})
	s.login("d2", calm+sec(2), alice, b3)
	s.order("d3", calm+sec(4), calm+sec(4.1), Op{Kind: OpMove, User: alice, Backend: b2})
	s.order("d2", calm+sec(at), calm+sec(done), Op{Kind: OpForget, Backend: b2}, failed...)
	s.login("d2", calm+sec(at+0.1), alice, b1)
}
