package sim

import (
	"fmt"
	"time"

	"directormesh/directory"
	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Schedule is one run before it happens.
type Schedule struct {
	Seed      uint64 // of all that the actions leave open: delays, losses, phases
	Directors int
	Backends  []ring.Backend // --mail-servers of the first director, which founds the mesh
	Odd       []ring.Backend // those of all others, if not the same
	Users     []check.User
	Expire    time.Duration
	KickDelay time.Duration
	Parallel  int // users that a flush moves at a time
	ChunkRows int // of a snapshot; 0: as many as there are here
	Hook      bool
	Codec     bool // messages travel encoded
	ColdStart bool // no director founds the mesh: they find each other

	Founders []int            // found a mesh each at once, beside the first; nil: none
	StartAt  []time.Duration  // of each director; nil: the first at 0, the others within a second
	Own      [][]ring.Backend // --mail-servers of each director; nil: Backends and Odd
	// Apart are sets of directors that refuse each other. Each is judged by itself, with the
	// backends of its first director.
	Apart [][]int
	// every --join leads to some director, whichever; false: all directors are named
	Balancer bool
	// frames that wait for a receiver that does not read, until the stream breaks; 0: any number
	Queue int
	// when nothing is to happen: ticks and frames are rare then, so that hours cost little
	Idle []Span

	Watches bool // the directors check the backends
	Balance replica.Balance
	// over how long a backend that comes into use gets its weight; 0: at once, everywhere
	SlowStart time.Duration
	// how often the directors look up the name of the backends; 0: they are given by address
	NameEvery time.Duration
	Asks      bool // the directors can ask the backends for sessions
	// notes of this kind get lost; 0: none do
	LostNotes wire.Kind

	Demands   Demands
	Network   Network
	Kickers   Kickers
	Disks     Disks
	Clocks    Clocks
	Actions   []Action      // in order of time
	End       time.Duration // of the run; everything is healed and quiet for [Quiet] before
	Guards    replica.Guards
	Unguarded directory.Guards
}

// Quiet is how long before its end a run must be free of faults and operations.
const Quiet = 65 * time.Second

// repairWithin is how long a healed mesh may take to agree; half of the digests' rounds fit into it
// four times.
const repairWithin = 45 * time.Second

// restWithin is how long after the last fault a director may not be synced.
const restWithin = 15 * time.Second

// holdWithin is how long a director holds a user at most of whose move it hears nothing.
const holdWithin = 28 * time.Second

// clocksWithin is how far apart the mesh times of synced directors may be: each is within half a
// second of their median.
const clocksWithin = time.Second

// coldStart is how long directors may take to found a mesh together: they exchange snapshots one by
// one.
const coldStart = 20 * time.Second

// Network is how frames and packets travel.
type Network struct {
	Delay      time.Duration // shortest
	Jitter     time.Duration // on top of it, usually
	Spikes     float64       // share of frames that take up to SpikeDelay
	SpikeDelay time.Duration
	Loss       float64 // of gossip packets
	Repeat     float64 // of gossip packets, that come twice
	PushPull   time.Duration
}

// Kickers is how the directors' kickers behave.
type Kickers struct {
	Slow   float64 // share that takes up to 3 s
	Never  float64 // share that does not answer
	Unsure float64 // share that does not know whether these were all
}

// Clocks is how far apart clocks are.
type Clocks struct {
	// of the wall clock when a director starts, drawn for each life; not used with Walls
	Skew  time.Duration
	Drift float64 // of the monotonic clock against true time
	Walls []Wall  // of each director's host, through all lives
}

// Wall is a wall clock: what it is ahead of true time by at the start of the run, and what it gains
// a second.
type Wall struct {
	Off   time.Duration
	Drift float64
}

// Span is a part of a run.
type Span struct{ From, To time.Duration }

func directorName(i int) string { return fmt.Sprintf("d%d", i+1) }

func directorNames(list []int) []string {
	var names []string
	for _, i := range list {
		names = append(names, directorName(i))
	}
	return names
}

func userName(i int) string { return fmt.Sprintf("u%d", i) }
