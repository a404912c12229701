package sim

import (
	"time"
)

// Kinds about clocks: wall clocks that differ, drift and step, hosts that stand still, and long
// times.

// wallOffsets are what wall clocks are apart by: on either side of where a vote is cut, and what a
// wrong time zone or a dead battery makes of one.
var wallOffsets = []time.Duration{
	0, 0, 0, 9 * time.Second, -9 * time.Second, 11 * time.Second, -11 * time.Second,
	20 * time.Second, -20 * time.Second,
	3 * time.Hour, -3 * time.Hour,
}

// walls gives each director a wall clock; most are right to some milliseconds.
func (g *generator) walls(wrong int) {
	g.s.Clocks.Skew = 0 // walls tell it all
	g.s.Clocks.Walls = make([]Wall, g.s.Directors)
	for i := range g.s.Clocks.Walls {
		g.s.Clocks.Walls[i].Off = g.between(-20*time.Millisecond, 20*time.Millisecond)
	}
	for range wrong {
		g.s.Clocks.Walls[g.director()].Off = wallOffsets[g.IntN(len(wallOffsets))]
	}
	if g.chance(0.3) {
		g.s.Clocks.Walls[g.director()].Drift = []float64{1e-3, -1e-3, 1e-2, -1e-2}[g.IntN(4)]
	}
}

// wallClocks has directors whose wall clocks differ or are set while they run; links are cut and
// heal meanwhile.
func wallClocks(seed uint64) Schedule {
	g := draw(seed, "walls", 2, 60*time.Second)
	g.s.Directors = 2 + g.IntN(5)
	g.users(10 + g.IntN(20))
	g.walls(1 + g.IntN(g.s.Directors))
	g.s.ColdStart = g.chance(0.5)
	for range g.IntN(4) {
		g.add(Action{
			At: g.during(), Kind: StepWall, Director: g.director(),
			Extra: wallOffsets[g.IntN(len(wallOffsets))],
		})
	}
	switch d := g.director(); g.IntN(4) {
	case 0:
		g.apart(g.during(), g.between(time.Second, 25*time.Second), []int{d}, g.others(d))
	case 1:
		g.apart(g.during(), g.between(time.Second, 25*time.Second), []int{d}, []int{g.director()})
	case 2:
		g.add(Action{
			At: g.during(), Kind: Crash, Director: d,
			For: g.between(300*time.Millisecond, 10*time.Second),
		})
	}
	g.logins(150, warmUp, g.active)
	g.changes(6, warmUp+5*time.Second, g.active)
	return g.finish()
}

// steadyClocks is a mesh that nothing disturbs, for a long time: mesh time stays with the wall
// clocks.
func steadyClocks(seed uint64) Schedule {
	g := draw(seed, "steady", []int{2, 3, 5}[seed%3], 20*time.Minute)
	g.users(5)
	g.walls(0)
	for i := range g.s.Clocks.Walls {
		g.s.Clocks.Walls[i] = Wall{Off: g.between(-2*time.Millisecond, 2*time.Millisecond)}
	}
	g.s.Network.Jitter = 2 * time.Millisecond
	g.s.Clocks.Drift = 20e-6
	g.s.Demands.Offset = 20 * time.Millisecond
	g.s.Idle = []Span{{60 * time.Second, g.active - 20*time.Second}} // nobody waits any more
	g.logins(20, warmUp, 20*time.Second)
	return g.finish()
}

// strayDirector starts out of reach of a mesh, with a wrong clock, serves alone, and meets the
// mesh.
func strayDirector(seed uint64) Schedule {
	g := draw(seed, "stray", 3, 70*time.Second)
	g.s.Directors = 2 + g.IntN(4)
	stray := g.s.Directors - 1
	g.users(10 + g.IntN(20))
	g.walls(0)
	offs := []time.Duration{
		30 * time.Second, 2 * time.Hour, -2 * time.Hour, -26 * 365 * 24 * time.Hour,
		40 * time.Minute, -40 * time.Minute, 4 * time.Second,
	}
	g.s.Clocks.Walls[stray] = Wall{Off: offs[g.IntN(len(offs))]}
	g.s.StartAt = make([]time.Duration, g.s.Directors)
	for i := 1; i < g.s.Directors; i++ {
		g.s.StartAt[i] = g.between(0, time.Second)
	}
	meets := g.between(8*time.Second, 20*time.Second)
	g.apart(0, meets, []int{stray}, g.others(stray))
	g.logins(20, 4*time.Second, meets)
	if g.chance(0.7) {
		g.changes(3, 4*time.Second, meets)
	}
	g.logins(100, meets, g.active)
	g.changes(8, meets+12*time.Second, g.active)
	return g.finish()
}

// frozenHosts stand still with all their clocks, one or all together, while users are moved at the
// others; or while a split goes on.
func frozenHosts(seed uint64) Schedule {
	if seed%3 == 0 {
		return frozenApart(seed)
	}
	g := draw(seed, "frozen", 2+int(seed%4), 70*time.Second)
	g.s.Expire = time.Minute
	g.users(20)
	g.logins(40, warmUp, 20*time.Second)
	hosts := []int{g.director()}
	if g.chance(0.3) {
		hosts = g.others()
	}
	at, length := 25*time.Second, []time.Duration{
		700 * time.Millisecond, 3 * time.Second, 7 * time.Second, 30 * time.Second,
	}[g.IntN(4)]
	g.add(Action{At: at, Kind: Freeze, From: hosts, For: length})
	g.changes(6, at, at+length)
	for range 30 {
		g.add(Action{
			At: at + length + g.between(-time.Second, time.Second), Kind: Login,
			Director: g.director(), User: g.user(),
		})
		g.add(Action{
			At: at + length + g.between(0, 30*time.Millisecond), Kind: Login, Director: hosts[0],
			User: g.user(),
		})
	}
	g.logins(60, at+length, g.active)
	return g.finish()
}

// splitForDays cuts a mesh in two for hours, now and then for days, in which directors may die.
func splitForDays(seed uint64) Schedule {
	if seed%3 == 0 {
		return diesInDays(seed)
	}
	return livesForDays(seed)
}

// livesForDays has all live through a split for hours or days; the wall clocks are set anew
// meanwhile, both sides change the table, and the links come back one by one.
func livesForDays(seed uint64) Schedule {
	length := []time.Duration{time.Hour, 3 * time.Hour, 8 * time.Hour, 26 * time.Hour}[seed%4]
	g := draw(seed, "days", 2+int(seed/4%3), length+3*time.Minute)
	g.users(8)
	g.walls(g.IntN(2))
	at := 30 * time.Second
	side := 1 + g.IntN(g.s.Directors-1)
	for i := range side {
		for j := side; j < g.s.Directors; j++ {
			g.apart(at, length+g.between(0, 5*time.Second), []int{i}, []int{j})
		}
	}
	for i := range g.s.Directors {
		if g.chance(0.5) {
			g.add(Action{
				At: at + length/3, Kind: StepWall, Director: i,
				Extra: g.between(-30*time.Second, 30*time.Second),
			})
		}
	}
	g.s.Idle = []Span{{at + 40*time.Second, at + length - 30*time.Second}}
	g.logins(20, warmUp, at)
	g.changes(4, at+10*time.Second, at+25*time.Second)
	g.changes(4, at+length-25*time.Second, at+length)
	g.logins(40, at+length-25*time.Second, g.active)
	return g.finish()
}

// longExpiry asks for users at the end of mappings that live for a quarter of an hour, while their
// places change.
func longExpiry(seed uint64) Schedule {
	g := draw(seed, "expiry", 2+int(seed%3), 17*time.Minute+30*time.Second)
	g.s.Expire = 15 * time.Minute
	const life = 15*time.Minute + 45*time.Second
	g.users(30)
	from := 20 * time.Second
	for u := range g.s.Users {
		at := from + g.between(0, 10*time.Second)
		g.add(Action{At: at, Kind: Login, Director: g.director(), User: u})
		for range 6 {
			g.add(Action{
				At: at + life + g.between(-12*time.Second, time.Second), Kind: Login,
				Director: g.director(), User: u,
			})
		}
	}
	g.s.Idle = []Span{{75 * time.Second, from + life - 30*time.Second}}
	g.changes(3, from+11*time.Second, 40*time.Second)
	g.changes(5, from+life-20*time.Second, from+life)
	if d := g.director(); g.chance(0.4) {
		g.add(Action{
			At: from + life - g.between(5*time.Second, 25*time.Second), Kind: Crash, Director: d,
			For: g.between(time.Second, 5*time.Second),
		})
	}
	return g.finish()
}
