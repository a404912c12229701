package sim

import (
	"slices"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/ring"
)

// Kinds about who belongs to the mesh: few directors and many, meshes that meet, directors that
// come, go and change their names.

// fewDirectors is the general kind with two to four directors.
func fewDirectors(seed uint64) Schedule {
	g := draw(seed, "few", 2+int(seed%3), 60*time.Second)
	g.users(12 + g.IntN(20))
	for range 2 + g.IntN(3) {
		g.fault()
	}
	for range 8 + g.IntN(8) {
		g.trouble()
	}
	g.logins(200, warmUp, g.active)
	return g.finish()
}

// fiftyDirectors loses three of fifty at once while another one is away for 100 s.
func fiftyDirectors(seed uint64) Schedule {
	g := draw(seed, "fifty", 50, 130*time.Second)
	g.s.Expire, g.s.Network.PushPull = 5*time.Minute, 20*time.Second
	g.users(20)
	g.logins(60, 20*time.Second, 130*time.Second)
	away := g.director()
	g.apart(22*time.Second, 100*time.Second, []int{away}, g.others(away))
	at := g.between(30*time.Second, 110*time.Second)
	for range 3 {
		g.add(Action{
			At: at, Kind: Crash, Director: g.director(), Silent: g.chance(0.5),
			For: g.between(time.Second, 15*time.Second),
		})
	}
	for range 30 {
		g.add(Action{
			At: at + g.between(-2*time.Second, 10*time.Second), Kind: Login, Director: g.director(),
			User: g.user(),
		})
	}
	g.changes(4, 20*time.Second, 128*time.Second)
	return g.finish()
}

// severalFoundings lets two or three meshes be founded 0 to 5 ms apart and meet later; their sizes
// change meanwhile. Their backends are the same, or some are; one may have none, or has removed all
// it had.
func severalFoundings(seed uint64) Schedule {
	g := draw(seed, "foundings", 2+int(seed%5), 80*time.Second)
	n := g.s.Directors
	meshes := 2
	if n > 3 && g.chance(0.3) {
		meshes = 3
	}
	g.users(15)
	g.s.StartAt, g.s.Founders = make([]time.Duration, n), []int{1}
	if meshes == 3 {
		g.s.Founders = append(g.s.Founders, 2)
	}
	sets := make([][]int, meshes)
	for i := range n {
		m := i
		if i >= meshes {
			m = g.IntN(meshes)
			g.s.StartAt[i] = g.between(0, 25*time.Second)
		} else {
			g.s.StartAt[i] = g.between(0, 5*time.Millisecond)
		}
		sets[m] = append(sets[m], i)
	}
	if g.chance(0.5) {
		g.s.Clocks.Skew = 0
	}
	meet := g.between(8*time.Second, 30*time.Second)
	for a := range sets {
		for b := range a {
			for _, i := range sets[a] {
				for _, j := range sets[b] {
					g.apart(0, meet+g.between(0, 2*time.Second), []int{i}, []int{j})
				}
			}
		}
	}
	switch g.IntN(4) {
	case 0:
		g.s.Odd = slices.Clone(g.s.Backends[1:])
	case 1:
		g.s.Odd = []ring.Backend{} // no backends at all
	case 2: // tombstones only
		for i := range g.s.Backends {
			g.add(Action{
				At: 5*time.Second + g.between(0, time.Second), Kind: Order, Director: sets[1][0],
				Op: check.Op{Kind: check.OpRemove, Backend: backend(i)},
			})
		}
	}
	g.logins(60, 4*time.Second, meet)
	g.changes(4, 7*time.Second, meet)
	if g.s.Odd != nil && len(g.s.Odd) == 0 {
		// A backend that only the mesh without any gets makes it another cluster, which is refused.
		g.s.Actions = slices.DeleteFunc(g.s.Actions, func(a Action) bool {
			return a.Kind == Order && a.Op.Kind == check.OpAdd &&
				!slices.Contains(sets[0], a.Director)
		})
	}
	if g.chance(0.5) {
		g.add(Action{
			At: meet + g.between(-2*time.Second, 2*time.Second), Kind: Crash,
			Director: g.director(), For: g.between(time.Second, 8*time.Second),
		})
	}
	g.logins(100, meet, g.active)
	g.changes(6, meet+15*time.Second, g.active)
	return g.finish()
}

// refusedMeshes lets two meshes without a backend in common meet: nothing of the one may get to the
// other.
func refusedMeshes(seed uint64) Schedule {
	g := draw(seed, "refused", 2+int(seed%4), 70*time.Second)
	n := g.s.Directors
	g.users(15)
	second := 1 + g.IntN(n-1) // its first director
	g.s.Founders = []int{second}
	g.s.StartAt = make([]time.Duration, n)
	g.s.Own = make([][]ring.Backend, n)
	theirs := make([]ring.Backend, 0, 3)
	for i := range 3 {
		theirs = append(theirs, ring.Backend{Addr: backend(100 + i), VHosts: 20})
	}
	sides := make([][]int, 2)
	for i := range n {
		side := 0
		if g.s.Own[i] = g.s.Backends; i >= second {
			side, g.s.Own[i] = 1, theirs
		}
		sides[side] = append(sides[side], i)
		if i != 0 && i != second {
			g.s.StartAt[i] = g.between(100*time.Millisecond, 2*time.Second)
		}
	}
	g.s.Apart = sides
	g.apart(0, g.between(6*time.Second, 20*time.Second), sides[0], sides[1])
	for range 10 { // changes of the first side's backends, ordered there
		op, _ := g.tableOp()
		g.add(Action{
			At: g.during(), Kind: Order, Director: sides[0][g.IntN(len(sides[0]))], Op: op,
		})
	}
	for i := range g.s.Users {
		g.s.Users[i].Tag = ""
	}
	g.logins(120, warmUp, g.active)
	return g.finish()
}

// islands form where one address to join leads to any director.
func islands(seed uint64) Schedule {
	g := draw(seed, "islands", 2+int(seed%6), 60*time.Second)
	g.s.ColdStart, g.s.Balancer = true, true
	g.s.StartAt = make([]time.Duration, g.s.Directors)
	for i := range g.s.StartAt {
		g.s.StartAt[i] = g.between(0, time.Duration(g.IntN(6))*time.Second)
	}
	g.users(15)
	g.logins(40, warmUp, 20*time.Second)
	g.logins(80, 20*time.Second, g.active)
	g.changes(6, 25*time.Second, g.active)
	return g.finish()
}

// names has directors start again under other names at their addresses, be removed and let in
// again, and hear of others that do not exist.
func names(seed uint64) Schedule {
	g := draw(seed, "names", 2+int(seed%4), 80*time.Second)
	g.users(15)
	for range 1 + g.IntN(3) {
		d, at := g.director(), g.during()
		switch g.IntN(4) {
		case 0:
			g.add(Action{
				At: at, Kind: Rename, Director: d,
				For: g.between(100*time.Millisecond, 12*time.Second), Silent: g.chance(0.5),
			})
		case 1:
			g.add(Action{
				At: at, Kind: Phantom, Director: d, For: g.between(time.Second, 20*time.Second),
			})
		default:
			by := g.director()
			if by == d {
				continue
			}
			length := g.between(time.Second, 20*time.Second)
			g.add(Action{At: at, Kind: RingRemove, Director: by, Peer: d})
			if g.chance(0.4) { // while it is away
				g.apart(at-g.between(0, 10*time.Second), g.between(time.Second, 20*time.Second),
					[]int{d}, g.others(d))
			}
			if g.chance(0.4) {
				g.add(Action{
					At: at + g.between(0, length), Kind: Crash, Director: d,
					For: g.between(300*time.Millisecond, 3*time.Second),
				})
			}
			if g.chance(0.7) {
				g.add(Action{At: at + length, Kind: RingAdd, Director: by, Peer: d})
			}
		}
	}
	g.logins(120, warmUp, g.active)
	g.changes(8, warmUp+5*time.Second, g.active)
	return g.finish()
}

// replays gives directors once more what gossip and push/pull carried, after one of them or all
// have started again; and lets gossip be faster than the streams of a director that has just
// started.
func replays(seed uint64) Schedule {
	g := draw(seed, "replay", 2+int(seed%4), 80*time.Second)
	g.s.Expire = time.Minute
	g.users(15)
	g.logins(40, warmUp, 30*time.Second)
	g.changes(10, warmUp+5*time.Second, 30*time.Second)
	back := 33 * time.Second
	one := g.director()
	all := g.chance(0.4)
	for i := range g.s.Directors {
		if all || i == one {
			g.add(Action{
				At: 31*time.Second + g.between(0, 100*time.Millisecond), Kind: Crash, Director: i,
				For: g.between(300*time.Millisecond, 2*time.Second),
			})
		}
	}
	if g.chance(0.5) {
		for i := range g.s.Directors {
			if i != one {
				g.add(Action{
					At: 31 * time.Second, Kind: Slow, Director: one, Peer: i,
					Extra: 2 * time.Second, For: 12 * time.Second, StreamsOnly: true,
				})
			}
		}
	}
	for range 1 + g.IntN(4) {
		since := g.between(warmUp, 30*time.Second)
		g.add(Action{
			At: back + g.between(0, 30*time.Second), Kind: Replay, Director: g.director(),
			Since: since, Until: since + g.between(time.Second, 25*time.Second),
		})
	}
	g.logins(80, back, g.active)
	g.changes(8, back+time.Second, g.active)
	return g.finish()
}
