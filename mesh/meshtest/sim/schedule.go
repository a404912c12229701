package sim

import (
	"fmt"
	"time"

	"directormesh/directory"
	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
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
	Network   Network
	Kickers   Kickers
	Clocks    Clocks
	Actions   []Action      // in order of time
	End       time.Duration // of the run; everything is healed and quiet for [Quiet] before
	Guards    replica.Guards
	Unguarded directory.Guards
}

// Quiet is how long before its end a run must be free of faults and operations.
const Quiet = 65 * time.Second

// repairWithin is how long a healed mesh may take to agree; half of the digests' rounds fit into it four times.
const repairWithin = 45 * time.Second

// coldStart is how long directors may take to found a mesh together: they exchange snapshots one by one.
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
	Skew  time.Duration // of the wall clock when a director starts
	Drift float64       // of the monotonic clock against true time
}

// ActionKind says what an Action is.
type ActionKind int

// The actions.
const (
	Login     ActionKind = iota // Director is asked for User
	Order                       // Director is given Op; Repeat times each Every
	Crash                       // Director dies, and starts again after For unless that is 0
	Leave                       // the same, in good order
	Sleep                       // Director is paused For
	Cut                         // no frames from any of From to any of To, For
	Break                       // the stream between Director and Peer breaks
	Slow                        // frames from Director to Peer take up to Extra more, For
	AskAll                      // every director is asked for every user
	JoinLater                   // Director starts only now
)

// Action is one thing that happens to the mesh.
type Action struct {
	At       time.Duration
	Kind     ActionKind
	Director int
	Peer     int
	User     int
	Others   []int // Login: users for whom the proxy asks in the same write
	Op       check.Op
	From, To []int
	For      time.Duration
	Extra    time.Duration
	Silent   bool // Crash: the peers are not told by the network
}

func (a Action) String() string {
	d := directorName(a.Director)
	switch a.Kind {
	case Login:
		if len(a.Others) > 0 {
			return fmt.Sprintf("%s: logins of u%d and u%d", d, a.User, a.Others)
		}
		return fmt.Sprintf("%s: login of u%d", d, a.User)
	case Order:
		return fmt.Sprintf("%s: %v", d, a.Op)
	case Crash:
		return fmt.Sprintf("%s crashes for %v, silently: %v", d, a.For, a.Silent)
	case Leave:
		return fmt.Sprintf("%s leaves for %v", d, a.For)
	case Sleep:
		return fmt.Sprintf("%s sleeps for %v", d, a.For)
	case Cut:
		return fmt.Sprintf("no frames from %v to %v for %v", directorNames(a.From), directorNames(a.To), a.For)
	case Break:
		return fmt.Sprintf("the stream from %s to %s breaks", d, directorName(a.Peer))
	case Slow:
		return fmt.Sprintf("frames from %s to %s take %v more for %v", d, directorName(a.Peer), a.Extra, a.For)
	case AskAll:
		return "all directors are asked for all users"
	case JoinLater:
		return fmt.Sprintf("%s starts", d)
	}
	return fmt.Sprintf("unknown action %d", a.Kind)
}

func directorName(i int) string { return fmt.Sprintf("d%d", i+1) }

func directorNames(list []int) []string {
	var names []string
	for _, i := range list {
		names = append(names, directorName(i))
	}
	return names
}

func userName(i int) string { return fmt.Sprintf("u%d", i) }
