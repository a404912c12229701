package sim

import (
	"slices"
	"time"
)

// allOnDisks gives all directors data directories, and kills all of them at once, up to three
// times, with or without the loss of power, while disks are slow now and then.
func allOnDisks(seed uint64) Schedule {
	g := draw(seed, "disks", 2+int(seed%4), 100*time.Second)
	g.s.Expire = []time.Duration{time.Minute, 5 * time.Minute}[g.IntN(2)]
	g.s.Disks = Disks{On: true, Sync: g.between(time.Millisecond, 50*time.Millisecond)}
	if g.chance(0.3) {
		g.s.Disks.Slow = 0.3
	}
	g.s.Disks.Rots = g.chance(0.3)
	g.users(20)
	for at := 15 * time.Second; at < g.active-15*time.Second; {
		at += g.between(0, 25*time.Second)
		g.add(Action{
			At: at, Kind: AllDie, For: g.between(0, 5*time.Second), Power: g.chance(0.5),
			Silent: g.chance(0.5),
		})
		at += 30 * time.Second
	}
	if g.chance(0.5) {
		for range 1 + g.IntN(3) {
			g.add(Action{
				At: g.during(), Kind: Crash, Director: g.director(), Power: g.chance(0.5),
				For: g.between(100*time.Millisecond, 15*time.Second), Silent: g.chance(0.5),
			})
		}
	}
	g.logins(200, warmUp, g.active)
	g.changes(15, warmUp, g.active)
	g.quietStarts()
	return g.finish()
}

// quietStarts takes out what would happen while all start together: what they hold is looked at
// when all are synced, before anything is asked of them.
func (g *generator) quietStarts() {
	var starts []Span
	for _, a := range g.s.Actions {
		if a.Kind == AllDie {
			starts = append(starts, Span{a.At, a.At + startOnDisks})
		}
	}
	g.s.Actions = slices.DeleteFunc(g.s.Actions, func(a Action) bool {
		return a.Kind != AllDie && slices.ContainsFunc(starts, func(s Span) bool {
			return a.At+a.For >= s.From && a.At <= s.To
		})
	})
}

// rottenDisks has old rows vanish from a disk each time that all die.
func rottenDisks(seed uint64) Schedule {
	s := allOnDisks(seed)
	s.Disks.Rots = true
	return s
}

// startOnDisks is within what directors that start together, each within five seconds, are synced.
const startOnDisks = 20 * time.Second
