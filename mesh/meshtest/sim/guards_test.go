package sim

import (
	"testing"
	"time"
)

// TestGuards switches each guard off, one at a time, and demands that the checker notices; and that it finds nothing wrong with
// the same schedules while the guard is on.
func TestGuards(t *testing.T) {
	const within = 20 // schedules
	tests := []struct {
		guard    string
		off      func(s *Schedule)
		generate func(seed uint64) Schedule
	}{
		{"barrier", func(s *Schedule) { s.Guards.NoBarrier = true }, barrierStorm},
		{"order of table changes on streams", func(s *Schedule) { s.Guards.NoOrderedTable = true }, barrierStorm},
		{"end of life wait", func(s *Schedule) { s.Guards.NoEndOfLife = true }, func(seed uint64) Schedule { return edgeStorm(seed, 400, 30*time.Millisecond) }},
		{"generation after a dead row", func(s *Schedule) { s.Unguarded.ResetGeneration = true }, func(seed uint64) Schedule { return edgeStorm(seed, 150, time.Second) }},
		{"hold", func(s *Schedule) { s.Guards.NoHold = true }, moveStorm},
		{"release identity", func(s *Schedule) { s.Guards.NoReleaseCheck = true }, releaseStorm},
		{"gap means unsynced", func(s *Schedule) { s.Guards.NoGapCheck = true }, gapStorm},
		{"check after waking up", func(s *Schedule) { s.Guards.NoWakeCheck = true }, wakeStorm},
		{"admission of joiners", func(s *Schedule) { s.Guards.NoAdmission = true }, joinStorm},
		{"kick on change", func(s *Schedule) { s.Guards.NoKickOnChange = true }, splitStorm},
		{"no prolonging on down backends", func(s *Schedule) { s.Guards.NoDownExpiry = true }, downStorm},
		{"forgotten up to", func(s *Schedule) { s.Unguarded.IgnoreForgotten = true }, forgetStorm},
	}
	for _, test := range tests {
		t.Run(test.guard, func(t *testing.T) {
			t.Parallel()
			noticed := false
			for seed := uint64(1); seed <= within && !noticed; seed++ {
				if r := Run(test.generate(seed), nil); len(r.Breaches) > 0 {
					t.Errorf("seed %d, guard on: %v", seed, r.Breaches[0])
				}
				s := test.generate(seed)
				test.off(&s)
				if r := Run(s, nil); len(r.Breaches) > 0 {
					noticed = true
					t.Logf("seed %d, guard off: %v", seed, r.Breaches[0])
				}
			}
			if !noticed {
				t.Errorf("guard off: no breach in %d schedules", within)
			}
		})
	}
}
