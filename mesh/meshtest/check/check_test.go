package check

import (
	"cmp"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestStories judges histories written by hand: each should be fine, or show one breach.
const life = 40 * time.Second // expire time and share

func TestStories(t *testing.T) {
	testStories(t, []tale{
		{"everybody answers the same", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.login("d2", calm+sec(0.01), alice, b1)
			s.login("d3", calm+sec(5), alice, b1)
		}, "", ""},
		{"two answers at the same time", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.login("d2", calm+sec(0.01), alice, b2)
		}, "G2", "d2 answered 192.0.2.2"},
		{"a guess", func(s *story) {
			s.login("d1", calm, alice, b2)
		}, "G2", "hashes to [192.0.2.1]"},
		{"an old place after a change", func(s *story) {
			s.order("d1", calm, calm+sec(0.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.login("d2", calm+sec(1), alice, b1)
		}, "G2", "no mapping"},
		{"either place while it changes", func(s *story) {
			s.add(Admin{At(calm), 100, "d1", Op{Kind: OpUpdate, Backend: b1, VHosts: 0}})
			s.login("d2", calm+sec(0.05), alice, b1)
			s.add(Done{At: At(calm + sec(0.1)), ID: 100})
			s.login("d3", calm+sec(1), alice, b1)
		}, "", ""},

		{"another place after expiry", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpDown, Backend: b1})
			s.login("d2", calm+life+sec(1), alice, placeWithout(b1))
		}, "", ""},
		{"the edge of expiry crossed twice", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.login("d2", calm+life, alice, placeWithout(b1))
			s.login("d3", calm+life+sec(0.01), alice, b1)
		}, "G2", "d3 answered 192.0.2.1"},
		{"another place before expiry", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.login("d2", calm+sec(19), alice, placeWithout(b1))
		}, "G2", "d2 answered"},
		{"for ever on a backend that is down", func(s *story) {
			s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpDown, Backend: b1})
			for at := calm; at < calm+2*life; at += 4 * time.Second {
				s.login("d2", at, alice, b1)
			}
		}, "G2", "has been down"},

		{"a move", func(s *story) {
			s.login("d1", calm, alice, b1)
			moved(s, calm+sec(1), "d1", "d2", "d3")
			s.login("d2", calm+sec(2), alice, b2)
			s.login("d1", calm+sec(2.1), alice, b2)
		}, "", ""},
		{"the old backend after the new one", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.add(Admin{At(calm + sec(1)), 100, "d1", Op{Kind: OpMove, User: alice, Backend: b2}})
			s.kick("d1", calm+sec(1), alice, b2)
			s.login("d2", calm+sec(1.1), alice, b2)
			s.login("d3", calm+sec(1.2), alice, b1)
		}, "G2", "d3 answered 192.0.2.1"},
		{"the old backend after the acknowledgement", func(s *story) {
			s.login("d1", calm, alice, b1)
			moved(s, calm+sec(1), "d1", "d2", "d3")
			s.login("d3", calm+sec(1.2), alice, b1)
		}, "G2", "d3 answered 192.0.2.1"},
		{"released before the old session was kicked", func(s *story) {
			s.login("d1", calm, alice, b1)
			moved(s, calm+sec(1), "d2", "d3")
			s.login("d2", calm+sec(2), alice, b2)
		}, "G2", "d1 has not kicked"},

		{"forgotten and hashed again", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(4), calm+sec(4.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.order("d1", calm+sec(5), calm+sec(5.1), Op{Kind: OpForget})
			s.login("d2", calm+sec(6), alice, placeWithout(b1))
		}, "", ""},
		{"forgotten and back again", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(4), calm+sec(4.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.order("d1", calm+sec(5), calm+sec(5.1), Op{Kind: OpForget})
			s.login("d2", calm+sec(6), alice, b1)
		}, "G2", "no mapping"},

		{"a partition", func(s *story) {
			s.split("d3", calm, calm+sec(20))
			s.order("d1", calm+sec(6), calm+sec(6.1),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.login("d1", calm+sec(8), alice, placeWithout(b1))
			s.login("d3", calm+sec(9), alice, b1)
			s.login("d2", calm+sec(10), alice, placeWithout(b1))
		}, "", ""},
		{"a partition too short", func(s *story) {
			s.split("d3", calm, calm+sec(4))
			s.order("d1", calm+sec(2), calm+sec(2.1),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.login("d1", calm+sec(2.5), alice, placeWithout(b1))
			s.login("d3", calm+sec(3.5), alice, b1)
		}, "G2", "d3 answered 192.0.2.1"},
		{"a partition of others", func(s *story) {
			s.split("d3", calm, calm+sec(20))
			s.order("d1", calm+sec(6), calm+sec(6.1),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.login("d1", calm+sec(8), alice, placeWithout(b1))
			s.login("d2", calm+sec(9), alice, b1)
		}, "G2", "d2 answered 192.0.2.1"},
		{"long after a partition", func(s *story) {
			s.split("d3", calm, calm+sec(10))
			s.order("d1", calm+sec(6), calm+sec(6.1),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.login("d1", calm+sec(8), alice, placeWithout(b1))
			s.login("d3", calm+sec(14), alice, b1)
		}, "G2", "d3 answered 192.0.2.1"},

		{"an answer that died with its director", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.stop("d1", calm+sec(0.02))
			s.order("d2", calm+sec(7), calm+sec(7.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.login("d2", calm+sec(8), alice, placeWithout(b1))
		}, "", ""},
		{"an answer that was known before its director died", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.stop("d1", calm+sec(3))
			s.order("d2", calm+sec(7), calm+sec(7.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.login("d2", calm+sec(8), alice, placeWithout(b1))
		}, "G2", "d2 answered"},
		{"waking up with old knowledge", func(s *story) {
			s.sleep("d3", calm, calm+sec(8))
			s.order("d1", calm+sec(1), calm+sec(6.5),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.login("d1", calm+sec(7), alice, placeWithout(b1))
			s.login("d3", calm+sec(8), alice, b1)
		}, "G2", "d3 answered 192.0.2.1"},
		{"an answer that slept with its director", func(s *story) {
			s.login("d3", calm, alice, b1)
			s.sleep("d3", calm+sec(0.02), calm+sec(20))
			s.order("d1", calm+sec(1), calm+sec(6.5),
				Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.login("d1", calm+sec(7), alice, placeWithout(b1))
		}, "", ""},

		{"a wait without a reason", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.answer(s.ask("d2", calm+sec(3), alice), calm+sec(3.1), b1)
		}, "G4", "without a reason"},
		{"a known user waits for a change", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.add(Admin{At(calm + sec(5)), 100, "d1", Op{Kind: OpUpdate, Backend: b1, VHosts: 0}})
			s.answer(s.ask("d2", calm+sec(5.05), alice), calm+sec(5.1), b1)
		}, "G4", "without a reason"},
		{"an unknown user waits for a change", func(s *story) {
			s.add(Admin{At(calm + sec(5)), 100, "d1", Op{Kind: OpUpdate, Backend: b1, VHosts: 0}})
			s.answer(s.ask("d2", calm+sec(5.05), alice), calm+sec(5.1), placeWithout(b1))
		}, "", ""},
		{"a wait for a move", func(s *story) {
			s.login("d1", calm, alice, b1)
			id := s.ask("d2", calm+sec(1.1), alice)
			moved(s, calm+sec(1), "d1", "d2", "d3")
			s.answer(id, calm+sec(3), b2)
		}, "", ""},
		{"a wait without an end", func(s *story) {
			s.order("d1", calm, calm+sec(0.1), Op{Kind: OpForget})
			for _, b := range []netip.Addr{b1, b2, b3} {
				s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpDown, Backend: b})
			}
			s.ask("d2", calm+sec(2), alice)
			s.login("d2", calm+sec(40), User{Hash: 7, Tag: "other"}, b1)
		}, "G4", "has not answered"},
		{"given up early", func(s *story) {
			for _, b := range []netip.Addr{b1, b2, b3} {
				s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpDown, Backend: b})
			}
			s.add(Answer{At(calm + sec(3)), s.ask("d2", calm+sec(2), alice), netip.Addr{}, true})
		}, "G4", "gave up"},

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

		{"a quiet end", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.final(calm+sec(5), Mapping{User: alice, Backend: b1, Ends: calm + life})
		}, "", ""},
		{"tables differ in the end", func(s *story) {
			other := holding()
			other.Table[b1] = Row{Present: true, VHosts: 10, Registers: "newer"}
			s.add(Final{At(calm), map[string]State{"d1": holding(), "d2": other}})
		}, "G1", "192.0.2.1"},
		{"mappings differ in the end", func(s *story) {
			m := Mapping{User: alice, Backend: b1, Activity: 3, Ends: calm + life}
			other := m
			other.Activity = 4
			s.add(Final{At(calm), map[string]State{"d1": holding(m), "d2": holding(other)}})
		}, "G1", "activity 4"},
		{"a mapping that one director lacks in the end", func(s *story) {
			m := Mapping{User: alice, Backend: b1, Ends: calm + life}
			s.add(Final{At(calm), map[string]State{"d1": holding(m), "d2": holding()}})
		}, "G1", "d2 does not"},
		{"a mapping lost in the end", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.final(calm + sec(5))
		}, "G2", "in the end the mapping is to no backend"},
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

		{"a flush of one cut off, older than what the others answered", func(s *story) {
			expiredApart(s, flushApart{begin: sec(9)})
		}, "", ""},
		{"a backend of one cut off that nothing moved the user to", func(s *story) {
			expiredApart(s, flushApart{})
		}, "G2", "d3 answered"},
		{"a flush that had ended, and nobody heard of it", func(s *story) {
			expiredApart(s, flushApart{begin: sec(9), end: sec(11)})
		}, "", ""},
		{"a flush that had ended, and all heard of it", func(s *story) {
			expiredApart(s, flushApart{begin: sec(9), end: sec(11), healed: sec(20)})
		}, "G2", "d3 answered"},
		{"a flush whose mappings had expired", func(s *story) {
			expiredApart(s, flushApart{begin: sec(9), end: sec(11), mapped: sec(56)})
		}, "G2", "d3 answered"},
		{"a flush when the mapping had expired", func(s *story) {
			expiredApart(s, flushApart{begin: sec(44), end: sec(46), mapped: sec(50)})
		}, "G2", "d3 answered"},
		{"a flush when the mapping had perhaps been prolonged", func(s *story) {
			s.stop("d2", calm+sec(0.1))
			s.start("d2", calm+sec(0.2))
			s.ask("d2", calm+sec(1.9), alice)
			s.stop("d2", calm+sec(1.95))
			expiredApart(s, flushApart{begin: sec(44), end: sec(46), mapped: sec(50)})
		}, "", ""},
		{"a flush of another backend", func(s *story) {
			expiredApart(s, flushApart{of: b3, begin: sec(9), end: sec(11)})
		}, "G2", "d3 answered"},
		{"a flush that moves elsewhere", func(s *story) {
			expiredApart(s, flushApart{begin: sec(9), end: sec(11), gives: b1})
		}, "G2", "d3 answered"},
		{"a flush that had ended before anybody was cut off", func(s *story) {
			expiredApart(s, flushApart{begin: sec(9), end: sec(11), cut: sec(13)})
		}, "G2", "d3 answered"},
		{"a flush that had ended while those who map her stood still", func(s *story) {
			frozenApart(s, calm+sec(8))
		}, "", ""},
		{"a flush that had ended before those who map her stood still", func(s *story) {
			frozenApart(s, calm+sec(25))
		}, "G2", "d3 answered"},
		{"a flush that had ended, and a move of which its director had not heard",
			func(s *story) { movedApart(s, false) }, "", ""},
		{"such a move after another one", func(s *story) { movedApart(s, true) },
			"G2", "d3 answered"},
		{"what a flush made, with the activity of one that it beat", func(s *story) {
			flushedLongAgo(s, 72, 75)
		}, "", ""},
		{"what a flush made, with that of one which was not answered any more", func(s *story) {
			flushedLongAgo(s, 35, 75)
		}, "G2", "no mapping to"},
		{"what a flush made, of which the other had heard", func(s *story) {
			flushedLongAgo(s, 72, 60)
		}, "G2", "no mapping to"},
		{"what a flush made and had ended before the other answer", func(s *story) {
			flushedLongAgo(s, 100, 105)
		}, "G2", "no mapping to"},
		{"what a flush made, prolonged for one which did not hear it", func(s *story) {
			flushedLongAgo(s, 35, 37)
			s.silent["d3"] = true
			s.add(Synced{At(sec(2)), "d3", true, "", 0})
			s.add(Synced{At(calm + sec(71)), "d3", false, "the story says so", 0})
			s.ask("d3", calm+sec(72), alice)
			s.stop("d3", calm+sec(72.02))
		}, "", ""},
		{"a flush of what won a conflict, where what lost was the newest", func(s *story) {
			flushAfterConflict(s, b1, sec(35))
		}, "", ""},
		{"such a flush that had not ended", func(s *story) {
			flushAfterConflict(s, b1, 0)
		}, "", ""},
		{"a flush of what lost a conflict", func(s *story) {
			flushAfterConflict(s, placeWithout(b1), sec(35))
		}, "G2", "d3 answered"},
		{"such a flush of what lost that had not ended", func(s *story) {
			flushAfterConflict(s, placeWithout(b1), 0)
		}, "G2", "d3 answered"},
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

// placeWithout is where alice hashes while these backends have no vhosts.
func placeWithout(without ...netip.Addr) netip.Addr {
	var rest []usable
	for _, x := range []netip.Addr{b1, b2, b3} {
		if !slices.Contains(without, x) {
			rest = append(rest, usable{addr: x, vhosts: 10})
		}
	}
	return make(places).of(rest, alice.Hash)
}

// moved is an acknowledged move of alice to b2, with kicks by some.
func moved(s *story, at time.Duration, kickers ...string) {
	for _, d := range kickers {
		s.kick(d, at+sec(0.05), alice, b2)
	}
	s.order("d1", at, at+sec(0.1), Op{Kind: OpMove, User: alice, Backend: b2})
}

// flushApart is a flush by one that is cut off, by time after calm; what is zero is not told.
type flushApart struct {
	begin, end time.Duration
	of         netip.Addr    // else of b1
	cut        time.Duration // since when
	healed     time.Duration // when all are in touch again
	mapped     time.Duration // when the others map her anew
	gives      netip.Addr    // what she is answered after it, else where she hashes without b1
}

// expiredApart lets alice's mapping to b1 expire while d3 is cut off and, if told, moves her by a
// flush. The others map her anew by a table that has changed, and what d3 has wins in the end.
func expiredApart(s *story, f flushApart) {
	theirs, mapped := placeWithout(b1), calm+cmp.Or(f.mapped, life+sec(5))
	s.login("d1", calm, alice, b1)
	s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.split("d3", calm+cmp.Or(f.cut, sec(2)), calm+cmp.Or(f.healed, mapped-calm+sec(2)))
	if f.begin != 0 {
		s.order("d3", calm+f.begin, calm+f.begin+sec(0.1),
			Op{Kind: OpFlush, Backend: cmp.Or(f.of, b1)}, "d1", "d2")
	}
	if f.end != 0 {
		s.add(FlushEnded{At(calm + f.end), s.lastID})
	}
	s.order(
		"d1", calm+sec(10), calm+sec(10.1), Op{Kind: OpUpdate, Backend: theirs, VHosts: 0}, "d3")
	s.login("d1", mapped, alice, placeWithout(b1, theirs))
	s.login("d3", mapped+sec(12), alice, cmp.Or(f.gives, theirs))
}

// flushedLongAgo has d1 flush alice off b1 while d2 is cut off, which answers her as before until
// it is in touch again. Nobody is answered what the flush made before two minutes have passed, when
// she hashes elsewhere.
func flushedLongAgo(s *story, seen, meet float64) {
	theirs := placeWithout(b1)
	s.expire = time.Minute
	s.login("d1", calm, alice, b1)
	s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.split("d2", calm+sec(2), calm+sec(meet))
	s.order("d1", calm+sec(8), calm+sec(8.1), Op{Kind: OpFlush, Backend: b1}, "d2")
	s.add(FlushEnded{At(calm + sec(10)), s.lastID})
	s.order("d1", calm+sec(12), calm+sec(12.1),
		Op{Kind: OpUpdate, Backend: theirs, VHosts: 0}, "d2")
	for at := 30.0; at < seen; at += 30 {
		s.login("d2", calm+sec(at), alice, b1)
	}
	s.login("d2", calm+sec(seen), alice, b1)
	s.login("d1", calm+sec(130), alice, theirs)
}

// flushAfterConflict has the first of two backends win that a split has left alice with. Then d3 is
// cut off and flushes b1, while the mapping of the winner expires for the others. They map her anew
// by a table that has changed.
func flushAfterConflict(s *story, first netip.Addr, ended time.Duration) {
	other, others := placeWithout(b1), sec(16.2)
	if first != b1 {
		others = sec(15.8)
	}
	s.split("d3", sec(7), sec(18))
	s.order("d1", sec(14), sec(14.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
	s.login("d3", sec(16), alice, b1)
	s.login("d1", others, alice, other)
	s.login("d1", sec(22), alice, first)
	s.split("d3", sec(26), sec(68))
	s.order("d3", sec(33), sec(33.1), Op{Kind: OpFlush, Backend: b1}, "d1", "d2")
	if ended != 0 {
		s.add(FlushEnded{At(ended), s.lastID})
	}
	s.order("d1", sec(36), sec(36.1), Op{Kind: OpUpdate, Backend: other, VHosts: 0}, "d3")
	s.login("d1", sec(66), alice, placeWithout(b1, other))
	s.login("d3", sec(82), alice, other)
}

// frozenApart has d1 stand still, with its clocks, when d3 flushes alice off b1, or later, and map
// her anew as soon as it goes on. d2 sleeps for a moment, so that the flush does not run in calm.
func frozenApart(s *story, at time.Duration) {
	const goesOn = calm + life + 4*time.Second
	theirs := placeWithout(b1)
	s.login("d2", calm, alice, b1)
	s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.sleep("d2", calm+sec(15), calm+sec(16))
	s.order("d3", calm+sec(14), calm+sec(14.1), Op{Kind: OpFlush, Backend: b1}, "d1")
	s.add(FlushEnded{At(calm + sec(17)), s.lastID})
	s.sleep("d1", at, goesOn)
	for i, e := range s.events {
		if p, ok := e.(Pause); ok && p.Director == "d1" {
			p.Clocks = true
			s.events[i] = p
		}
	}
	s.order("d1", goesOn+sec(0.001), goesOn+sec(0.002),
		Op{Kind: OpUpdate, Backend: theirs, VHosts: 0}, "d2", "d3")
	s.login("d1", goesOn+sec(0.01), alice, placeWithout(b1, theirs))
	s.login("d3", goesOn+sec(12), alice, theirs)
}

// movedApart has d3 flush alice off b1 while it is cut off, and the others then move her elsewhere
// by a command: for the first time, where what d3 has wins, or for the second, where it does not.
func movedApart(s *story, again bool) {
	theirs := placeWithout(b1)
	s.login("d1", calm, alice, b1)
	s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.split("d3", calm+sec(2), calm+sec(20))
	s.order("d3", calm+sec(7), calm+sec(7.1), Op{Kind: OpFlush}, "d1", "d2")
	s.add(FlushEnded{At(calm + sec(9)), s.lastID})
	moves := func(at time.Duration, to netip.Addr) {
		s.kick("d1", at+sec(0.05), alice, to)
		s.kick("d2", at+sec(0.05), alice, to)
		s.order("d1", at, at+sec(0.1), Op{Kind: OpMove, User: alice, Backend: to, Wait: true},
			"d3")
		s.login("d2", at+sec(1), alice, to)
	}
	moves(calm+sec(11), placeWithout(b1, theirs))
	if again {
		moves(calm+sec(14), b1)
	}
	s.login("d3", calm+sec(31), alice, theirs)
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

// with is a table of the configured backends, one of them changed.
func with(b netip.Addr, r Row) Table {
	t := holding().Table
	t[b] = r
	return t
}

// TestPlaces compares the naive ring with places that Dovecot 2.3 was seen to give.
func TestPlaces(t *testing.T) {
	addr := netip.MustParseAddr
	four := []usable{
		{addr: addr("127.0.2.1"), vhosts: 100}, {addr: addr("127.0.2.2"), vhosts: 100},
		{addr: addr("127.0.2.3"), vhosts: 100}, {addr: addr("127.0.2.4"), vhosts: 100},
	}
	weighted := []usable{
		{addr: addr("127.0.2.1"), vhosts: 50}, {addr: addr("127.0.2.2"), vhosts: 100},
		{addr: addr("127.0.2.3"), vhosts: 200},
	}
	tests := []struct {
		backends []usable
		hash     uint32
		want     string
	}{
		{four, 3963345591, "127.0.2.2"},
		{four, 1884430298, "127.0.2.4"},
		{four, 194001729, "127.0.2.2"},
		{four, 0, "127.0.2.3"},
		{weighted, 1896796525, "127.0.2.1"},
		{weighted, 2868802445, "127.0.2.1"},
		{weighted, 370329025, "127.0.2.3"},
	}
	p := make(places)
	for _, test := range tests {
		if got := p.of(test.backends, test.hash); got != addr(test.want) {
			t.Errorf("place of %d on %v is %v, want %s", test.hash, test.backends, got, test.want)
		}
	}
	if got := p.of(nil, 1); got.IsValid() {
		t.Errorf("place without backends is %v", got)
	}
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
