package sim

import (
	"slices"
	"time"

	"directormesh/mesh/meshtest/check"
)

// meshesOf cuts a history wherever no director of a mesh lived any more. A director that lived on
// outside any mesh begins the next part.
func meshesOf(history []check.Event) (parts [][]check.Event) {
	var part []check.Event
	alive, members := make(map[string]bool), make(map[string]bool)
	founded := false
	for _, e := range history {
		part = append(part, e)
		switch e := e.(type) {
		case check.Start:
			alive[e.Director] = true
		case check.Synced:
			if e.Synced || e.Mesh != 0 {
				members[e.Director], founded = true, true
			}
		case check.Stop:
			delete(alive, e.Director)
			delete(members, e.Director)
			if founded && len(members) == 0 {
				parts = append(parts, part)
				part, founded = survivors(part, alive), false
			}
		}
	}
	if len(parts) > 0 && !slices.ContainsFunc(part, isStart) {
		parts[len(parts)-1] = append(parts[len(parts)-1], part...) // nobody lived any more
		return parts
	}
	return append(parts, part)
}

// firstStart is when the first director starts in a part of a history.
func firstStart(part []check.Event) time.Duration {
	return part[slices.IndexFunc(part, isStart)].When()
}

func isStart(e check.Event) bool { _, ok := e.(check.Start); return ok }

// survivors is what of a history those that live at its end, and had no part in the mesh, bring
// along: that they live, what they were asked, and whether they sleep.
func survivors(part []check.Event, alive map[string]bool) (rest []check.Event) {
	born := make(map[string]int)
	answered := make(map[uint64]bool)
	for i, e := range part {
		switch e := e.(type) {
		case check.Start:
			born[e.Director] = i
		case check.Answer:
			answered[e.ID] = true
		case check.Done:
			answered[e.ID] = true
		}
	}
	for i, e := range part {
		keep, name := false, ""
		switch e := e.(type) {
		case check.Start:
			keep, name = true, e.Director
		case check.Leave:
			keep, name = true, e.Director
		case check.Pause:
			keep, name = true, e.Director
		case check.Wake:
			keep, name = true, e.Director
		case check.Lookup:
			keep, name = !answered[e.ID], e.Director
		case check.Admin:
			keep, name = !answered[e.ID], e.Director
		case check.Fault:
			rest = append(rest, e)
		}
		if keep && alive[name] && i >= born[name] {
			rest = append(rest, e)
		}
	}
	return rest
}
