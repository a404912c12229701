package check

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// What all directors hold after a start from their disks is judged by what was acknowledged and
// answered before.
func TestRestarted(t *testing.T) {
	u := User{Hash: hashTo(b1)}
	const (
		died = calm + 20*time.Second
		back = died + 3*time.Second
		kept = died - 2*time.Second
	)
	on := func(has Mapping) []Mapping { return []Mapping{has} }
	fewer := Op{Kind: OpUpdate, Backend: b2, VHosts: 3}
	for _, test := range []struct {
		name   string
		tell   func(s *story)
		vhosts int // of b2
		has    []Mapping
		want   int // breaches, of each of two directors
	}{
		{"nothing happened", func(*story) {}, 10, nil, 0},
		{"acknowledged", func(s *story) { s.order("d1", calm, calm+sec(0.1), fewer) }, 3, nil, 0},
		{"acknowledged at the last moment", func(s *story) {
			s.order("d1", died-sec(0.2), died-sec(0.1), fewer)
		}, 10, nil, 1},
		{"acknowledged and lost", func(s *story) {
			s.order("d1", calm, calm+sec(0.1), fewer)
		}, 10, nil, 1},
		{"under way, and there", func(s *story) {
			s.add(Admin{At(died - sec(0.1)), 99, "d2", fewer})
		}, 3, nil, 0},
		{"under way, and lost", func(s *story) {
			s.add(Admin{At(died - sec(0.1)), 99, "d2", fewer})
		}, 10, nil, 0},
		{"never ordered", func(*story) {}, 7, nil, 1},
		{"answered", func(s *story) { s.login("d1", died-sec(8), u, b1) }, 10,
			on(Mapping{User: u, Backend: b1}), 0},
		{"answered and lost", func(s *story) { s.login("d1", died-sec(8), u, b1) }, 10, nil, 1},
		{"answered by one that died right after", func(s *story) {
			s.login("d1", died-sec(8), u, b1)
			s.stop("d1", died-sec(7.9))
			s.start("d1", died-sec(6))
		}, 10, nil, 0},
		{"answered by one that died when others had it", func(s *story) {
			s.login("d1", died-sec(8), u, b1)
			s.stop("d1", died-sec(6))
			s.start("d1", died-sec(5))
		}, 10, nil, 1},
		{"answered and elsewhere", func(s *story) { s.login("d1", died-sec(8), u, b1) }, 10,
			on(Mapping{User: u, Backend: b3}), 1},
		{"answered too late to be kept", func(s *story) { s.login("d1", died-sec(1), u, b1) }, 10,
			nil, 0},
		{"answered anew too late to be kept", func(s *story) {
			s.login("d1", died-sec(23), u, b1)
			s.login("d1", died-sec(1), u, b1)
		}, 10, nil, 0},
		{"answered again too late to be kept", func(s *story) {
			s.login("d1", died-sec(9), u, b1)
			s.login("d1", died-sec(1), u, b1)
		}, 10, nil, 1},
		{"expired", func(s *story) { s.login("d1", sec(1), u, b1) }, 10, nil, 0},
		{"forgotten", func(s *story) {
			s.login("d1", died-sec(8), u, b1)
			s.order("d2", died-sec(5), died-sec(4.9), Op{Kind: OpForget, Backend: b1})
		}, 10, nil, 0},
		{"forgotten, and mapped anew too late to be kept", func(s *story) {
			s.login("d1", died-sec(8), u, b1)
			s.order("d2", died-sec(5), died-sec(4.9), Op{Kind: OpForget, Backend: b1})
			s.login("d1", died-sec(1), u, b1)
		}, 10, nil, 0},
		{"being moved", func(s *story) {
			s.login("d1", died-sec(8), u, b1)
			s.order("d2", died-sec(1), died-sec(0.5), Op{Kind: OpMove, User: u, Backend: b3})
		}, 10, on(Mapping{User: u, Backend: b3}), 0},
		{"moved, and moved on", movedTo3(u, died-sec(8)), 10,
			on(Mapping{User: u, Backend: b2}), 1},
		{"moved, and moved back", movedTo3(u, died-sec(8)), 10,
			on(Mapping{User: u, Backend: b1}), 1},
		{"moved, and lost", movedTo3(u, died-sec(8)), 10, nil, 1},
		{"moved too late to be kept", func(s *story) {
			s.login("d1", died-sec(8), u, b1)
			s.order("d2", died-sec(2.1), died-sec(1.9), Op{Kind: OpMove, User: u, Backend: b3})
		}, 10, on(Mapping{User: u, Backend: b1}), 0},
		{"moved where not all heard of it", movedTo3(u, died-sec(8), "d3"), 10,
			on(Mapping{User: u, Backend: b1}), 0},
	} {
		s := newStory()
		test.tell(s)
		for _, d := range []string{"d1", "d2", "d3"} {
			s.stop(d, died)
		}
		c := s.checked(died)
		state := State{Table: with(b2, Row{Present: true, VHosts: test.vhosts}), Mappings: test.has}
		c.Restarted(Restarted{At(back), kept, map[string]State{"d1": state, "d2": state}})
		if got := c.Breaches(); len(got) != 2*test.want {
			t.Errorf("%s: found %v, want %d of each director", test.name, got, test.want)
		}
	}
}

// A flush may have moved a user, long before all stopped, whom nobody asked for since.
func TestRestartedAfterAFlush(t *testing.T) {
	const died = calm + time.Minute
	for _, test := range []struct {
		name    string
		flushes bool
		has     netip.Addr
		want    int // breaches
	}{
		{"moved by the flush", true, placeWithout(b1), 0},
		{"where no flush moves", true, placeWithout(b1, placeWithout(b1)), 1},
		{"without a flush", false, placeWithout(b1), 1},
	} {
		s := newStory()
		s.login("d1", calm-sec(5), alice, b1)
		s.order("d1", calm, calm+sec(0.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
		if test.flushes {
			s.order("d1", calm+sec(5), calm+sec(5.1), Op{Kind: OpFlush})
			s.add(FlushEnded{At(calm + sec(6)), s.lastID})
		}
		s.order("d1", calm+sec(12), calm+sec(12.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 10})
		for _, d := range []string{"d1", "d2", "d3"} {
			s.stop(d, died)
		}
		s.settle(died)
		long := rules
		long.Expire = 5 * time.Minute
		c := New(long)
		c.Foresee(s.events)
		for _, e := range s.events {
			c.Event(e)
		}
		state := holding(Mapping{User: alice, Backend: test.has})
		c.Restarted(Restarted{At(died + sec(3)), died - sec(2), map[string]State{"d1": state}})
		if got := c.Breaches(); len(got) != test.want {
			t.Errorf("%s: found %v, want %d", test.name, got, test.want)
		}
	}
}

// movedTo3 has a user moved from b1 to b3, and answered that.
func movedTo3(u User, at time.Duration, failed ...string) func(s *story) {
	return func(s *story) {
		s.login("d1", at-sec(2), u, b1)
		s.order("d2", at, at+sec(0.1), Op{Kind: OpMove, User: u, Backend: b3}, failed...)
		s.kick("d1", at+sec(0.1), u, b3)
		s.login("d2", at+sec(0.2), u, b3)
	}
}

// TestTakenUp judges what becomes of users whom nobody has asked for since all directors started
// again, when it is known what they hold.
func TestTakenUp(t *testing.T) {
	const (
		died  = 60 * time.Second
		back  = 64 * time.Second // all are synced
		later = 75 * time.Second
	)
	row := func(b netip.Addr, seen time.Duration) Mapping {
		return Mapping{User: alice, Backend: b, Ends: seen + 40*time.Second}
	}
	flush := Op{Kind: OpFlush, Backend: b1}
	asked := func(at time.Duration, b netip.Addr) []Event {
		return []Event{Lookup{At(at), 50, "d1", alice}, Answer{At(at), 50, b, false}}
	}
	to := placeWithout(b1) // where the flush goes
	for _, test := range []struct {
		name   string
		before []Event      // that the mesh did
		has    [2][]Mapping // of d1 and d2
		after  []Event
		want   string // guarantee; "": fine
	}{
		{"nobody moved the user", nil, both(row(b1, died)), asked(later, b1), ""},
		{"moved without a cause", nil, both(row(b1, died)), asked(later, to), "G2"},
		{"moved by a flush that goes on", []Event{Admin{At(sec(40)), 7, "d1", flush}},
			both(row(b1, died)), asked(later, to), ""},
		{"moved by a flush that had ended", []Event{
			Admin{At(sec(40)), 7, "d1", flush}, FlushEnded{At(sec(45)), 7},
		}, both(row(b1, died)), asked(later, to), "G2"},
		{"moved by a flush whose end was not kept", []Event{
			Admin{At(sec(40)), 7, "d1", flush}, FlushEnded{At(died - sec(1)), 7},
		}, both(row(b1, died)), asked(later, to), ""},
		{"moved by a flush of after that", nil, both(row(b1, died)),
			append([]Event{Admin{At(back + sec(1)), 8, "d1", flush}}, asked(later, to)...), ""},
		{"moved, and never asked for", nil, both(row(b1, died)),
			[]Event{final2(later+sec(1), row(to, died))}, "G2"},
		{"asked for before that, and moved", asked(died-sec(6), b1), both(row(b1, died-sec(6))),
			[]Event{
				Lookup{At(died + sec(3.5)), 49, "d1", alice},
				Answer{At(died + sec(3.5)), 49, b1, false},
				Lookup{At(later), 50, "d1", alice}, Answer{At(later), 50, to, false},
			}, "G2"},
		{"asked for before that", asked(died-sec(6), b1), both(row(b1, died-sec(6))), []Event{
			Lookup{At(died + sec(3.5)), 49, "d1", alice},
			Answer{At(died + sec(3.5)), 49, b1, false},
			Lookup{At(later), 50, "d1", alice}, Answer{At(later), 50, b1, false},
		}, ""},
		{"expired since", nil, both(row(b1, died-sec(6))), asked(later, to), ""},
		{"active later for one of them", nil,
			[2][]Mapping{{row(b1, died-sec(6))}, {row(b1, died)}}, asked(later, to), ""},
		{"held by one", nil, [2][]Mapping{{row(b1, died)}, nil}, asked(later, to), ""},
		{"held differently", nil, [2][]Mapping{{row(b1, died)}, {row(b3, died)}},
			asked(later, to), ""},
		{"being moved", nil, both(Mapping{
			User: alice, Backend: b1, Moving: true, Ends: died + 40*time.Second,
		}), asked(later, to), ""},
		{"waits at the end of its life", nil, both(row(b1, died-sec(10))), []Event{
			Lookup{At(died + sec(25)), 50, "d1", alice}, Answer{At(died + sec(30)), 50, to, false},
		}, ""},
		{"waits as a flush moves her", nil, both(row(b1, died)), []Event{
			Admin{At(later), 50, "d2", Op{Kind: OpFlush, Backend: b1}},
			Lookup{At(later + sec(0.1)), 51, "d1", alice},
			Answer{At(later + sec(2)), 51, to, false},
			Lookup{At(later + sec(2.1)), 52, "d2", alice},
			Answer{At(later + sec(2.2)), 52, to, false},
		}, ""},
		{"waits as a flush moves others", nil, both(row(b1, died)), []Event{
			Admin{At(later), 50, "d2", Op{Kind: OpFlush, Backend: b3}},
			Lookup{At(later + sec(0.1)), 51, "d1", alice},
			Answer{At(later + sec(2)), 51, b1, false},
		}, "G4"},
		{"waits before that", nil, both(row(b1, died)), []Event{
			Lookup{At(later), 50, "d1", alice}, Answer{At(later + sec(5)), 50, b1, false},
		}, "G4"},
	} {
		before := New(rules)
		start := []Event{
			Start{At(0), "d1", 0}, Start{At(0), "d2", 0},
			Synced{At(sec(1)), "d1", true, "", 1}, Synced{At(sec(1)), "d2", true, "", 1},
		}
		for _, e := range append(start, test.before...) {
			before.Event(e)
		}
		without := rules
		without.Backends = []Backend{{Addr: b1}, {Addr: b2, VHosts: 10}, {Addr: b3, VHosts: 10}}
		c := New(without)
		c.Follows(before, died)
		c.Resumes(died - sec(2))
		restarted := Restarted{At(back), died - sec(2), map[string]State{
			"d1": holding(test.has[0]...), "d2": holding(test.has[1]...),
		}}
		for _, e := range withFrames(slices.Concat([]Event{
			Start{At(died + sec(1)), "d1", 0}, Start{At(died + sec(1)), "d2", 0},
			Synced{At(died + sec(3)), "d1", true, "", 1},
			Synced{At(died + sec(3)), "d2", true, "", 1}, restarted,
		}, test.after), died+sec(1)) {
			c.Event(e)
		}
		switch got := c.Breaches(); {
		case test.want == "" && len(got) > 0:
			t.Errorf("%s: found %v", test.name, got)
		case test.want != "" && (len(got) == 0 || got[0].Guarantee != test.want):
			t.Errorf("%s: found %v, want a breach of %s", test.name, got, test.want)
		}
	}
}

func both(m Mapping) [2][]Mapping { return [2][]Mapping{{m}, {m}} }

// final2 ends the history of d1 and d2 with equal directors, where b1 has no vhosts.
func final2(at time.Duration, m Mapping) Final {
	state := State{Table: with(b1, Row{Present: true}), Mappings: []Mapping{m}}
	return Final{At(at), map[string]State{"d1": state, "d2": state}}
}

// withFrames adds what d1 and d2 hear of each other from a time on.
func withFrames(events []Event, from time.Duration) []Event {
	last := events[len(events)-1].When()
	for at := from + sec(0.5); at <= last; at += sec(0.5) {
		events = append(events,
			Frame{At(at), "d1", "d2", at - sec(0.01), at - sec(0.02)},
			Frame{At(at), "d2", "d1", at - sec(0.01), at - sec(0.02)})
	}
	slices.SortStableFunc(events, func(a, b Event) int { return int(a.When() - b.When()) })
	return events
}
