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
