package check

import (
	"net/netip"
	"testing"
	"time"
)

// TestReasonsToWait judges lookups that wait for something that concerns only some directors.
func TestReasonsToWait(t *testing.T) {
	waits := func(s *story, d string, at time.Duration, b netip.Addr) {
		s.answer(s.ask(d, at, alice), at+sec(0.5), b)
	}
	shrink := Op{Kind: OpUpdate, Backend: b1, VHosts: 0}
	grow := Op{Kind: OpUpdate, Backend: b1, VHosts: 10}
	move := Op{Kind: OpMove, User: alice, Backend: b2, Wait: true}
	// moving is a move that is seen in answers only.
	moving := func(s *story, at time.Duration) {
		for _, d := range []string{"d1", "d2", "d3"} {
			s.kick(d, at, alice, b2)
		}
		s.login("d1", at+sec(0.5), alice, b2)
		s.login("d1", sec(40), alice, b2)
	}
	// removeNext removes the backend to which alice hashes while b1 has no points.
	removeNext := func(s *story) {
		remove := Op{Kind: OpRemove, Backend: placeWithout(b1)}
		s.add(Admin{At(calm + sec(7)), 101, "d1", remove})
	}
	// inherits has alice on b1, with the activity of another mapping, which was removed since.
	inherits := func(s *story, another bool) {
		s.split("d3", calm+sec(1), calm+sec(30))
		s.order("d3", calm+sec(7), calm+sec(7.1), shrink, "d1", "d2")
		s.login("d1", calm+sec(8), alice, b1)
		if another {
			s.login("d3", calm+sec(25), alice, placeWithout(b1))
		}
		s.order("d1", calm+sec(35), calm+sec(35.1),
			Op{Kind: OpRemove, Backend: placeWithout(b1)})
	}
	// beats has d1 forget who is on b1 and move alice, cut off. The others answer her as before
	// until all meet again, when the move wins.
	beats := func(s *story, to netip.Addr, seen, meet time.Duration) {
		s.split("d1", calm, meet)
		s.order("d1", calm+sec(7), calm+sec(7.1), Op{Kind: OpForget, Backend: b1}, "d2", "d3")
		s.order("d1", calm+sec(7.5), calm+sec(9),
			Op{Kind: OpMove, User: alice, Backend: to, Wait: true}, "d2", "d3")
		s.login("d2", seen, alice, b1)
	}
	// beatsMove has d1 move alice to b1 while d3, cut off, has her elsewhere already. That wins.
	beatsMove := func(s *story) {
		s.order("d1", calm-sec(1), calm-sec(0.9), shrink)
		s.split("d3", calm, calm+sec(20))
		s.login("d3", calm+sec(7), alice, placeWithout(b1))
		s.order("d1", calm+sec(15), calm+sec(15.5),
			Op{Kind: OpMove, User: alice, Backend: b1, Wait: true}, "d3")
		s.order("d1", calm+sec(25), calm+sec(25.1),
			Op{Kind: OpUpdate, Backend: b1, VHosts: 10})
	}
	// unheard has d3 ask another director for alice, and die before it hears the answer.
	unheard := func(s *story, at time.Duration) {
		s.silent["d3"] = true
		s.add(Synced{At(sec(2)), "d3", true, "", 0})
		s.add(Synced{At(at - sec(1)), "d3", false, "the story says so", 0})
		s.ask("d3", at, alice)
		s.stop("d3", at+sec(0.02))
	}
	// clocksApart has the clock of one director stand still when all is calm, and be behind for so
	// long, as it waits for the clock of d1, which does not hear it.
	clocksApart := func(s *story, d string, by, during time.Duration) {
		s.silence(d, "d1", calm-sec(1), end)
		s.silent[d] = true
		s.add(Synced{At(sec(2)), d, true, "", 0})
		s.add(Synced{At(calm), d, false, "its clock is off", 0})
		for past := -sec(2); past <= during; past += sec(0.5) {
			ahead := map[string]time.Duration{"d1": 0, "d2": 0, d: 0}
			if past >= 0 {
				ahead[d] = by
			}
			s.add(MeshTimes{At(calm + past), ahead})
		}
	}
	// flushesBack has alice flushed off b1, to which she then hashes again.
	flushesBack := func(s *story, failed ...string) {
		s.login("d1", calm, alice, b1)
		s.order("d1", calm+sec(7), calm+sec(7.1), shrink, failed...)
		s.order("d1", calm+sec(8), calm+sec(8.1), Op{Kind: OpFlush, Backend: b1}, failed...)
		s.add(FlushEnded{At(calm + sec(10)), s.lastID})
		s.order("d1", calm+sec(11), calm+sec(11.1),
			Op{Kind: OpUpdate, Backend: b1, VHosts: 10}, failed...)
	}
	// flushesApart has d1 flush alice off b1, to which she then hashes again. All have heard that
	// it begins, but d2 is cut off after so many seconds, until they meet. There she is as before.
	flushesApart := func(s *story, since, ended, meet float64) {
		s.login("d1", calm, alice, b1)
		s.order("d1", calm+sec(7), calm+sec(7.1), shrink)
		s.order("d1", calm+sec(8), calm+sec(8.1), Op{Kind: OpFlush, Backend: b1})
		s.add(FlushEnded{At(calm + sec(ended)), s.lastID})
		s.split("d2", calm+sec(since), calm+sec(meet))
		s.order("d1", calm+sec(18), calm+sec(18.1),
			Op{Kind: OpUpdate, Backend: b1, VHosts: 10}, "d2")
		s.login("d2", calm+sec(25), alice, b1)
	}
	// returns has alice answered two backends, and those of the one that won forgotten after so
	// many seconds: she is on b1 again, where she does not hash any more.
	returns := func(s *story, after float64, forgotten netip.Addr) {
		conflict(s)
		s.kick("d3", calm+sec(4), alice, placeWithout(b1))
		s.login("d1", calm+sec(8), alice, placeWithout(b1))
		s.login("d1", calm+sec(15), alice, placeWithout(b1))
		s.order("d1", calm+sec(after), calm+sec(after+0.1),
			Op{Kind: OpForget, Backend: forgotten})
	}
	// startsAgain has d3 die before a change, start again, and sleep if nobody is to hear it.
	startsAgain := func(s *story, unheard bool) {
		s.stop("d3", calm+sec(2.1))
		s.order("d1", calm+sec(2.2), calm+sec(2.25), shrink, "d3")
		s.start("d3", calm+sec(2.3))
		if unheard {
			s.sleep("d3", calm+sec(2.4), calm+sec(10))
		}
	}
	// wakes has d3 wake in the last seconds of a mapping that it made, as far as it knows: d1 has
	// prolonged it. What d1 sent meanwhile comes at that moment, and d3 asks once it has taken in
	// some of it.
	wakes := func(s *story, taken int) {
		s.silent["d3"] = true
		s.add(Synced{At(sec(2)), "d3", true, "", 0})
		s.login("d3", calm, alice, b1)
		s.order("d1", calm+sec(1), calm+sec(1.1), shrink)
		s.split("d3", calm+sec(2), end)
		s.sleep("d3", calm+sec(9), calm+sec(33))
		s.login("d1", calm+sec(20), alice, b1)
		for sent := range 33 {
			if sent == taken {
				waits(s, "d3", calm+sec(33), b1)
			}
			if sent > 8 {
				s.add(Frame{At(calm + sec(33)), "d1", "d3", calm + sec(float64(sent)), calm})
			}
		}
	}
	testStories(t, []tale{
		{"the end of what lost and came back, with the activity of the winner", func(s *story) {
			returns(s, 16, placeWithout(b1))
			waits(s, "d1", calm+sec(50), placeWithout(b1))
		}, "", ""},
		{"the same long after it lost", func(s *story) {
			returns(s, 16, placeWithout(b1))
			waits(s, "d1", calm+sec(54), placeWithout(b1))
		}, "", ""},
		{"the same as it was prolonged for one which did not hear it", func(s *story) {
			returns(s, 16, placeWithout(b1))
			unheard(s, calm+sec(30))
			waits(s, "d1", calm+sec(65), placeWithout(b1))
		}, "", ""},
		{"what lost and came back, before it may end", func(s *story) {
			returns(s, 16, placeWithout(b1))
			waits(s, "d1", calm+sec(17.5), placeWithout(b1))
		}, "G4", "without a reason"},
		{"what lost and came back, after its end", func(s *story) {
			returns(s, 16, placeWithout(b1))
			waits(s, "d1", calm+sec(59), placeWithout(b1))
		}, "G4", "without a reason"},
		{"what lost and did not come back when the winner ended", func(s *story) {
			returns(s, 24, placeWithout(b1))
			waits(s, "d1", calm+sec(50), placeWithout(b1))
		}, "G4", "without a reason"},
		{"what lost and came back from one that had not heard of the winner", func(s *story) {
			losesApart(s, 7, 20, 30)
			waits(s, "d1", calm+sec(46), placeWithout(b1))
		}, "", ""},
		{"what lost long before the winner ended, as all had heard", func(s *story) {
			losesApart(s, 7, 8, 30)
			waits(s, "d1", calm+sec(46), placeWithout(b1))
		}, "G4", "without a reason"},
		{"what lost and was forgotten with the winner", func(s *story) {
			returns(s, 16, netip.Addr{})
			waits(s, "d1", calm+sec(50), placeWithout(b1))
		}, "G4", "without a reason"},
		{"what lost and came back, after its end, and a new one on the winner", func(s *story) {
			conflict(s)
			s.kick("d3", calm+sec(4), alice, placeWithout(b1))
			s.login("d1", calm+sec(8), alice, placeWithout(b1))
			s.add(Admin{At(calm + sec(16)), 100, "d1",
				Op{Kind: OpForget, Backend: placeWithout(b1)}})
			s.login("d1", calm+sec(16.2), alice, placeWithout(b1))
			s.add(Done{At: At(calm + sec(16.4)), ID: 100})
			s.login("d1", calm+sec(40), alice, placeWithout(b1))
			waits(s, "d1", calm+sec(65), placeWithout(b1))
		}, "G4", "without a reason"},
		{"what came first, lost, and came back", func(s *story) {
			s.split("d3", calm-sec(8), calm+sec(3))
			s.order("d1", calm-sec(1), calm-sec(0.9), shrink, "d3")
			s.login("d1", calm+sec(1), alice, placeWithout(b1))
			s.login("d3", calm+sec(1.1), alice, b1)
			s.kick("d1", calm+sec(4), alice, b1)
			s.login("d3", calm+sec(8), alice, b1)
			s.order("d1", calm+sec(9), calm+sec(9.1),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 10})
			s.order("d1", calm+sec(16), calm+sec(16.1), Op{Kind: OpForget, Backend: b1})
			waits(s, "d1", calm+sec(46), b1)
		}, "", ""},
		{"what came second, lost, and came back", func(s *story) {
			s.split("d3", calm-sec(8), calm+sec(3))
			s.order("d1", calm-sec(1), calm-sec(0.9), shrink, "d3")
			s.login("d1", calm+sec(1), alice, placeWithout(b1))
			s.login("d3", calm+sec(1.1), alice, b1)
			s.kick("d3", calm+sec(4), alice, placeWithout(b1))
			s.login("d1", calm+sec(8), alice, placeWithout(b1))
			s.order("d1", calm+sec(16), calm+sec(16.1),
				Op{Kind: OpForget, Backend: placeWithout(b1)})
			waits(s, "d1", calm+sec(46), placeWithout(b1))
		}, "", ""},
		{"what lost after the other had been forgotten", func(s *story) {
			s.order("d1", sec(5), sec(5.1), Op{Kind: OpForget, Backend: placeWithout(b1)})
			conflict(s)
			s.kick("d3", calm+sec(4), alice, placeWithout(b1))
			s.login("d1", calm+sec(8), alice, placeWithout(b1))
			s.login("d1", calm+sec(22), alice, placeWithout(b1)) // which all hear of
			waits(s, "d1", calm+sec(43), placeWithout(b1))
		}, "G4", "without a reason"},
		{"what a move took the place of, when that has ended", func(s *story) {
			to := placeWithout(b1, placeWithout(b1))
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(0.5), calm+sec(0.6), shrink)
			s.kick("d1", calm+sec(1), alice, to)
			s.order("d1", calm+sec(1), calm+sec(3), Op{Kind: OpMove, User: alice, Backend: to})
			s.login("d1", calm+sec(2.5), alice, to)
			s.order("d1", calm+sec(8), calm+sec(8.1), Op{Kind: OpForget, Backend: to})
			waits(s, "d1", calm+sec(35), placeWithout(b1))
		}, "G4", "without a reason"},
		{"the end of a mapping that was prolonged for one which did not hear it", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(1), calm+sec(1.1), shrink)
			unheard(s, calm+sec(21))
			waits(s, "d1", calm+sec(55), placeWithout(b1))
		}, "", ""},
		{"the end of a mapping that had ended when it was asked for", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(1), calm+sec(1.1), shrink)
			unheard(s, calm+sec(45))
			waits(s, "d1", calm+sec(55), placeWithout(b1))
		}, "G4", "without a reason"},
		{"the end of a mapping that was made for one which did not hear it", func(s *story) {
			unheard(s, calm+sec(5))
			s.order("d1", calm+sec(7), calm+sec(7.1), shrink)
			waits(s, "d1", calm+sec(40), placeWithout(b1))
		}, "", ""},
		{"the end of one made as one woke that had been asked by one which did not live to hear it",
			func(s *story) {
				s.sleep("d2", calm+sec(4.8), calm+sec(8.8))
				unheard(s, calm+sec(5))
				s.order("d1", calm+sec(11), calm+sec(11.1), shrink)
				waits(s, "d1", calm+sec(50), placeWithout(b1))
			}, "", ""},
		{"the same where it slept before it was asked", func(s *story) {
			s.sleep("d2", calm+sec(0.9), calm+sec(4.9))
			unheard(s, calm+sec(5))
			s.order("d1", calm+sec(11), calm+sec(11.1), shrink)
			waits(s, "d1", calm+sec(50), placeWithout(b1))
		}, "G4", "without a reason"},
		{"the same where it slept after it had answered", func(s *story) {
			s.sleep("d2", calm+sec(6.5), calm+sec(10.5))
			unheard(s, calm+sec(5))
			s.order("d1", calm+sec(11), calm+sec(11.1), shrink)
			waits(s, "d1", calm+sec(50), placeWithout(b1))
		}, "G4", "without a reason"},
		{"the end of one made when another ended, for one which did not live to hear it",
			func(s *story) {
				s.login("d1", calm, alice, b1)
				s.order("d1", calm+sec(1), calm+sec(1.1), shrink)
				unheard(s, calm+sec(35)) // it waits until the first has ended
				s.order("d1", calm+sec(41), calm+sec(41.1), grow)
				waits(s, "d1", calm+sec(79), b1)
			}, "", ""},
		{"the same where none had to wait for an end", func(s *story) {
			s.order("d1", calm+sec(1), calm+sec(1.1), shrink)
			unheard(s, calm+sec(35))
			s.order("d1", calm+sec(41), calm+sec(41.1), grow)
			waits(s, "d1", calm+sec(79), b1)
		}, "G4", "without a reason"},
		{"the end of one made when a change was confirmed, for one which did not live to hear it",
			func(s *story) {
				s.sleep("d2", calm+sec(6.8), calm+sec(11.7))
				s.order("d1", calm+sec(6.9), calm+sec(11.8), shrink)
				unheard(s, calm+sec(7)) // it waits until d2 has confirmed
				s.order("d1", calm+sec(14), calm+sec(14.1), grow)
				waits(s, "d1", calm+sec(51.4), b1)
			}, "", ""},
		{"the same where the change had been confirmed", func(s *story) {
			s.order("d1", calm+sec(4), calm+sec(4.1), shrink)
			unheard(s, calm+sec(7))
			s.order("d1", calm+sec(14), calm+sec(14.1), grow)
			waits(s, "d1", calm+sec(51.4), b1)
		}, "G4", "without a reason"},
		{"one that was made where it would be now", func(s *story) {
			s.order("d1", calm+sec(1), calm+sec(1.1), shrink)
			unheard(s, calm+sec(5))
			waits(s, "d1", calm+sec(40), placeWithout(b1))
		}, "G4", "without a reason"},
		{"a flush of one that was made for one which did not hear it", func(s *story) {
			unheard(s, calm+sec(5))
			s.order("d1", calm+sec(7), calm+sec(7.1), shrink)
			s.order("d1", calm+sec(15), calm+sec(15.1), Op{Kind: OpFlush, Backend: b1})
			waits(s, "d1", calm+sec(16), placeWithout(b1))
		}, "", ""},
		{"a flush of another backend", func(s *story) {
			unheard(s, calm+sec(5))
			s.order("d1", calm+sec(7), calm+sec(7.1), shrink)
			s.order("d1", calm+sec(15), calm+sec(15.1),
				Op{Kind: OpFlush, Backend: placeWithout(b1)})
			waits(s, "d1", calm+sec(16), placeWithout(b1))
		}, "G4", "without a reason"},
		{"a flush of one who was imported", func(s *story) {
			s.order("d1", calm, calm, Op{Kind: OpImport, User: alice, Backend: b2})
			s.order("d1", calm+sec(5), calm+sec(5.1), Op{Kind: OpFlush, Backend: b2})
			waits(s, "d2", calm+sec(5.5), b1)
			waits(s, "d3", calm+sec(6.1), b1) // which has not heard yet that this is over
		}, "", ""},
		{"a flush of others than one who was imported", func(s *story) {
			s.order("d1", calm, calm, Op{Kind: OpImport, User: alice, Backend: b2})
			s.order("d1", calm+sec(5), calm+sec(5.1), Op{Kind: OpFlush, Backend: b3})
			waits(s, "d2", calm+sec(5.5), b2)
		}, "G4", "without a reason"},
		{"the end of a mapping that has the activity of another one", func(s *story) {
			inherits(s, true)
			waits(s, "d1", calm+sec(57), b3)
		}, "", ""},
		{"the end of a mapping long ago", func(s *story) {
			inherits(s, false)
			waits(s, "d1", calm+sec(57), b3)
		}, "G4", "without a reason"},
		{"a mapping that has the activity of another one", func(s *story) {
			inherits(s, true)
			s.login("d1", calm+sec(53), alice, b1)
		}, "", ""},
		{"a mapping that has ended", func(s *story) {
			inherits(s, false)
			s.login("d1", calm+sec(53), alice, b1)
		}, "G2", "hashes to"},
		{"the end of one that beat a move, with the activity of that", func(s *story) {
			beatsMove(s)
			waits(s, "d1", calm+sec(56), b1)
		}, "", ""},
		{"the same after it has ended", func(s *story) {
			beatsMove(s)
			waits(s, "d1", calm+sec(62), b1)
		}, "G4", "without a reason"},
		{"the end of what a move made, with the activity of one that it beat", func(s *story) {
			beats(s, b2, calm+sec(25), calm+sec(32))
			waits(s, "d1", calm+sec(57), b1)
		}, "", ""},
		{"the same after that has ended too", func(s *story) {
			beats(s, b2, calm+sec(25), calm+sec(32))
			waits(s, "d1", calm+sec(69), b1)
		}, "G4", "without a reason"},
		{"the same before that may end", func(s *story) {
			beats(s, b2, calm+sec(45), calm+sec(52))
			waits(s, "d1", calm+sec(60), b1)
		}, "G4", "without a reason"},
		{"what a move made and had ended before the other answer", func(s *story) {
			beats(s, b2, calm+sec(55), calm+sec(62))
			waits(s, "d1", calm+sec(85), b1)
		}, "G4", "without a reason"},
		{"what a move made where the user hashes", func(s *story) {
			beats(s, b1, calm+sec(25), calm+sec(32))
			waits(s, "d1", calm+sec(57), b1)
		}, "G4", "without a reason"},
		{"an answer by one that has heard of the move", func(s *story) {
			s.add(Admin{At(calm + sec(7)), 100, "d1", Op{Kind: OpForget, Backend: b1}})
			s.order("d1", calm+sec(7.5), calm+sec(9), move)
			s.add(Done{At: At(calm + sec(10)), ID: 100})
			s.login("d2", calm+sec(25), alice, b1)
			waits(s, "d1", calm+sec(57), b1)
		}, "G4", "without a reason"},
		{"an answer before the move", func(s *story) {
			s.login("d2", calm+sec(5), alice, b1)
			s.add(Admin{At(calm + sec(7)), 100, "d1", Op{Kind: OpForget, Backend: b1}})
			s.order("d1", calm+sec(7.5), calm+sec(9), move)
			s.add(Done{At: At(calm + sec(10)), ID: 100})
			waits(s, "d1", calm+sec(23), b1)
		}, "G4", "without a reason"},
		{"an answer when nobody will hear any more of the move", func(s *story) {
			s.add(Admin{At(calm + sec(7)), 100, "d1", move})
			s.stop("d1", calm+sec(7.01))
			s.login("d2", calm+sec(60), alice, b1)
			waits(s, "d3", calm+sec(90), b1)
		}, "G4", "without a reason"},
		{"the end of what a flush made", func(s *story) {
			flushesBack(s)
			waits(s, "d1", calm+sec(52), b1)
		}, "", ""},
		{"the end of what a flush made, prolonged for one which did not hear it", func(s *story) {
			flushesBack(s)
			unheard(s, calm+sec(30))
			waits(s, "d1", calm+sec(60), b1)
		}, "", ""},
		{"the end of what a flush made, prolonged for nobody", func(s *story) {
			flushesBack(s)
			waits(s, "d1", calm+sec(60), b1)
		}, "G4", "without a reason"},
		{"the end of what a flush made, with the activity of one that it beat", func(s *story) {
			s.split("d1", calm+sec(0.5), calm+sec(32))
			flushesBack(s, "d2", "d3")
			s.login("d2", calm+sec(25), alice, b1)
			waits(s, "d1", calm+sec(60), b1)
		}, "", ""},
		{"the end of what a flush made, of which all have heard", func(s *story) {
			flushesBack(s)
			s.login("d2", calm+sec(25), alice, b1)
			waits(s, "d1", calm+sec(60), b1)
		}, "G4", "without a reason"},
		{"what a flush made that all heard begin, with the activity of what it beat",
			func(s *story) {
				flushesApart(s, 8.3, 14, 32)
				waits(s, "d1", calm+sec(60), b1)
			}, "", ""},
		{"the same after its end", func(s *story) {
			flushesApart(s, 8.3, 14, 32)
			waits(s, "d1", calm+sec(70), b1)
		}, "G4", "without a reason"},
		{"the same where all had met again before the other answer", func(s *story) {
			flushesApart(s, 8.3, 14, 20)
			waits(s, "d1", calm+sec(60), b1)
		}, "G4", "without a reason"},
		{"the same where the flush had ended before one was cut off", func(s *story) {
			flushesApart(s, 13, 10, 32)
			waits(s, "d1", calm+sec(60), b1)
		}, "G4", "without a reason"},
		{"what a flush made, before its end as it was prolonged", func(s *story) {
			flushesBack(s)
			unheard(s, calm+sec(45))
			waits(s, "d1", calm+sec(58), b1)
		}, "G4", "without a reason"},
		{"what a flush made, after its end as it was prolonged", func(s *story) {
			flushesBack(s)
			unheard(s, calm+sec(20))
			waits(s, "d1", calm+sec(65), b1)
		}, "G4", "without a reason"},
		{"what a flush made, where one which asked another was answered as before", func(s *story) {
			flushesBack(s)
			s.silent["d3"] = true
			s.add(Synced{At(sec(2)), "d3", true, "", 0})
			s.add(Synced{At(calm + sec(29)), "d3", false, "the story says so", 0})
			s.login("d3", calm+sec(30), alice, b1)
			s.stop("d3", calm+sec(30.5))
			waits(s, "d1", calm+sec(60), b1)
		}, "G4", "without a reason"},
		{"what a flush made and had ended when it was asked for", func(s *story) {
			flushesBack(s)
			unheard(s, calm+sec(55))
			waits(s, "d1", calm+sec(80), b1)
		}, "G4", "without a reason"},
		{"a change that is confirmed by all that count", func(s *story) {
			s.split("d3", calm, end)
			s.order("d1", calm+sec(7), calm+sec(7.1), shrink, "d3")
			waits(s, "d2", calm+sec(10), placeWithout(b1))
		}, "G4", "without a reason"},
		{"a change that one in contact has not confirmed", func(s *story) {
			s.part("d1", "d3", calm, end)
			s.split("d3", calm+sec(6.5), calm+sec(8.5))
			s.order("d1", calm+sec(7), calm+sec(7.1), shrink, "d3")
			waits(s, "d2", calm+sec(8), placeWithout(b1))
		}, "", ""},
		{"a change that one may not have confirmed, as one counts that slept", func(s *story) {
			s.cuts = append(s.cuts, cut{"d3", "d2", calm, calm + sec(14)})
			s.sleep("d2", calm+sec(3), calm+sec(4.5))
			s.order("d1", calm+sec(2), calm+sec(2.1), shrink)
			waits(s, "d2", calm+sec(9), placeWithout(b1))
		}, "", ""},
		{"the same of one that slept twice, for less than a second", func(s *story) {
			s.silence("d3", "d2", calm, calm+sec(14))
			s.silent["d2"] = true // it stays synced
			s.add(Synced{At(sec(2)), "d2", true, "", 0})
			s.sleep("d2", calm+sec(3), calm+sec(3.9))
			s.sleep("d2", calm+sec(5), calm+sec(5.9))
			s.order("d1", calm+sec(2), calm+sec(2.1), shrink)
			waits(s, "d2", calm+sec(6.5), placeWithout(b1))
		}, "", ""},
		{"the same of one that did not sleep", func(s *story) {
			s.silence("d3", "d2", calm, calm+sec(14))
			s.order("d1", calm+sec(2), calm+sec(2.1), shrink)
			waits(s, "d2", calm+sec(6.5), placeWithout(b1))
		}, "G4", "without a reason"},
		{"a change that one does not confirm, by whose clock it comes from ahead", func(s *story) {
			clocksApart(s, "d3", sec(-2.4), sec(7))
			s.order("d1", calm+sec(2), calm+sec(2.1), shrink)
			waits(s, "d2", calm+sec(6.5), placeWithout(b1))
		}, "", ""},
		{"a change that it has confirmed before", func(s *story) {
			clocksApart(s, "d3", sec(-2.4), sec(7))
			s.order("d1", calm-sec(3), calm-sec(2.9), shrink)
			waits(s, "d2", calm+sec(6.5), placeWithout(b1))
		}, "G4", "without a reason"},
		{"a change that one has not confirmed that has died unnoticed", func(s *story) {
			s.cuts = append(s.cuts, cut{"d3", "d2", calm + sec(1), end})
			s.order("d1", calm+sec(2), calm+sec(2.1), shrink)
			s.stop("d3", calm+sec(2.5))
			waits(s, "d2", calm+sec(5), placeWithout(b1))
		}, "", ""},
		{"a change that one has not confirmed that died and started again", func(s *story) {
			startsAgain(s, true)
			waits(s, "d2", calm+sec(7), placeWithout(b1))
		}, "", ""},
		{"the same after another start", func(s *story) {
			startsAgain(s, true)
			s.stop("d3", calm+sec(5))
			s.start("d3", calm+sec(6))
			s.sleep("d3", calm+sec(6.1), calm+sec(10))
			waits(s, "d2", calm+sec(7), placeWithout(b1))
		}, "", ""},
		{"the same after a silence for which nobody counts", func(s *story) {
			startsAgain(s, true)
			waits(s, "d2", calm+sec(9), placeWithout(b1))
		}, "G4", "without a reason"},
		{"the same where its new life has been heard and has the change", func(s *story) {
			startsAgain(s, false)
			waits(s, "d2", calm+sec(8.3), placeWithout(b1))
		}, "G4", "without a reason"},
		{"a mapping flushed and forgotten, and new where one does not know", func(s *story) {
			s.cuts = append(s.cuts, cut{"d1", "d3", calm + sec(6.05), end})
			forgottenUnseen(s)
			s.login("d1", calm+sec(9), alice, placeWithout(b1))
			waits(s, "d3", calm+sec(9.3), placeWithout(b1))
		}, "", ""},
		{"a mapping flushed and forgotten, and new where all know", func(s *story) {
			forgottenUnseen(s)
			s.login("d1", calm+sec(9), alice, placeWithout(b1))
			waits(s, "d3", calm+sec(11), placeWithout(b1))
		}, "G4", "without a reason"},
		{"the end of a mapping that has been prolonged", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(1), calm+sec(1.1), shrink)
			s.login("d1", sec(40), alice, b1)
			waits(s, "d2", sec(50), b1)
		}, "G4", "without a reason"},
		{"the end of a mapping that has been prolonged elsewhere", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(1), calm+sec(1.1), shrink)
			s.split("d2", sec(38), end)
			s.login("d1", sec(40), alice, b1)
			waits(s, "d2", sec(50), b1)
		}, "", ""},
		{"the end of a mapping that has been prolonged, before that is heard", func(s *story) {
			wakes(s, 15)
		}, "", ""},
		{"the same after that is heard", func(s *story) {
			wakes(s, 30)
		}, "G4", "without a reason"},
		{"a wait for the next frame of the same moment", func(s *story) {
			s.login("d1", calm, alice, b1)
			id := s.ask("d2", calm+sec(3), alice)
			s.add(Frame{At(calm + sec(3)), "d1", "d2", calm + sec(2.9), calm + sec(2.8)})
			s.answer(id, calm+sec(3), b1)
		}, "G4", "without a reason"},
		{"the end of a mapping that is no more", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(0.5), calm+sec(0.6), shrink)
			s.add(Admin{At(calm + sec(1)), 100, "d1", Op{Kind: OpMove, User: alice, Backend: b2}})
			moving(s, calm+sec(1))
			waits(s, "d2", sec(50), b2)
		}, "G4", "without a reason"},
		{"the end of a mapping that is no more elsewhere", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(0.5), calm+sec(0.6), shrink)
			s.split("d2", calm+sec(0.8), end)
			s.add(Admin{At(calm + sec(1)), 100, "d1", Op{Kind: OpMove, User: alice, Backend: b2}})
			moving(s, calm+sec(1))
			waits(s, "d2", sec(50), b1)
		}, "", ""},
		{"a move that is long over", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.kick("d1", calm+sec(1), alice, b2)
			s.order("d1", calm+sec(1), calm+sec(2), move)
			waits(s, "d2", calm+sec(10), b2)
		}, "G4", "without a reason"},
		{"a move whose end was not heard of", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.kick("d1", calm+sec(1), alice, b2)
			s.part("d1", "d2", calm+sec(1.5), end)
			s.order("d1", calm+sec(1), calm+sec(2), move)
			waits(s, "d2", calm+sec(10), b2)
		}, "", ""},
		{"a move that one who was out of reach goes on with", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.kick("d1", calm+sec(1), alice, b2)
			s.part("d1", "d3", calm+sec(1.5), end)
			s.order("d1", calm+sec(1), calm+sec(2), move)
			waits(s, "d2", calm+sec(10), b2)
		}, "", ""},
		{"a change of the place of a user who was flushed to what is removed", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(1), calm+sec(1.1), shrink)
			s.order("d1", calm+sec(2), calm+sec(2.1), Op{Kind: OpFlush, Backend: b1})
			s.add(FlushEnded{At(calm + sec(4)), s.lastID})
			removeNext(s)
			waits(s, "d2", calm+sec(7.2), placeWithout(b1, placeWithout(b1)))
		}, "", ""},
		{"a change of the place of a user who has a mapping", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(1), calm+sec(1.1), shrink)
			removeNext(s)
			waits(s, "d2", calm+sec(7.2), b1)
		}, "G4", "without a reason"},
		{"a session that is kicked by all that count", func(s *story) {
			s.login("d3", calm, alice, b1)
			s.split("d3", calm+sec(1), end)
			s.order("d1", calm+sec(7), calm+sec(7.1), move, "d3")
			s.login("d2", calm+sec(8), alice, b2)
		}, "", ""},
		{"a wait without a reason after a death", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.stop("d3", calm+sec(2))
			s.answer(s.ask("d2", calm+sec(3), alice), calm+sec(3.1), b1)
		}, "G4", "without a reason"},
		{"a wait of one that hears no confirmations", func(s *story) {
			s.add(Pause{At: At(calm), Director: "d2"})
			s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.answer(s.ask("d2", calm+sec(3), alice), calm+sec(4.1), placeWithout(b1))
		}, "", ""},
		{"a wait for a change that one director does not confirm", func(s *story) {
			s.sleep("d3", calm+sec(2), calm+sec(4))
			s.add(Admin{At(calm + sec(2)), 100, "d1", Op{Kind: OpUpdate, Backend: b1, VHosts: 0}})
			s.answer(s.ask("d2", calm+sec(3), alice), calm+sec(4.1), placeWithout(b1))
		}, "", ""},
	})
}

// forgottenUnseen has alice flushed to b1, which has come back, and b1 removed before she logs in.
func forgottenUnseen(s *story) {
	s.order("d1", calm, calm+sec(0.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.login("d2", calm+sec(2), alice, placeWithout(b1))
	s.order("d1", calm+sec(3), calm+sec(3.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 10})
	s.order("d2", calm+sec(4), calm+sec(4.1), Op{Kind: OpFlush})
	s.add(FlushEnded{At(calm + sec(4.3)), s.lastID})
	s.order("d1", calm+sec(6), calm+sec(6.1), Op{Kind: OpRemove, Backend: b1})
}
