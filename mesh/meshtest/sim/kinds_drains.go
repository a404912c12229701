package sim

import (
	"time"

	"directormesh/mesh/meshtest/check"
)

// drains empties backends and rebalances, while the directors that do so die, leave or are cut off,
// users are moved by hand, and backends that users are moved to fail.
func drains(seed uint64) Schedule {
	g := draw(seed, "drains", 1+int(seed%5), 80*time.Second)
	g.s.Expire = []time.Duration{time.Minute, 5 * time.Minute}[g.IntN(2)]
	g.tags, g.s.Backends = nil, nil
	g.backends(3+g.IntN(2), 1, false)
	g.users(20 + g.IntN(60))
	for u := range g.s.Users {
		g.add(Action{
			At: g.between(8*time.Second, 14*time.Second), Kind: Login, Director: g.director(),
			User: u,
		})
	}
	order := func(at time.Duration, op check.Op) {
		g.add(Action{At: at, Kind: Order, Director: g.director(), Op: op})
	}
	at := 20 * time.Second
	over := func() time.Duration {
		if g.chance(0.5) {
			return 0
		}
		return g.between(2*time.Second, 15*time.Second)
	}
	order(at, check.Op{Kind: check.OpDrain, Backend: backend(0), Over: over()})
	g.logins(100, at-time.Second, at+40*time.Second)
	for range g.IntN(8) { // by hand, some of them to the backend that is drained
		order(at+g.between(-time.Second, 25*time.Second), check.Op{
			Kind: check.OpMove, User: g.s.Users[g.user()], Backend: backend(g.IntN(len(g.tags))),
		})
	}
	if g.chance(0.4) {
		order(at+g.between(time.Second, 10*time.Second),
			check.Op{Kind: check.OpUndrain, Backend: backend(0)})
		if g.chance(0.7) {
			order(at+g.between(11*time.Second, 20*time.Second),
				check.Op{Kind: check.OpDrain, Backend: backend(0), Over: over()})
		}
	}
	if g.chance(0.4) {
		order(at+g.between(0, 20*time.Second),
			check.Op{Kind: check.OpDrain, Backend: backend(1), Over: over()})
	}
	if g.chance(0.5) {
		order(at+g.between(0, 10*time.Second), check.Op{
			Kind: check.OpUpdate, Backend: backend(1 + g.IntN(2)), VHosts: 1 + g.IntN(50),
		})
		order(at+g.between(10*time.Second, 30*time.Second),
			check.Op{Kind: check.OpRebalance, Over: over()})
	}
	if g.chance(0.3) { // where the users go fails
		down := at + g.between(0, 10*time.Second)
		order(down, check.Op{Kind: check.OpDown, Backend: backend(2)})
		order(down+g.between(time.Second, 15*time.Second),
			check.Op{Kind: check.OpUp, Backend: backend(2)})
	}
	if g.chance(0.3) {
		order(at+g.between(0, 20*time.Second), check.Op{Kind: check.OpFlush})
	}
	g.losesRunners(at)
	return g.finish()
}

// losesRunners strikes those that carry out a drain: the directors with the lowest names.
func (g *generator) losesRunners(at time.Duration) {
	for i := range 1 + g.IntN(3) {
		then := at + time.Duration(i)*10*time.Second + g.between(0, 8*time.Second)
		lowest := min(i, g.s.Directors-1)
		switch g.IntN(6) {
		case 0, 1:
			g.add(Action{
				At: then, Kind: Crash, Director: lowest, Silent: g.chance(0.5),
				For: g.between(time.Second, 20*time.Second),
			})
		case 2:
			g.add(Action{
				At: then, Kind: Leave, Director: lowest,
				For: g.between(time.Second, 15*time.Second),
			})
		case 3:
			g.add(Action{
				At: then, Kind: Sleep, Director: lowest,
				For: g.between(2*time.Second, 12*time.Second),
			})
		case 4:
			if rest := g.others(lowest); len(rest) > 0 {
				g.apart(then, g.between(6*time.Second, 15*time.Second), []int{lowest}, rest)
			}
		}
	}
}
