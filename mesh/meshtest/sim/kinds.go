package sim

import (
	"hash/fnv"
	"math/rand/v2"
	"time"

	"directormesh/mesh/meshtest/check"
)

// Kind is a family of schedules that have one trouble in common.
type Kind struct {
	Name     string
	Generate func(seed uint64) Schedule
	// its share of a mixture of all kinds, in thousandths, about; 0: only when asked for
	Weight int
}

// General is the kind of Generate, in which everything may meet everything.
var General = Kind{"general", Generate, 400}

// Kinds are all kinds of schedules, the general one first.
func Kinds() []Kind {
	return []Kind{
		General,
		{"few", fewDirectors, 60},
		{"fifty", fiftyDirectors, 3},
		{"walls", wallClocks, 60},
		{"steady", steadyClocks, 10},
		{"stray", strayDirector, 60},
		{"foundings", severalFoundings, 60},
		{"refused", refusedMeshes, 40},
		{"islands", islands, 40},
		{"names", names, 60},
		{"links", badLinks, 60},
		{"flushes", brokenFlushes, 60},
		{"leaver", leaverInFlush, 3},
		{"import", imports, 30},
		{"overflow", overflows, 40},
		{"frozen", frozenHosts, 30},
		{"deaf", deafDirector, 30},
		{"days", splitForDays, 5},
		{"replay", replays, 50},
		{"deaths", deathsInARow, 80},
		{"bad", badRows, 40},
		{"expiry", longExpiry, 20},
		{"disks", onDisks, 60},
		{"sick", sickBackends, 60},
		{"drains", drains, 60},
		{"loads", unevenLoads, 30},
		{"pins", pins, 60},
		{"starts", slowStarts, 60},
		{"lookups", changingNames, 30},
	}
}

// Mixture gives the i-th of a mixture of kinds its kind. The seed of the schedule is i as well.
func Mixture(kinds []Kind, i uint64) Kind {
	total := 0
	for _, k := range kinds {
		total += k.Weight
	}
	// Multiples of a number that has no factor in common with the total come by all of its
	// remainders, far apart.
	at := int(i * 7919 % uint64(total))
	for _, k := range kinds {
		if at -= k.Weight; at < 0 {
			return k
		}
	}
	panic("sim: the weights of the kinds have changed meanwhile")
}

// draw begins a schedule of a kind: a mesh that nothing else disturbs.
func draw(seed uint64, kind string, directors int, active time.Duration) *generator {
	h := fnv.New64a()
	h.Write([]byte(kind))
	g := &generator{Rand: rand.New(rand.NewPCG(seed, h.Sum64())), active: active}
	expires := []time.Duration{10 * time.Second, 20 * time.Second, time.Minute, 5 * time.Minute}
	g.s = Schedule{
		Seed: seed, Directors: directors, Expire: expires[g.IntN(len(expires))],
		KickDelay: g.between(0, 2*time.Second),
		Parallel:  1 + g.IntN(20), Codec: g.chance(0.3), ChunkRows: []int{0, 1, 5, 25}[g.IntN(4)],
		Network: Network{
			Delay:  g.between(100*time.Microsecond, 3*time.Millisecond),
			Jitter: g.between(0, 20*time.Millisecond),
			Loss:   g.Float64() * 0.3, Repeat: g.Float64() * 0.1,
			PushPull: g.between(2*time.Second, 8*time.Second),
		},
		Clocks: Clocks{Skew: g.between(0, 500*time.Millisecond), Drift: g.Float64() * 100e-6},
		End:    active + Quiet,
	}
	g.backends(2+g.IntN(3), 1, g.chance(0.2))
	return g
}

// logins has n users log in, each at some director at some time.
func (g *generator) logins(n int, from, to time.Duration) {
	for range n {
		g.add(Action{At: g.between(from, to), Kind: Login, Director: g.director(), User: g.user()})
	}
}

// loginsAt has every user log in at one of the directors once.
func (g *generator) loginsAt(from, to time.Duration, directors ...int) {
	for u := range g.s.Users {
		g.add(Action{
			At: g.between(from, to), Kind: Login, Director: directors[g.IntN(len(directors))],
			User: u,
		})
	}
}

// changes has n changes of the table or moves happen.
func (g *generator) changes(n int, from, to time.Duration) {
	for range n {
		op, _ := g.tableOp()
		if u := g.user(); g.chance(0.4) {
			if b := g.IntN(len(g.tags)); g.tags[b] == g.s.Users[u].Tag {
				op = check.Op{
					Kind: check.OpMove, User: g.s.Users[u], Backend: backend(b),
					Wait: g.chance(0.3),
				}
			}
		}
		g.add(Action{At: g.between(from, to), Kind: Order, Director: g.director(), Op: op})
	}
}

// others are all directors but some.
func (g *generator) others(but ...int) (rest []int) {
	for i := range g.s.Directors {
		keep := true
		for _, b := range but {
			keep = keep && i != b
		}
		if keep {
			rest = append(rest, i)
		}
	}
	return rest
}

// apart cuts two sets of directors off from each other, both ways.
func (g *generator) apart(at, length time.Duration, a, b []int) {
	g.add(Action{At: at, Kind: Cut, From: a, To: b, For: length})
	g.add(Action{At: at, Kind: Cut, From: b, To: a, For: length})
}
