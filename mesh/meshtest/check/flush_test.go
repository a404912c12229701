package check

import (
	"cmp"
	"net/netip"
	"testing"
	"time"
)

// TestFlushes judges what users are answered that a flush has moved, or may have, where not all
// have heard of it.
func TestFlushes(t *testing.T) {
	testStories(t, []tale{
		{"by a change from after the end", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpFlush, Backend: b1})
			s.add(FlushEnded{At(calm + sec(2)), s.lastID})
			s.order("d1", calm+sec(8), calm+sec(8.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.login("d2", calm+sec(10), alice, placeWithout(b1))
		}, "G2", "d2 answered"},
		{"a drain of where a flush that has ended had put her, unanswered", func(s *story) {
			drainedOn(s, b1, 50)
		}, "", ""},
		{"such a drain after a flush of another backend", func(s *story) {
			drainedOn(s, b3, 50)
		}, "G2", "d2 answered"},
		{"such a drain that had ended before the flush began", func(s *story) {
			drainedOn(s, b1, 1)
		}, "G2", "d2 answered"},
		{"back on the backend that a drain has emptied", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpDrain, Backend: b1})
			s.sleep("d3", calm+sec(3), calm+sec(6))
			s.login("d1", calm+sec(8), alice, placeWithout(b1))
			s.login("d2", calm+sec(15), alice, b1)
		}, "G2", "d2 answered"},
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
	})
}

// drainedOn has d1 flush a backend when b1 takes no users any more. The place that alice has then
// is drained after that, or for four seconds before it, and loses its vhosts in the end.
func drainedOn(s *story, flushed netip.Addr, drain float64) {
	place := placeWithout(b1)
	s.expire = end
	s.login("d1", calm, alice, b1)
	order := func(at float64, op Op) { s.order("d1", calm+sec(at), calm+sec(at+0.1), op) }
	order(0.5, Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	if drain < 40 {
		order(drain, Op{Kind: OpDrain, Backend: place})
		order(drain+4, Op{Kind: OpUndrain, Backend: place})
	}
	order(40, Op{Kind: OpFlush, Backend: flushed})
	s.add(FlushEnded{At(calm + sec(42)), s.lastID})
	if drain > 40 {
		order(drain, Op{Kind: OpDrain, Backend: place})
	}
	order(54, Op{Kind: OpUpdate, Backend: place, VHosts: 0})
	s.login("d2", calm+sec(56), alice, placeWithout(b1, place))
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
