package check

import (
	"testing"
	"time"
)

// Where a host stood still with its clocks, mappings end later, until a frame shows it that.
func TestStoodStill(t *testing.T) {
	down := Op{Kind: OpDown, Backend: b1}
	shrink := Op{Kind: OpUpdate, Backend: b1, VHosts: 0}
	// goesOn has alice on b1, a change of that, and d3 stand still from so many seconds on, with or
	// without its clocks.
	goesOn := func(s *story, change Op, from, until float64, clocks bool) {
		s.login("d3", calm, alice, b1)
		s.order("d1", calm+sec(1), calm+sec(1.1), change)
		s.login("d3", calm+sec(9), alice, b1) // which prolongs nothing
		s.pause("d3", calm+sec(from), calm+sec(until), clocks)
	}
	waits := func(s *story, at float64) {
		s.answer(s.ask("d3", calm+sec(at), alice), calm+sec(at+2), placeWithout(b1))
	}
	testStories(t, []tale{
		{"the end of a mapping by its clock", func(s *story) {
			goesOn(s, shrink, 32, 54, true)
			waits(s, 54)
		}, "", ""},
		{"the same when it has noticed", func(s *story) {
			goesOn(s, shrink, 32, 54, true)
			waits(s, 56.2)
		}, "G4", "without a reason"},
		{"a mapping to a backend that is down, which lives on by its clock", func(s *story) {
			goesOn(s, down, 29, 48, true)
			s.login("d3", calm+sec(48), alice, b1)
		}, "", ""},
		{"such a mapping by clocks that went on", func(s *story) {
			goesOn(s, down, 29, 48, false)
			s.login("d3", calm+sec(48), alice, b1)
		}, "G2", "has been down"},
		{"such a mapping that does not live by its clock", func(s *story) {
			goesOn(s, down, 29, 48, true)
			s.split("d3", calm+sec(48), end)
			for _, at := range []float64{48, 58, 68} {
				s.login("d3", calm+sec(at), alice, b1)
			}
		}, "G2", "has been down"},
	})
}

// A director that has not noticed yet that its host stood still takes a command by a clock of
// before: what others have done meanwhile is newer.
func TestCommandAfterAStandstill(t *testing.T) {
	// twoWills has b1 go down at d1, as it wakes, and up at d2 while d1 stood still, or later.
	twoWills := func(s *story, up float64, clocks bool) {
		s.pause("d1", calm, calm+sec(7), clocks)
		s.order("d2", calm+sec(up), calm+sec(up+0.1), Op{Kind: OpUp, Backend: b1}, "d1")
		s.lastID++
		s.add(Admin{At(calm + sec(7)), s.lastID, "d1", Op{Kind: OpDown, Backend: b1}})
		isUp := with(b1, Row{Present: true, VHosts: 10})
		s.add(Done{At: At(calm + sec(7.01)), ID: s.lastID, Tables: map[string]Table{
			"d1": with(b1, Row{Present: true, VHosts: 10, Down: true}), "d2": isUp, "d3": isUp,
		}})
	}
	testStories(t, []tale{
		{"another one's is newer", func(s *story) { twoWills(s, 2, true) }, "", ""},
		{"by clocks that went on it is older", func(s *story) { twoWills(s, 2, false) }, "G5",
			"the down of 192.0.2.1 is 0 at d2"},
		{"it came before the standstill", func(s *story) { twoWills(s, -4, true) }, "G5",
			"the down of 192.0.2.1 is 0 at d2"},
	})
}

// A director that stood still in a split waits for the clocks of those from which it is cut off
// before it steps. Till then others take nothing from it, and for a moment after that.
func TestWaitsToStep(t *testing.T) {
	// answers has d3 answer as it wakes, be not synced for a while, and d2 answer another backend.
	answers := func(s *story, cut, waits bool, second float64) {
		if cut {
			s.part("d1", "d3", calm-sec(6), end)
		}
		s.silent["d3"] = true
		s.add(Synced{At(sec(2)), "d3", true, "", 0})
		s.order("d2", calm-sec(2), calm-sec(1.9), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
		s.pause("d2", calm, calm+sec(2.4), true)
		s.pause("d3", calm, calm+sec(2.4), true)
		s.login("d3", calm+sec(3), alice, b1)
		if waits {
			s.add(Synced{At(calm + sec(3.4)), "d3", false, "its clock is off", 0})
			s.add(Synced{At(calm + sec(8)), "d3", true, "", 0})
		}
		for past := sec(2.5); past <= sec(12); past += sec(0.5) {
			behind := time.Duration(0)
			if past < sec(7) {
				behind = sec(-2.4)
			}
			s.add(MeshTimes{At(calm + past), map[string]time.Duration{"d2": 0, "d3": behind}})
		}
		s.login("d2", calm+sec(second), alice, placeWithout(b1))
	}
	testStories(t, []tale{
		{"while it waits", func(s *story) { answers(s, true, true, 5) }, "", ""},
		{"while it need not wait", func(s *story) { answers(s, false, true, 6) }, "G2",
			"d2 answered"},
		{"just after that", func(s *story) { answers(s, true, true, 6.9) }, "", ""},
		{"long after that", func(s *story) { answers(s, true, true, 12) }, "G2", "d2 answered"},
	})
}

// What was sent to one that goes by another clock is taken only when a new life's stream is up,
// which is a moment after the step.
func TestTakenAfterAStep(t *testing.T) {
	for _, test := range []struct {
		until float64
		taken bool
	}{{19, false}, {21.6, false}, {24, true}} {
		s := newStory()
		s.otherTime("d3", "d1", "d2")
		s.add(MeshTimes{At(calm + sec(20.1)), map[string]time.Duration{"d3": 0}})
		c := s.checked(calm + sec(test.until)).contacts
		if taken := c.reached(c.of("d3"), calm+sec(12), c.of("d1")); taken != test.taken {
			t.Errorf("after %v s: taken: %v", test.until, taken)
		}
	}
}

// A director whose host stood still sees what it saw before, and counts whom it counted before.
func TestVerdictsOfOneThatStoodStill(t *testing.T) {
	for _, test := range []struct {
		name   string
		clocks bool
		passed time.Duration // by its clock, from the last check to the verdict
		breach bool
	}{
		{"at once", true, 5 * time.Second, false},
		{"with clocks that went on", false, 5 * time.Second, true},
		{"long after the last check", true, 20 * time.Second, true},
	} {
		const still = 30 * time.Second
		at := calm + still + test.passed
		failed := Standing{Addr: b1, VHosts: 10, Failed: true, Out: true, Written: 1, By: "d1"}
		s := newStory()
		s.add(Judged{At(sec(1)), "d1", []Standing{{Addr: b1, VHosts: 10}, {Addr: b2, VHosts: 10}}})
		s.add(Seen{At(calm), "d1", b1, true})
		s.pause("d1", calm+test.passed, at, test.clocks)
		s.add(Judged{At(at), "d1", []Standing{failed, {Addr: b2, VHosts: 10}}})
		breaches := s.verify()
		if found := len(breaches) > 0; found != test.breach {
			t.Errorf("%s: %v", test.name, breaches)
		}
	}
}
