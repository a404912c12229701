package check

import (
	"testing"
)

// TestKnowledge judges histories in which directors die, or are cut off, by what those who are left
// must know.
func TestKnowledge(t *testing.T) {
	testStories(t, []tale{
		{"nobody alive has the last activity", func(s *story) {
			relayInTheMiddle(s, 37.02, 56)
		}, "", ""},
		{"one in the middle has it and the others have had time to ask", func(s *story) {
			relayInTheMiddle(s, 40, 56)
		}, "G2", "d3 answered"},
		{"one in the middle has it and there was no time to ask", func(s *story) {
			relayInTheMiddle(s, 50, 56)
		}, "", ""},
		{"one in the middle had it and died while the other took it over from it", func(s *story) {
			takesOver(s, 56.5)
		}, "", ""},
		{"one in the middle had it and died when the other had taken it over", func(s *story) {
			takesOver(s, 49)
		}, "G2", "d3 answered"},
		{"what the others did in a long split, who died while one took that over", func(s *story) {
			backFromLongSplit(s, 57)
		}, "", ""},
		{"what the others did in a long split, who died when one had taken that over",
			func(s *story) { backFromLongSplit(s, 52) }, "G2", "d3 answered"},
		{"one in the middle has it and could not be asked", func(s *story) {
			s.part("d2", "d3", calm+sec(20), calm+sec(39))
			relayInTheMiddle(s, 40, 56)
		}, "", ""},
		{"one in the middle had it and died too", func(s *story) {
			s.stop("d2", calm+sec(27))
			relayInTheMiddle(s, 40, 56)
		}, "", ""},
		{"one in the middle had it and has started again", func(s *story) {
			s.stop("d2", calm+sec(27))
			s.start("d2", calm+sec(28))
			relayInTheMiddle(s, 40, 56)
		}, "", ""},
		{"one in the middle started too late to have it", func(s *story) {
			s.stop("d2", calm+sec(20))
			s.start("d2", calm+sec(22.5))
			relayInTheMiddle(s, 39.4, 56)
		}, "", ""},
		{"what one brought to the one in the middle, from its disk", func(s *story) {
			fromDisk(s, 37.3, 56.7)
		}, "G2", "d3 answered"},
		{"what one brought from its disk, and there was no time to ask for", func(s *story) {
			fromDisk(s, 37.3, 55.2)
		}, "", ""},
		{"what one said just before its death, when its disk did not have it", func(s *story) {
			fromDisk(s, 36.9, 56.7)
		}, "", ""},
		{"what one had on its disk that was admitted since", func(s *story) {
			fromDiskAlone(s, 42.2)
		}, "G2", "d2 answered"},
		{"what one has on its disk that was admitted just now", func(s *story) {
			fromDiskAlone(s, 45)
		}, "", ""},
		{"what one in the middle has of a director that only hangs", func(s *story) {
			relayFromSleeper(s, 40)
		}, "G2", "d3 answered"},
		{"what one in the middle has of a director that hangs since just now", func(s *story) {
			relayFromSleeper(s, 50)
		}, "", ""},
		{"who starts later has what all others have", func(s *story) {
			s.stop("d3", calm)
			s.login("d1", calm+sec(1), alice, b1)
			s.stop("d1", calm+sec(4))
			s.order("d2", calm+sec(10), calm+sec(10.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.start("d3", calm+sec(11))
			s.login("d3", calm+sec(14), alice, placeWithout(b1))
		}, "G2", "d3 answered"},

		{"what one has that was not met yet", func(s *story) {
			s.stop("d3", calm)
			s.login("d1", calm+sec(1), alice, b1)
			s.order("d2", calm+sec(4), calm+sec(4.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.start("d3", calm+sec(10))
			s.part("d1", "d3", calm+sec(10), end)
			s.login("d3", calm+sec(13), alice, placeWithout(b1))
		}, "G2", "d3 answered"},
		{"what waits behind beats", func(s *story) {
			s.deafen("d3", sec(36), end)
			prolongedUnheard(s, 37)
		}, "", ""},
		{"what came before there were only beats", func(s *story) {
			s.deafen("d3", sec(39), end)
			prolongedUnheard(s, 37)
		}, "G2", "d3 answered"},
		{"what waits behind beats for a moment", func(s *story) {
			s.deafen("d3", sec(52), end)
			prolongedUnheard(s, 53)
		}, "G2", "d3 answered"},
		{"what waited behind beats", func(s *story) {
			s.deafen("d3", sec(36), sec(55))
			prolongedUnheard(s, 37)
		}, "G2", "d3 answered"},

		{"one that a flush has ended, where nobody has heard of it", func(s *story) {
			s.split("d3", calm+sec(2), end)
			flushedOff(s, "d3")
			s.login("d3", calm+sec(31.5), alice, b1)
		}, "", ""},
		{"one that a flush has ended, as all have heard", func(s *story) {
			flushedOff(s)
			s.login("d3", calm+sec(31.5), alice, b1)
		}, "G2", "d3 answered"},
		{"an answer just before a cut, after one that never came", func(s *story) {
			s.part("d1", "d2", calm+sec(1), end)
			lastBeforeACut(s)
		}, "", ""},
		{"an answer just before a cut", lastBeforeACut, "G2", "d1 answered"},
		{"a mapping that one prolonged which was asked and not heard", func(s *story) {
			s.silent["d3"] = true
			s.add(Synced{At(sec(2)), "d3", true, "", 0})
			s.add(Synced{At(calm + sec(20)), "d3", false, "the story says so", 0})
			s.add(Synced{At(calm + sec(30)), "d3", true, "", 0})
			prolongedBy(s, "d3")
		}, "", ""},
		{"a mapping that has expired while a lookup waited", func(s *story) {
			prolongedBy(s, "d3")
		}, "G2", "d3 answered"},
		{"one prolonged where another was not known, for one that did not hear it",
			func(s *story) {
				s.silent["d2"] = true
				s.add(Synced{At(sec(2)), "d2", true, "", 0})
				s.add(Synced{At(calm + sec(24)), "d2", false, "the story says so", 0})
				holdsOnTo(s)
			}, "", ""},
		{"one that has ended, where another was not known", holdsOnTo, "G2", "d3 answered"},
		{"moved to where a drain began at the same moment", func(s *story) {
			s.login("d1", calm-sec(2), alice, b1)
			s.order("d1", calm, calm, Op{Kind: OpPin, User: alice, Backend: b2})
			s.order("d1", calm, calm, Op{Kind: OpDrain, Backend: b2})
			s.login("d1", calm+sec(3), alice, b2)
		}, "", ""},
		{"what a director that was removed brings back", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.split("d3", calm+sec(1), calm+sec(8))
			s.add(Admin{At(calm + sec(2)), 100, "d3", Op{Kind: OpForget, Backend: b1}})
			s.order("d1", calm+sec(7), calm+sec(7.1),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.add(Stop{At(calm + sec(8)), "d3", true})
			s.gone("d3", calm+sec(8))
			s.login("d1", calm+sec(18), alice, b1)
			s.start("d3", calm+sec(20))
			s.login("d1", calm+sec(21), alice, placeWithout(b1))
		}, "", ""},
		{"a mapping that one which was removed brings back", broughtBack, "", ""},
		{"one that has gone on since, in its last seconds", func(s *story) {
			broughtBack(s)
			id := s.ask("d2", calm+sec(50), alice)
			s.answer(id, calm+sec(58), placeWithout(b1))
		}, "", ""},
		{"cut off for long, with a pause in it", func(s *story) { sleepsApart(s, 8) }, "", ""},
		{"cut off for too short a time when the pause is left out", func(s *story) {
			sleepsApart(s, 6.3)
		}, "G2", "d3 answered"},
		{"alone, after a start with a pause in it", func(s *story) {
			s.stop("d3", calm)
			s.split("d3", calm, end)
			s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.login("d1", calm+sec(2), alice, placeWithout(b1))
			s.start("d3", calm+sec(4))
			s.sleep("d3", calm+sec(6.5), calm+sec(11))
			s.login("d3", calm+sec(13.3), alice, b1)
		}, "", ""},
		{"an answer that prolonged nothing, where nothing is known of later ones", func(s *story) {
			s.login("d2", calm, alice, b1)
			s.order("d1", calm+sec(5), calm+sec(5.1), Op{Kind: OpDown, Backend: b1})
			s.login("d1", calm+sec(12), alice, b1)
			s.order("d1", calm+sec(13), calm+sec(13.1), Op{Kind: OpUp, Backend: b1})
			s.order("d1", calm+sec(14), calm+sec(14.1),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.split("d3", calm+sec(16), end)
			s.login("d1", calm+sec(25), alice, b1)
			s.login("d3", calm+sec(30), alice, placeWithout(b1))
		}, "", ""},
		{
			"the old backend, as all know, after an answer while it was being forgotten",
			func(s *story) {
				renewed(s)
				s.login("d3", calm+sec(8.5), alice, placeWithout(b1))
			},
			"G2", "d3 answered",
		},
		{"a mapping that was made again where one director did not hear of it", func(s *story) {
			s.part("d1", "d3", calm+sec(2), end)
			renewed(s)
			s.login("d3", calm+sec(8.5), alice, placeWithout(b1))
		}, "", ""},

		{
			"a mapping that may have expired and lives on where others did not know of it",
			func(s *story) {
				s.split("d3", calm, calm+sec(24))
				onceMore(s)
			},
			"", "",
		},
		{"a mapping that had expired and comes back", onceMore, "G2", "d3 answered"},

		{"a mapping that died with the only one that had it", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.stop("d1", calm+sec(0.01))
			s.final(calm + sec(18))
		}, "", ""},
		{"a mapping that the others had too", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.stop("d1", calm+sec(3))
			s.final(calm + sec(18))
		}, "G2", "in the end the mapping is to no backend"},

		{"a mapping that ends where nobody heard that it was prolonged", func(s *story) {
			endsApart(s, 39.8)
		}, "", ""},
		{"a mapping that cannot have ended yet", func(s *story) {
			endsApart(s, 36.5)
		}, "G2", "d1 answered"},

		{
			"a mapping that was made again while it was forgotten, and not heard of by one",
			func(s *story) {
				s.part("d1", "d3", calm, end)
				madeAgain(s, "d3")
			},
			"", "",
		},
		{"a mapping that was made again while it was forgotten, and heard of", func(s *story) {
			madeAgain(s)
		}, "G2", "d2 answered"},

		{"a mapping that was forgotten and made again on one side", func(s *story) {
			s.split("d3", calm+sec(1), end)
			forgottenApart(s, "d1", "d2")
		}, "", ""},
		{"a mapping that was forgotten and made again", func(s *story) {
			forgottenApart(s)
		}, "G2", "d1 answered 192.0.2.1"},

		{"a move beside a removal, seen where the user hashes elsewhere and others need " +
			"not know that", func(s *story) {
			s.login("d1", sec(11), alice, b1)
			s.split("d3", calm+sec(5), end)
			s.kick("d1", calm+sec(1), alice, placeWithout(b1))
			s.kick("d2", calm+sec(1), alice, placeWithout(b1))
			s.kick("d3", calm+sec(1), alice, placeWithout(b1))
			s.order("d1", calm+sec(0.9), calm+sec(2),
				Op{Kind: OpMove, User: alice, Backend: placeWithout(b1)})
			s.order("d2", calm+sec(1), calm+sec(1.1), Op{Kind: OpRemove, Backend: b1})
			s.order("d1", calm+sec(12), calm+sec(12.1),
				Op{Kind: OpAdd, Backend: b1, VHosts: 10}, "d3")
			s.login("d1", calm+sec(15), alice, placeWithout(b1))
		}, "", ""},

		{
			"an old mapping while it is being forgotten elsewhere, and made again there",
			func(s *story) {
				s.login("d1", sec(14), alice, b1)
				s.order("d1", sec(15), sec(15.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
				s.part("d1", "d3", sec(33), end)
				s.part("d2", "d3", sec(33), end)
				s.add(Admin{At(sec(34)), 100, "d1", Op{Kind: OpForget, Backend: b1}})
				s.login("d2", sec(34.5), alice, placeWithout(b1))
				s.login("d3", sec(35), alice, b1)
			},
			"", "",
		},

		{"a guess after a death that has nothing to do with it", func(s *story) {
			s.stop("d3", calm)
			s.login("d1", calm+sec(1), alice, b2)
		}, "G2", "hashes to [192.0.2.1]"},
		{"the old place where a change was not heard of", func(s *story) {
			s.split("d3", calm, calm+sec(20))
			s.order("d1", calm+sec(6), calm+sec(6.1),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.login("d3", calm+sec(8), alice, b1)
		}, "", ""},
		{"the old place where a change has been heard of", func(s *story) {
			s.split("d3", calm, calm+sec(20))
			s.order("d1", calm+sec(6), calm+sec(6.1),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.login("d2", calm+sec(8), alice, b1)
		}, "G2", "hashes to"},
		{"the old place where a change must have been heard of by now", func(s *story) {
			s.split("d3", calm, calm+sec(8))
			s.order("d1", calm+sec(6), calm+sec(6.1),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.login("d3", calm+sec(15), alice, b1)
		}, "G2", "hashes to"},
		{"what one director recorded and another relied on", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.part("d1", "d3", calm+sec(5), end)
			s.login("d1", sec(37), alice, b1)
			s.login("d2", sec(38), alice, b1) // announces nothing
			s.order("d2", sec(50.5), sec(50.6), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.login("d3", sec(56), alice, placeWithout(b1))
		}, "", ""},
		{"what one director recorded for one that did not hear it, and another relied on",
			func(s *story) { recordedFor(s, 20) }, "", ""},
		{"what one director recorded long before another one recorded it anew",
			func(s *story) { recordedFor(s, 5.5) }, "G2", "d3 answered"},
		{"a flush that one director never heard of, and one in the middle did", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.part("d1", "d3", calm+sec(1), end)
			s.order("d2", calm+sec(7), calm+sec(7.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.add(Admin{At(calm + sec(8)), 100, "d1", Op{Kind: OpFlush}})
			s.login("d2", calm+sec(9), alice, placeWithout(b1))
			s.login("d3", calm+sec(10), alice, b1)
		}, "", ""},
		{"a flush that all heard of", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d2", calm+sec(7), calm+sec(7.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.add(Admin{At(calm + sec(8)), 100, "d1", Op{Kind: OpFlush}})
			s.login("d2", calm+sec(9), alice, placeWithout(b1))
			s.login("d3", calm+sec(10), alice, b1)
		}, "G2", "d3 answered"},
		{"a flush to a backend that may be down where it was not heard of", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.kick("d1", calm+sec(1), alice, b3)
			s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpMove, User: alice, Backend: b3})
			s.split("d3", calm+sec(2), end)
			s.order("d1", calm+sec(9), calm+sec(9.1), Op{Kind: OpDown, Backend: b1}, "d3")
			s.order("d1", calm+sec(10), calm+sec(10.1), Op{Kind: OpUp, Backend: b1}, "d3")
			s.add(Admin{At(calm + sec(11)), 100, "d1", Op{Kind: OpFlush}})
			s.login("d2", calm+sec(12), alice, b1)
			s.login("d3", calm+sec(13), alice, b3)
		}, "", ""},
		{"a director that has answered for another one that died", func(s *story) {
			relayed(s, 0.02)
		}, "", ""},
		{"a director that has answered for another one", func(s *story) {
			relayed(s, 3)
		}, "G2", "d2 answered"},
		{
			"a director that has answered for another one, which has not heard that yet",
			func(s *story) {
				s.silent["d3"] = true
				s.add(Fault{At(calm), calm + sec(10)})
				s.order("d1", calm, calm+sec(0.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
				s.ask("d3", calm+sec(1), alice)
				s.order("d1", calm+sec(2), calm+sec(2.1),
					Op{Kind: OpUpdate, Backend: b1, VHosts: 10})
				s.login("d2", calm+sec(4), alice, placeWithout(b1))
			},
			"", "",
		},
	})
}

// broughtBack has d3 removed while it is cut off, after it has answered alice b1, and let in again
// when she was answered elsewhere for some time.
func broughtBack(s *story) {
	s.order("d1", calm-sec(2), calm-sec(1.9), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.order("d1", calm-sec(1), calm-sec(0.9), Op{Kind: OpUpdate, Backend: b1, VHosts: 10})
	s.split("d3", calm, calm+sec(20))
	s.order("d1", calm+sec(6), calm+sec(6.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
	s.login("d3", calm+sec(7), alice, b1)
	s.login("d1", calm+sec(8), alice, placeWithout(b1))
	s.add(Stop{At(calm + sec(9)), "d3", true})
	s.gone("d3", calm+sec(9))
	s.login("d2", calm+sec(22), alice, placeWithout(b1))
	s.start("d3", calm+sec(30))
	s.login("d1", calm+sec(32), alice, b1)
}

// sleepsApart has d3 cut off, asleep for two seconds of that, and answer after so many seconds what
// the others do not.
func sleepsApart(s *story, after float64) {
	s.split("d3", calm, end)
	s.sleep("d3", calm+sec(3), calm+sec(5))
	s.order("d1", calm+sec(5.6), calm+sec(5.7), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
	s.login("d1", calm+sec(6), alice, placeWithout(b1))
	s.login("d3", calm+sec(after), alice, b1)
}

// prolongedBy has a director answer after 26 seconds of waiting, when the mapping has expired.
func prolongedBy(s *story, d string) {
	s.login("d1", calm, alice, b1)
	s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.answer(s.ask(d, calm+sec(21), alice), calm+sec(47), b1)
}

// holdsOnTo has d1 flush alice off b1 where the others do not hear of it. Then d2 asks for her, and
// dies, and d3 still has her there.
func holdsOnTo(s *story) {
	s.split("d1", calm+sec(2), end)
	flushedOff(s, "d2", "d3")
	s.ask("d2", calm+sec(25), alice)
	s.stop("d2", calm+sec(25.02))
	s.login("d3", calm+sec(53), alice, b1)
}

// lastBeforeACut has d1 take a mapping for dead that d2 has prolonged, and then d3, which d1 has
// not heard for less than five seconds.
func lastBeforeACut(s *story) {
	s.login("d3", calm, alice, b1)
	s.order("d1", calm+sec(0.1), calm+sec(0.2), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d2", calm+sec(22), alice, b1)
	s.split("d3", calm+sec(36.5), end)
	s.login("d3", calm+sec(37), alice, b1)
	s.login("d1", calm+sec(40.1), alice, placeWithout(b1))
}

// flushedOff has d1 flush alice off b1, which lost its vhosts, after d3 has answered her; the
// mapping that comes after it is not used for longer than it lives.
func flushedOff(s *story, failed ...string) {
	s.login("d1", calm, alice, b1)
	s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d3", calm+sec(8.5), alice, b1)
	s.order("d1", calm+sec(9), calm+sec(9.1), Op{Kind: OpFlush}, failed...)
	s.login("d1", calm+sec(11), alice, placeWithout(b1))
}

// renewed has a mapping forgotten, answered meanwhile where nobody had heard of that yet, and made
// again by d1, before its backend loses its vhosts.
func renewed(s *story) {
	s.login("d2", calm, alice, b1)
	s.order("d2", calm+sec(1), calm+sec(1.1), Op{Kind: OpForget, Backend: b1})
	s.login("d3", calm+sec(1.05), alice, b1)
	s.login("d1", calm+sec(3), alice, b1)
	s.order("d2", calm+sec(7), calm+sec(7.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
}

// onceMore has a user answered by d3, by d1 elsewhere when that mapping may have expired, and by d3
// again as at first.
func onceMore(s *story) {
	s.login("d3", calm+sec(1), alice, b1)
	s.order("d1", calm+sec(7), calm+sec(7.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
	s.login("d1", calm+sec(22), alice, placeWithout(b1))
	s.login("d3", calm+sec(34), alice, b1)
}

// endsApart has d1 know of a mapping, and of an answer that recorded nothing, but not of what
// prolonged it, and give another answer.
func endsApart(s *story, after float64) {
	s.login("d2", calm, alice, b1)
	s.login("d2", calm+sec(9.9), alice, b1)
	s.split("d1", calm+sec(12), end)
	s.order("d1", calm+sec(20), calm+sec(20.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0},
		"d2", "d3")
	s.login("d2", calm+sec(25), alice, b1)
	s.login("d1", calm+sec(after), alice, placeWithout(b1))
}

// madeAgain has a mapping forgotten and made again by d1 before all had forgotten it, and d3 answer
// otherwise.
func madeAgain(s *story, failed ...string) {
	s.login("d2", calm, alice, b1)
	s.order("d1", calm+sec(7), calm+sec(8.1), Op{Kind: OpForget, Backend: b1}, failed...)
	s.login("d1", calm+sec(8), alice, b1)
	s.order("d2", calm+sec(12), calm+sec(12.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d3", calm+sec(14), alice, placeWithout(b1))
	s.login("d2", calm+sec(15), alice, b1)
}

// forgottenApart has a mapping of which all know forgotten by d1 and d3, and made again by d1,
// while its backend is down for d3, which answers otherwise.
func forgottenApart(s *story, others ...string) {
	s.login("d2", calm, alice, b1)
	s.order("d3", calm+sec(7), calm+sec(7.1), Op{Kind: OpDown, Backend: b1}, others...)
	s.order("d1", calm+sec(7.5), calm+sec(7.6), Op{Kind: OpForget, Backend: b1})
	s.order("d3", calm+sec(7.8), calm+sec(7.9), Op{Kind: OpForget, Backend: b1}, others...)
	s.login("d1", calm+sec(15), alice, b1)
	s.login("d3", calm+sec(21), alice, placeWithout(b1))
	s.login("d1", calm+sec(22), alice, b1)
}

// relayed has d3, which is not synced, answer alice. The one that it asked may be d1, which dies.
func relayed(s *story, after float64) {
	s.silent["d3"] = true
	s.add(Fault{At(0), calm + sec(20)})
	s.login("d3", calm, alice, b1)
	s.stop("d1", calm+sec(after))
	s.order("d2", calm+sec(7), calm+sec(7.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d2", calm+sec(8), alice, placeWithout(b1))
}

// relayInTheMiddle lets d1 and d3 lose each other while d2 is in contact with both. d1 prolongs
// alice's mapping and stops; in between her place has become another. d3 answers her when its own
// copy must have expired, and she would still be mapped if it had heard of the last activity.
func relayInTheMiddle(s *story, stop, last float64) {
	s.login("d1", calm, alice, b1)
	s.part("d1", "d3", calm+sec(5), end)
	s.login("d1", sec(37), alice, b1)
	s.stop("d1", sec(stop))
	s.order("d2", sec(50.5), sec(50.6), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d3", sec(last), alice, placeWithout(b1))
}

// takesOver is relayInTheMiddle with a d3 that takes a snapshot from d2 for what it lacks, and is
// synced at a time. d2 dies at last.
func takesOver(s *story, synced float64) {
	s.silent["d3"] = true
	for x, is := range map[float64]bool{2: true, 45.7: false, synced: true} {
		s.add(Synced{At(sec(x)), "d3", is, "the story says so", 0})
	}
	s.stop("d2", sec(50.9))
	relayInTheMiddle(s, 40, 56.7)
}

// recordedFor has d2 ask d1 for alice after so many seconds, die, start again and answer her, while
// d3 hears nothing of d1.
func recordedFor(s *story, asked float64) {
	s.login("d1", calm, alice, b1)
	s.part("d1", "d3", calm+sec(0.5), end)
	s.silent["d2"] = true
	for x, synced := range map[float64]bool{
		2 - calm.Seconds(): true, asked - 0.1: false, asked + 4: true,
	} {
		s.add(Synced{At(calm + sec(x)), "d2", synced, "the story says so", 0})
	}
	s.ask("d2", calm+sec(asked), alice)
	s.stop("d2", calm+sec(asked+0.02))
	s.start("d2", calm+sec(asked+2))
	s.login("d2", calm+sec(25), alice, b1)
	s.order("d2", calm+sec(26), calm+sec(26.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d3", calm+sec(41.5), alice, placeWithout(b1))
}

// prolongedUnheard has d1 prolong alice's mapping, after her place has become another. d3 answers
// her when its own copy must have expired, if it has not heard of that.
func prolongedUnheard(s *story, prolonged float64) {
	s.login("d1", calm, alice, b1)
	s.order("d2", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d1", sec(prolonged), alice, b1)
	s.login("d3", sec(56), alice, placeWithout(b1))
}

// fromDisk is relayInTheMiddle with a d1 that is cut off from both, and stops there. It starts
// again with what its disk had, in touch with d2.
func fromDisk(s *story, kept, last float64) {
	s.login("d1", calm, alice, b1)
	s.part("d1", "d3", calm+sec(5), end)
	s.part("d1", "d2", calm+sec(5), sec(37.55))
	s.login("d1", sec(37), alice, b1)
	s.stop("d1", sec(37.5))
	s.startFrom("d1", sec(37.6), sec(kept))
	s.order("d2", sec(50.5), sec(50.6), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d3", sec(last), alice, placeWithout(b1))
}

// fromDiskAlone has d1 start again from its disk while it is still cut off. It serves alone, and is
// admitted at a time.
func fromDiskAlone(s *story, admitted float64) {
	s.login("d1", calm, alice, b1)
	s.part("d1", "d3", calm+sec(5), end)
	s.part("d1", "d2", calm+sec(5), sec(40.7))
	s.login("d1", sec(37), alice, b1)
	s.stop("d1", sec(37.5))
	s.startFrom("d1", sec(37.6), sec(37.3))
	s.silent["d1"] = true
	for x, synced := range map[float64]bool{2: true, 40.6: true, 40.8: false, admitted: true} {
		s.add(Synced{At(sec(x)), "d1", synced, "the story says so", 0})
	}
	s.order("d2", sec(50.5), sec(50.6), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d2", sec(52), alice, placeWithout(b1))
}

// relayFromSleeper is relayInTheMiddle with a director that hangs.
func relayFromSleeper(s *story, asleep float64) {
	s.login("d1", calm, alice, b1)
	s.part("d1", "d3", calm+sec(5), end)
	s.login("d1", sec(37), alice, b1)
	s.sleep("d1", sec(asleep), end)
	s.order("d2", sec(50.5), sec(55.6), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d1")
	s.login("d3", sec(56), alice, placeWithout(b1))
}
