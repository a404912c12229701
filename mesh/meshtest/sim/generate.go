package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/ring"
)

// warmUp is how long directors have to find each other before anything else happens.
const warmUp = 5 * time.Second

// generator draws a schedule.
type generator struct {
	*rand.Rand
	s      Schedule
	active time.Duration // when the quiet time begins
	tags   []string      // of every backend that the schedule may use
}

// Generate draws a schedule from a seed: any mixture of users, operations and faults.
func Generate(seed uint64) Schedule {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0x7363686564))}
	g.settings(seed)
	if !g.s.ColdStart && g.chance(0.15) {
		for _, b := range g.s.Backends[1:] {
			b.VHosts = 1 + g.IntN(100)
			g.s.Odd = append(g.s.Odd, b)
		}
	}
	g.users(12 + g.IntN(40))
	if !g.s.ColdStart && g.chance(0.15) {
		g.add(Action{At: g.during(), Kind: JoinLater, Director: g.s.Directors - 1})
	}
	for range 3 + g.IntN(5) {
		g.fault()
	}
	for range 10 + g.IntN(20) {
		g.trouble()
	}
	for range 150 + g.IntN(250) {
		login := Action{At: g.during(), Kind: Login, Director: g.director(), User: g.user()}
		if g.chance(0.2) {
			for range 1 + g.IntN(12) {
				login.Others = append(login.Others, g.user())
			}
		}
		g.add(login)
	}
	return g.finish()
}

// settings draws what holds for the whole run.
func (g *generator) settings(seed uint64) {
	expires := []time.Duration{
		10 * time.Second, 10 * time.Second, 20 * time.Second, time.Minute, 5 * time.Minute,
		15 * time.Minute,
	}
	g.active = g.between(30*time.Second, 100*time.Second)
	g.s = Schedule{
		Seed:      seed,
		Directors: 5 + g.IntN(4),
		Expire:    expires[g.IntN(len(expires))],
		KickDelay: g.between(0, 2*time.Second),
		Parallel:  1 + g.IntN(20),
		Hook:      g.chance(0.3),
		Codec:     g.chance(0.5),
		ColdStart: g.chance(0.1),
		ChunkRows: []int{0, 1, 5, 25}[seed%4],
		Network: Network{
			Delay:      g.between(100*time.Microsecond, 5*time.Millisecond),
			Jitter:     g.between(0, 40*time.Millisecond),
			Spikes:     g.Float64() * 0.05,
			SpikeDelay: g.between(0, 600*time.Millisecond),
			Loss:       g.Float64() * 0.4,
			Repeat:     g.Float64() * 0.2,
			PushPull:   g.between(2*time.Second, 10*time.Second),
		},
		Kickers: Kickers{
			Slow: g.Float64() * 0.5, Never: g.Float64() * 0.1, Unsure: g.Float64() * 0.3,
		},
		Clocks: Clocks{Skew: g.between(0, 30*time.Second), Drift: g.Float64() * 200e-6},
		End:    g.active + Quiet,
	}
	g.backends(2+g.IntN(4), 1+g.IntN(3), g.chance(0.3))
}

// backends draws the configured backends, and some that may be added.
func (g *generator) backends(configured, more int, tagged bool) {
	for i := range configured + more {
		tag := ""
		if tagged && i%3 == 2 {
			tag = "t"
		}
		g.tags = append(g.tags, tag)
		if i < configured {
			g.s.Backends = append(g.s.Backends, ring.Backend{
				Addr: backend(i), Tag: ring.Tag(tag), VHosts: []int{100, 20, 20, 5}[g.IntN(4)],
			})
		}
	}
}

func (g *generator) users(n int) {
	for range n {
		tag := g.tags[g.IntN(len(g.tags))]
		g.s.Users = append(g.s.Users, check.User{Tag: tag, Hash: 1 + g.Uint32N(1<<32-1)})
	}
}

func (g *generator) chance(p float64) bool { return g.Float64() < p }

func (g *generator) between(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(g.Int64N(int64(most-least)))
}

func (g *generator) during() time.Duration { return g.between(warmUp, g.active) }
func (g *generator) director() int         { return g.IntN(g.s.Directors) }
func (g *generator) user() int             { return g.IntN(len(g.s.Users)) }

// add takes an action, if it is not too late for it.
func (g *generator) add(a Action) {
	if a.At+a.For < g.active {
		g.s.Actions = append(g.s.Actions, a)
	}
}

// finish puts the actions in order and ends the schedule with a look at everything.
func (g *generator) finish() Schedule {
	for i := range g.s.Directors { // flushes of few users at a time might outlast the run
		g.s.Actions = append(g.s.Actions, Action{
			At: g.active + 3*time.Second, Kind: Order, Director: i,
			Op: check.Op{Kind: check.OpCancel},
		})
	}
	g.s.Actions = append(g.s.Actions, Action{At: g.s.End - 14*time.Second, Kind: AskAll})
	slices.SortStableFunc(g.s.Actions, func(a, b Action) int { return int(a.At - b.At) })
	return g.s
}

// trouble is an operation, or some at once, with users who log in just then, or users at the end of
// their mapping's life.
func (g *generator) trouble() {
	at := g.during()
	if g.chance(0.25) {
		g.edge(at)
		return
	}
	n := 1
	if g.chance(0.3) {
		n = 2
	}
	var about []int
	for range n {
		op, users := g.op()
		about = append(about, users...)
		g.add(Action{
			At: at + g.between(0, 5*time.Millisecond), Kind: Order, Director: g.director(), Op: op,
		})
	}
	if g.chance(0.7) {
		g.rush(at, about)
	}
	if g.chance(0.1) { // the same again, soon
		op, _ := g.op()
		g.add(Action{
			At: at + g.between(0, 3*time.Second), Kind: Order, Director: g.director(), Op: op,
		})
	}
}

// rush has users log in everywhere around a time.
func (g *generator) rush(at time.Duration, users []int) {
	width := g.between(50*time.Millisecond, 4*time.Second)
	for range 5 + g.IntN(20) {
		u := g.user()
		if len(users) > 0 && g.chance(0.6) {
			u = users[g.IntN(len(users))]
		}
		for range 1 + g.IntN(3) {
			g.add(Action{
				At: max(warmUp, at-width/4) + g.between(0, width), Kind: Login,
				Director: g.director(), User: u,
			})
		}
	}
}

// edge has a user log in, its place change, and the user come back when the mapping ends.
func (g *generator) edge(at time.Duration) {
	u := g.user()
	life := g.s.Expire + min(max(g.s.Expire/20, 20*time.Second), 45*time.Second)
	g.add(Action{At: at, Kind: Login, Director: g.director(), User: u})
	for range 2 {
		op, _ := g.tableOp()
		g.add(Action{
			At: at + g.between(time.Second, life-5*time.Second), Kind: Order,
			Director: g.director(), Op: op,
		})
	}
	for range 2 + g.IntN(12) {
		g.add(Action{
			At: at + life + g.between(-11*time.Second, 1500*time.Millisecond), Kind: Login,
			Director: g.director(), User: u,
		})
	}
}

// op draws an operation, and returns the user that it is about, if it is about one.
func (g *generator) op() (op check.Op, users []int) {
	if g.chance(0.55) {
		return g.tableOp()
	}
	b := g.IntN(len(g.tags))
	switch g.IntN(10) {
	case 0, 1, 2, 3, 4:
		u := g.userOf(b)
		if u < 0 {
			return g.tableOp()
		}
		return check.Op{
			Kind: check.OpMove, User: g.s.Users[u], Backend: backend(b), Wait: g.chance(0.3),
		}, []int{u}
	case 5, 6:
		op = check.Op{Kind: check.OpFlush}
		if g.chance(0.6) {
			op.Backend = backend(b)
		}
		return op, nil
	case 7:
		return check.Op{Kind: check.OpCancel}, nil
	default:
		u := g.user()
		return check.Op{Kind: check.OpKick, Name: userName(u)}, []int{u}
	}
}

// userOf draws a user of a backend's tag, -1 if there is none.
func (g *generator) userOf(b int) int {
	for range 20 {
		if u := g.user(); g.s.Users[u].Tag == g.tags[b] {
			return u
		}
	}
	return -1
}

// tableOp draws a change of the table.
func (g *generator) tableOp() (check.Op, []int) {
	b := g.IntN(len(g.tags))
	op := check.Op{Backend: backend(b)}
	switch g.IntN(12) {
	case 0, 1, 2, 3:
		op.Kind, op.VHosts = check.OpUpdate, []int{0, 1, 5, 20, 50, 100, 200}[g.IntN(7)]
	case 4, 5:
		op.Kind = check.OpDown
	case 6, 7:
		op.Kind = check.OpUp
	case 8, 9:
		op.Kind, op.Tag, op.VHosts = check.OpAdd, g.tags[b], -1
		if g.chance(0.5) {
			op.VHosts = []int{5, 20, 100}[g.IntN(3)]
		}
	case 10:
		op.Kind = check.OpRemove
	case 11:
		op.Kind = check.OpForget
		if g.chance(0.3) {
			op.Backend = backend(-1)
			op = check.Op{Kind: check.OpForget}
		}
	}
	return op, nil
}

// fault draws something that goes wrong.
func (g *generator) fault() {
	d := g.director()
	a := Action{At: g.during(), Director: d}
	switch g.IntN(14) {
	case 0, 1:
		a.Kind = Crash
		a.For = g.between(200*time.Millisecond, 15*time.Second)
		a.Silent = g.chance(0.4)
	case 2:
		a.Kind, a.For = Leave, g.between(500*time.Millisecond, 10*time.Second)
	case 3, 4, 5:
		lengths := []time.Duration{
			time.Second, 2 * time.Second, 5 * time.Second, 8 * time.Second, 15 * time.Second,
			40 * time.Second,
		}
		n := g.IntN(len(lengths))
		a.Kind, a.For = Sleep, g.between(lengths[n]/2, lengths[n]*3/2)
	case 6, 7, 8: // two sides
		a.Kind, a.For = Cut, g.between(time.Second, 20*time.Second)
		if g.chance(0.2) {
			a.For = g.between(20*time.Second, 50*time.Second)
		}
		for i := range g.s.Directors {
			if g.chance(0.5) {
				a.From = append(a.From, i)
			} else {
				a.To = append(a.To, i)
			}
		}
		b := a
		b.From, b.To = a.To, a.From
		g.add(b)
	case 9: // one director alone, or one direction only
		a.Kind, a.For, a.From = Cut, g.between(time.Second, 25*time.Second), []int{d}
		for i := range g.s.Directors {
			if i != d {
				a.To = append(a.To, i)
			}
		}
		if g.chance(0.5) {
			b := a
			b.From, b.To = a.To, a.From
			g.add(b)
		} else if g.chance(0.5) {
			a.From, a.To = a.To, a.From
		}
	case 10: // one pair
		a.Kind = Cut
		a.For = g.between(time.Second, 20*time.Second)
		a.From = []int{d}
		a.To = []int{g.director()}
		if g.chance(0.5) {
			b := a
			b.From, b.To = a.To, a.From
			g.add(b)
		}
	case 11, 12:
		for range 1 + g.IntN(8) {
			g.add(Action{
				At: a.At + g.between(0, 2*time.Second), Kind: Break, Director: g.director(),
				Peer: g.director(),
			})
		}
		return
	case 13:
		a.Kind, a.Peer, a.For, a.Extra = Slow, g.director(), g.between(time.Second, 20*time.Second),
			g.between(100*time.Millisecond, 3*time.Second)
	}
	g.add(a)
}
