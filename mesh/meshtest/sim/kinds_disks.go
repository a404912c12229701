package sim

import (
	"slices"
	"time"

	"directormesh/mesh/meshtest/check"
)

// onDisks gives all directors data directories, and has all of them start from these at once, or
// some in splits.
func onDisks(seed uint64) Schedule {
	if seed%3 == 0 {
		return diesApart(seed)
	}
	return allOnDisks(seed)
}

// allOnDisks gives all directors data directories, and kills all of them at once, up to three
// times, with or without the loss of power, while disks are slow now and then.
func allOnDisks(seed uint64) Schedule {
	g := draw(seed, "disks", 2+int(seed%4), 100*time.Second)
	g.s.Expire = []time.Duration{time.Minute, 5 * time.Minute}[g.IntN(2)]
	g.s.Disks = Disks{On: true, Sync: g.between(time.Millisecond, 50*time.Millisecond)}
	if g.chance(0.3) {
		g.s.Disks.Slow = 0.3
	}
	g.s.Disks.Rots = g.chance(0.3)
	g.users(20)
	for at := 15 * time.Second; at < g.active-15*time.Second; {
		at += g.between(0, 25*time.Second)
		g.add(Action{
			At: at, Kind: AllDie, For: g.between(0, 5*time.Second), Power: g.chance(0.5),
			Silent: g.chance(0.5),
		})
		at += 30 * time.Second
	}
	if g.chance(0.5) {
		for range 1 + g.IntN(3) {
			g.add(Action{
				At: g.during(), Kind: Crash, Director: g.director(), Power: g.chance(0.5),
				For: g.between(100*time.Millisecond, 15*time.Second), Silent: g.chance(0.5),
			})
		}
	}
	g.logins(200, warmUp, g.active)
	g.changes(15, warmUp, g.active)
	g.quietStarts()
	return g.finish()
}

// diesApart has directors answer on their side of a split, die there and start again from their
// disks, in the split or after it, while a third one is out of touch now and then: what they said
// is on no other disk, and what the others said is not on theirs.
func diesApart(seed uint64) Schedule {
	g := draw(seed, "disks apart", 3+int(seed/3%3), 230*time.Second)
	// mappings that end within the run, so that activity counts
	g.s.Expire = []time.Duration{45 * time.Second, time.Minute}[g.IntN(2)]
	g.s.Disks = Disks{On: true, Sync: g.between(time.Millisecond, 50*time.Millisecond)}
	if g.chance(0.3) {
		g.s.Disks.Slow = 0.3
	}
	g.users(quietUsers + 10)
	for at := g.between(15*time.Second, 30*time.Second); at < g.active-20*time.Second; {
		length := g.between(10*time.Second, 60*time.Second)
		g.deathApart(at, length)
		at += max(length, g.s.Expire) + g.between(10*time.Second, time.Minute)
	}
	g.changes(6, warmUp, g.active)
	for range 150 {
		g.add(Action{
			At: g.during(), Kind: Login, Director: g.director(), User: quietUsers + g.IntN(10),
		})
	}
	return g.finish()
}

// quietUsers of a schedule log in only where it matters.
const quietUsers = 20

// deathApart splits the mesh and kills a director on one side once or twice. Another one may be out
// of touch when the sides meet.
func (g *generator) deathApart(at, length time.Duration) {
	d, end := g.director(), at+length
	side, rest := []int{d}, g.others(d)
	if len(rest) > 2 && g.chance(0.3) {
		mate := rest[g.IntN(len(rest))]
		side, rest = append(side, mate), g.others(d, mate)
	}
	third := rest[g.IntN(len(rest))]
	g.apart(at, length, side, rest)
	back := at
	for i := range 1 + g.IntN(2) {
		death := back + g.between(length/2, length)
		if death > end {
			break
		}
		if back = death + g.between(100*time.Millisecond, 15*time.Second); g.chance(0.4) {
			back = max(death, end) + g.between(0, 10*time.Second)
		}
		if i == 0 {
			g.prolonged(at, death, d, third)
		}
		g.add(Action{
			At: death, Kind: Crash, Director: d, For: back - death, Power: g.chance(0.5),
			Silent: g.chance(0.5),
		})
	}
	if g.chance(0.3) {
		return
	}
	from := g.others()
	if g.chance(0.3) {
		from = side
	}
	met := max(back, end) // about when the sides meet
	out := met - g.between(0, 20*time.Second)
	g.apart(out, met-out+g.between(5*time.Second, 30*time.Second), []int{third}, from)
}

// prolonged has users log in before a split, on one side of it before a director dies there,
// and when their mappings would be gone but for that. Their places change meanwhile.
func (g *generator) prolonged(at, death time.Duration, d, other int) {
	life := g.s.Expire + 20*time.Second // with what is added to any that is short
	login := func(at time.Duration, d, user int) {
		g.add(Action{At: at, Kind: Login, Director: d, User: user})
	}
	for u := range quietUsers {
		first := at - g.between(time.Second, 5*time.Second)
		login(first, g.director(), u)
		by, without := d, other
		if g.chance(0.3) {
			by, without = other, d
		}
		last := g.between(max(at, death-30*time.Second), death)
		login(last, by, u)
		then := g.between(first+life, last+g.s.Expire)
		for _, i := range append([]int{without}, g.Perm(g.s.Directors)...) {
			login(then, i, u)
			then += g.between(0, 2*time.Second)
		}
	}
	for range 2 {
		g.add(Action{
			At: g.between(at, death+life/2), Kind: Order, Director: g.director(),
			Op: check.Op{
				Kind: check.OpUpdate, Backend: backend(g.IntN(len(g.tags))),
				VHosts: []int{0, 1, 200}[g.IntN(3)],
			},
		})
	}
}

// quietStarts takes out what would happen while all start together: what they hold is looked at
// when all are synced, before anything is asked of them.
func (g *generator) quietStarts() {
	var starts []Span
	for _, a := range g.s.Actions {
		if a.Kind == AllDie {
			starts = append(starts, Span{a.At, a.At + startOnDisks})
		}
	}
	g.s.Actions = slices.DeleteFunc(g.s.Actions, func(a Action) bool {
		return a.Kind != AllDie && slices.ContainsFunc(starts, func(s Span) bool {
			return a.At+a.For >= s.From && a.At <= s.To
		})
	})
}

// rottenDisks has old rows vanish from a disk each time that all die.
func rottenDisks(seed uint64) Schedule {
	s := allOnDisks(seed)
	s.Disks.Rots = true
	return s
}

// startOnDisks is within what directors that start together, each within five seconds, are synced.
const startOnDisks = 20 * time.Second
