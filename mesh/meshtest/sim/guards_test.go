package sim

import (
	"reflect"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica"
)

// guardTest is a guard and schedules that need it.
type guardTest struct {
	what     string
	guard    string // the field of replica.Guards or directory.Guards that switches it off
	generate func(seed uint64) Schedule
}

var guardTests = []guardTest{
	{"barrier", "NoBarrier", barrierStorm},
	{"order of table changes on streams", "NoOrderedTable", barrierStorm},
	{"end of life wait", "NoEndOfLife", edges(400, 30*time.Millisecond)},
	{"generation after a dead row", "ResetGeneration", edges(150, time.Second)},
	{"hold", "NoHold", moveStorm},
	{"release identity", "NoReleaseCheck", releaseStorm},
	{"gap means unsynced", "NoGapCheck", gapStorm},
	{"check after waking up", "NoWakeCheck", wakeStorm},
	{"admission of joiners", "NoAdmission", joinStorm},
	{"kick on change", "NoKickOnChange", splitStorm},
	{"no prolonging on down backends", "NoDownExpiry", downStorm},
	{"forgotten up to", "IgnoreForgotten", forgetStorm},
	{"strangers refuse each other", "NoStrangers", refusedMeshes},
	{"only fresh deltas and states", "NoFreshness", replays},
	{"rank by whole minutes", "RankByExactAge", severalFoundings},
	{"not synced when half a second off", "NoClockCheck", strayDirector},
	{"clocks of before a standstill do not count", "NoThawCheck", frozenApart},
	{"leash of mesh time", "NoClockLeash", apartWalls},
	{"a step moves one's own stamps", "MoveAllStamps", freezeStorm},
	{"going on with moves", "NoGoingOn", originStorm},
	{"rests of the logs of the dead", "NoRests", middleStorm},
	{"asking again for a rest", "NoAskAgain", deadStorm},
	{"a joiner's positions", "NoJoinerPositions", donorStorm},
	{"more than half", "NoMajority", deafStorm},
	{"admission both ways", "OneWayAdmission", awayStorm},
	{"joiners exclude nobody", "JoinersExclude", waitStorm},
	{"limit of failed backends", "NoFailedLimit", failStorm},
	{"contact before verdicts", "NoContactCheck", apartStorm},
	{"a drain asks where a user is by then", "NoTaskCheck", drainStorm},
	{"a drain looks again", "NoNewLook", drainStorm},
	{"pinned users are moved", "NoPinMoves", pinStorm},
	{"rows of before are compared", "NoRowCheck", rottenDisks},
	{"factors are frozen in a drain", "NoFreeze", burdenStorm},
	{"factors change seldom", "NoFactorPause", burdenStorm},
}

func edges(users int, width time.Duration) func(seed uint64) Schedule {
	return func(seed uint64) Schedule { return edgeStorm(seed, users, width) }
}

// caughtElsewhere are guards that no schedule can show, with the unit test that notices each.
var caughtElsewhere = map[string]string{
	// The table takes no harm: how many failed backends are out is another guard's to say.
	"NoVerdictLimit": "TestTooManyFailAtOnce",
	// One member must lack a table change just while another admits a joiner.
	"NoBarrierToJoin": "TestJoinerOfADividedTable",
	// A row must be replayed whose backend was forgotten since, where a newer one is.
	"NoMarksFirst": "TestReplayOfWhatIsForgotten",
}

// TestGuards switches each guard off, one at a time, and demands that the checker notices; and that
// it finds nothing wrong with the same schedules while the guard is on.
func TestGuards(t *testing.T) {
	const within = 20 // schedules
	for _, test := range guardTests {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= within; seed++ {
				if r := Run(test.generate(seed), nil); len(r.Breaches) > 0 {
					t.Errorf("seed %d, guard on: %v", seed, r.Breaches[0])
				}
				s := test.generate(seed)
				s.switchOff(test.guard)
				if r := Run(s, nil); len(r.Breaches) > 0 {
					t.Logf("seed %d, guard off: %v", seed, r.Breaches[0])
					return
				}
			}
			t.Errorf("guard off: no breach in %d schedules", within)
		})
	}
}

// switchOff switches a guard off by the name of its field.
func (s *Schedule) switchOff(guard string) {
	field := reflect.ValueOf(&s.Guards).Elem().FieldByName(guard)
	if !field.IsValid() {
		field = reflect.ValueOf(&s.Unguarded).Elem().FieldByName(guard)
	}
	field.SetBool(true)
}

// TestEveryGuardIsTested demands that each guard there is be switched off in a test, and no other.
func TestEveryGuardIsTested(t *testing.T) {
	tested := make(map[string]bool)
	for _, test := range guardTests {
		tested[test.guard] = true
	}
	for guard := range caughtElsewhere {
		tested[guard] = true
	}
	for _, guards := range []any{replica.Guards{}, directory.Guards{}} {
		for field := range reflect.TypeOf(guards).Fields() {
			if !tested[field.Name] {
				t.Errorf(
					"%T.%s: add it to guardTests with schedules that need it; if none can, to "+
						"caughtElsewhere with the unit test that notices", guards, field.Name)
			}
			delete(tested, field.Name)
		}
	}
	for guard := range tested {
		t.Errorf("there is no guard %s", guard)
	}
}
