package check

import (
	"testing"
	"time"
)

// TestRest judges what directors say of themselves, and their clocks.
func TestRest(t *testing.T) {
	unsynced := func(s *story, since, until, next float64) {
		s.silent["d2"] = true
		s.add(Synced{At(sec(2)), "d2", true, "", 0})
		s.add(Synced{At(calm + sec(since)), "d2", false, "gap", 0})
		s.add(Synced{At(calm + sec(until)), "d2", true, "", 0})
		s.login("d1", calm+sec(next), alice, b1)
	}
	apartFor := func(s *story, at, length, by time.Duration) {
		ahead := map[string]time.Duration{"d1": time.Hour, "d2": time.Hour, "d3": time.Hour + by}
		for past := time.Duration(0); past <= length; past += sec(0.5) {
			s.add(MeshTimes{At(at + past), ahead})
		}
	}
	apart := func(s *story, at, by time.Duration) { apartFor(s, at, astrayFor, by) }
	const ours = 7
	// startedApart has d3 start from its disk and serve alone, cut off. It meets one and then the
	// other.
	startedApart := func(s *story, second float64) {
		s.part("d1", "d3", calm-sec(5), calm+sec(10))
		s.part("d2", "d3", calm-sec(5), calm+sec(second))
		s.mesh["d1"], s.mesh["d2"], s.silent["d3"] = ours, ours, true
		s.add(Synced{At(sec(2)), "d3", true, "", ours})
		s.stop("d3", calm)
		s.startFrom("d3", calm+sec(1), calm-sec(1))
		s.add(Synced{At(calm + sec(5)), "d3", true, "", ours})
	}
	// standTwice has two of three stand still for less than a second, twice.
	standTwice := func(s *story) {
		for _, d := range []string{"d1", "d2"} {
			s.pause(d, calm, calm+sec(0.9), true)
			s.pause(d, calm+sec(2), calm+sec(2.9), true)
		}
	}
	testStories(t, []tale{
		{"rest in time", func(s *story) { unsynced(s, 1, 15, 20) }, "", ""},
		{"no rest", func(s *story) { unsynced(s, 1, 17, 20) }, "G4",
			"d2 has not been synced since 16s"},
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
		{"two clocks until they have heard of each other", func(s *story) {
			apartFor(s, calm, sec(0.5), sec(1.01))
			apartFor(s, calm+sec(1), 0, 0)
			apartFor(s, calm+sec(1.5), sec(0.5), sec(1.01))
		}, "", ""},
		{"two clocks on two sides", func(s *story) {
			s.split("d3", calm, calm+sec(20))
			apart(s, calm+sec(10), sec(5))
		}, "", ""},
		{"two clocks while a split heals link by link", func(s *story) {
			s.part("d1", "d3", calm, calm+sec(10))
			s.part("d2", "d3", calm, calm+sec(20))
			apart(s, calm+sec(14), sec(5))
		}, "", ""},
		{"the same where one has started again on its side", func(s *story) {
			startedApart(s, 20)
			apart(s, calm+sec(14), sec(5))
		}, "", ""},
		{"the same when all have met", func(s *story) {
			startedApart(s, 11)
			apart(s, calm+sec(14), sec(5))
		}, "G2", "d1 and d3"},
		{"two clocks after a split", func(s *story) {
			s.split("d3", calm, calm+sec(10))
			apart(s, calm+sec(14), sec(5))
		}, "G2", "d1 and d3"},
		{"two clocks after a split while one side counts the dead", func(s *story) {
			s.split("d3", calm, calm+sec(10))
			s.stop("d2", calm+sec(9.5))
			apartFor(s, calm+sec(12.5), sec(1.5), sec(5))
		}, "", ""},
		{"two clocks after a split, the dead forgotten", func(s *story) {
			s.split("d3", calm, calm+sec(10))
			s.stop("d2", calm+sec(9.5))
			apart(s, calm+sec(15), sec(5))
		}, "G2", "d1 and d3"},
		{"two clocks after a split while both sides count the dead", func(s *story) {
			s.split("d3", calm, calm+sec(10))
			s.stop("d2", calm+sec(13.5))
			apart(s, calm+sec(15), sec(5))
		}, "G2", "d1 and d3"},
		{"two clocks while one counts the dead, of two that were in touch", func(s *story) {
			s.part("d2", "d3", calm, end)
			s.stop("d2", calm+sec(9.5))
			apart(s, calm+sec(10), sec(5))
		}, "G2", "d1 and d3"},
		{"two clocks of two that stood still, and one that only one of them hears", func(s *story) {
			s.part("d2", "d3", calm-sec(1), end)
			s.pause("d1", calm, calm+sec(2.4), true)
			s.pause("d2", calm, calm+sec(2.4), true)
			apartFor(s, calm+sec(3.5), sec(8), sec(2.4))
		}, "", ""},
		{"the same after a long standstill", func(s *story) {
			s.part("d2", "d3", calm-sec(1), end)
			s.pause("d1", calm, calm+sec(8), true)
			s.pause("d2", calm, calm+sec(8), true)
			apartFor(s, calm+sec(9.5), sec(8), sec(8))
		}, "", ""},
		{"the same when all hear each other", func(s *story) {
			s.pause("d1", calm, calm+sec(2.4), true)
			s.pause("d2", calm, calm+sec(2.4), true)
			apart(s, calm+sec(4.5), sec(2.4))
		}, "G2", "d1 and d3"},
		{"the same of two that stood still twice, for less than a second", func(s *story) {
			s.silence("d3", "d2", calm-sec(1), end)
			standTwice(s)
			apartFor(s, calm+sec(4), sec(3), sec(1.8))
		}, "", ""},
		{"the same when all hear each other", func(s *story) {
			standTwice(s)
			apartFor(s, calm+sec(4), sec(1.5), sec(1.8))
		}, "G2", "d1 and d3"},
		{"two clocks of one that stood still and one that it hears", func(s *story) {
			s.part("d1", "d3", calm-sec(1), end)
			s.pause("d3", calm, calm+sec(2.4), true)
			apart(s, calm+sec(3.5), sec(-2.4))
		}, "G2", "d2 and d3"},
		{"the same after a long standstill of one", func(s *story) {
			s.part("d1", "d3", calm-sec(1), end)
			s.pause("d3", calm, calm+sec(8), true)
			apart(s, calm+sec(11), sec(-8))
		}, "G2", "d2 and d3"},
		{"two clocks of directors that are not synced", func(s *story) {
			s.silent["d3"] = true
			apart(s, calm-sec(2), sec(5))
		}, "", ""},
	})
}

// TestAcknowledged judges what directors hold of what was acknowledged, as time goes on.
func TestAcknowledged(t *testing.T) {
	down := Row{Present: true, VHosts: 10, Down: true}
	up := Row{Present: true, VHosts: 10}
	tables := map[string]Table{"d1": with(b1, down), "d2": with(b1, up), "d3": with(b1, down)}
	// later is an acknowledged change of b1, and then one of b2, when d2 lacks the first.
	later := func(s *story, first, second float64, failed ...string) {
		s.order("d1", calm+sec(first), calm+sec(first+0.1),
			Op{Kind: OpDown, Backend: b1}, failed...)
		s.add(Admin{At(calm + sec(second)), 100, "d1", Op{Kind: OpUpdate, Backend: b2, VHosts: 10}})
		s.add(Done{At: At(calm + sec(second+0.1)), ID: 100, Tables: tables})
	}
	// wakes is a change by one that has woken so many seconds ago, and counts d2 as failed; d3
	// lacks it.
	wakes := func(s *story, starts time.Duration, ago float64) {
		s.stop("d3", starts-sec(3))
		s.start("d3", starts)
		s.sleep("d1", calm+sec(10), calm+sec(40))
		at := calm + sec(40+ago)
		s.add(Admin{At(at), 100, "d1", Op{Kind: OpDown, Backend: b1}})
		s.add(Done{At: At(at), ID: 100, Failed: []string{"d2"},
			Tables: map[string]Table{"d1": with(b1, down), "d3": with(b1, up)}})
	}
	testStories(t, []tale{
		{"not heard of by one that started while its director slept", func(s *story) {
			wakes(s, calm+sec(20), 0)
		}, "", ""},
		{"the same when its director has heard another one since", func(s *story) {
			s.part("d1", "d3", calm+sec(40), end)
			wakes(s, calm+sec(20), 0.6)
		}, "", ""},
		{"the same long after that", func(s *story) {
			s.part("d1", "d3", calm+sec(40), end)
			wakes(s, calm+sec(20), 4)
		}, "G5", "at d3"},
		{"not heard of by one that its director had met before it slept", func(s *story) {
			wakes(s, calm+sec(5), 0)
		}, "G5", "at d3"},
		{"lost again", func(s *story) { later(s, 1, 2) }, "G5",
			"d2 does not hold what was acknowledged"},
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
		{"not taken by one that goes by another clock", func(s *story) {
			meetSlowly(s, 19)
			later(s, 7, 20, "d2")
		}, "", ""},
		{"not taken although its clock is the same again", func(s *story) {
			meetSlowly(s, 13)
			later(s, 7, 20, "d2")
		}, "G5", "d2 does not hold what was acknowledged"},
		{"not heard of although in touch with one that has", func(s *story) {
			s.split("d2", calm, calm+sec(10))
			s.split("d3", calm, end)
			later(s, 7, 20, "d2", "d3")
		}, "G5", "d2 does not hold what was acknowledged"},
		{"not heard of from one of other time", func(s *story) {
			s.otherTime("d2", "d1", "d3")
			later(s, 7, 15, "d2")
		}, "", ""},
		{"not heard of from one of other time although all have met", func(s *story) {
			s.otherTime("d2", "d1", "d3")
			later(s, 7, 26, "d2")
		}, "G5", "d2 does not hold what was acknowledged"},
		{"not heard of from one that is cut off from a third one", func(s *story) {
			s.part("d2", "d1", calm, calm+sec(10))
			s.part("d2", "d3", calm, calm+sec(20))
			later(s, 7, 15, "d2")
		}, "G5", "d2 does not hold what was acknowledged"},
		{"not heard of by one that is not synced", func(s *story) {
			s.silent["d2"] = true
			s.add(Fault{At(0), calm + sec(10)})
			later(s, 0.5, 0.7)
		}, "", ""},
		{"overridden", func(s *story) {
			tables["d1"], tables["d3"] = tables["d2"], tables["d2"]
			s.order("d3", calm+sec(1.5), calm+sec(1.6), Op{Kind: OpUp, Backend: b1})
			later(s, 1, 2)
		}, "", ""},
	})
}

// meetSlowly has d2 come out of a split with another clock, which it keeps for so many seconds: it
// meets d1 at 10 s and d3 at 18 s.
func meetSlowly(s *story, until float64) {
	s.part("d1", "d2", calm, calm+sec(10))
	s.part("d2", "d3", calm, calm+sec(18))
	for x := 7.0; x <= until; x++ {
		s.add(MeshTimes{At(calm + sec(x)), map[string]time.Duration{"d2": sec(5)}})
	}
	s.add(MeshTimes{At(calm + sec(until+0.1)), nil})
}
