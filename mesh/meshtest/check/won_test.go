package check

import (
	"testing"
	"time"
)

// TestWonDuringFlush judges users of a flush who were answered where a conflict had put them, which
// is also where the flush may have moved them: it has yet to come to them.
func TestWonDuringFlush(t *testing.T) {
	first := placeWithout(b1)
	testStories(t, []tale{
		{"a flush after one apart had drained her elsewhere", func(s *story) {
			flushedOnceWon(s, true)
			s.login("d2", calm+sec(30.2), alice, first)
			s.login("d2", calm+sec(31), alice, first)
			s.login("d1", calm+sec(36), alice, b1)
		}, "", ""},
		{"the same, where nobody was apart", func(s *story) {
			flushedOnceWon(s, false)
			s.login("d2", calm+sec(30.2), alice, first)
			s.login("d1", calm+sec(36), alice, b1)
		}, "G2", "d1 answered"},
		{"a flush that had come to all users after such a drain", func(s *story) {
			s.sleep("d3", calm+sec(32), calm+sec(33)) // so it does not run in calm
			flushedOnceWon(s, true)
			s.login("d2", calm+sec(38), alice, first)
			s.login("d1", calm+sec(75), alice, b1)
		}, "G2", "d1 answered"},
		{"a flush after another had mapped her for one that died", func(s *story) {
			s.split("d1", calm, calm+sec(20))
			flushedAfterRelay(s)
		}, "", ""},
		{"the same, where the others must have heard of that", func(s *story) {
			flushedAfterRelay(s)
		}, "G2", "d1 answered"},
	})
}

// flushedOnceWon has all drain b1, from which d3 has moved alice elsewhere than the others, if it
// is apart. When they meet what d3 has wins. Then b1 takes users again, and d2 flushes all.
func flushedOnceWon(s *story, apart bool) {
	first := placeWithout(b1)
	var failed []string
	s.expire = end
	s.login("d1", calm, alice, b1)
	s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpDrain, Backend: b1})
	if apart {
		s.split("d3", calm+sec(1.2), calm+sec(20))
		failed = []string{"d3"}
	}
	update := func(at time.Duration, vhosts int) {
		s.order("d1", at, at+sec(0.1), Op{Kind: OpUpdate, Backend: first, VHosts: vhosts},
			failed...)
	}
	update(calm+sec(8), 0)
	s.login("d1", calm+sec(9), alice, placeWithout(b1, first))
	update(calm+sec(12), 10)
	flushedAsBack(s, calm+sec(30), calm+sec(35), Op{Kind: OpUndrain, Backend: b1})
}

// flushedAsBack has d2 flush all while b1 comes back into use.
func flushedAsBack(s *story, at, ended time.Duration, back Op) {
	s.order("d2", at, at+sec(0.1), back)
	flush := s.order("d2", at+sec(0.05), at+sec(0.15), Op{Kind: OpFlush})
	s.add(FlushEnded{At(ended), flush})
}

// flushedAfterRelay has what d2 mapped for one that died win against what d1 answered, while d2
// flushes all.
func flushedAfterRelay(s *story) {
	madeForAnother(s, 8)
	flushedAsBack(s, calm+sec(23.5), calm+sec(29),
		Op{Kind: OpUpdate, Backend: b1, VHosts: 10})
	s.login("d1", calm+sec(24), alice, placeWithout(b1))
	s.login("d1", calm+sec(30), alice, b1)
}
