package sim

import (
	"time"

	"directormesh/mesh/meshtest/check"
)

// Kinds about faults of links and processes.

// badLinks cuts pairs for long, flaps, or lets frames through in one direction only.
func badLinks(seed uint64) Schedule {
	g := draw(seed, "links", 2+int(seed%5), 80*time.Second)
	g.s.Demands.Sent = SentDemand{Before: 15 * time.Second, Times: 1.5}
	g.users(15)
	for range 1 + g.IntN(3) {
		a := g.director()
		rest := g.others(a)
		b := []int{rest[g.IntN(len(rest))]}
		if g.chance(0.3) {
			b = rest
		}
		at := g.between(15*time.Second, g.active)
		switch g.IntN(3) {
		case 0:
			g.apart(at, g.between(20*time.Second, 60*time.Second), []int{a}, b)
		case 1:
			const least, most = 500 * time.Millisecond, 9 * time.Second
			for t := at; t < at+30*time.Second; t += g.between(least, most) {
				g.apart(t, g.between(100*time.Millisecond, 7*time.Second), []int{a}, b)
			}
		default:
			g.add(Action{
				At: at, Kind: Cut, From: []int{a}, To: b,
				For: g.between(time.Second, 50*time.Second),
			})
		}
	}
	g.logins(150, warmUp, g.active)
	g.changes(10, warmUp+5*time.Second, g.active)
	return g.finish()
}

// flushed begins a flush of many users and has some of them log in meanwhile.
func (g *generator) flushed(users int, parallel int, at time.Duration) (originator int) {
	g.s.Expire, g.s.Parallel = 5*time.Minute, parallel
	g.users(users)
	n := g.s.Directors
	for u := 0; u < users; u += 40 { // a proxy asks for many in one write
		a := Action{
			At: g.between(10*time.Second, 14*time.Second), Kind: Login, Director: g.IntN(n),
			User: u,
		}
		for v := u + 1; v < min(u+40, users); v++ {
			a.Others = append(a.Others, v)
		}
		g.add(a)
	}
	originator = g.director()
	g.add(Action{
		At: at - 3*time.Second, Kind: Order, Director: g.director(),
		Op: check.Op{Kind: check.OpUpdate, Backend: backend(0), VHosts: 0},
	})
	g.add(Action{
		At: at, Kind: Order, Director: originator,
		Op: check.Op{Kind: check.OpFlush, Backend: backend(0)},
	})
	for range 80 {
		g.add(Action{
			At: at + g.between(0, 25*time.Second), Kind: Login, Director: g.director(),
			User: g.user(),
		})
	}
	return originator
}

// brokenFlushes loses the director that moves users: it dies between two holds, leaves, is wrongly
// failed by one peer, and the one that goes on may die as well.
func brokenFlushes(seed uint64) Schedule {
	g := draw(seed, "flushes", 2+int(seed%4), 70*time.Second)
	g.s.Asks = seed%2 == 0
	at := 20 * time.Second
	if g.chance(0.3) {
		g.s.Kickers.Slow = 0.5
	}
	g.s.Hook = g.chance(0.2)
	originator := g.flushed(20+g.IntN(60), 1+g.IntN(60), at)
	then := at + g.between(0, 3*time.Second)
	switch g.IntN(5) {
	case 0, 1: // what it sent last reaches some only
		for _, i := range g.others(originator) {
			if g.chance(0.5) {
				g.add(Action{
					At: at - time.Second, Kind: Slow, Director: originator, Peer: i,
					Extra: 2 * time.Second, For: 8 * time.Second,
				})
			}
		}
		g.add(Action{
			At: then, Kind: Crash, Director: originator, Silent: g.chance(0.7),
			For: g.between(time.Second, 20*time.Second),
		})
	case 2:
		g.add(Action{
			At: then, Kind: Leave, Director: originator,
			For: g.between(time.Second, 20*time.Second),
		})
	case 3:
		if rest := g.others(originator); len(rest) > 0 {
			g.apart(then, g.between(6*time.Second, 20*time.Second), []int{originator},
				[]int{rest[g.IntN(len(rest))]})
		}
	case 4:
		g.add(Action{At: then, Kind: Crash, Director: originator, Silent: true})
		g.add(Action{At: then + 40*time.Second, Kind: JoinLater, Director: originator})
	}
	if lowest := g.others(originator)[0]; g.s.Directors > 2 && g.chance(0.5) {
		g.add(Action{
			At: then + g.between(5*time.Second, 9*time.Second), Kind: Crash, Director: lowest,
			Silent: g.chance(0.5), For: g.between(time.Second, 10*time.Second),
		})
	}
	return g.finish()
}

// leaverInFlush leaves with a flush of thousands under way: nobody waits longer for that than the
// kick delay and 2 s.
func leaverInFlush(seed uint64) Schedule {
	g := draw(seed, "leaver", 3+int(seed%3), 60*time.Second)
	g.s.Codec = false
	g.s.ChunkRows = 0 // thousands of users in chunks of a few keep a joiner busy for minutes
	g.s.Demands.Wait = g.s.KickDelay + 2*time.Second
	at := 20 * time.Second
	originator := g.flushed(3000, 1000, at)
	g.add(Action{
		At: at + g.between(100*time.Millisecond, 2*time.Second), Kind: Leave, Director: originator,
		For: 15 * time.Second,
	})
	return g.finish()
}

// imports takes over users of another director before anybody asks for them.
func imports(seed uint64) Schedule {
	g := draw(seed, "import", 2+int(seed%4), 60*time.Second)
	g.s.Expire = 5 * time.Minute
	g.users(30)
	for u := range g.s.Users[:20] {
		b := g.IntN(len(g.s.Backends))
		if g.tags[b] == g.s.Users[u].Tag {
			g.add(Action{
				At: 16*time.Second + g.between(0, 2*time.Second), Kind: Order,
				Director: g.director(),
				Op:       check.Op{Kind: check.OpImport, User: g.s.Users[u], Backend: backend(b)},
			})
		}
	}
	if g.chance(0.5) {
		g.add(Action{
			At: 19*time.Second + g.between(0, 5*time.Second), Kind: Crash, Director: g.director(),
			For: g.between(300*time.Millisecond, 5*time.Second),
		})
	}
	g.logins(150, 20*time.Second, g.active)
	g.changes(5, 25*time.Second, g.active)
	return g.finish()
}

// overflows lets a director not read a stream, until the queue of the other end is full.
func overflows(seed uint64) Schedule {
	g := draw(seed, "overflow", 2+int(seed%4), 60*time.Second)
	g.users(20)
	g.s.Queue = 20 + g.IntN(40)
	for range 1 + g.IntN(3) {
		a := g.director()
		rest := g.others(a)
		g.add(Action{
			At: g.during(), Kind: Stuck, Director: a, Peer: rest[g.IntN(len(rest))],
			For: g.between(time.Second, 20*time.Second),
		})
	}
	g.logins(300, warmUp, g.active)
	g.changes(12, warmUp+5*time.Second, g.active)
	return g.finish()
}

// deafDirector has a director that takes nothing in but beats, two that do, or a joiner that
// pauses.
func deafDirector(seed uint64) Schedule {
	g := draw(seed, "deaf", []int{2, 3, 5}[seed%3], 80*time.Second)
	g.users(15)
	at, d := g.between(15*time.Second, 25*time.Second), g.director()
	length := g.between(3*time.Second, 35*time.Second)
	switch g.IntN(4) {
	case 0, 1:
		g.add(Action{At: at, Kind: Deaf, Director: d, For: length})
	case 2: // two that exclude each other
		g.add(Action{At: at, Kind: Deaf, Director: d, For: length})
		g.add(Action{
			At: at + g.between(0, 4*time.Second), Kind: Deaf, Director: (d + 1) % g.s.Directors,
			For: length,
		})
	case 3:
		g.add(Action{At: at, Kind: Crash, Director: d, For: time.Second})
		g.add(Action{
			At: at + time.Second + g.between(50*time.Millisecond, 2*time.Second), Kind: Sleep,
			Director: d, For: 6 * time.Second,
		})
	}
	g.logins(150, warmUp, g.active)
	g.changes(10, at, at+length)
	g.changes(5, at+length, g.active)
	return g.finish()
}

// deathsInARow kills a director and then, at about the time at which its failure is noticed,
// another; or lets one join at that moment, or starts the first again at once.
func deathsInARow(seed uint64) Schedule {
	g := draw(seed, "deaths", 3+int(seed%5), 80*time.Second)
	n := g.s.Directors
	g.s.Expire, g.s.Demands.Sent = time.Minute, SentDemand{Before: 15 * time.Second, Times: 1.5}
	g.users(25)
	at, first := 25*time.Second, g.director()
	// What it writes last reaches one director, and the others later or never.
	ahead := (first + 1 + g.IntN(n-1)) % n
	for _, i := range g.others(first, ahead) {
		g.add(Action{
			At: at - 4*time.Second, Kind: Slow, Director: first, Peer: i,
			Extra: g.between(0, 3*time.Second), For: 10 * time.Second,
		})
	}
	if g.chance(0.3) { // or one has not heard of it for a while
		rest := g.others(first, ahead)
		g.apart(at-g.between(0, 15*time.Second), g.between(5*time.Second, 30*time.Second),
			[]int{first}, []int{rest[g.IntN(len(rest))]})
	}
	for range 60 {
		g.add(Action{
			At: at - g.between(0, 3*time.Second), Kind: Login, Director: first, User: g.user(),
		})
	}
	g.changes(3, at-3*time.Second, at)
	again := g.between(10*time.Second, 20*time.Second)
	if g.chance(0.2) {
		again = 300 * time.Millisecond
	}
	g.add(Action{At: at, Kind: Crash, Director: first, Silent: g.chance(0.7), For: again})
	if g.chance(0.6) { // the one that is ahead dies when it has reported it, or just before
		g.add(Action{
			At: at + g.between(5*time.Second, 7*time.Second), Kind: Crash, Director: ahead,
			Silent: g.chance(0.5), For: g.between(8*time.Second, 15*time.Second),
		})
	}
	if rest := g.others(first, ahead); g.chance(0.5) {
		joiner := rest[g.IntN(len(rest))]
		down := g.between(500*time.Millisecond, 3*time.Second)
		g.add(Action{
			At: at + g.between(-time.Second, 7*time.Second) - down, Kind: Crash, Director: joiner,
			For: down,
		})
	}
	g.logins(60, warmUp+5*time.Second, at)
	g.logins(120, at+4*time.Second, g.active)
	g.changes(6, at+8*time.Second, g.active)
	return g.finish()
}

// badRows come from one director that has gone bad: the others stay synced.
func badRows(seed uint64) Schedule {
	g := draw(seed, "bad", 3+int(seed%3), 60*time.Second)
	g.users(15)
	bad := g.director()
	g.s.Demands.Steady = g.others(bad)
	for range 1 + g.IntN(3) {
		g.add(Action{
			At: g.between(15*time.Second, 45*time.Second), Kind: Bad, Director: bad,
			Fault: BadFault(g.IntN(2)), Extra: g.between(6*time.Second, 3*time.Hour),
		})
	}
	g.logins(20, warmUp, 15*time.Second)
	for range 7 { // the bad one is out now and then
		g.loginsAt(15*time.Second, g.active, g.others(bad)...)
	}
	g.changes(6, warmUp+5*time.Second, g.active)
	return g.finish()
}
