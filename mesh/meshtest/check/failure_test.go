package check

import (
	"net/netip"
	"testing"
)

// TestFailures judges lookups that fail.
func TestFailures(t *testing.T) {
	// fails is a lookup of a user that a move holds, so that it has a reason to wait.
	fails := func(s *story) {
		s.add(Admin{At(calm), 100, "d1", Op{Kind: OpUpdate, Backend: b1, VHosts: 0}})
		id := s.ask("d2", calm+sec(0.01), alice)
		s.add(Answer{At(calm + sec(30.01)), id, netip.Addr{}, true})
	}
	// held is a lookup of a user who is moved meanwhile.
	held := func(s *story, to netip.Addr) {
		s.order("d1", calm, calm+sec(0.05), Op{Kind: OpMove, User: alice, Backend: to})
		id := s.ask("d2", calm+sec(0.1), alice)
		s.add(Answer{At(calm + sec(30.1)), id, netip.Addr{}, true})
	}
	// movedOn is a lookup of a user who is moved, and then perhaps by a flush.
	movedOn := func(s *story, to, flushed netip.Addr, ended float64) {
		s.expire = sec(60)
		s.order("d3", calm, calm+sec(0.05), Op{Kind: OpFlush, Backend: flushed})
		s.kick("d1", calm+sec(1), alice, to)
		s.order("d1", calm+sec(1), calm+sec(ended), Op{
			Kind: OpMove, User: alice, Backend: to, Wait: ended > 1.5,
		})
		at := calm + sec(1.1)
		if ended > 1.5 {
			at = calm + sec(ended+3)
		}
		id := s.ask("d2", at, alice)
		s.add(Answer{At(at + waitLimit), id, netip.Addr{}, true})
	}
	testStories(t, []tale{
		{"a failure as a flush moved her on from where a move had brought her",
			func(s *story) { movedOn(s, b2, netip.Addr{}, 1.05) }, "", ""},
		{"the same by a flush of that backend",
			func(s *story) { movedOn(s, b2, b2, 1.05) }, "", ""},
		{"a failure as a flush moved her on from where another one had brought her",
			func(s *story) { flushedOn(s, b1, placeWithout(b1), 0) }, "", ""},
		{"the same by a flush of all",
			func(s *story) { flushedOn(s, netip.Addr{}, netip.Addr{}, 0) }, "", ""},
		{"a failure after a flush during one of another backend", func(s *story) {
			flushedOn(s, b1, placeWithout(b1, placeWithout(b1)), 0)
		}, "G4", "failed a lookup"},
		{"a failure after a flush during one of the backend where she was before",
			func(s *story) { flushedOn(s, b1, b1, 0) }, "G4", "failed a lookup"},
		{"a failure after a flush to where the user hashes during another one",
			func(s *story) { flushedOn(s, netip.Addr{}, netip.Addr{}, 10) },
			"G4", "failed a lookup"},
		{"a failure after a move during a flush of another backend",
			func(s *story) {
				s.login("d1", calm-sec(2), alice, b1)
				movedOn(s, b2, b1, 1.05)
			}, "G4", "d2 failed a lookup"},
		{"a failure after a move to where the user hashes during a flush",
			func(s *story) { movedOn(s, b1, netip.Addr{}, 1.05) }, "G4", "d2 failed a lookup"},
		{"a failure during a flush when a move was over",
			func(s *story) { movedOn(s, b2, b2, 5) }, "G4", "d2 failed a lookup"},
		{"a failure when the mapping that a move made may end",
			func(s *story) { held(s, b2) }, "", ""},
		{"a failure after a move to where the user hashes", func(s *story) { held(s, b1) },
			"G4", "d2 failed a lookup"},
		{"a failure as a move began when it had waited for a change", func(s *story) {
			s.expire = sec(60)
			s.add(Admin{At(calm + sec(5)), 101, "d3", Op{Kind: OpMove, User: alice, Backend: b2}})
			fails(s)
		}, "", ""},
		{"a failure although a move began early enough to be over", func(s *story) {
			s.expire = sec(60)
			s.add(Admin{At(calm + sec(1.5)), 101, "d3", Op{Kind: OpMove, User: alice, Backend: b2}})
			fails(s)
		}, "G4", "d2 failed a lookup"},
		{"a failure long after a move", func(s *story) {
			s.expire = sec(60)
			s.order("d3", calm+sec(5), calm+sec(10),
				Op{Kind: OpMove, User: alice, Backend: b2, Wait: true})
			fails(s)
		}, "G4", "d2 failed a lookup"},
		{"a failure as a flush moved her from where her mapping was to end", func(s *story) {
			endsAndFails(s, 72)
		}, "", ""},
		{"a failure while a flush went on that could have moved her before", func(s *story) {
			endsAndFails(s, 10)
		}, "G4", "d2 failed a lookup"},
		{"a failure although all is well", fails, "G4", "d2 failed a lookup"},
		{"a failure of one that slept since it was asked", func(s *story) {
			s.sleep("d2", calm-sec(1), calm+sec(30.01))
			fails(s)
		}, "", ""},
		{"a failure while others could answer", func(s *story) {
			s.silent["d2"] = true
			s.add(Fault{At(calm), calm + sec(40)})
			fails(s)
		}, "G4", "failed a lookup"},
		{"a failure while nobody could", func(s *story) {
			s.silent["d2"] = true
			s.add(Fault{At(calm), calm + sec(40)})
			s.split("d2", calm+sec(1), calm+sec(7))
			fails(s)
		}, "", ""},
	})
}

// endsAndFails has a lookup of alice fail at d2, during a flush, that was asked so many seconds
// after she was mapped to b1, which has no vhosts any more.
func endsAndFails(s *story, asked float64) {
	s.expire = sec(60)
	s.login("d1", calm, alice, b1)
	s.order("d1", calm+sec(2), calm+sec(2.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.order("d1", calm+sec(asked-1), calm+sec(asked-0.9), Op{Kind: OpFlush})
	id := s.ask("d2", calm+sec(asked), alice)
	s.add(Answer{At(calm + sec(asked+30)), id, netip.Addr{}, true})
}

// flushedOn has a lookup of alice fail at d2 which a flush of her backend, or of all, holds at
// first, and then perhaps another one, when the backend to which she came has so many vhosts.
func flushedOn(s *story, first, second netip.Addr, vhosts int) {
	s.expire = sec(60)
	s.login("d1", calm-sec(4), alice, b1)
	s.order("d1", calm-sec(3), calm-sec(2.9), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.order("d3", calm, calm+sec(0.05), Op{Kind: OpFlush, Backend: first})
	id := s.ask("d2", calm+sec(1.1), alice)
	s.order("d1", calm+sec(9), calm+sec(9.1),
		Op{Kind: OpUpdate, Backend: placeWithout(b1), VHosts: vhosts})
	s.order("d1", calm+sec(10), calm+sec(10.1), Op{Kind: OpFlush, Backend: second})
	s.add(Answer{At(calm + sec(31.1)), id, netip.Addr{}, true})
}
