package check

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestConflicts judges histories in which a user has two mappings: which of them may be answered,
// and for how long by the activity of the one that lost.
func TestConflicts(t *testing.T) {
	testStories(t, []tale{
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
		{"one that began when another one had settled", func(s *story) {
			conflictAnew(s)
			s.login("d3", sec(57), alice, placeWithout(b1, placeWithout(b1)))
		}, "", ""},
		{"one that began when another one had settled, and does not end", func(s *story) {
			conflictAnew(s)
			s.login("d3", sec(57), alice, placeWithout(b1, placeWithout(b1)))
			s.login("d2", sec(57.5), alice, placeWithout(b1))
		}, "G2", "d2 answered"},
		{"both sides answer differently as long as they are two", func(s *story) {
			conflict(s)
			s.login("d1", calm+sec(2), alice, placeWithout(b1))
			s.login("d3", calm+sec(2.1), alice, b1)
		}, "", ""},
		{"an answer before the row that wins has come", func(s *story) {
			s.part("d1", "d3", calm, end)
			s.order("d1", calm+sec(7), calm+sec(7.1),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.login("d3", calm+sec(7.2), alice, b1)
			s.login("d1", calm+sec(7.25), alice, placeWithout(b1))
			s.login("d2", calm+sec(7.26), alice, b1)
			s.login("d2", calm+sec(7.4), alice, placeWithout(b1))
		}, "", ""},
		{"a row that has not come, while a move to where the user is waits", func(s *story) {
			movedToWhereItIs(s, 8.1)
		}, "", ""},
		{"a row that has not come, after a move to where the user is", func(s *story) {
			movedToWhereItIs(s, 8)
		}, "G2", "d3 answered"},
		{"a flush back, where one knows only of the move before", func(s *story) {
			s.part("d1", "d2", calm+sec(9.6), end)
			thereAndBack(s)
		}, "", ""},
		{"a flush back, of which all have heard", thereAndBack, "G2", "d2 answered"},
		{"one that won over another, made where nobody had heard of it", func(s *story) {
			s.part("d1", "d3", calm, end)
			besideForgotten(s)
			s.login("d3", calm+sec(14.5), alice, b1)
		}, "", ""},
		{"one near its end that won over another, made where nobody had heard of it",
			func(s *story) {
				s.part("d1", "d3", calm, end)
				s.order("d2", calm+sec(6), calm+sec(6.1),
					Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
				s.login("d1", calm+sec(7), alice, placeWithout(b1))
				s.order("d2", calm+sec(9), calm+sec(9.1),
					Op{Kind: OpUpdate, Backend: b1, VHosts: 10})
				s.login("d3", calm+sec(28), alice, b1)
				s.login("d2", calm+sec(30), alice, placeWithout(b1))
				s.login("d3", calm+sec(30.5), alice, b1)
			}, "", ""},
		{"one that won over another, and has been heard of since", func(s *story) {
			s.part("d1", "d3", calm, calm+sec(15))
			besideForgotten(s)
			s.login("d3", calm+sec(21), alice, b1)
		}, "G2", "d3 answered"},
		{"a backend that is down and has the activity of the one that it beat", func(s *story) {
			downApart(s)
			s.login("d3", sec(45), alice, placeWithout(b1))
			s.login("d1", sec(62), alice, b1)
		}, "", ""},
		{"a backend that is down, when that one has been removed since", func(s *story) {
			downApart(s)
			s.login("d1", sec(35), alice, b1)
			s.login("d3", sec(45), alice, placeWithout(b1))
			s.order("d1", sec(57), sec(57.1), Op{Kind: OpRemove, Backend: placeWithout(b1)})
			s.login("d1", sec(62), alice, b1)
		}, "", ""},
		{"a backend that is down, for longer than a mapping lives", func(s *story) {
			downApart(s)
			s.login("d1", sec(45), alice, b1)
			s.login("d1", sec(62), alice, b1)
		}, "G2", "down for longer"},
		{"the activity of a mapping that lost, which one has not heard of", func(s *story) {
			s.part("d2", "d3", calm, end)
			losesWithActivity(s, 45)
			s.login("d1", sec(54), alice, b1)
			s.login("d2", sec(63), alice, placeWithout(b1))
		}, "", ""},
		{"an answer while the backend is down, which relies on that activity too", func(s *story) {
			s.part("d2", "d3", calm, end)
			losesWithActivity(s, 40.5)
			s.login("d1", sec(50), alice, b1)
			s.order("d1", sec(52), sec(52.1), Op{Kind: OpDown, Backend: b1})
			s.login("d1", sec(54), alice, b1)
			s.login("d2", sec(63), alice, placeWithout(b1))
		}, "", ""},
		{
			"the activity of a mapping that lost, of which nobody can have heard",
			losesUnheard, "G2", "d2 answered",
		},
		{"the activity of a mapping that lost, which one that was asked recorded", func(s *story) {
			s.silent["d3"] = true
			s.add(Synced{At(sec(2)), "d3", true, "", 0})
			s.add(Synced{At(sec(44)), "d3", false, "the story says so", 0})
			s.add(Synced{At(sec(47)), "d3", true, "", 0})
			losesUnheard(s)
		}, "", ""},
		{"the activity of a mapping that was there before the one that wins", func(s *story) {
			s.part("d2", "d3", calm, end)
			losesWithActivity(s, 24)
			s.login("d2", sec(45), alice, b1)
			s.login("d1", sec(54), alice, placeWithout(b1))
			s.order("d1", sec(55), sec(55.1),
				Op{Kind: OpUpdate, Backend: placeWithout(b1), VHosts: 0})
			s.login("d3", sec(66), alice, b3)
		}, "", ""},
		{"a mapping that goes on by that while another one is made", func(s *story) {
			s.part("d2", "d3", calm, end)
			losesWithActivity(s, 45)
			s.login("d1", sec(54), alice, b1)
			s.login("d2", sec(74.5), alice, placeWithout(b1))
			s.login("d1", sec(74.6), alice, b1)
		}, "", ""},
		{"an activity that has been recorded since the mapping that lost", func(s *story) {
			s.part("d2", "d3", calm, end)
			losesWithActivity(s, 38)
			s.login("d1", sec(54), alice, b1)
			s.login("d2", sec(63), alice, placeWithout(b1))
		}, "G2", "d2 answered"},
		{"the activity of a mapping that lost, which all have heard of meanwhile", func(s *story) {
			s.part("d2", "d3", calm, sec(46))
			losesWithActivity(s, 45)
			s.login("d1", sec(54), alice, b1)
			s.login("d2", sec(63), alice, placeWithout(b1))
		}, "G2", "d2 answered"},
		{"the activity of a mapping that a flush replaced, which one has not heard of",
			func(s *story) {
				s.part("d2", "d3", calm+sec(1), end)
				flushedWithActivity(s, 37, 46, 63.5)
			}, "", ""},
		{"the activity of a mapping that a flush replaced, from before that", func(s *story) {
			s.part("d2", "d3", calm+sec(1), end)
			flushedWithActivity(s, 22.5, 34, 53.5)
		}, "G2", "d2 answered"},
		{"the activity of a mapping that a flush replaced, from long before the answer",
			func(s *story) {
				s.part("d2", "d3", calm+sec(1), end)
				flushedWithActivity(s, 37, 51, 64)
			}, "G2", "d2 answered"},
		{"the activity of a mapping that a flush replaced, which all have heard of meanwhile",
			func(s *story) {
				s.part("d2", "d3", calm+sec(1), sec(38))
				flushedWithActivity(s, 37, 46, 63.5)
			}, "G2", "d2 answered"},
		{"a mapping that goes on by activity that was not heard of where it is made anew",
			func(s *story) {
				movedWithActivity(s, 42)
				s.login("d2", sec(62.5), alice, b1)
				s.login("d1", sec(63), alice, b2)
			}, "", ""},
		{"a mapping that goes on by that, where another one is made", func(s *story) {
			s.order("d1", sec(24), sec(24.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.order("d1", sec(25), sec(25.1), Op{Kind: OpUpdate, Backend: b2, VHosts: 0}, "d3")
			movedWithActivity(s, 42)
			s.login("d2", sec(62.5), alice, b3)
			s.login("d1", sec(63), alice, b2)
		}, "", ""},
		{"a mapping that goes on by activity that was heard of", func(s *story) {
			movedWithActivity(s, 47)
			s.login("d2", sec(62.5), alice, b1)
			s.login("d1", sec(63), alice, b2)
		}, "G2", "d1 answered"},
		{"a mapping that lives yet where it loses", func(s *story) {
			movedWithActivity(s, 43)
			s.login("d2", sec(41), alice, b2)
			s.login("d2", sec(60), alice, b1)
			s.login("d1", sec(61), alice, b2)
		}, "G2", "d1 answered"},
		{"a mapping that loses where the user would not go without one", func(s *story) {
			s.order("d1", sec(24), sec(24.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			movedWithActivity(s, 42)
			s.login("d2", sec(62.5), alice, b1)
			s.login("d1", sec(63), alice, b2)
		}, "G2", "d1 answered"},
		{"a mapping whose rival's activity, which was not heard of, is older than any mapping",
			func(s *story) {
				s.part("d2", "d3", calm+sec(2), end)
				s.part("d1", "d3", calm+sec(2), sec(30))
				s.login("d3", sec(18.5), alice, b1)
				movedWithoutD3(s)
				s.login("d2", sec(41), alice, b2)
				s.login("d2", sec(62), alice, b1)
				s.login("d1", sec(64), alice, b2)
			}, "G2", "d1 answered"},
		{"a move that loses against one that was not heard of", func(s *story) {
			losing(s, Op{Kind: OpMove, User: alice, Backend: b2}, b2)
		}, "", ""},
		{"a flush that loses against a move that was not heard of", func(s *story) {
			s.order("d1", calm+sec(0.5), calm+sec(0.6), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			losing(s, Op{Kind: OpFlush}, placeWithout(b1))
		}, "", ""},
	})
}

// conflictAnew has one of two mappings of alice die with d1, before anybody need have heard of it.
// In the next split d3 makes a third one, which wins over what d2 makes then.
func conflictAnew(s *story) {
	first := placeWithout(b1)
	third := placeWithout(b1, first)
	conflict(s)
	s.stop("d1", calm+sec(1.3))
	s.order("d2", sec(31), sec(31.1), Op{Kind: OpUpdate, Backend: first, VHosts: 0})
	s.part("d2", "d3", sec(33), sec(41))
	s.order("d2", sec(38.7), sec(38.8), Op{Kind: OpUpdate, Backend: first, VHosts: 10}, "d3")
	s.order("d2", sec(38.9), sec(39), Op{Kind: OpUpdate, Backend: third, VHosts: 0}, "d3")
	s.login("d3", sec(39.5), alice, third)
	s.login("d2", sec(40.5), alice, first)
}

// movedToWhereItIs has alice moved to where d2 has her already; that ends so many seconds after
// calm. At 8.05 s d3 still has her elsewhere: it is out of touch with d1, which answered first.
func movedToWhereItIs(s *story, ends float64) {
	s.part("d1", "d3", calm, end)
	s.login("d1", calm+sec(7), alice, b1)
	s.order("d2", calm+sec(7.1), calm+sec(7.2), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d3", calm+sec(7.3), alice, placeWithout(b1))
	s.login("d2", calm+sec(7.9), alice, b1)
	s.order("d2", calm+sec(8), calm+sec(ends), Op{Kind: OpMove, User: alice, Backend: b1})
	s.login("d3", calm+sec(8.05), alice, placeWithout(b1))
	s.kick("d3", calm+sec(8.07), alice, b1)
	s.login("d3", calm+sec(8.2), alice, b1)
}

// besideForgotten has alice's mapping forgotten and made again by d1, which may have been forgotten
// as well. Then d3 makes another one, and d2 knows both and answers the first.
func besideForgotten(s *story) {
	s.login("d1", calm-sec(2), alice, b1)
	s.order("d2", calm+sec(6), calm+sec(6.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.order("d2", calm+sec(7), calm+sec(7.1), Op{Kind: OpForget})
	s.login("d1", calm+sec(7.05), alice, placeWithout(b1))
	s.order("d2", calm+sec(9), calm+sec(9.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 10})
	s.login("d3", calm+sec(12), alice, b1)
	s.login("d2", calm+sec(14), alice, placeWithout(b1))
}

// thereAndBack has alice moved, as d3 does not hear of, and flushed to where she was before. There
// d3 had answered as well, when it could not tell the others any more.
func thereAndBack(s *story) {
	s.login("d1", calm-sec(2), alice, b1)
	s.split("d3", calm, end)
	s.login("d3", calm, alice, b1)
	for _, d := range []string{"d1", "d2"} {
		s.kick(d, calm+sec(7), alice, b2)
		s.kick(d, calm+sec(10), alice, b1)
	}
	s.order("d1", calm+sec(7), calm+sec(7.1), Op{Kind: OpMove, User: alice, Backend: b2}, "d3")
	s.login("d2", calm+sec(8), alice, b2)
	s.add(Admin{At(calm + sec(9.8)), 100, "d1", Op{Kind: OpFlush}})
	s.login("d1", calm+sec(16), alice, b1)
	s.login("d2", calm+sec(17), alice, b2)
}

// downApart has alice's backend down, and without vhosts for d3, which is apart for half a minute.
func downApart(s *story) {
	s.login("d1", sec(16), alice, b1)
	s.order("d1", sec(16.5), sec(16.6), Op{Kind: OpDown, Backend: b1})
	s.split("d3", sec(16.7), sec(50))
	s.order("d3", sec(22), sec(22.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d1", "d2")
}

// losing is an operation on one side, seen in one answer, and a move on the other side that wins.
func losing(s *story, op Op, to netip.Addr) {
	s.login("d1", calm, alice, b1)
	s.split("d3", calm+sec(1), calm+sec(20))
	s.order("d3", calm+sec(8), calm+sec(8.1), Op{Kind: OpMove, User: alice, Backend: b3},
		"d1", "d2")
	s.login("d3", calm+sec(8.5), alice, b3)
	s.add(Admin{At(calm + sec(9)), 100, "d1", op})
	s.kick("d1", calm+sec(9), alice, to)
	s.login("d2", calm+sec(10), alice, to)
	s.login("d2", calm+sec(25), alice, b3)
	s.login("d1", calm+sec(25.1), alice, b3)
}

// losesWithActivity has d3 answer alice another backend than d2, with whom it may have no contact,
// where d1 may hear of both.
func losesWithActivity(s *story, at float64) {
	s.login("d2", calm+sec(7), alice, b1)
	s.order("d1", calm+sec(8), calm+sec(8.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d3", sec(at), alice, placeWithout(b1))
}

// flushedWithActivity has d2 flush alice off b1, d3 answer her b1 at a time, with whom d2 may have
// no contact, and d1 answer what the flush made, as it has heard of both. Then d2 takes that for
// dead.
func flushedWithActivity(s *story, old, made, dead float64) {
	theirs := placeWithout(b1)
	s.login("d1", calm, alice, b1)
	s.order("d1", sec(22), sec(22.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d3", sec(22.4), alice, b1)
	s.order("d2", sec(23), sec(23.1), Op{Kind: OpFlush, Backend: b1}, "d3")
	s.add(FlushEnded{At(sec(25)), s.lastID})
	s.login("d3", sec(old), alice, b1)
	s.login("d1", sec(made), alice, theirs)
	s.order("d1", sec(made+1), sec(made+1.1), Op{Kind: OpUpdate, Backend: theirs, VHosts: 0})
	s.login("d2", sec(dead), alice, placeWithout(b1, theirs))
}

// movedWithActivity has alice moved to b2 while d3 is apart and lets her in on b1. From a time on
// d2 is apart; when d3 comes back, b2 wins with the activity of b1.
func movedWithActivity(s *story, apart float64) {
	s.split("d3", calm+sec(2), sec(44))
	s.split("d2", sec(apart), end)
	movedWithoutD3(s)
	s.login("d3", sec(40), alice, b1)
}

// movedWithoutD3 has alice moved to b2, of which d3 does not hear.
func movedWithoutD3(s *story) {
	s.login("d1", calm, alice, b1)
	s.order("d1", sec(22.5), sec(23), Op{Kind: OpMove, User: alice, Backend: b2}, "d3")
	for _, d := range []string{"d1", "d2"} {
		s.kick(d, sec(22.6), alice, b2)
	}
}

// losesUnheard is losesWithActivity where d3 is alone by then. The others go on without it.
func losesUnheard(s *story) {
	s.part("d2", "d3", calm, end)
	s.part("d1", "d3", calm+sec(9), end)
	losesWithActivity(s, 45)
	s.login("d1", sec(54), alice, b1)
	s.order("d1", sec(55), sec(55.1),
		Op{Kind: OpUpdate, Backend: placeWithout(b1), VHosts: 0}, "d3")
	s.login("d2", sec(63), alice, b3)
}

// TestBeatenBy has a line lose against one that stood beside it, or that a fault let be made
// without knowledge of it, and be replaced by one that was not.
func TestBeatenBy(t *testing.T) {
	beside, other := &line{made: causeFresh}, &line{made: causeFault}
	for _, test := range []struct {
		name   string
		rivals []*line
		by     *line
		want   []*line
	}{
		{"one beside it", []*line{beside}, beside, []*line{beside}},
		{"one of two beside it", []*line{beside, other}, beside, []*line{beside, other}},
		{"one made by a fault", nil, other, []*line{other}},
		{"one made by a fault when it had stood beside another", []*line{beside}, other,
			[]*line{beside, other}},
		{"a move", nil, &line{made: causeMoved}, nil},
		{"a move when it had stood beside another", []*line{beside}, &line{made: causeMoved}, nil},
	} {
		got := goneLine{line: &line{rivals: test.rivals}, by: test.by}.beatenBy()
		same := len(got) > 0 == (len(test.want) > 0)
		for _, x := range []*line{beside, other} {
			same = same && slices.Contains(got, x) == slices.Contains(test.want, x)
		}
		if !same {
			t.Errorf("%s: beaten by %v, want %v", test.name, got, test.want)
		}
	}
}

// TestEndsOfConflicts judges who has won a conflict, and what is left of it when the winner ends.
func TestEndsOfConflicts(t *testing.T) {
	testStories(t, []tale{
		{"a conflict repaired", func(s *story) {
			conflict(s)
			s.kick("d3", calm+sec(4), alice, placeWithout(b1))
			s.finalWithout(calm+sec(20), Mapping{
				User: alice, Backend: placeWithout(b1), Ends: calm + life,
			})
		}, "", ""},
		{"a conflict without a kick", func(s *story) {
			conflict(s)
			s.finalWithout(calm+sec(20), Mapping{
				User: alice, Backend: placeWithout(b1), Ends: calm + life,
			})
		}, "G3", "d3 never kicked"},
		{"a conflict whose winner was forgotten before the next answer", func(s *story) {
			b1Forgotten(s)
			s.finalWithout(calm+sec(25), Mapping{
				User: alice, Backend: placeWithout(b1), Ends: calm + sec(19) + life,
			})
		}, "", ""},
		{"a conflict without a kick, whose loser was forgotten", func(s *story) {
			s.order("d1", calm+sec(18), calm+sec(18.1),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 10}) // no new mapping goes elsewhere
			b1Forgotten(s)
			s.final(calm+sec(25), Mapping{
				User: alice, Backend: placeWithout(b1), Ends: calm + sec(19) + life,
			})
		}, "G3", "d3 never kicked"},
		{"the end of one that won, right after that", func(s *story) { winnerEnds(s, 14) }, "", ""},
		{"the end of one that won long ago", func(s *story) { winnerEnds(s, 24) }, "G2",
			"no mapping to"},
		{"the end of one that won, right after one heard of it", func(s *story) {
			winnerEndsApart(s, 20, 30)
		}, "", ""},
		{"the end of one that won, long after the last had heard of it", func(s *story) {
			winnerEndsApart(s, 20, 35)
		}, "G2", "no mapping to"},
		{"the end of one that won, of which all had heard long ago", func(s *story) {
			winnerEndsApart(s, 8, 30)
		}, "G2", "no mapping to"},
		{"the end of one that won, before the last had heard of it", func(s *story) {
			winnerEndsApart(s, 32, 33)
		}, "", ""},
		{"the end of one that won, of which the last had heard from another", func(s *story) {
			s.login("d2", calm+sec(21), alice, placeWithout(b1))
			winnerEndsApart(s, 32, 33)
		}, "G2", "no mapping to"},
		{"the end of one that won, where who lacked it had started again", func(s *story) {
			s.stop("d3", calm+sec(9))
			s.start("d3", calm+sec(12))
			winnerEndsApart(s, 20, 30)
		}, "G2", "no mapping to"},
		{"the end of one that won, where who lacked it was gone", func(s *story) {
			s.stop("d3", calm+sec(9))
			winnerEndsApart(s, 20, 30)
		}, "G2", "no mapping to"},
		{"the end of one that won, where the other had ended first", func(s *story) {
			s.login("d1", calm+sec(20), alice, placeWithout(b1))
			s.login("d1", calm+sec(40), alice, placeWithout(b1))
			losesApart(s, 44.5, 52, 60)
			s.login("d2", calm+sec(62), alice, b1)
		}, "G2", "no mapping to"},
		{"the end of one that won, after one was synced that had missed much", func(s *story) {
			s.expire = time.Minute
			s.silent["d3"] = true
			s.add(Synced{At(sec(2)), "d3", true, "", 0})
			s.add(Synced{At(calm + sec(28.5)), "d3", false, "the story says so", 0})
			s.add(Synced{At(calm + sec(36)), "d3", true, "", 0})
			winnerEndsApart(s, 28, 44)
		}, "", ""},
		{"the end of one that won, long after all were synced", func(s *story) {
			s.expire = time.Minute
			winnerEndsApart(s, 28, 44)
		}, "G2", "no mapping to"},
		{"a conflict, and a new mapping when both have ended", func(s *story) {
			s.split("d3", calm-sec(8), calm+sec(3))
			s.order("d1", calm-sec(1), calm-sec(0.9), Op{Kind: OpUpdate, Backend: b1}, "d3")
			s.login("d1", calm+sec(1), alice, placeWithout(b1))
			s.login("d3", calm+sec(1.1), alice, b1)
			s.login("d2", calm+sec(1.2), alice, placeWithout(b1))
			s.kick("d3", calm+sec(4), alice, placeWithout(b1))
			s.order("d1", calm+sec(15), calm+sec(15.1),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 10})
			s.login("d2", calm+sec(38), alice, b1)
			s.final(calm+sec(45), Mapping{User: alice, Backend: b1, Ends: calm + sec(38) + life})
		}, "", ""},
	})
}

// conflict is a partition in which two sides answer differently, and the end of it.
func conflict(s *story) {
	s.split("d3", calm-sec(8), calm+sec(3))
	s.order("d1", calm-sec(1), calm-sec(0.9), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
	s.login("d3", calm+sec(1), alice, b1)
	s.login("d1", calm+sec(1.1), alice, placeWithout(b1))
}

// b1Forgotten has the users of b1 forgotten after a conflict of which no answer has told yet
// who won, and alice answered the other backend then. d3 had let her in on b1, and kicks nobody.
func b1Forgotten(s *story) {
	conflict(s)
	s.kick("d1", calm+sec(4), alice, b1)
	s.order("d1", calm+sec(17), calm+sec(17.1), Op{Kind: OpForget, Backend: b1})
	s.login("d2", calm+sec(19), alice, placeWithout(b1))
}

// winnerEnds has the users of the backend that won a conflict forgotten after so many seconds, and
// alice answered the one that lost.
func winnerEnds(s *story, after float64) {
	conflict(s)
	s.kick("d3", calm+sec(4), alice, placeWithout(b1))
	s.login("d1", calm+sec(8), alice, placeWithout(b1))
	s.order("d1", calm+sec(after), calm+sec(after+0.1),
		Op{Kind: OpForget, Backend: placeWithout(b1)})
	s.login("d2", calm+sec(after+2), alice, b1)
}

// losesApart has d1 and d3, which have no contact, answer differently, and d2, which hears both,
// show that d1's answer has won. d3 hears of that when it meets d1. At last those on the backend
// that won are forgotten.
func losesApart(s *story, shown, meet, after float64) {
	vhosts := func(at float64, n int) {
		s.order("d2", calm+sec(at), calm+sec(at+0.1),
			Op{Kind: OpUpdate, Backend: b1, VHosts: n})
	}
	s.part("d1", "d3", calm-sec(8), calm+sec(meet))
	vhosts(-1, 0)
	s.login("d1", calm+sec(1), alice, placeWithout(b1))
	vhosts(2, 10)
	s.login("d3", calm+sec(5), alice, b1)
	s.login("d2", calm+sec(shown), alice, placeWithout(b1))
	vhosts(8, 0)
	s.order("d2", calm+sec(after), calm+sec(after+0.1),
		Op{Kind: OpForget, Backend: placeWithout(b1)})
}

// winnerEndsApart is winnerEnds where d3 had the other one, and has not heard of the one that won
// before it meets d1.
func winnerEndsApart(s *story, meet, after float64) {
	losesApart(s, 7, meet, after)
	s.login("d2", calm+sec(after+2), alice, b1)
}
