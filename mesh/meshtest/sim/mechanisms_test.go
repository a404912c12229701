package sim

import (
	"time"

	"directormesh/mesh/meshtest/check"
)

// Storms that aim at what the mesh does about clocks, and directors that are dead, deaf or back.

func (g *generator) login(at time.Duration, director, user int) {
	g.add(Action{At: at, Kind: Login, Director: director, User: user})
}

func (g *generator) order(at time.Duration, director int, op check.Op) {
	g.add(Action{At: at, Kind: Order, Director: director, Op: op})
}

func (g *generator) slow(at time.Duration, from, to int, extra, length time.Duration) {
	g.add(Action{At: at, Kind: Slow, Director: from, Peer: to, Extra: extra, For: length})
}

func (g *generator) die(at time.Duration, director int) {
	g.add(Action{At: at, Kind: Crash, Director: director, Silent: true})
}

// known has n users log in before anything happens.
func (g *generator) known(n int) {
	g.users(n)
	for u := range g.s.Users {
		g.login(g.between(calm-3*time.Second, calm-time.Second), g.director(), u)
	}
}

// newAt has n users log in for the first time, at one director.
func (g *generator) newAt(n int, from, to time.Duration, director int) {
	for range n {
		g.users(1)
		g.login(g.between(from, to), director, len(g.s.Users)-1)
	}
}

// upheaval changes the places of most users: heavy backends become light, and light ones heavy.
func (g *generator) upheaval(at time.Duration, director int) {
	for i, b := range g.s.Backends {
		op := check.Op{Kind: check.OpUpdate, Backend: b.Addr, VHosts: 200}
		if b.VHosts > 50 {
			op.VHosts = 1
		}
		g.order(at+time.Duration(i)*100*time.Millisecond, director, op)
	}
}

// apartWalls has two directors that never meet, and one between them. Each of the two sees its own
// wall clock and that of the one between, which are 9 s apart, on either side.
func apartWalls(seed uint64) Schedule {
	g := target(seed, 9*time.Minute)
	g.s.Directors, g.s.End = 3, g.active+Quiet
	g.s.Clocks = Clocks{Walls: []Wall{{}, {Off: -9 * time.Second}, {Off: 9 * time.Second}}}
	second, third := g.between(0, time.Second), g.between(2*time.Second, 3*time.Second)
	g.s.StartAt = []time.Duration{0, second, third}
	g.s.Idle = []Span{{30 * time.Second, 8 * time.Minute}}
	g.known(20)
	g.apart(0, 8*time.Minute, []int{1}, []int{2})
	return g.finish()
}

// freezeStorm lets a host stand still while others undo what it knows of the table. It steps when
// it goes on, and must not take its old knowledge along.
func freezeStorm(seed uint64) Schedule {
	g := target(seed, 80*time.Second)
	g.s.Expire, g.s.End = 5*time.Minute, g.active+Quiet
	g.s.Directors = 3 + g.IntN(3)
	frozen := g.director()
	rest := g.others(frozen)
	g.known(20)
	for _, b := range g.s.Backends {
		for _, change := range []check.Op{
			{Kind: check.OpDown}, {Kind: check.OpUpdate, VHosts: 7},
			{Kind: check.OpUp}, {Kind: check.OpUpdate, VHosts: 90},
		} {
			at := g.between(0, 2*time.Second)
			if change.Kind == check.OpUp || change.VHosts == 90 {
				at += 25 * time.Second
			}
			change.Backend = b.Addr
			g.order(calm+at, rest[g.IntN(len(rest))], change)
		}
	}
	g.add(Action{
		At: calm + 5*time.Second, Kind: Freeze, From: []int{frozen}, For: 30 * time.Second,
	})
	return g.finish()
}

// originStorm kills the director that flushes. Whoever waits for one of its moves waits for its
// failure to be noticed, the kick delay and 2 s at most.
func originStorm(seed uint64) Schedule {
	g := target(seed, 60*time.Second)
	g.s.KickDelay, g.s.End = 2*time.Second, g.active+Quiet
	const noticed = 5500 * time.Millisecond
	g.s.Demands.Wait = noticed + g.s.KickDelay + 2*time.Second
	at := 20 * time.Second
	originator := g.flushed(60, 10, at)
	g.die(at+g.between(0, 4*time.Second), originator)
	return g.finish()
}

// deadStorm has a director tell all but one of its users, and die. The one that lacks them asks
// another one, which dies as well before the question comes, so that it must ask once more.
func deadStorm(seed uint64) Schedule {
	g := target(seed, 80*time.Second)
	g.s.Expire, g.s.End, g.s.Network.PushPull = 5*time.Minute, g.active+Quiet, 50*time.Second
	dead, lacking := 1+g.IntN(2), 3+g.IntN(2)
	rest := g.others(dead, lacking)
	at := calm + 6*time.Second
	g.slow(at-3*time.Second, dead, lacking, 30*time.Second, 20*time.Second)
	g.newAt(60, at-2500*time.Millisecond, at-500*time.Millisecond, dead)
	g.die(at, dead)
	for _, i := range rest {
		g.slow(at, lacking, i, 2*time.Second, 9*time.Second)
	}
	g.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	then := at + g.between(2500*time.Millisecond, 4500*time.Millisecond)
	for _, i := range rest[1:] {
		g.die(then, i)
	}
	changed := at + 14*time.Second
	g.upheaval(changed, rest[0])
	g.loginsAt(changed+2*time.Second, changed+8*time.Second, lacking)
	return g.finish()
}

// donorStorm has a joiner take its snapshot from a director that had been cut off from one that
// dies just before. What that one did the donor learns only later, and the joiner must learn it
// too.
func donorStorm(seed uint64) Schedule {
	g := target(seed, 80*time.Second)
	g.s.Expire, g.s.End, g.s.Network.PushPull = 5*time.Minute, g.active+Quiet, 50*time.Second
	g.s.Directors, g.s.Clocks.Skew = 4, 500*time.Millisecond
	const donor, middle, dead, joiner = 0, 1, 2, 3
	g.apart(calm, 40*time.Second, []int{donor}, []int{dead})
	at := calm + 15*time.Second
	g.newAt(60, at-6*time.Second, at-500*time.Millisecond, dead)
	g.die(at, dead)
	joins := at + g.between(100*time.Millisecond, 2*time.Second)
	g.add(Action{At: joins, Kind: JoinLater, Director: joiner})
	changed := at + 12*time.Second
	g.upheaval(changed, middle)
	g.loginsAt(changed+2*time.Second, changed+8*time.Second, joiner)
	return g.finish()
}

// deafStorm turns a director deaf that has just changed the table. It waits for everybody's
// confirmation in vain, and must not think that the fault is theirs.
func deafStorm(seed uint64) Schedule {
	g := target(seed, 60*time.Second)
	g.s.Directors, g.s.End = 3+g.IntN(3), g.active+Quiet
	g.known(20)
	deaf := g.director()
	g.s.Demands.Steady = g.others(deaf)
	length := g.between(8*time.Second, 14*time.Second)
	g.add(Action{At: calm, Kind: Deaf, Director: deaf, For: length})
	g.order(calm+time.Millisecond, deaf, g.changeOfPlaces())
	return g.finish()
}

// awayStorm splits a mesh for longer than is told of the dead, while a director answers on the one
// side and dies. What its side knows from it, activity of known users too, the other side must get.
func awayStorm(seed uint64) Schedule {
	const first, split, heal = 20 * time.Second, 90 * time.Second, 490 * time.Second
	const ends = first + 10*time.Minute + 30*time.Second // of a mapping of the first logins
	g := target(seed, 760*time.Second)
	g.s.Directors, g.s.Expire, g.s.End = 4, 10*time.Minute, g.active+Quiet
	g.users(30)
	g.loginsAt(first, first+time.Second, 0)
	g.apart(split, heal-split, []int{0, 1}, []int{2, 3})
	g.loginsAt(split+8*time.Second, split+12*time.Second, 3)
	g.die(split+15*time.Second, 3)
	g.upheaval(ends-15*time.Second, 1)
	g.loginsAt(ends+10*time.Second, ends+20*time.Second, 0, 1, 2)
	g.s.Idle = []Span{
		{split + 30*time.Second, heal - 10*time.Second},
		{heal + 30*time.Second, ends - 30*time.Second},
	}
	return g.finish()
}

// waitStorm has a joiner that does not hear one of the members for a while. That is no reason for
// the member to stop answering.
func waitStorm(seed uint64) Schedule {
	g := target(seed, 60*time.Second)
	g.s.End = g.active + Quiet
	g.known(20)
	joiner := 1 + g.IntN(4)
	rest := g.others(joiner)
	g.s.Demands.Steady = rest
	unheard := rest[g.IntN(len(rest))]
	const down = time.Second
	g.add(Action{At: calm, Kind: Crash, Director: joiner, For: down})
	g.add(Action{
		At: calm + down + time.Millisecond, Kind: Deaf, Director: joiner, From: []int{unheard},
		For: 8 * time.Second,
	})
	return g.finish()
}

// middleStorm is oneInTheMiddle with other delays.
func middleStorm(seed uint64) Schedule {
	s := oneInTheMiddle()
	s.Seed = seed
	return s
}
