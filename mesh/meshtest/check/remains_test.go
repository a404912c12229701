package check

import (
	"net/netip"
	"testing"
)

// TestRemains judges what a director answers in a new mesh that was about to join one which ended.
func TestRemains(t *testing.T) {
	before := New(rules)
	before.Event(Start{At(0), "d1", 0})
	before.Event(Admin{At(sec(5)), 1, "d1", Op{Kind: OpMove, User: alice, Backend: b2}})
	tests := []struct {
		name    string
		follows *Checker
		at      float64 // seconds
		backend int
		fine    bool
	}{
		{"a row of a move", before, 12, 2, true},
		{"no move was to there", before, 12, 3, false},
		{"no row lives so long", before, 60, 2, false},
		{"nobody lived on", nil, 12, 2, false},
	}
	for _, test := range tests {
		c := New(rules)
		if test.follows != nil {
			c.Follows(test.follows, sec(7))
		}
		c.Event(Start{At(sec(6)), "d1", 0})
		c.Event(Synced{At(sec(10)), "d1", true, "", 2})
		c.Event(Lookup{At(sec(test.at)), 1, "d1", alice})
		answer := b2
		if test.backend == 3 {
			answer = b3
		}
		c.Event(Answer{At(sec(test.at)), 1, answer, false})
		if fine := len(c.Breaches()) == 0; fine != test.fine {
			t.Errorf("%s: %v", test.name, c.Breaches())
		}
	}
}

// TestRemainsThatAreMoved judges a lookup that waits in a new mesh, after a drain: that moves a
// user who is mapped since before the mesh ended, and gives the mapping a new life.
func TestRemainsThatAreMoved(t *testing.T) {
	for _, test := range []struct {
		name   string
		seenOn netip.Addr // before
		fine   bool
	}{
		{"a mapping that the drain moved", b1, true},
		{"one of another backend", b2, false},
	} {
		before := New(rules)
		before.Event(Start{At(0), "d1", 0})
		before.Event(Synced{At(sec(1)), "d1", true, "", 1})
		before.Event(Lookup{At(sec(5)), 1, "d1", alice})
		before.Event(Answer{At(sec(5)), 1, test.seenOn, false})
		c := New(rules)
		c.Follows(before, sec(7))
		for _, e := range []Event{
			Start{At(sec(7)), "d1", 0},
			Synced{At(sec(10)), "d1", true, "", 2},
			Admin{At(sec(45)), 1, "d1", Op{Kind: OpDrain, Backend: b1}},
			Done{At: At(sec(45)), ID: 1},
			Admin{At(sec(55)), 2, "d1", Op{Kind: OpUndrain, Backend: b1}},
			Done{At: At(sec(55)), ID: 2},
			Lookup{At(sec(70)), 3, "d1", alice},
			Answer{At(sec(75)), 3, b1, false},
		} {
			c.Event(e)
		}
		if fine := len(c.Breaches()) == 0; fine != test.fine {
			t.Errorf("%s: %v", test.name, c.Breaches())
		}
	}
}

// TestResumes judges what becomes of a user after all directors have gone on from their disks, with
// a flush that had not ended.
func TestResumes(t *testing.T) {
	for _, test := range []struct {
		name              string
		endedBefore, ends float64 // seconds, 0: never
		fine              bool
	}{
		{"a flush that goes on", 0, 0, true},
		{"one that had ended before", 6, 0, false},
		{"one that goes on and ends", 0, 11, false},
	} {
		before := New(rules)
		for _, e := range []Event{
			Start{At(0), "d1", 0},
			Synced{At(sec(1)), "d1", true, "", 1},
			Lookup{At(sec(4)), 1, "d1", alice},
			Answer{At(sec(4)), 1, b2, false},
			Admin{At(sec(5)), 1, "d1", Op{Kind: OpFlush}},
			Done{At: At(sec(5)), ID: 1},
		} {
			before.Event(e)
		}
		if test.endedBefore != 0 {
			before.Event(FlushEnded{At(sec(test.endedBefore)), 1})
		}
		c := New(rules)
		c.Follows(before, sec(7))
		c.Resumes(sec(6))
		c.Event(Start{At(sec(7)), "d1", 0})
		c.Event(Synced{At(sec(10)), "d1", true, "", 2})
		if test.ends != 0 {
			c.Event(FlushEnded{At(sec(test.ends)), 1})
		}
		for _, e := range []Event{
			Lookup{At(sec(15)), 3, "d1", alice},
			Answer{At(sec(15)), 3, b2, false},
			Lookup{At(sec(18)), 4, "d1", alice},
			Answer{At(sec(19)), 4, b1, false},
		} {
			c.Event(e)
		}
		if fine := len(c.Breaches()) == 0; fine != test.fine {
			t.Errorf("%s: %v", test.name, c.Breaches())
		}
	}
}

// TestInherits judges where users go in a new mesh, one director of which may have the table of one
// that ended.
func TestInherits(t *testing.T) {
	before := New(rules)
	before.Event(Start{At(0), "d1", 0})
	before.Event(Admin{At(sec(5)), 1, "d1", Op{Kind: OpDrain, Backend: b1}})
	before.Event(Done{At: At(sec(5)), ID: 1})
	before.Event(Admin{At(sec(6)), 2, "d1", Op{Kind: OpPin, User: alice, Backend: b3}})
	before.Event(Done{At: At(sec(6)), ID: 2})
	for _, test := range []struct {
		name     string
		inherits bool
		backend  netip.Addr
		fine     bool
	}{
		{"the configured place", true, b1, true},
		{"off a drained backend", true, placeWithout(b1), true},
		{"to where she is pinned", true, b3, true},
		{"off a backend that is not drained", false, placeWithout(b1), false},
		{"to where she is not pinned", false, b3, false},
	} {
		c := New(rules)
		c.Follows(before, sec(7))
		if test.inherits {
			c.Inherits()
		}
		c.Event(Start{At(sec(6)), "d1", 0})
		c.Event(Synced{At(sec(10)), "d1", true, "", 2})
		c.Event(Lookup{At(sec(60)), 1, "d1", alice})
		c.Event(Answer{At(sec(60)), 1, test.backend, false})
		if fine := len(c.Breaches()) == 0; fine != test.fine {
			t.Errorf("%s: %v", test.name, c.Breaches())
		}
	}
}
