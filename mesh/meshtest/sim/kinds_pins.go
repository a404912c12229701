package sim

import (
	"time"

	"directormesh/mesh/meshtest/check"
)

// pins pins and unpins users, while the backends that they are pinned to come and go, users are
// moved by hand and flushed, and directors die or are cut off; on disks all die at once now and
// then.
func pins(seed uint64) Schedule {
	g := draw(seed, "pins", 1+int(seed%5), 90*time.Second)
	g.s.Expire = []time.Duration{20 * time.Second, time.Minute, 5 * time.Minute}[g.IntN(3)]
	g.tags, g.s.Backends = nil, nil
	g.backends(3+g.IntN(2), 1, g.chance(0.3))
	g.users(20 + g.IntN(20))
	disks := g.chance(0.3)
	if disks {
		g.s.Disks = Disks{On: true, Sync: g.between(time.Millisecond, 50*time.Millisecond)}
	}
	var about []int // users who are pinned at some time
	order := func(at time.Duration, op check.Op) {
		g.add(Action{At: at, Kind: Order, Director: g.director(), Op: op})
	}
	for range 4 + g.IntN(8) {
		b := g.IntN(len(g.tags))
		u := g.userOf(b)
		if u < 0 {
			continue
		}
		about = append(about, u)
		at := g.between(8*time.Second, 60*time.Second)
		order(at, check.Op{
			Kind: check.OpPin, User: g.s.Users[u], Backend: backend(b), Wait: g.chance(0.3),
		})
		if g.chance(0.5) {
			order(at+g.between(0, 20*time.Second),
				check.Op{Kind: check.OpUnpin, User: g.s.Users[u]})
		}
		if g.chance(0.3) {
			order(at+g.between(-time.Second, 5*time.Second), check.Op{
				Kind: check.OpMove, User: g.s.Users[u], Backend: backend(b),
			})
		}
		g.rush(at, []int{u})
	}
	for range g.IntN(10) { // what makes pins count, and not count
		at := g.between(8*time.Second, 60*time.Second)
		b := backend(g.IntN(len(g.tags)))
		switch g.IntN(5) {
		case 4: // a standby, which comes into use when the others go
			i := g.IntN(len(g.tags))
			order(at, check.Op{
				Kind: check.OpAdd, Backend: backend(i), Tag: g.tags[i], VHosts: -1, Standby: true,
			})
		case 0:
			order(at, check.Op{Kind: check.OpDown, Backend: b})
			order(at+g.between(time.Second, 10*time.Second), check.Op{Kind: check.OpUp, Backend: b})
		case 1:
			order(at, check.Op{Kind: check.OpDrain, Backend: b})
			order(at+g.between(time.Second, 10*time.Second),
				check.Op{Kind: check.OpUndrain, Backend: b})
		case 2:
			op, _ := g.tableOp()
			order(at, op)
		case 3:
			order(at, check.Op{Kind: check.OpFlush})
		}
	}
	g.logins(150, 6*time.Second, g.active)
	for range g.IntN(15) {
		if len(about) > 0 {
			g.rush(g.between(8*time.Second, 80*time.Second), about)
		}
	}
	if disks {
		g.add(Action{
			At: g.between(30*time.Second, 50*time.Second), Kind: AllDie,
			For: g.between(0, 5*time.Second), Power: g.chance(0.5), Silent: g.chance(0.5),
		})
		g.quietStarts()
	} else {
		g.losesRunners(g.between(10*time.Second, 30*time.Second))
	}
	return g.finish()
}
