package replica

import (
	"fmt"
	"hash/fnv"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// unguarded says in which plays a guard that is switched off shows.
var unguarded = []struct{ guard, plays string }{
	{"JoinersExclude", "pauses"},
	{"NoAdmission", "start"},
	{"NoAskAgain", "dead"},
	{"NoBarrier", "table"},
	{"NoClockCheck", "clocks"},
	{"NoDownExpiry", "relay"},
	{"NoEndOfLife", "rows"},
	{"NoFreshness", "split words"},
	{"NoGapCheck", "table split dead"},
	{"NoGoingOn", "flush"},
	{"NoHold", "rows relay"},
	{"NoJoinerPositions", "start"},
	{"NoKickOnChange", "rows"},
	{"NoMajority", "pauses"},
	{"NoMarksFirst", "table"},
	{"NoOrderedTable", "split meet"},
	{"NoReleaseCheck", "rows"},
	{"NoRests", "start dead"},
	{"NoStrangers", "strangers"},
	{"NoThawCheck", "clocks"},
	{"NoWakeCheck", "table"},
	{"OneWayAdmission", "clocks meet"},
	{"RankByExactAge", "meet"},
}

// TestTranscriptsUnguarded plays some without a guard and compares where the directors then do
// something else. It is not said in full: what counts is that the guard makes this difference.
func TestTranscriptsUnguarded(t *testing.T) {
	var text strings.Builder
	guarded := make(map[string]string)
	for _, u := range unguarded {
		for name := range strings.FieldsSeq(u.plays) {
			if guarded[name] == "" {
				guarded[name] = transcribe(t, name, Guards{})
			}
			got := transcribe(t, name, guardsWith(t, u.guard))
			fmt.Fprintf(&text, "%s, %s: %s\n", u.guard, name, parting(guarded[name], got))
		}
	}
	compareTranscript(t, filepath.Join("testdata/transcript", "unguarded.txt"), text.String())
}

// Each guard is in the list, or no play comes to where it matters: others show that these do.
func TestGuardsOfTranscripts(t *testing.T) {
	others := []string{
		"MoveAllStamps", "NoBarrierToJoin", "NoClockLeash", "NoContactCheck", "NoFailedLimit",
		"NoFactorPause", "NoFreeze", "NoNewLook", "NoPinMoves", "NoTaskCheck", "NoRowCheck",
		"NoVerdictLimit",
	}
	for i := range reflect.TypeFor[Guards]().NumField() {
		name := reflect.TypeFor[Guards]().Field(i).Name
		listed := slices.ContainsFunc(unguarded,
			func(u struct{ guard, plays string }) bool { return u.guard == name })
		if listed == slices.Contains(others, name) {
			t.Errorf("Guards.%s: in the list: %v", name, listed)
		}
	}
}

// parting says where two transcripts part, and sums up the second from there on.
func parting(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	at := 0
	for at < min(len(as), len(bs)) && as[at] == bs[at] {
		at++
	}
	if a == b {
		return "nothing differs"
	}
	sum := fnv.New32a()
	fmt.Fprint(sum, bs[at:])
	return fmt.Sprintf("from line %d on, sum %08x\n- %s\n+ %s", at+1, sum.Sum32(),
		strings.Join(as[at:min(at+2, len(as))], "\n- "),
		strings.Join(bs[at:min(at+2, len(bs))], "\n+ "))
}
