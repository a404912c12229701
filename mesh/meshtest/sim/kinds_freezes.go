package sim

import (
	"slices"
	"time"

	"directormesh/mesh/meshtest/check"
)

// frozenApart has a host stand still with all its clocks while it loses some of the others. For
// some seconds it still counts those, by what it read of their clocks before. Soon thereafter the
// table changes at one that it hears, and new users log in at both.
func frozenApart(seed uint64) Schedule {
	g := draw(seed, "frozen apart", 3+int(seed/3%3), 70*time.Second)
	g.s.Expire = time.Minute
	g.users(20)
	g.logins(40, warmUp, 20*time.Second)
	host := g.director()
	others := g.others(host)
	g.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	lost := others[:1+g.IntN(len(others)-1)]
	near := others[len(lost):]
	hosts := []int{host}
	if g.chance(0.2) {
		hosts = append(hosts, others[g.IntN(len(others))])
	}

	at, length, times := 25*time.Second, []time.Duration{
		900 * time.Millisecond, 2400 * time.Millisecond, 4 * time.Second, 10700 * time.Millisecond,
	}[g.IntN(4)], 1
	if length < time.Second { // moments, none of which shows
		times = 3
	}
	const onceMore = 2500 * time.Millisecond
	thawed := at
	for i := range times {
		then := at + time.Duration(i)*onceMore
		g.add(Action{At: then, Kind: Freeze, From: hosts, For: length})
		thawed = then + length
	}
	g.lose(
		host, lost, near,
		at+g.between(-2*time.Second, length), length+g.between(4*time.Second, 20*time.Second))

	for range 3 {
		g.changeFor(host, near, thawed+g.between(300*time.Millisecond, 6*time.Second))
	}
	g.changes(3, at, thawed+10*time.Second)
	g.logins(60, thawed, g.active)
	return g.finish()
}

// lose has a host lose some of the others: both ways, one way, by links that become slow, or by the
// removal of one that is cut off.
func (g *generator) lose(host int, lost, near []int, at, length time.Duration) {
	from, to := []int{host}, lost
	switch g.IntN(4) {
	case 0:
		g.apart(at, length, from, to)
	case 1:
		if g.chance(0.5) {
			from, to = to, from
		}
		g.add(Action{At: at, Kind: Cut, From: from, To: to, For: length})
	case 2: // by more or by less than it stands still
		extra := []time.Duration{1200 * time.Millisecond, 3500 * time.Millisecond}[g.IntN(2)]
		for _, i := range lost {
			g.add(Action{
				At: at, Kind: Slow, Director: i, Peer: host, Extra: extra, For: length,
			})
		}
	case 3:
		by := slices.Concat(from, near)[g.IntN(1+len(near))]
		g.add(Action{
			At: at - g.between(0, time.Second), Kind: RingRemove, Director: by,
			Peer: lost[g.IntN(len(lost))],
		})
		g.apart(at, length, from, to)
	}
}

// changeFor changes the places of users at one of some directors, and has new ones log in there and
// at another director.
func (g *generator) changeFor(other int, directors []int, at time.Duration) {
	by := directors[g.IntN(len(directors))]
	b := g.IntN(len(g.s.Backends))
	g.add(Action{
		At: at, Kind: Order, Director: by,
		Op: check.Op{
			Kind: check.OpUpdate, Backend: backend(b), VHosts: []int{1, 5, 150, 200}[g.IntN(4)],
		},
	})
	for range 8 {
		g.users(1)
		u := len(g.s.Users) - 1
		then := at + g.between(0, 2*time.Second)
		g.add(Action{At: then, Kind: Login, Director: other, User: u})
		then += g.between(-300*time.Millisecond, 300*time.Millisecond)
		g.add(Action{At: then, Kind: Login, Director: by, User: u})
	}
}
