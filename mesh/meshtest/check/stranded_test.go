package check

import (
	"testing"
	"time"
)

// TestStranded judges a director that met the mesh when it started, lost it again before it had
// what the others have, and serves alone.
func TestStranded(t *testing.T) {
	const ours = 7
	// begin has alice on b1 and then no points for b1. d3 starts after that, hears of the others
	// until a time, and says later that it is synced.
	begin := func(s *story, heard, synced float64) {
		s.mesh["d1"], s.mesh["d2"], s.silent["d3"] = ours, ours, true
		says := func(x float64, synced bool) {
			s.add(Synced{At(sec(x)), "d3", synced, "the story says so", ours})
		}
		says(2, true)
		s.stop("d3", calm)
		s.login("d1", calm+sec(1), alice, b1)
		s.order("d1", calm+sec(2), calm+sec(2.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
		s.start("d3", calm+sec(4))
		says(calm.Seconds()+4.1, false)
		s.split("d3", calm+sec(heard), calm+sec(30))
		says(calm.Seconds()+synced, true)
	}
	// up is acknowledged while d3 starts, and d3 does not hold it later.
	up := func(s *story) {
		holds := func(down bool) Table {
			t := with(b3, Row{Present: true, VHosts: 10, Down: down})
			t[b1] = Row{Present: true}
			return t
		}
		s.order("d1", calm+sec(0.5), calm+sec(0.6), Op{Kind: OpDown, Backend: b3})
		s.order("d2", calm+sec(6.2), calm+sec(6.3), Op{Kind: OpUp, Backend: b3})
		s.add(Admin{At(calm + sec(18)), 100, "d1",
			Op{Kind: OpUpdate, Backend: b2, VHosts: 10}})
		s.add(Done{At: At(calm + sec(18.1)), ID: 100, Failed: []string{"d3"},
			Tables: map[string]Table{"d1": holds(false), "d3": holds(true)}})
	}
	testStories(t, []tale{
		{"it has no mapping of before", func(s *story) {
			begin(s, 6.5, 14)
			s.login("d3", calm+sec(15), alice, placeWithout(b1))
		}, "", ""},
		{"it would have the mapping if its start had come to its end", func(s *story) {
			begin(s, 9, 7)
			s.login("d3", calm+sec(15), alice, placeWithout(b1))
		}, "G2", "d3 answered"},
		{"it lacks what was acknowledged while it started", func(s *story) {
			begin(s, 6.5, 14)
			up(s)
		}, "", ""},
		{"another one has started beside it", startedBeside, "", ""},
		{"it was not waited for, and came in by one that was cut off", joinsApart, "", ""},
		{"it has just come in by one that knows that another one sleeps", joinsBesideSleeper,
			"", ""},
		{"it comes in by one that has slept through a split", joinsSleeper, "", ""},
		{"it goes on from its disk, cut off, and answers as it says that it is synced",
			func(s *story) { startsFromOldTable(s, true) }, "", ""},
		{"it starts from its disk beside the others", func(s *story) {
			startsFromOldTable(s, false)
		}, "G2", "d3 answered"},
		{"two go on from their disks on one side of a split",
			func(s *story) { startTogether(s, "d3") }, "", ""},
		{"two go on from their disks beside the third one",
			func(s *story) { startTogether(s, "") }, "G2", "d1 answered"},
		{"two go on from their disks, and one of them beside the third one",
			func(s *story) { startTogether(s, "d2") }, "G2", "d1 answered"},
		{"it has what was acknowledged while it started", func(s *story) {
			begin(s, 11, 10)
			up(s)
		}, "G5", "d3 does not hold what was acknowledged"},
	})
}

// startsFromOldTable has d3 start from a disk that lacks what the others have changed since, and
// answer by that.
func startsFromOldTable(s *story, apart bool) {
	const ours = 7
	s.mesh["d1"], s.mesh["d2"], s.silent["d3"] = ours, ours, true
	says := func(at time.Duration, synced bool) {
		s.add(Synced{At(at), "d3", synced, "the story says so", ours})
	}
	says(sec(2), true)
	s.stop("d3", calm)
	s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	if apart {
		s.split("d3", calm+sec(2), calm+sec(30))
	}
	s.startFrom("d3", calm+sec(4), calm)
	says(calm+sec(4.1), false)
	s.login("d3", calm+sec(7.1), alice, b1)
	says(calm+sec(7.1), true)
}

// startTogether has d1 and d2 start from disks that lack what d3 has changed since, and answer by
// that. One of the three is cut off from the others meanwhile, if any.
func startTogether(s *story, apart string) {
	const ours = 7
	s.mesh["d3"] = ours
	for i, d := range []string{"d1", "d2"} {
		s.silent[d] = true
		s.stop(d, calm+sec(float64(i)/10))
		s.startFrom(d, calm+sec(9), calm)
		for x, synced := range map[float64]bool{
			2 - calm.Seconds(): true, 9.1: false, 12.2: true, 30.5: false, 31.5: true,
		} {
			s.add(Synced{At(calm + sec(x)), d, synced, "the story says so", ours})
		}
	}
	s.order("d3", calm+sec(7), calm+sec(7.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	if apart != "" {
		s.split(apart, calm+sec(8), calm+sec(30))
	}
	s.login("d1", calm+sec(13), alice, b1)
	s.login("d2", calm+sec(14), alice, b1)
	s.login("d3", calm+sec(15), alice, placeWithout(b1))
	s.login("d3", calm+sec(40), alice, b1) // it is the older one
}

// TestTablesOfTheirOwn judges what directors do that have another table for a while.
func TestTablesOfTheirOwn(t *testing.T) {
	const ours, theirs = 7, 8
	// downElsewhere has alice on b1, which goes down while d3 is a mesh of its own.
	downElsewhere := func(s *story) {
		s.mesh["d1"], s.mesh["d2"], s.silent["d3"] = ours, ours, true
		says := func(x float64, synced bool, mesh uint64) {
			s.add(Synced{At(sec(x)), "d3", synced, "the story says so", mesh})
		}
		says(2, true, ours)
		s.login("d1", calm, alice, b1)
		s.stop("d3", calm+sec(0.5))
		s.split("d3", calm+sec(0.5), sec(50))
		s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpDown, Backend: b1}, "d3")
		s.login("d1", calm+sec(18), alice, b1)
		s.start("d3", calm+sec(10))
		says(calm.Seconds()+14, true, theirs)
		says(51, false, ours)
		says(52, true, ours)
	}
	testStories(t, []tale{
		{"a backend that is up in the other mesh", func(s *story) {
			downElsewhere(s)
			s.login("d3", sec(34), alice, b1)
			s.login("d3", sec(46), alice, b1)
			s.login("d1", sec(70), alice, b1)
		}, "", ""},
		{"one side of a split that meets the other in part, by another clock", func(s *story) {
			meetsInPart(s)
			s.add(MeshTimes{At(sec(45)), map[string]time.Duration{
				"d1": 0, "d2": 0, "d3": 9 * time.Second,
			}})
		}, "", ""},
		{"one side of a split that meets the other in part", meetsInPart, "G2", "d3 answered"},
		{"users who are forgotten in the other mesh", func(s *story) {
			s.mesh["d1"], s.mesh["d2"], s.mesh["d3"] = ours, ours, theirs
			s.split("d3", 0, sec(50))
			s.silent["d3"] = true
			s.add(Synced{At(sec(2)), "d3", true, "the story says so", theirs})
			s.login("d1", sec(30), alice, b1)
			s.order("d1", sec(31), sec(31.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.order("d3", sec(40), sec(40.1), Op{Kind: OpForget})
			s.add(Synced{At(sec(51)), "d3", false, "the story says so", ours})
			s.add(Synced{At(sec(52)), "d3", true, "the story says so", ours})
			s.login("d1", sec(44), alice, b1)
		}, "", ""},
		{"changes in both halves, by clocks that drift apart", func(s *story) {
			s.split("d3", calm, calm+sec(30))
			s.add(MeshTimes{At(calm + sec(20)), map[string]time.Duration{
				"d1": 0, "d2": 0, "d3": -10 * time.Second,
			}})
			laterLoses(s)
		}, "", ""},
		{"changes in both halves, by clocks that agree", func(s *story) {
			s.split("d3", calm, calm+sec(30))
			laterLoses(s)
		}, "G6", "not ordered last"},
	})
}

// laterLoses has the vhost count of b2 changed at d1 and five seconds later at d3, out of touch,
// and all hold the first in the end.
func laterLoses(s *story) {
	s.order("d1", calm+sec(7), calm+sec(7.1), Op{Kind: OpUpdate, Backend: b2, VHosts: 5},
		"d3")
	s.order("d3", calm+sec(12), calm+sec(12.1), Op{Kind: OpUpdate, Backend: b2, VHosts: 6},
		"d1", "d2")
	f := Final{At(calm + sec(90)), make(map[string]State)}
	for _, d := range []string{"d1", "d2", "d3"} {
		f.Directors[d] = State{Table: with(b2, Row{Present: true, VHosts: 5})}
	}
	s.add(f)
}

// TestFlushesOfOthers judges flushes that meet other commands and deaths.
func TestFlushesOfOthers(t *testing.T) {
	first := placeWithout(b1)
	second := placeWithout(b1, first)
	// flushed has alice moved off b1 by a flush that d1 runs, and then changes her place again.
	flushed := func(s *story) {
		s.login("d1", calm, alice, b1)
		s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
		s.order("d1", calm+sec(2), calm+sec(2.1), Op{Kind: OpFlush})
		s.login("d2", calm+sec(4), alice, first)
		s.login("d2", calm+sec(20), alice, first)
	}
	changed := func(s *story) {
		s.order("d2", calm+sec(21), calm+sec(21.1),
			Op{Kind: OpUpdate, Backend: first, VHosts: 0})
		s.login("d2", calm+sec(25), alice, second)
	}
	testStories(t, []tale{
		{"one that another director goes on with", func(s *story) {
			flushed(s)
			s.stop("d1", calm+sec(5.003))
			changed(s)
		}, "", ""},
		{"one that has had its effect", func(s *story) {
			flushed(s)
			changed(s)
		}, "G2", "d2 answered"},
		{"one whose users were then forgotten, and came back where nobody heard of it",
			func(s *story) { flushedAndForgotten(s, true) }, "", ""},
		{"one whose users were then forgotten, and came back", func(s *story) {
			flushedAndForgotten(s, false)
		}, "G2", "d2 answered"},
		{"a move, where the user was forgotten before it came", func(s *story) {
			movedAndForgotten(s, true)
		}, "", ""},
		{"a move", func(s *story) { movedAndForgotten(s, false) }, "G2", "has not kicked"},
		{"a move that another one to the same backend was refused for", func(s *story) {
			movedTwice(s, true)
		}, "", ""},
		{"a move at a director that counted all", func(s *story) { movedTwice(s, false) },
			"G2", "d3 has not kicked"},
		{"a move that begins again above a mapping that it did not know", func(s *story) {
			s.split("d2", calm, calm+sec(8))
			s.login("d1", calm+sec(1), alice, b1)
			s.order("d2", calm+sec(2), calm+sec(2.1), Op{Kind: OpMove, User: alice, Backend: b3},
				"d1", "d3")
			s.login("d2", calm+sec(11), alice, b1)
			s.kick("d2", calm+sec(11.5), alice, b3)
			s.login("d2", calm+sec(12), alice, b3)
		}, "", ""},
		{"a flush that looks like an earlier move", func(s *story) { flushedAfter(s, false) },
			"", ""},
		{"one that ended elsewhere before anybody was answered where the first one had her",
			func(s *story) {
				s.login("d1", calm, alice, b1)
				s.order("d1", calm+sec(1), calm+sec(1.1),
					Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
				s.order("d1", calm+sec(2), calm+sec(2.1), Op{Kind: OpFlush})
				s.add(FlushEnded{At(calm + sec(3)), s.lastID})
				s.split("d1", calm+sec(4), calm+sec(25))
				s.order("d2", calm+sec(10), calm+sec(10.1),
					Op{Kind: OpUpdate, Backend: first, VHosts: 0}, "d1")
				s.order("d2", calm+sec(11), calm+sec(11.1), Op{Kind: OpFlush}, "d1")
				s.add(FlushEnded{At(calm + sec(12)), s.lastID})
				s.login("d1", calm+sec(16), alice, first)
				s.login("d1", calm+sec(31), alice, second)
			}, "", ""},
		{"a move that takes long", func(s *story) { flushedAfter(s, true) },
			"G2", "d3 has not kicked"},
		{"one to a backend that is forgotten, where one in a split has the old mapping",
			func(s *story) {
				s.split("d3", calm+sec(1.5), end)
				flushed(s)
				s.add(Admin{At(calm + sec(2.5)), 100, "d1", Op{Kind: OpForget, Backend: first}})
				s.login("d3", calm+sec(4.5), alice, b1)
			}, "", ""},
	})
}

// startedBeside cuts d2 off from d1 while it starts. d3 starts on its side, and neither has what is
// acknowledged at d1 meanwhile.
func startedBeside(s *story) {
	const ours, heard = 7, calm + 6600*time.Millisecond
	for _, d := range []string{"d1", "d2", "d3"} {
		s.mesh[d] = ours
	}
	s.silent["d2"], s.silent["d3"] = true, true
	says := func(d string, at time.Duration, synced bool) {
		s.add(Synced{At(at), d, synced, "the story says so", ours})
	}
	says("d2", sec(2), true)
	says("d3", sec(2), true)
	s.order("d1", calm-sec(1), calm-sec(0.9), Op{Kind: OpDown, Backend: b3})
	s.stop("d2", calm)
	s.start("d2", calm+sec(4))
	says("d2", calm+sec(4.1), false)
	s.part("d1", "d2", heard, end)
	s.part("d1", "d3", heard, end)
	s.stop("d3", heard)
	s.order("d1", calm+sec(7), calm+sec(12.1), Op{Kind: OpUp, Backend: b3}, "d2", "d3")
	says("d2", calm+sec(14), true)
	s.start("d3", calm+sec(15))
	says("d3", calm+sec(15.1), false)
	says("d3", calm+sec(17), true)
	b3Down := with(b3, Row{Present: true, VHosts: 10, Down: true})
	s.add(Admin{At(calm + sec(18)), 100, "d1", Op{Kind: OpUpdate, Backend: b2, VHosts: 10}})
	s.add(Done{At: At(calm + sec(18.1)), ID: 100, Failed: []string{"d2", "d3"},
		Tables: map[string]Table{"d3": b3Down}})
}

// joinsApart cuts d2 off from d1 while it starts, and has d1 not wait for it, as it is not in the
// mesh yet. It comes in by d3, which lacks what was acknowledged at d1.
func joinsApart(s *story) {
	const ours = 7
	for _, d := range []string{"d1", "d2", "d3"} {
		s.mesh[d] = ours
	}
	s.silent["d2"] = true
	says := func(at time.Duration, synced bool) {
		s.add(Synced{At(at), "d2", synced, "the story says so", ours})
	}
	says(sec(2), true)
	s.order("d1", calm-sec(1), calm-sec(0.9), Op{Kind: OpDown, Backend: b3})
	s.stop("d2", calm)
	s.part("d1", "d3", calm+sec(1), end)
	s.start("d2", calm+sec(3))
	says(calm+sec(3.1), false)
	s.part("d1", "d2", calm+sec(4.5), end)
	s.order("d1", calm+sec(7), calm+sec(7.1), Op{Kind: OpUp, Backend: b3}, "d3")
	says(calm+sec(9), true)
	b3Down := with(b3, Row{Present: true, VHosts: 10, Down: true})
	s.add(Admin{At(calm + sec(18)), 100, "d3", Op{Kind: OpUpdate, Backend: b2, VHosts: 10}})
	s.add(Done{At: At(calm + sec(18.1)), ID: 100, Failed: []string{"d1"},
		Tables: map[string]Table{"d2": b3Down}})
}

// joinsBesideSleeper has d2 come in by d3, which has lost d1, and change something right after the
// first frame that shows that.
func joinsBesideSleeper(s *story) {
	s.sleep("d1", calm-sec(2), calm+sec(9))
	s.stop("d2", calm)
	s.start("d2", calm+sec(4))
	s.part("d2", "d3", calm+sec(4), end)
	at := calm + sec(4.4)
	s.add(Frame{At(at), "d2", "d3", at - sec(0.02), at - sec(0.1)})
	s.add(Admin{At(calm + sec(4.5)), 100, "d2", Op{Kind: OpUpdate, Backend: b1, VHosts: 7}})
	s.add(Done{At: At(calm + sec(4.6)), ID: 100, Tables: map[string]Table{
		"d1": with(b1, Row{Present: true, VHosts: 10}),
		"d2": with(b1, Row{Present: true, VHosts: 7}),
	}})
}

// joinsSleeper has d2 start in a split, meet d1, which has slept since before it, and change what
// d3, on the other side, does not hear of.
func joinsSleeper(s *story) {
	s.sleep("d1", calm, calm+sec(11))
	s.stop("d2", calm+sec(1))
	s.split("d3", calm+sec(3), end)
	s.start("d2", calm+sec(8))
	s.add(Admin{At(calm + sec(12.5)), 100, "d2", Op{Kind: OpUpdate, Backend: b1, VHosts: 7}})
	s.add(Done{At: At(calm + sec(12.6)), ID: 100, Tables: map[string]Table{
		"d2": with(b1, Row{Present: true, VHosts: 7}),
		"d3": with(b1, Row{Present: true, VHosts: 10}),
	}})
}

// meetsInPart has d3 answer without what d1 did in a split, when it is back in touch with d1 and
// not with d2.
func meetsInPart(s *story) {
	s.order("d1", calm, calm+sec(0.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 10})
	s.part("d1", "d3", sec(20), sec(50))
	s.part("d2", "d3", sec(20), sec(70))
	s.order("d1", sec(41), sec(46.5), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
	s.login("d1", sec(48), alice, placeWithout(b1))
	s.login("d3", sec(52.9), alice, b1)
}

// movedAndForgotten has alice, who has a session on b1, moved to where she hashes, and answered
// there before anybody was kicked: perhaps since d1 had just forgotten the users of b1.
func movedAndForgotten(s *story, forgotten bool) {
	to := placeWithout(b1)
	s.login("d2", calm, alice, b1)
	s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.add(Admin{At(calm + sec(5)), 100, "d3", Op{Kind: OpMove, User: alice, Backend: to}})
	if forgotten {
		s.add(Admin{At(calm + sec(5.001)), 101, "d1", Op{Kind: OpForget, Backend: b1}})
	}
	s.login("d1", calm+sec(5.002), alice, to)
}

// movedTwice has alice moved by d2 while d3 is cut off from it, so that nobody waits for a kick by
// d3, and before that perhaps by d1, which gives up.
func movedTwice(s *story, before bool) {
	s.login("d3", calm, alice, b1)
	by := "d1"
	if before {
		s.add(Admin{At(calm + sec(1)), 100, "d1", Op{Kind: OpMove, User: alice, Backend: b3}})
		s.add(Done{At: At(calm + sec(1.1)), ID: 100, Error: "user is already being moved"})
		s.part("d2", "d3", calm+sec(2), end)
		by = "d2"
	}
	s.add(Admin{At(calm + sec(8)), 101, by, Op{Kind: OpMove, User: alice, Backend: b3}})
	s.login("d1", calm+sec(9), alice, b3)
}

// flushedAfter has alice moved by a flush to where a move had sent her that lost against another
// one. The flush cannot wait for the kick of d3 if that is cut off; the move could.
func flushedAfter(s *story, underWay bool) {
	to := placeWithout(b1)
	s.login("d3", calm, alice, b1)
	s.add(Admin{At(calm + sec(1)), 100, "d1",
		Op{Kind: OpMove, User: alice, Backend: to, Wait: true}})
	s.add(Admin{At(calm + sec(1.05)), 101, "d2", Op{Kind: OpMove, User: alice, Backend: b1}})
	if !underWay {
		s.add(Done{At: At(calm + sec(1.1)), ID: 100})
	}
	s.add(Done{At: At(calm + sec(1.2)), ID: 101})
	s.login("d3", calm+sec(5), alice, b1)
	s.order("d2", calm+sec(6), calm+sec(6.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	if underWay {
		s.order("d2", calm+sec(8), calm+sec(8.1), Op{Kind: OpFlush})
	} else {
		s.part("d2", "d3", calm+sec(7), end)
		s.order("d2", calm+sec(8), calm+sec(8.1), Op{Kind: OpFlush}, "d3")
	}
	s.login("d1", calm+sec(9), alice, to)
}

// flushedAndForgotten has alice, who has a session on a backend, flushed back to b1, and b1 removed
// and added again while d3 is perhaps cut off, so that d3 has her where she was.
func flushedAndForgotten(s *story, apart bool) {
	to := placeWithout(b1)
	s.order("d1", calm, calm+sec(0.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d2", calm+sec(2), alice, to)
	s.order("d1", calm+sec(3), calm+sec(3.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 10})
	s.order("d1", calm+sec(4), calm+sec(4.1), Op{Kind: OpFlush})
	s.add(FlushEnded{At(calm + sec(5)), s.lastID})
	s.order("d1", calm+sec(6), calm+sec(6.1), Op{Kind: OpRemove, Backend: b1})
	if apart {
		s.split("d3", calm+sec(7), end)
		s.order("d1", calm+sec(7.5), calm+sec(7.6), Op{Kind: OpAdd, Backend: b1, VHosts: 10}, "d3")
	} else {
		s.order("d1", calm+sec(7.5), calm+sec(7.6), Op{Kind: OpAdd, Backend: b1, VHosts: 10})
	}
	s.login("d3", calm+sec(12), alice, to)
	s.login("d2", calm+sec(15), alice, b1)
}
