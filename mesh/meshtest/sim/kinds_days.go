package sim

import (
	"time"

	"directormesh/mesh/meshtest/check"
)

// longSplit cuts a mesh in two for hours, in which the clocks of the sides run apart.
type longSplit struct {
	at, end time.Duration
	sides   [2][]int
}

// diesInDays has directors die towards the end of a split for hours and start again, from their
// data directories or without, on their side or on the other one. By then the clocks of the two
// sides are up to minutes apart, and what directors have from before the split, from their own side
// and from the other one is of different times.
func diesInDays(seed uint64) Schedule {
	n := seed / 3
	length := []time.Duration{time.Hour, time.Hour, 3 * time.Hour}[n%3]
	g := draw(seed, "days on disks", []int{3, 4, 5, 5}[n/3%4], length+4*time.Minute)
	// mappings that may end by what the clocks are apart by
	g.s.Expire = []time.Duration{20 * time.Second, time.Minute, 2 * time.Minute}[g.IntN(3)]
	g.s.Disks = Disks{On: true, Sync: g.between(time.Millisecond, 50*time.Millisecond)}
	g.users(quietUsers + 8)
	g.walls(0)
	x := longSplit{at: 30 * time.Second, end: 30*time.Second + length}
	for i, d := range g.Perm(g.s.Directors) {
		x.sides[i%2] = append(x.sides[i%2], d)
	}
	// Mesh time follows the wall clocks by 18 seconds an hour.
	ahead := []time.Duration{g.between(0, 2*time.Minute), -g.between(0, 2*time.Minute)}
	if g.chance(0.5) {
		ahead[0], ahead[1] = ahead[1], ahead[0]
	}
	for i, side := range x.sides {
		for _, d := range side {
			g.add(Action{At: x.at + 30*time.Second, Kind: StepWall, Director: d, Extra: ahead[i]})
		}
	}
	g.s.Idle = []Span{{x.at + 40*time.Second, x.end - 2*time.Minute}}
	g.logins(20, warmUp, x.at)
	g.changes(4, x.at+10*time.Second, x.at+25*time.Second)
	g.diesInSplit(x)
	g.changes(6, x.end-80*time.Second, x.end)
	for range 60 {
		g.add(Action{
			At: g.between(x.end-100*time.Second, g.active), Kind: Login, Director: g.director(),
			User: quietUsers + g.IntN(8),
		})
	}
	return g.finish()
}

// diesInSplit kills a director in a long split, now and then another one of its side after it, and
// has the first one start on either side, during the split or after it.
func (g *generator) diesInSplit(x longSplit) {
	side := g.IntN(2)
	if len(x.sides[side]) < 2 {
		side = 1 - side
	}
	d, mate := x.sides[side][0], x.sides[side][1]
	death := x.end - g.between(20*time.Second, 100*time.Second)
	if g.chance(0.3) {
		death = x.end - g.between(3*time.Minute, 30*time.Minute)
	}
	back := death + g.between(100*time.Millisecond, 20*time.Second)
	moves := g.chance(0.3)
	g.add(Action{
		At: death, Kind: Crash, Director: d, For: back - death, Power: g.chance(0.3),
		Silent: g.chance(0.5), Wiped: g.chance(0.3),
	})
	if g.chance(0.6) {
		last := g.between(max(back+8*time.Second, x.end-50*time.Second), x.end)
		g.add(Action{
			At: last, Kind: Crash, Director: mate, For: g.between(time.Second, time.Minute),
			Power: g.chance(0.3), Silent: g.chance(0.5), Wiped: g.chance(0.3),
		})
		if g.chance(0.5) {
			g.add(Action{
				At: last - g.between(time.Second, 15*time.Second), Kind: Order, Director: mate,
				Op: check.Op{Kind: check.OpForget, Backend: backend(g.IntN(len(g.tags)))},
			})
		}
	}
	if !moves {
		back = x.end
	}
	for _, i := range x.sides[0] {
		for _, j := range x.sides[1] {
			until := x.end + g.between(0, 5*time.Second)
			if i == d || j == d {
				until = back + g.between(0, until-x.end)
			}
			g.apart(x.at, until-x.at, []int{i}, []int{j})
		}
	}
	if moves {
		for _, i := range x.sides[side][1:] {
			g.apart(death, x.end+g.between(0, 5*time.Second)-death, []int{d}, []int{i})
		}
	}
	g.quietInSplit(x, d, mate)
}

// quietInSplit has users log in at directors that die in the split, and everywhere when it is over,
// as long as they are known by that. Their places change meanwhile.
func (g *generator) quietInSplit(x longSplit, directors ...int) {
	for u := range quietUsers {
		last := x.end - g.between(0, 30*time.Second)
		g.add(Action{
			At: last, Kind: Login, Director: directors[g.IntN(len(directors))], User: u,
		})
		for range 2 {
			g.add(Action{
				At: last + g.between(time.Second, g.s.Expire+20*time.Second), Kind: Login,
				Director: g.director(), User: u,
			})
		}
	}
	for range 2 {
		g.add(Action{
			At: g.between(x.end-20*time.Second, x.end+20*time.Second), Kind: Order,
			Director: g.director(),
			Op: check.Op{
				Kind: check.OpUpdate, Backend: backend(g.IntN(len(g.tags))),
				VHosts: []int{0, 1, 200}[g.IntN(3)],
			},
		})
	}
}
