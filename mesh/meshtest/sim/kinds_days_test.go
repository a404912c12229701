package sim

import (
	"testing"

	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/wire"
)

// All that may happen to a director that dies in a long split happens within some schedules: on
// either side, with its data directory and without, back on its side or gone over to the other one,
// and a mate that forgets users before it dies too.
func TestDeathsInALongSplit(t *testing.T) {
	met := make(map[string]int)
	for n := range uint64(60) {
		s := diesInDays(3 * (n + 1))
		dead := make(map[int]bool)
		forgets := false
		for _, a := range s.Actions {
			switch a.Kind {
			case Crash:
				dead[a.Director] = true
				met["keeps its disk"] += count(!a.Wiped)
				met["loses its disk"] += count(a.Wiped)
				met["loses power"] += count(a.Power)
				met["forgets before"] += count(forgets)
			case Order:
				forgets = forgets || a.Op.Kind == check.OpForget
			case StepWall:
				met["goes ahead"] += count(a.Extra > 0)
				met["falls behind"] += count(a.Extra < 0)
			}
		}
		met["one dies"] += count(len(dead) == 1)
		met["two die"] += count(len(dead) == 2)
		if len(dead) == 0 || len(dead) > 2 {
			t.Errorf("seed %d: %d directors die", 3*(n+1), len(dead))
		}
	}
	for _, what := range []string{
		"keeps its disk", "loses its disk", "loses power", "forgets before", "goes ahead",
		"falls behind", "one dies", "two die",
	} {
		if met[what] == 0 {
			t.Errorf("none of them: %s", what)
		}
	}
}

func count(happens bool) int {
	if happens {
		return 1
	}
	return 0
}

// A start finds nothing of what was on a disk that was wiped.
func TestWipedDisk(t *testing.T) {
	k := disk{messages: []wire.Message{&wire.Mark{MeshTime: 7}}, written: 3}
	if k.found() == nil {
		t.Fatal("nothing is found before, the test shows nothing")
	}
	if k.wipe(); k.found() != nil || len(k.onDisk()) != 0 || k.written != 3 {
		t.Errorf("left: %+v", k)
	}
}
