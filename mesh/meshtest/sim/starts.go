package sim

import (
	"time"

	"directormesh/mesh/meshtest/check"
)

// slowStarts lets backends come into use again and again, so that they start slowly, while
// directors die or are cut off, and users are flushed. Some fail, as observers see them.
func slowStarts(seed uint64) Schedule {
	g := draw(seed, "starts", 1+int(seed%5), 150*time.Second)
	g.s.SlowStart = []time.Duration{5 * time.Second, 20 * time.Second, 50 * time.Second}[g.IntN(3)]
	g.s.Watches = g.chance(0.4)
	g.tags, g.s.Backends = nil, nil
	g.backends(3+g.IntN(2), 1, g.chance(0.2))
	g.users(40)
	disks := g.chance(0.2)
	if disks {
		g.s.Disks = Disks{On: true, Sync: g.between(time.Millisecond, 50*time.Millisecond)}
	}
	order := func(at time.Duration, op check.Op) {
		g.add(Action{At: at, Kind: Order, Director: g.director(), Op: op})
	}
	slow := func() time.Duration { // of the settings, or given
		return []time.Duration{0, 0, 0, check.AtOnce, 10 * time.Second, 30 * time.Second}[g.IntN(6)]
	}
	for range 4 + g.IntN(6) {
		at, i := g.between(warmUp, g.active-20*time.Second), g.IntN(len(g.tags))
		back := at + g.between(time.Second, 20*time.Second)
		b := backend(i)
		switch g.IntN(4) {
		case 0:
			order(at, check.Op{Kind: check.OpDown, Backend: b})
			order(back, check.Op{Kind: check.OpUp, Backend: b, Slow: slow()})
		case 1:
			order(at, check.Op{Kind: check.OpDrain, Backend: b})
			order(back, check.Op{Kind: check.OpUndrain, Backend: b, Slow: slow()})
		case 2:
			order(at, check.Op{Kind: check.OpUpdate, Backend: b})
			order(back, check.Op{
				Kind: check.OpUpdate, Backend: b, VHosts: 1 + g.IntN(100), Slow: slow(),
			})
		case 3:
			order(at, check.Op{Kind: check.OpRemove, Backend: b})
			order(back, check.Op{
				Kind: check.OpAdd, Backend: b, Tag: g.tags[i], VHosts: -1, Slow: slow(),
			})
		}
	}
	for range g.IntN(3) {
		order(g.between(warmUp, g.active), check.Op{Kind: check.OpFlush})
	}
	for range g.IntN(4) {
		if g.s.Watches {
			g.add(Action{
				At: g.between(20*time.Second, g.active), Kind: Sick, Backend: g.IntN(len(g.tags)),
				For: g.between(time.Second, 40*time.Second),
			})
		}
	}
	for range g.IntN(3) {
		at, length := g.between(20*time.Second, g.active), g.between(time.Second, 20*time.Second)
		switch d := g.director(); {
		case disks:
		case g.chance(0.4):
			g.add(Action{At: at, Kind: Crash, Director: d, For: length})
		case g.chance(0.5):
			g.add(Action{At: at, Kind: Sleep, Director: d, For: length})
		default:
			g.apart(at, length, []int{d}, g.others(d))
		}
	}
	if disks {
		g.add(Action{
			At: g.between(30*time.Second, 100*time.Second), Kind: AllDie,
			For: g.between(0, 5*time.Second), Power: g.chance(0.5), Silent: g.chance(0.5),
		})
		g.quietStarts()
	}
	g.logins(400, warmUp, g.active)
	g.s.End += g.s.SlowStart // none goes on when tables are compared
	return g.finish()
}
