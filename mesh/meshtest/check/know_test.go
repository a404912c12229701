package check

import (
	"net/netip"
	"testing"
	"time"
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
		{"one in the middle has it and could not be asked", func(s *story) {
			s.part("d2", "d3", calm+sec(20), calm+sec(39))
			relayInTheMiddle(s, 40, 56)
		}, "", ""},
		{"one in the middle had it and died too", func(s *story) {
			s.stop("d2", calm+sec(27))
			relayInTheMiddle(s, 40, 56)
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

		{"both know both backends and answer differently", func(s *story) {
			conflict(s)
			s.login("d1", calm+sec(9), alice, b1)
			s.login("d3", calm+sec(9.01), alice, placeWithout(b1))
		}, "G2", "d3 answered"},
		{"both know both backends and answer the same", func(s *story) {
			conflict(s)
			s.login("d1", calm+sec(9), alice, b1)
			s.login("d3", calm+sec(9.01), alice, b1)
		}, "", ""},
		{"both sides answer differently as long as they are two", func(s *story) {
			conflict(s)
			s.login("d1", calm+sec(2), alice, placeWithout(b1))
			s.login("d3", calm+sec(2.1), alice, b1)
		}, "", ""},

		{"a guess after a death that has nothing to do with it", func(s *story) {
			s.stop("d3", calm)
			s.login("d1", calm+sec(1), alice, b2)
		}, "G2", "hashes to [192.0.2.1]"},
		{"the old place where a change was not heard of", func(s *story) {
			s.split("d3", calm, calm+sec(20))
			s.order("d1", calm+sec(6), calm+sec(6.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.login("d3", calm+sec(8), alice, b1)
		}, "", ""},
		{"the old place where a change has been heard of", func(s *story) {
			s.split("d3", calm, calm+sec(20))
			s.order("d1", calm+sec(6), calm+sec(6.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.login("d2", calm+sec(8), alice, b1)
		}, "G2", "hashes to"},
		{"the old place where a change must have been heard of by now", func(s *story) {
			s.split("d3", calm, calm+sec(8))
			s.order("d1", calm+sec(6), calm+sec(6.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.login("d3", calm+sec(15), alice, b1)
		}, "G2", "hashes to"},
		{"a wait without a reason after a death", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.stop("d3", calm+sec(2))
			s.answer(s.ask("d2", calm+sec(3), alice), calm+sec(3.1), b1)
		}, "G4", "without a reason"},
		{"a wait for a change that one director does not confirm", func(s *story) {
			s.sleep("d3", calm+sec(2), calm+sec(4))
			s.add(Admin{At(calm + sec(2)), 100, "d1", Op{Kind: OpUpdate, Backend: b1, VHosts: 0}})
			s.answer(s.ask("d2", calm+sec(3), alice), calm+sec(4.1), placeWithout(b1))
		}, "", ""},
	})
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

// relayFromSleeper is relayInTheMiddle with a director that hangs.
func relayFromSleeper(s *story, asleep float64) {
	s.login("d1", calm, alice, b1)
	s.part("d1", "d3", calm+sec(5), end)
	s.login("d1", sec(37), alice, b1)
	s.sleep("d1", sec(asleep), end)
	s.order("d2", sec(50.5), sec(55.6), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d1")
	s.login("d3", sec(56), alice, placeWithout(b1))
}

// TestOperationsOfTheDead judges what follows an operation that its director did not live to acknowledge.
func TestOperationsOfTheDead(t *testing.T) {
	lost := func(s *story) {
		s.login("d2", calm, alice, b1)
		s.add(Admin{At(calm + sec(1)), 100, "d1", Op{Kind: OpForget, Backend: b1}})
		s.stop("d1", calm+sec(1.01))
		s.order("d2", calm+sec(3), calm+sec(8), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d1")
	}
	testStories(t, []tale{
		{"nobody has heard of it", func(s *story) {
			lost(s)
			s.login("d2", calm+sec(12), alice, b1)
			s.login("d3", calm+sec(13), alice, b1)
		}, "", ""},
		{"all have heard of it", func(s *story) {
			lost(s)
			s.login("d2", calm+sec(12), alice, placeWithout(b1))
			s.login("d3", calm+sec(13), alice, placeWithout(b1))
		}, "", ""},
		{"nobody had heard of it, and then somebody has", func(s *story) {
			lost(s)
			s.login("d2", calm+sec(12), alice, b1)
			s.login("d3", calm+sec(13), alice, placeWithout(b1))
		}, "G2", "d3 answered"},
	})
}

// TestMeshes judges directors that belong to a mesh which joins another.
func TestMeshes(t *testing.T) {
	stray := func(s *story) {
		s.mesh = map[string]uint64{"d1": 1, "d2": 1, "d3": 3}
		s.silent["d3"] = true
		s.split("d3", 0, calm+sec(10))
		s.add(Synced{At(sec(3)), "d3", true, "", 3})
		s.add(Synced{At(calm + sec(11)), "d3", false, "joining", 1})
		s.add(Synced{At(calm + sec(12)), "d3", true, "", 1})
	}
	testStories(t, []tale{
		{"a stray goes by its own table", func(s *story) {
			stray(s)
			s.login("d3", calm+sec(5), alice, b2)
			s.login("d1", calm+sec(20), alice, b1)
		}, "", ""},
		{"a director of the mesh does not", func(s *story) {
			stray(s)
			s.login("d2", calm+sec(5), alice, b2)
			s.login("d3", calm+sec(20), alice, b2)
		}, "G2", "hashes to"},
		{"what the mesh answers binds it when it has joined", func(s *story) {
			stray(s)
			s.login("d1", calm+sec(5), alice, b1)
			s.login("d3", calm+sec(14), alice, b2)
		}, "G2", "d3 answered"},
	})
}

// TestRest judges what directors say of themselves, and their clocks.
func TestRest(t *testing.T) {
	unsynced := func(s *story, since, until, next float64) {
		s.silent["d2"] = true
		s.add(Synced{At(sec(2)), "d2", true, "", 0})
		s.add(Synced{At(calm + sec(since)), "d2", false, "gap", 0})
		s.add(Synced{At(calm + sec(until)), "d2", true, "", 0})
		s.login("d1", calm+sec(next), alice, b1)
	}
	apart := func(s *story, at time.Duration, by time.Duration) {
		ahead := map[string]time.Duration{"d1": time.Hour, "d2": time.Hour, "d3": time.Hour + by}
		s.add(MeshTimes{At(at), ahead})
	}
	testStories(t, []tale{
		{"rest in time", func(s *story) { unsynced(s, 1, 15, 20) }, "", ""},
		{"no rest", func(s *story) { unsynced(s, 1, 17, 20) }, "G4", "d2 has not been synced since 16s"},
		{"no rest while a fault goes on", func(s *story) {
			s.add(Fault{At(calm), calm + sec(10)})
			unsynced(s, 1, 24, 40)
		}, "", ""},
		{"no rest after a fault", func(s *story) {
			s.add(Fault{At(calm), calm + sec(10)})
			unsynced(s, 1, 26, 40)
		}, "G4", "the last fault ended at 25s: gap"},
		{"never synced", func(s *story) {
			s.silent["d3"] = true
			s.login("d1", calm+sec(5), alice, b1)
		}, "G4", "d3 has not been synced since 0s"},

		{"one clock", func(s *story) { apart(s, calm, sec(0.99)) }, "", ""},
		{"two clocks", func(s *story) { apart(s, calm, sec(1.01)) }, "G2", "d1 and d3"},
		{"two clocks on two sides", func(s *story) {
			s.split("d3", calm, calm+sec(20))
			apart(s, calm+sec(10), sec(5))
		}, "", ""},
		{"two clocks of directors that are not synced", func(s *story) {
			s.silent["d3"] = true
			apart(s, calm, sec(5))
		}, "", ""},
	})
}

// TestAcknowledged judges what directors hold of what was acknowledged, as time goes on.
func TestAcknowledged(t *testing.T) {
	down := Row{Present: true, VHosts: 10, Down: true}
	up := Row{Present: true, VHosts: 10}
	held := map[string]Table{"d1": with(b1, down), "d2": with(b1, up), "d3": with(b1, down)}
	// later is an acknowledged change of b1, and then one of b2, when d2 lacks the first.
	later := func(s *story, first, second float64, failed ...string) {
		s.order("d1", calm+sec(first), calm+sec(first+0.1), Op{Kind: OpDown, Backend: b1}, failed...)
		s.add(Admin{At(calm + sec(second)), 100, "d1", Op{Kind: OpUpdate, Backend: b2, VHosts: 10}})
		s.add(Done{At: At(calm + sec(second+0.1)), ID: 100, Tables: held})
	}
	testStories(t, []tale{
		{"lost again", func(s *story) { later(s, 1, 2) }, "G5", "d2 does not hold what was acknowledged"},
		{"never heard of", func(s *story) {
			s.split("d2", calm, calm+sec(30))
			later(s, 7, 20, "d2")
		}, "", ""},
		{"not heard of yet", func(s *story) {
			s.split("d2", calm, calm+sec(18))
			later(s, 7, 20, "d2")
		}, "", ""},
		{"not heard of although in touch", func(s *story) {
			s.split("d2", calm, calm+sec(10))
			later(s, 7, 20, "d2")
		}, "G5", "d2 does not hold what was acknowledged"},
		{"not heard of by one that is not synced", func(s *story) {
			s.silent["d2"] = true
			s.add(Fault{At(0), calm + sec(10)})
			later(s, 0.5, 0.7)
		}, "", ""},
		{"overridden", func(s *story) {
			held["d1"], held["d3"] = held["d2"], held["d2"]
			s.order("d3", calm+sec(1.5), calm+sec(1.6), Op{Kind: OpUp, Backend: b1})
			later(s, 1, 2)
		}, "", ""},
	})
}

// TestFailures judges lookups that fail.
func TestFailures(t *testing.T) {
	// fails is a lookup of a user that a move holds, so that it has a reason to wait.
	fails := func(s *story) {
		s.add(Admin{At(calm), 100, "d1", Op{Kind: OpUpdate, Backend: b1, VHosts: 0}})
		id := s.ask("d2", calm+sec(0.01), alice)
		s.add(Answer{At(calm + sec(30.01)), id, netip.Addr{}, true})
	}
	testStories(t, []tale{
		{"a failure although all is well", fails, "G4", "d2 failed a lookup"},
		{"a failure while others could answer", func(s *story) {
			s.silent["d2"] = true
			s.add(Fault{At(calm), calm + sec(40)})
			fails(s)
		}, "G4", "failed a lookup"},
		{"a failure while nobody could", func(s *story) {
			s.silent["d2"] = true
			s.add(Fault{At(calm), calm + sec(40)})
			s.split("d2", calm+sec(1), calm+sec(7))
			fails(s)
		}, "", ""},
	})
}
