package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
)

const (
	tickEvery = 50 * time.Millisecond
	// worldStart is the true wall clock when a run begins.
	worldStart = directory.Time(1_795_445_000_000)
	// kernelFrames is how many frames of one stream wait for a director that sleeps.
	kernelFrames = 150
)

// director is one director and the shell around its core.
type director struct {
	w     *world
	index int
	name  string // a rename changes it, between two lives
	addr  netip.AddrPort

	// of its host, through all lives
	wallOff time.Duration // what its wall clock is ahead of true time by, without its drift
	lag     time.Duration // for how long all its clocks stood still
	removed bool          // by ring remove: it is no part of the mesh, and nobody asks it
	letIn   bool          // removed, and let in since: soon it is part of the mesh again
	unnamed map[int]int   // by backend: for how many reasons its name lacks it here
	// knownRemoved has, while it is removed, the directors that had its removal, each with the
	// life in which it last did.
	knownRemoved map[*director]int

	// of this life
	life    int
	alive   bool
	leaving bool
	boot    uint64
	core    *replica.Core
	dir     *directory.Directory
	origin  mono.Time // its monotonic clock at true time 0
	drift   float64
	skew    time.Duration // of the wall clock, where each life has its own
	out     []*stream     // by index: those that it dialled, nil: none
	in      []*stream     // by index: those that others dialled, nil: none
	// by index: when the newest frame received was sent, negative if none was
	heard []time.Duration
	// by index: up to when it has taken in all that one other sent, negative if nothing
	taken    []time.Duration
	members  []*membership // by index, nil: never seen
	knows    []bool        // by index, with a balancer: those that it has met or heard of
	joinAt   time.Duration // with a balancer: when it calls the address to join again
	links    []*link       // those that it dials, in the order in which it heard of them
	sessions map[check.User][]session
	users    map[uint64]waiting // lookups not answered
	orders   map[uint64]int     // operations not done: with which turn they began
	turn     int                // how often effects were carried out

	synced   bool   // as reported to the checker
	why      string // and why not
	mesh     directory.MeshID
	asleep   bool
	frozen   bool // asleep, with all clocks of its host
	frozenAt time.Duration
	deaf     int       // how many reasons there are to take in nothing but beats
	deafTo   []int     // by index: the same, of what one other sends
	backlog  []*inputs // what arrived meanwhile, by source
	ticking  bool

	asked time.Duration // deaf, when it first asked all others something; 0: it has not

	standings []check.Standing // as reported to the checker

	counters replica.Counters // of earlier lives
	disk     disk             // through all lives
}

// waiting is a lookup that has not been answered.
type waiting struct {
	user  int
	since time.Duration
}

// inputs are what one source has for a sleeping director, in order.
type inputs struct {
	source any
	do     []func()
}

func newDirector(w *world, i int) *director {
	d := &director{
		w: w, index: i, name: directorName(i), unnamed: make(map[int]int),
		addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)}), 9090),
	}
	if walls := w.schedule.Clocks.Walls; walls != nil {
		d.wallOff = walls[i].Off
	}
	d.forgetOthers()
	return d
}

// forgetOthers makes all others unknown.
func (d *director) forgetOthers() {
	n := d.w.schedule.Directors
	d.out, d.in = make([]*stream, n), make([]*stream, n)
	d.heard = slices.Repeat([]time.Duration{-1}, n)
	d.taken = slices.Clone(d.heard)
	d.members, d.links = make([]*membership, n), nil
	d.knows, d.deafTo = make([]bool, n), make([]int, n)
}

// rename gives the director a name that nobody had before.
func (d *director) rename() {
	delete(d.w.byName, d.name)
	d.name += "x"
	d.w.byName[d.name] = d
}

// start begins a new life.
func (d *director) start(founder bool) {
	if d.alive {
		return
	}
	w, s := d.w, &d.w.schedule
	w.boots++
	d.life++
	d.alive, d.leaving, d.asleep, d.deaf, d.backlog = true, false, false, 0, nil
	d.synced, d.why, d.mesh = false, "", 0
	d.boot = w.boots<<32 | w.rand.Uint64N(1<<32)
	d.origin = mono.Time(w.between(time.Hour, 100*time.Hour))
	d.drift = (w.rand.Float64()*2 - 1) * s.Clocks.Drift
	d.forgetOthers()
	d.joinAt = w.now
	d.sessions, d.users, d.orders = make(
		map[check.User][]session,
	), make(
		map[uint64]waiting,
	), make(
		map[uint64]int,
	)
	d.dir = directory.NewUnguarded(s.Expire, s.Unguarded)
	d.skew = w.between(-s.Clocks.Skew, s.Clocks.Skew)
	var found *replica.Disk
	if s.Disks.On {
		found = d.disk.found()
	}
	d.core = replica.New(replica.Config{
		Name: d.name, Boot: d.boot, Addr: d.addr, Mesh: "simulated", HashFormat: "%Lu",
		Expire: s.Expire, KickDelay: s.KickDelay, MaxParallelMoves: s.Parallel,
		ChunkRows: s.ChunkRows,
		Backends:  s.configured(d.index), Founder: founder, Hook: s.Hook,
		Wall:      d.wall(),
		Rand:      rand.New(rand.NewPCG(d.boot, s.Seed)),
		Directory: d.dir,
		Guards:    s.Guards,
		Keeps:     s.Disks.On, Notes: true, Disk: found, Watches: s.Watches, AsksBackends: s.Asks,
		Balance: s.Balance, SlowStart: s.SlowStart, Names: s.named(),
	}, d.now())
	d.standings = nil
	w.tracef("%s starts, boot %x, clock off by %v",
		d.name, d.boot, d.wall().Sub(worldStart.Micros().Add(w.now)))
	if d.letIn {
		d.comeBack()
	} else {
		d.record(check.Start{At: w.when(), Director: d.name, Kept: d.disk.keptBefore})
	}
	d.carryOut()
	if found != nil {
		d.load()
	}
	d.tick(d.life)
	d.pushPulls(d.life)
	if s.Watches {
		life := d.life
		w.after(w.between(0, replica.HealthRound), func() { d.checks(life) })
	}
	if s.NameEvery > 0 {
		life := d.life
		w.after(w.between(0, s.NameEvery), func() { d.lookUp(life) })
	}
	if s.Balance != (replica.Balance{}) {
		life := d.life
		w.after(w.between(0, replica.LoadRound(s.Expire)), func() { d.reportLoads(life) })
	}
}

// tick is the shell's ticker.
func (d *director) tick(life int) {
	if d.life != life || !d.alive {
		return
	}
	d.w.after(d.w.pace(tickEvery), func() { d.tick(life) })
	if d.asleep && d.ticking {
		return // a ticker does not count the ticks that nobody takes
	}
	d.ticking = true
	d.input("tick", func() {
		d.ticking = false
		d.core.ReadWall(d.now(), d.wall())
		d.core.Tick(d.now())
		d.dial()
	})
}

// input hands the director something, when it is awake, and carries out what it wants done.
func (d *director) input(source any, do func()) {
	switch {
	case !d.alive:
	case d.asleep:
		for _, b := range d.backlog {
			if b.source == source {
				b.do = append(b.do, do)
				return
			}
		}
		d.backlog = append(d.backlog, &inputs{source, []func(){do}})
	default:
		do()
		d.carryOut()
	}
}

// waiting is how many inputs of one source a sleeping director has.
func (d *director) waiting(source any) int {
	for _, b := range d.backlog {
		if b.source == source {
			return len(b.do)
		}
	}
	return 0
}

// inLife makes an input that comes to nothing if the director is in another life by then.
func (d *director) inLife(source any, do func()) func() {
	life := d.life
	return func() {
		if d.life == life {
			d.input(source, do)
		}
	}
}

// sleep pauses the process. What arrives meanwhile is taken afterwards, in any order that keeps
// each source's.
func (d *director) sleep(length time.Duration) {
	if !d.alive || d.asleep {
		return
	}
	d.asleep = true
	d.record(check.Pause{At: d.w.when(), Director: d.name})
	life := d.life
	d.w.after(length, func() {
		if d.life == life && d.alive {
			d.wake()
		}
	})
}

func (d *director) wake() {
	d.w.tracef("%s wakes with %d sources waiting", d.name, len(d.backlog))
	d.asleep = false
	d.record(check.Wake{At: d.w.when(), Director: d.name})
	for len(d.backlog) > 0 && d.alive {
		i := d.w.rand.IntN(len(d.backlog))
		b := d.backlog[i]
		do := b.do[0]
		if b.do = b.do[1:]; len(b.do) == 0 {
			d.backlog = append(d.backlog[:i], d.backlog[i+1:]...)
		}
		d.input(b.source, do)
	}
}

// crash ends the life at once.
func (d *director) crash(silent bool) {
	if !d.alive {
		return
	}
	d.retire()
	d.disk.ends()
	d.alive, d.asleep = false, false
	d.record(check.Stop{At: d.w.when(), Director: d.name})
	d.closeAll(silent)
}

// leave ends it in good order: the streams get a moment to drain.
func (d *director) leave() {
	if !d.alive || d.leaving {
		return
	}
	d.leaving = true
	d.record(check.Leave{At: d.w.when(), Director: d.name})
	d.input("leave", func() { d.core.Leave(d.now()) })
	life := d.life
	d.w.after(300*time.Millisecond, func() {
		if d.life == life {
			d.crash(false)
		}
	})
}

// retire keeps the counters of a life that ends.
func (d *director) retire() {
	if d.core != nil && d.alive {
		d.counters = add(d.counters, d.core.Counters())
	}
}

// record reports the director to the checker, unless it is no part of the mesh.
func (d *director) record(e check.Event) {
	if !d.removed {
		d.w.record(e)
	}
}

// carryOut does what the core wants done.
func (d *director) carryOut() {
	d.turn++
	d.reportStandings() // the effects follow from these
	for effects := d.core.Take(); len(effects) > 0; effects = d.core.Take() {
		for _, e := range effects {
			switch e := e.(type) {
			case replica.Send:
				d.send(e)
			case replica.Gossip:
				d.broadcast(e.Delta)
			case replica.Answer:
				d.answered(e.ID, e.Backend, e.Err)
			case replica.AdminDone:
				d.operationDone(e)
			case replica.Kick:
				d.kick(e)
			case replica.RunHook:
				d.runHook(e)
			case replica.AskVacant:
				d.askVacant(e, d.w.now+e.Cutoff)
			case replica.Keep:
				d.keep(e)
			case replica.Noted:
				d.w.notes.take(e.Note, d.w.schedule.LostNotes)
			case replica.NewLife:
				d.boot = e.Boot
			case replica.Dial:
				d.contact(e, true)
			case replica.CloseStream:
				d.closeStreams(e)
			case replica.Log:
				d.w.tracef("%s: %s %v", d.name, e.Text, e.Fields)
			default:
				panic(fmt.Sprintf("sim: seed %d: unknown effect %T", d.w.schedule.Seed, e))
			}
		}
	}
	d.reportSynced()
}
