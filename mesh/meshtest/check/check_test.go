package check

import (
	"net/netip"
	"testing"
	"time"
)

const life = 40 * time.Second // expire time and share

// TestStories judges histories written by hand: each should be fine, or show one breach.
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
		{"another place as its backend was added again", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpRemove, Backend: b1})
			s.order("d1", calm+sec(2), calm+sec(2.1), Op{Kind: OpAdd, Backend: b1, VHosts: 0})
			s.login("d2", calm+sec(3), alice, placeWithout(b1))
		}, "", ""},
		{"another place as its backend, which is there, was added", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpAdd, Backend: b1, VHosts: 0})
			s.login("d2", calm+sec(3), alice, placeWithout(b1))
		}, "G2", "d2 answered"},
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
		{"the same where the old session's director has another clock", func(s *story) {
			s.part("d1", "d3", calm-sec(1), end)
			s.login("d1", calm, alice, b1)
			s.pause("d2", calm+sec(0.1), calm+sec(2.5), true)
			s.pause("d3", calm+sec(0.1), calm+sec(2.5), true)
			for past := sec(2.5); past <= sec(6); past += sec(0.5) {
				s.add(MeshTimes{At(calm + past),
					map[string]time.Duration{"d1": sec(2.4), "d2": 0, "d3": 0}})
			}
			s.kick("d2", calm+sec(5.05), alice, b2)
			s.kick("d3", calm+sec(5.05), alice, b2)
			s.order("d2", calm+sec(5), calm+sec(5.1),
				Op{Kind: OpMove, User: alice, Backend: b2}, "d1")
			s.login("d3", calm+sec(6), alice, b2)
		}, "", ""},
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
	})
}

// moved is an acknowledged move of alice to b2, with kicks by some.
func moved(s *story, at time.Duration, kickers ...string) {
	for _, d := range kickers {
		s.kick(d, at+sec(0.05), alice, b2)
	}
	s.order("d1", at, at+sec(0.1), Op{Kind: OpMove, User: alice, Backend: b2})
}
