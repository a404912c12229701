package sim

import (
	"math/rand/v2"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// Schedules that aim at one guard each. They have little else going on, so that a breach says
// something about the guard.

// calm is when a mesh that nothing disturbs has settled, so that nothing excuses anything.
const calm = 15 * time.Second

// target draws the settings of a calm mesh of five.
func target(seed uint64, active time.Duration) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0x746172676574)), active: active}
	g.s = Schedule{
		Seed: seed, Directors: 5, Expire: 10 * time.Second, KickDelay: 100 * time.Millisecond,
		Parallel: 20,
		Network: Network{
			Delay: time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.2,
			PushPull: 5 * time.Second,
		},
		Clocks: Clocks{Skew: 5 * time.Second, Drift: 50e-6},
		End:    active + 20*time.Second,
	}
	g.backends(4, 0, false)
	return g
}

// changeOfPlaces is a table operation that moves many users' places.
func (g *generator) changeOfPlaces() check.Op {
	return check.Op{
		Kind: check.OpUpdate, Backend: backend(g.IntN(len(g.tags))),
		VHosts: []int{0, 2, 20, 150}[g.IntN(4)],
	}
}

// newcomers has users log in for the first time, everywhere around a time.
func (g *generator) newcomers(at time.Duration, n int, width time.Duration) {
	for range n {
		g.users(1)
		u := len(g.s.Users) - 1
		for range 4 {
			g.add(Action{
				At: at + g.between(-width, width), Kind: Login, Director: g.director(), User: u,
			})
		}
	}
}

// barrierStorm changes places while users log in for the first time.
func barrierStorm(seed uint64) Schedule {
	g := target(seed, 25*time.Second)
	for at := calm; at < g.active; at += time.Second {
		g.add(Action{At: at, Kind: Order, Director: g.director(), Op: g.changeOfPlaces()})
		g.newcomers(at, 20, 60*time.Millisecond)
	}
	return g.finish()
}

// edgeStorm changes places just before mappings end, and asks for their users within width of the
// end. Clocks that started up to 5 s apart are up to half a second apart then: the rest of whole
// seconds.
func edgeStorm(seed uint64, users int, width time.Duration) Schedule {
	g := target(seed, 70*time.Second)
	g.s.Network.Jitter = 2 * time.Millisecond
	const life = 30 * time.Second // expire time and share
	for range users {
		g.users(1)
		u, at := len(g.s.Users)-1, g.between(calm, 30*time.Second)
		g.add(Action{At: at, Kind: Login, Director: g.director(), User: u})
		// Recorded activity is cut to quarter seconds, so the end comes early by up to that.
		end := at + life + g.between(-250*time.Millisecond, 0)
		for range 8 {
			g.add(Action{
				At: end + g.between(-width, width), Kind: Login, Director: g.director(), User: u,
			})
		}
	}
	const least, most = 100 * time.Millisecond, time.Second
	for at := 31 * time.Second; at < 65*time.Second; at += g.between(least, most) {
		g.add(Action{At: at, Kind: Order, Director: g.director(), Op: g.changeOfPlaces()})
	}
	return g.finish()
}

// moveStorm moves users while they log in.
func moveStorm(seed uint64) Schedule {
	g := target(seed, 35*time.Second)
	g.s.Expire = time.Minute
	g.users(30)
	for u := range g.s.Users {
		g.add(Action{
			At: calm + g.between(0, time.Second), Kind: Login, Director: g.director(), User: u,
		})
	}
	for at := calm + 2*time.Second; at < g.active; at += 300 * time.Millisecond {
		u := g.user()
		op := check.Op{
			Kind: check.OpMove, User: g.s.Users[u], Backend: backend(g.IntN(len(g.tags))),
		}
		g.add(Action{At: at, Kind: Order, Director: g.director(), Op: op})
		for range 20 {
			g.add(Action{
				At: at + g.between(0, 200*time.Millisecond), Kind: Login, Director: g.director(),
				User: u,
			})
		}
	}
	return g.finish()
}

// releaseStorm moves users again as soon as they were released, by another director, while some
// streams are slow: so that releases come late.
func releaseStorm(seed uint64) Schedule {
	g := target(seed, 55*time.Second)
	g.s.Expire = time.Minute
	g.users(10)
	for range 8 {
		g.add(Action{
			At: calm, Kind: Slow, Director: g.director(), Peer: g.director(),
			Extra: 1500 * time.Millisecond, For: 30 * time.Second,
		})
	}
	for u := range g.s.Users {
		g.add(Action{
			At: calm + g.between(0, time.Second), Kind: Login, Director: g.director(), User: u,
		})
		const least, most = 100 * time.Millisecond, 2 * time.Second
		for at := calm + 2*time.Second; at < g.active; at += g.between(least, most) {
			op := check.Op{
				Kind: check.OpMove, User: g.s.Users[u], Backend: backend(g.IntN(len(g.tags))),
			}
			g.add(Action{At: at, Kind: Order, Director: g.director(), Op: op})
			for range 6 {
				g.add(Action{
					At: at + g.between(0, 3*time.Second), Kind: Login, Director: g.director(),
					User: u,
				})
			}
		}
	}
	return g.finish()
}

// isolate cuts a director off both ways.
func (g *generator) isolate(at, length time.Duration, director int) {
	var others []int
	for i := range g.s.Directors {
		if i != director {
			others = append(others, i)
		}
	}
	g.add(Action{At: at, Kind: Cut, From: []int{director}, To: others, For: length})
	g.add(Action{At: at, Kind: Cut, From: others, To: []int{director}, For: length})
}

// gapStorm cuts a director off for longer than logs are kept, while users come and then places
// change, and asks it for these users when it is back; what would repair its gap comes slowly.
func gapStorm(seed uint64) Schedule {
	g := target(seed, 85*time.Second)
	g.s.Expire, g.s.ChunkRows = 5*time.Minute, 20
	away := g.s.Directors - 1
	g.isolate(calm, 45*time.Second, away)
	for range 400 {
		g.users(1)
		g.add(Action{
			At: calm + g.between(6*time.Second, 9*time.Second), Kind: Login, Director: g.IntN(away),
			User: len(g.s.Users) - 1,
		})
	}
	for i := range 2 {
		g.add(Action{
			At: calm + time.Duration(38+i)*time.Second, Kind: Order, Director: g.IntN(away),
			Op: g.changeOfPlaces(),
		})
	}
	for i := range away {
		// One way more than 4 s slower makes the directors' clocks seem 2 s apart; then they go on
		// as if they had not met.
		g.add(Action{At: calm + 44*time.Second, Kind: Slow, Director: i, Peer: away,
			Extra: 3 * time.Second, For: 20 * time.Second})
	}
	for u := range g.s.Users { // once each: afterwards the director has a row of its own
		g.add(Action{
			At: calm + 45*time.Second + g.between(4*time.Second, 20*time.Second), Kind: Login,
			Director: away, User: u,
		})
	}
	return g.finish()
}

// wakeStorm lets a director sleep through changes of places and asks it at once when it wakes.
func wakeStorm(seed uint64) Schedule {
	g := target(seed, 60*time.Second)
	for at := calm; at < 50*time.Second; at += 24 * time.Second {
		asleep := g.director()
		g.add(Action{At: at, Kind: Sleep, Director: asleep, For: 7500 * time.Millisecond})
		g.add(Action{
			At: at + 500*time.Millisecond, Kind: Order, Director: (asleep + 1) % g.s.Directors,
			Op: g.changeOfPlaces(),
		})
		for range 40 {
			g.users(1)
			u := len(g.s.Users) - 1
			g.add(Action{
				At: at + g.between(6800*time.Millisecond, 7400*time.Millisecond), Kind: Login,
				Director: (asleep + 1 + g.IntN(4)) % 5, User: u,
			})
			g.add(Action{At: at + 7400*time.Millisecond, Kind: Login, Director: asleep, User: u})
			g.add(Action{
				At: at + 7505*time.Millisecond + g.between(0, 50*time.Millisecond), Kind: Login,
				Director: asleep, User: u,
			})
		}
	}
	return g.finish()
}

// joinStorm restarts a director while places change and users come, to it and to others.
func joinStorm(seed uint64) Schedule {
	g := target(seed, 60*time.Second)
	for at := calm; at < 50*time.Second; at += 20 * time.Second {
		joiner := 1 + g.IntN(4)
		g.add(Action{At: at, Kind: Crash, Director: joiner, For: time.Second})
		for t := 1200 * time.Millisecond; t < 4*time.Second; t += 150 * time.Millisecond {
			g.add(Action{
				At: at + t, Kind: Order, Director: (joiner + 1) % 5, Op: g.changeOfPlaces(),
			})
			for range 4 {
				g.users(1)
				u := len(g.s.Users) - 1
				g.add(Action{
					At: at + t + g.between(-50*time.Millisecond, 100*time.Millisecond), Kind: Login,
					Director: joiner, User: u,
				})
				for range 2 {
					g.add(Action{
						At:   at + t + g.between(-50*time.Millisecond, 100*time.Millisecond),
						Kind: Login, Director: g.director(), User: u,
					})
				}
			}
		}
	}
	return g.finish()
}

// splitStorm lets two sides answer differently, and heals the mesh.
func splitStorm(seed uint64) Schedule {
	g := target(seed, 40*time.Second)
	g.s.Expire = 5 * time.Minute
	g.s.End = g.active + Quiet
	alone := g.director()
	g.isolate(calm, 15*time.Second, alone)
	g.add(Action{
		At: calm + 7*time.Second, Kind: Order, Director: (alone + 1) % 5, Op: g.changeOfPlaces(),
	})
	for range 40 {
		g.users(1)
		u := len(g.s.Users) - 1
		g.add(Action{
			At: calm + g.between(8*time.Second, 13*time.Second), Kind: Login, Director: alone,
			User: u,
		})
		g.add(Action{
			At: calm + g.between(8*time.Second, 13*time.Second), Kind: Login,
			Director: (alone + 1 + g.IntN(4)) % 5, User: u,
		})
	}
	return g.finish()
}

// downStorm keeps asking for users on a backend that is down.
func downStorm(seed uint64) Schedule {
	g := target(seed, 70*time.Second)
	g.users(20)
	for u := range g.s.Users {
		const least, most = 2 * time.Second, 6 * time.Second
		for at := calm + g.between(0, time.Second); at < g.active; at += g.between(least, most) {
			g.add(Action{At: at, Kind: Login, Director: g.director(), User: u})
		}
	}
	g.add(Action{
		At: calm + 5*time.Second, Kind: Order, Director: g.director(),
		Op: check.Op{Kind: check.OpDown, Backend: backend(g.IntN(4))},
	})
	return g.finish()
}

// forgetStorm forgets users whose place is another by now.
func forgetStorm(seed uint64) Schedule {
	g := target(seed, 40*time.Second)
	g.s.Expire = time.Minute
	g.users(60)
	for u := range g.s.Users {
		g.add(Action{
			At: calm + g.between(0, 3*time.Second), Kind: Login, Director: g.director(), User: u,
		})
		for range 4 {
			g.add(Action{
				At: calm + g.between(7*time.Second, 15*time.Second), Kind: Login,
				Director: g.director(), User: u,
			})
		}
	}
	for i := range 2 {
		g.add(Action{
			At: calm + time.Duration(4+i)*time.Second, Kind: Order, Director: g.director(),
			Op: g.changeOfPlaces(),
		})
	}
	g.add(Action{
		At: calm + g.between(6*time.Second, 8*time.Second), Kind: Order, Director: g.director(),
		Op: check.Op{Kind: check.OpForget},
	})
	return g.finish()
}

// failStorm lets one backend after the other fail, each for long.
func failStorm(seed uint64) Schedule {
	g := target(seed, 150*time.Second)
	g.s.Watches = true
	g.users(20)
	for i := range 3 {
		g.add(Action{
			At: calm + time.Duration(i)*25*time.Second, Kind: Sick, Backend: i,
			For: 80 * time.Second,
		})
	}
	g.logins(100, calm, g.active)
	return g.finish()
}

// apartStorm cuts one director off from all others. It sees a backend fail, and they another one.
func apartStorm(seed uint64) Schedule {
	g := target(seed, 120*time.Second)
	g.s.Watches = true
	g.known(10)
	alone := g.director()
	g.apart(calm, 60*time.Second, []int{alone}, g.others(alone))
	g.add(Action{At: calm, Kind: Sick, Backend: 0, From: []int{alone}, For: 60 * time.Second})
	g.add(Action{At: calm, Kind: Sick, Backend: 1, From: g.others(alone), For: 60 * time.Second})
	return g.finish()
}

// drainStorm moves users by hand, off a backend that is drained over some time, and to it.
func drainStorm(seed uint64) Schedule {
	g := target(seed, 50*time.Second)
	g.s.Expire, g.s.End = 5*time.Minute, g.active+Quiet
	g.users(40)
	g.loginsAt(calm, calm+time.Second, g.others()...)
	drained := backend(0)
	g.add(Action{
		At: calm + 2*time.Second, Kind: Order, Director: g.director(),
		Op: check.Op{Kind: check.OpDrain, Backend: drained, Over: 20 * time.Second},
	})
	for at := calm + 4*time.Second; at < calm+25*time.Second; at += 300 * time.Millisecond {
		g.add(Action{At: at, Kind: Order, Director: g.director(), Op: check.Op{
			Kind: check.OpMove, User: g.s.Users[g.user()], Backend: backend(g.IntN(len(g.tags))),
		}})
	}
	g.logins(300, calm+5*time.Second, calm+35*time.Second)
	return g.finish()
}

// pinStorm pins users to a backend while it takes none, and lets it take some.
func pinStorm(seed uint64) Schedule {
	g := target(seed, 30*time.Second)
	g.s.Expire, g.s.End = 5*time.Minute, g.active+Quiet
	g.users(20)
	g.loginsAt(calm, calm+time.Second, g.others()...)
	order := func(at time.Duration, op check.Op) {
		g.add(Action{At: at, Kind: Order, Director: g.director(), Op: op})
	}
	order(calm+2*time.Second, check.Op{Kind: check.OpDown, Backend: backend(0)})
	for _, u := range g.s.Users {
		order(g.between(calm+3*time.Second, calm+5*time.Second),
			check.Op{Kind: check.OpPin, User: u, Backend: backend(0)})
	}
	order(calm+6*time.Second, check.Op{Kind: check.OpUp, Backend: backend(0)})
	g.logins(100, calm+3*time.Second, calm+15*time.Second)
	return g.finish()
}

// burdenStorm has the load of backends turn all the time; one of them is drained for a while.
func burdenStorm(seed uint64) Schedule {
	g := target(seed, 150*time.Second)
	g.s.Expire, g.s.End = 10*time.Second, g.active+Quiet
	g.s.Balance = replica.Balance{Mode: wire.BalanceOn, Source: wire.ProxySessions}
	g.users(20)
	for at := calm; at < g.active; at += 15 * time.Second {
		g.add(Action{
			At: at, Kind: Burden, Backend: g.IntN(len(g.tags)), Load: uint64(1 + g.IntN(3000)),
		})
	}
	drained := backend(0)
	order := func(at time.Duration, op check.Op) {
		g.add(Action{At: at, Kind: Order, Director: g.director(), Op: op})
	}
	order(calm+60*time.Second, check.Op{Kind: check.OpDrain, Backend: drained})
	order(calm+90*time.Second, check.Op{Kind: check.OpUndrain, Backend: drained})
	g.logins(100, calm, g.active)
	return g.finish()
}
