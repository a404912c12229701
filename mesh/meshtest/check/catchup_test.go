package check

import (
	"slices"
	"testing"
)

// TestCatchingUp judges histories in which directors come back from a split, or start, by what they
// must have of the others by then.
func TestCatchingUp(t *testing.T) {
	testStories(t, []tale{
		{"the replay of what was missed is under way", func(s *story) {
			backFromSplit(s, 10.6)
		}, "", ""},
		{"the replay of what was missed must be over", func(s *story) {
			backFromSplit(s, 13)
		}, "G2", "d3 answered"},
		{"what one said in a long split that had said nothing before", func(s *story) {
			s.login("d1", calm+sec(8), bob, b2)
			firstWords(s, 30)
		}, "", ""},
		{"what one said in a long split that had said something before", func(s *story) {
			s.login("d1", calm-sec(2), bob, b2)
			firstWords(s, 30)
		}, "G2", "d3 answered"},
		{"what one said in a long split that had said something in a former life", func(s *story) {
			s.login("d1", sec(2.5), bob, b2)
			s.stop("d1", sec(3))
			s.start("d1", sec(3.2))
			s.login("d1", calm+sec(8), bob, b2)
			firstWords(s, 30)
		}, "", ""},
		{"what one has just said in a long split", func(s *story) {
			s.login("d1", calm+sec(8), bob, b2)
			firstWords(s, 39)
		}, "G2", "d3 answered"},
		{"what one said first in a long split, although another one had moved a user",
			func(s *story) {
				s.kick("d2", calm+sec(8), bob, b3)
				s.kick("d3", calm+sec(8), bob, b3)
				s.order("d2", calm+sec(8), calm+sec(9.1),
					Op{Kind: OpMove, User: bob, Backend: b3}, "d1")
				firstWords(s, 30)
			}, "G2", "d3 answered"},
		{"what one said first in a long split", func(s *story) {
			firstWords(s, 30)
		}, "G2", "d3 answered"},
		{"what one said in a long split that had moved a user in it", func(s *story) {
			s.kick("d1", calm+sec(8), bob, b3)
			s.order("d1", calm+sec(8), calm+sec(9.1),
				Op{Kind: OpMove, User: bob, Backend: b3}, "d2", "d3")
			firstWords(s, 30)
		}, "", ""},
		{"what one said in a long split that had changed the table in it", func(s *story) {
			s.order("d1", calm+sec(8), calm+sec(8.1),
				Op{Kind: OpUpdate, Backend: b2, VHosts: 10}, "d2", "d3")
			firstWords(s, 30)
		}, "", ""},
		{"what one said that began long ago in a split", func(s *story) {
			s.login("d1", calm+sec(8), bob, b2)
			beganApart(s, 5)
		}, "", ""},
		{"what one said that began long ago in a split, by an answer for another one",
			func(s *story) {
				s.silent["d2"] = true
				s.add(Synced{At(sec(2)), "d2", true, "", 0})
				s.add(Synced{At(calm + sec(7.5)), "d2", false, "the story says so", 0})
				s.login("d2", calm+sec(8), bob, b2)
				s.add(Synced{At(calm + sec(8.5)), "d2", true, "", 0})
				beganApart(s, 5)
			}, "", ""},
		{"what one said that began lately in a split", func(s *story) {
			s.login("d1", sec(3), bob, b2)
			s.order("d2", sec(4), sec(4.1), Op{Kind: OpUpdate, Backend: b2, VHosts: 10})
			beganApart(s, 20)
		}, "G2", "d3 answered"},
		{"what one said before another one started, which had it in its snapshot", startsLate,
			"G2", "d3 answered"},
		{"what one said long ago in a split, which is being taken from it", func(s *story) {
			s.split("d1", calm, calm+sec(40))
			admittedLate(s, 8, 46)
		}, "", ""},
		{"what one said long ago in a split, which has been taken from it", func(s *story) {
			s.split("d1", calm, calm+sec(40))
			admittedLate(s, 8, 43)
		}, "G2", "d3 answered"},
		{"what one said lately in a split, which was replayed at once", func(s *story) {
			s.split("d1", calm, calm+sec(40))
			admittedLate(s, 38, 46)
		}, "G2", "d3 answered"},
		{"what one said before it was synced again, and then there was a long split",
			func(s *story) {
				s.expire = sec(60)
				s.silent["d1"] = true
				for x, synced := range map[float64]bool{2: true, 12: false, 14: true} {
					s.add(Synced{At(sec(x)), "d1", synced, "the story says so", 0})
				}
				s.login("d1", sec(13), alice, b1)
				s.split("d3", calm, calm+sec(40))
				s.order("d1", calm+sec(7), calm+sec(7.1),
					Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
				s.login("d3", calm+sec(43), alice, placeWithout(b1))
			}, "G2", "d3 answered"},
		{"what one said that was in touch and is not synced any more", func(s *story) {
			s.silent["d1"] = true
			s.add(Synced{At(sec(2)), "d1", true, "", 0})
			s.login("d1", calm, alice, b1)
			s.add(Synced{At(calm + sec(0.1)), "d1", false, "the story says so", 0})
			s.order("d2", calm+sec(0.2), calm+sec(0.3),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.login("d3", calm+sec(0.5), alice, placeWithout(b1))
		}, "G2", "d3 answered"},
		{"what another one has just said for one that comes back", func(s *story) {
			s.split("d1", calm, calm+sec(40))
			admittedLate(s, 43.5, 46)
		}, "G2", "d3 answered"},
	})
}

// backFromSplit has d3 answer by what it knew before it was cut off.
func backFromSplit(s *story, after float64) {
	s.silent["d3"] = true
	s.add(Synced{At(sec(2)), "d3", true, "", 0})
	s.split("d3", calm, calm+sec(10))
	s.order("d1", calm+sec(6), calm+sec(6.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
	s.login("d1", calm+sec(8), alice, placeWithout(b1))
	s.login("d3", calm+sec(after), alice, b1)
}

// firstWords has d1 move alice during a long split, and d3 answer her elsewhere when the stream of
// d1 has carried what it does of that.
func firstWords(s *story, after float64) {
	s.split("d1", calm, calm+sec(40))
	movesUnheard(s, after, "d2", "d3")
}

// beganApart is firstWords with a d1 that starts during the split, and d3 is apart.
func beganApart(s *story, start float64) {
	s.stop("d1", calm-sec(1))
	s.split("d3", calm, calm+sec(40))
	s.start("d1", calm+sec(start))
	movesUnheard(s, 30, "d3")
}

// movesUnheard has d1 move alice, of which some do not hear, and d3 answer her.
func movesUnheard(s *story, after float64, failed ...string) {
	at := calm + sec(after)
	for _, d := range []string{"d1", "d2"} {
		if !slices.Contains(failed, d) {
			s.kick(d, at, alice, b3)
		}
	}
	s.order("d1", at, at+sec(0.5), Op{Kind: OpMove, User: alice, Backend: b3}, failed...)
	s.login("d1", at+sec(0.6), alice, b3)
	s.login("d3", calm+sec(41.7), alice, b1)
}

// startsLate has d3 start after d1 has answered alice, and hear of d1 late. It answers when it is
// synced.
func startsLate(s *story) {
	s.silent["d3"] = true
	s.add(Synced{At(sec(2)), "d3", true, "", 0})
	s.stop("d3", calm)
	s.login("d1", sec(3), bob, b2)
	s.login("d1", calm+sec(2), alice, b1)
	s.order("d1", calm+sec(4), calm+sec(4.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.start("d3", calm+sec(10))
	s.add(Synced{At(calm + sec(10.1)), "d3", false, "the story says so", 0})
	s.part("d1", "d3", calm+sec(10), calm+sec(17))
	s.add(Synced{At(calm + sec(18.2)), "d3", true, "", 0})
	s.login("d3", calm+sec(18.5), alice, placeWithout(b1))
}

// admittedLate has d1 answer alice after so many seconds. It is not synced from the end of a split
// until it is admitted; d3 answers her meanwhile.
func admittedLate(s *story, answered, admitted float64) {
	s.expire = sec(60)
	s.silent["d1"] = true
	s.add(Synced{At(sec(2)), "d1", true, "", 0})
	s.login("d1", calm-sec(3), bob, b2)
	s.order("d2", calm+sec(7), calm+sec(7.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d1")
	s.login("d1", calm+sec(answered), alice, b1)
	s.add(Synced{At(calm + sec(40.6)), "d1", false, "the story says so", 0})
	s.add(Synced{At(calm + sec(admitted)), "d1", true, "", 0})
	s.login("d3", calm+sec(44), alice, placeWithout(b1))
}

// backFromLongSplit has d3 come back from a split that was longer than logs are kept for, in which
// d1 has answered alice. It takes a snapshot until a time, and the others die.
func backFromLongSplit(s *story, synced float64) {
	s.expire = sec(60)
	s.silent["d3"] = true
	s.add(Fault{At(calm), calm + sec(60)})
	s.split("d3", calm, calm+sec(40))
	s.login("d1", calm-sec(3), bob, b2)
	s.login("d1", calm+sec(8), alice, b1)
	s.order("d1", calm+sec(12), calm+sec(12.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
	for x, is := range map[float64]bool{2 - calm.Seconds(): true, 40.6: false, synced: true} {
		s.add(Synced{At(calm + sec(x)), "d3", is, "the story says so", 0})
	}
	s.stop("d1", calm+sec(54))
	s.stop("d2", calm+sec(54.1))
	s.login("d3", calm+sec(60), alice, placeWithout(b1))
}
