package check

import "testing"

// TestRemains judges what a director answers in a new mesh that was about to join one which ended.
func TestRemains(t *testing.T) {
	before := New(rules)
	before.Event(Start{At(0), "d1"})
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
		c.Event(Start{At(sec(6)), "d1"})
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
