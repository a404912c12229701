package check

import "testing"

// TestEachKindOfOperationIsJudged gives each kind of operation to a checker, which panics at one
// that it has no rule for.
func TestEachKindOfOperationIsJudged(t *testing.T) {
	names := make(map[string]bool)
	for kind := range OpKinds {
		if name := kind.String(); name == "" || names[name] {
			t.Errorf("the operation %d is called %q", int(kind), name)
		}
		names[kind.String()] = true
		c := New(Rules{Backends: []Backend{{Addr: b1, VHosts: 10}}})
		c.Event(Start{0, "d1", 0})
		c.Event(Admin{At: At(sec(1)), ID: 1, Director: "d1", Op: Op{Kind: kind, Backend: b1}})
		c.Event(Done{At: At(sec(2)), ID: 1})
	}
}

// TestAnswersToOperators judges what operations are answered, and what the table is in the end.
// Whoever lives and lacks what was done is to be named.
func TestAnswersToOperators(t *testing.T) {
	testStories(t, []tale{
		{"acknowledged and not applied", func(s *story) {
			s.add(Admin{At(calm), 100, "d1", Op{Kind: OpDown, Backend: b1}})
			s.add(Done{At: At(calm + sec(1)), ID: 100, Tables: map[string]Table{
				"d1": with(b1, Row{Present: true, VHosts: 10, Down: true}),
				"d2": with(b1, Row{Present: true, VHosts: 10}),
			}})
		}, "G5", "is 0 at d2"},
		{"not applied where nobody can be reached", func(s *story) {
			s.split("d2", calm, calm+sec(20))
			s.lacking("d2", calm+sec(7), "d2")
		}, "", ""},
		{"not applied where nobody can be reached, and not named", func(s *story) {
			s.split("d2", calm, calm+sec(20))
			s.lacking("d2", calm+sec(7))
		}, "G5", "is 0 at d2"},
		{"not applied where one is in touch again", func(s *story) {
			s.split("d2", calm, calm+sec(20))
			s.lacking("d2", calm+sec(20.4), "d2")
		}, "", ""},
		{"not applied where one is in touch again, and not named", func(s *story) {
			s.split("d2", calm, calm+sec(20))
			s.lacking("d2", calm+sec(20.4))
		}, "G5", "is 0 at d2"},
		{"not applied where one is of other time", func(s *story) {
			s.otherTime("d2", "d1", "d3")
			s.lacking("d2", calm+sec(15), "d2", "d3")
		}, "", ""},
		{"not applied where one is of other time, and not named", func(s *story) {
			s.otherTime("d2", "d1", "d3")
			s.lacking("d2", calm+sec(15), "d3")
		}, "G5", "is 0 at d2"},
		{"not applied by one that its director never met in this life", func(s *story) {
			s.split("d2", calm, end)
			s.stop("d1", calm+sec(6))
			s.start("d1", calm+sec(8))
			s.lacking("d2", calm+sec(12))
		}, "", ""},
		{"not applied by one that has left and is back where its director cannot hear of it",
			func(s *story) {
				s.add(Frame{At(calm + sec(0.35)), "d3", "d1", calm + sec(0.25), calm + sec(0.2)})
				backApart(s, true, 1, 3, "d1")
			}, "", ""},
		{"the same when only frames to it were lost before", func(s *story) {
			s.cuts = append(s.cuts, cut{"d1", "d3", calm - sec(8), calm + sec(1)})
			backApart(s, true, 1, 3, "d1")
		}, "", ""},
		{"the same of one that was removed, which all hear", removedApart, "", ""},
		{"not applied by one that has died and is back out of touch", func(s *story) {
			backApart(s, false, 1, 3, "d1")
		}, "G5", "is 0 at d3"},
		{"not applied by one that left when its director was out of touch already",
			func(s *story) { backApart(s, true, -8, 3, "d1") }, "G5", "is 0 at d3"},
		{"not applied by one that has left and is back, as another one has just heard",
			func(s *story) { backApart(s, true, 1, 3, "d3") }, "", ""},
		{"not applied by one that has left and is back, as another one has long told",
			func(s *story) { backApart(s, true, 1, 12, "d3") }, "G5", "is 0 at d3"},
		{"not applied by one that has left, was met again, and is out of touch", func(s *story) {
			backApart(s, true, 6, 15, "d1")
		}, "G5", "is 0 at d3"},
		{"a kick that one director never heard of", func(s *story) {
			for _, d := range []string{"d1", "d3"} {
				s.add(Kick{At: At(calm), Director: d, Name: "alice"})
			}
			s.order("d1", calm, calm+sec(1), Op{Kind: OpKick, Name: "alice"})
		}, "G5", "d2 never kicked"},
		{"a kick that one out of reach never heard of", func(s *story) {
			s.split("d2", calm, calm+sec(20))
			s.add(Kick{At: At(calm + sec(10)), Director: "d1", Name: "alice"})
			s.order("d1", calm+sec(10), calm+sec(11), Op{Kind: OpKick, Name: "alice"}, "d2", "d3")
		}, "", ""},
		{"a kick that one out of reach never heard of, and that is not named", func(s *story) {
			s.split("d2", calm, calm+sec(20))
			s.add(Kick{At: At(calm + sec(10)), Director: "d1", Name: "alice"})
			s.order("d1", calm+sec(10), calm+sec(11), Op{Kind: OpKick, Name: "alice"}, "d3")
		}, "G5", "d2 never kicked"},
		{"a change swallowed by another", func(s *story) {
			s.order("d1", calm, calm+sec(0.1), Op{Kind: OpDown, Backend: b1})
			s.order("d2", calm, calm+sec(0.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 50})
			s.add(Final{
				At(calm + sec(5)),
				map[string]State{"d1": {Table: with(b1, Row{Present: true, VHosts: 50})}},
			})
		}, "G6", "down is 0, expected [1]"},
		{"a change that failed overrides nothing for sure", func(s *story) {
			s.order("d1", calm, calm+sec(0.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 60})
			s.lastID++
			s.add(Admin{
				At(calm + sec(1)), s.lastID, "d2", Op{Kind: OpUpdate, Backend: b1, VHosts: 50},
			})
			s.add(Done{At: At(calm + sec(2)), ID: s.lastID, Error: "mesh time was stepped"})
			s.add(Final{
				At(calm + sec(5)),
				map[string]State{"d1": {Table: with(b1, Row{Present: true, VHosts: 60})}},
			})
		}, "", ""},
		{"a change that failed, and is newer by its director's clock", func(s *story) {
			failsFirst(s, 0.3)
		}, "", ""},
		{"a change that failed long before another", func(s *story) {
			failsFirst(s, 3.1)
		}, "G6", "vhost count is 60, expected [50]"},
		{"a change made when another had been acknowledged", func(s *story) {
			s.order("d3", calm, calm+sec(0.2), Op{Kind: OpUpdate, Backend: b1, VHosts: 60})
			s.order("d1", calm+sec(0.3), calm+sec(0.4),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 50})
			s.add(Final{
				At(calm + sec(5)),
				map[string]State{"d1": {Table: with(b1, Row{Present: true, VHosts: 60})}},
			})
		}, "G6", "vhost count is 60, expected [50]"},
		{"two changes of one register", func(s *story) {
			s.order("d1", calm, calm+sec(0.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 60})
			s.order("d2", calm, calm+sec(0.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 50})
			s.add(Final{
				At(calm + sec(5)),
				map[string]State{"d1": {Table: with(b1, Row{Present: true, VHosts: 60})}},
			})
		}, "", ""},
	})
}

// failsFirst has a change end with an error, as its director steps, before another one is made so
// many seconds later. The first is in the table in the end.
func failsFirst(s *story, later float64) {
	s.lastID++
	s.add(Admin{At(calm), s.lastID, "d3", Op{Kind: OpUpdate, Backend: b1, VHosts: 60}})
	s.add(Done{At: At(calm + sec(0.2)), ID: s.lastID, Error: "mesh time was stepped"})
	s.order("d1", calm+sec(later), calm+sec(later+0.1),
		Op{Kind: OpUpdate, Backend: b1, VHosts: 50})
	s.add(Final{
		At(calm + sec(5)),
		map[string]State{"d1": {Table: with(b1, Row{Present: true, VHosts: 60})}},
	})
}

// backApart has d3 stop, in good order or not, and start again two seconds later. From some seconds
// on d1 is out of touch with all, or d3 with d1. Twelve seconds later than given d1 makes a change.
func backApart(s *story, leaves bool, apart, change float64, who string) {
	if leaves {
		s.add(Leave{At(calm), "d3"})
	}
	s.stop("d3", calm+sec(0.3))
	s.start("d3", calm+sec(2.3))
	if who == "d3" {
		s.part("d1", "d3", calm+sec(apart), end)
		s.lacking("d3", calm+sec(12+change))
		return
	}
	s.split(who, calm+sec(apart), end)
	s.lacking("d3", calm+sec(12+change), "d2")
}

// removedApart has d3 removed, as d1 hears from d2, and let in again where d1 cannot hear of it.
func removedApart(s *story) {
	s.part("d1", "d3", calm-sec(8), end)
	s.split("d1", calm+sec(1), end)
	s.gone("d3", calm+sec(0.3))
	s.add(Leave{At(calm + sec(0.3)), "d3"})
	s.add(Stop{At(calm + sec(0.3)), "d3", true})
	s.start("d3", calm+sec(2.3))
	s.lacking("d3", calm+sec(15), "d2")
}
