package sim

import (
	"fmt"
	"time"

	"directormesh/mesh/meshtest/check"
)

// ActionKind says what an Action is.
type ActionKind int

// The actions.
const (
	Login     ActionKind = iota // Director is asked for User
	Order                       // Director is given Op
	Crash                       // Director dies, and starts again after For unless that is 0
	Leave                       // the same, in good order
	Sleep                       // Director is paused For
	Cut                         // no frames from any of From to any of To, For
	Break                       // the stream between Director and Peer breaks
	Slow                        // frames from Director to Peer take up to Extra more, For
	AskAll                      // every director is asked for every user
	JoinLater                   // Director starts only now
	// Director dies, and starts after For under another name at its address
	Rename
	Phantom    // Director's memberlist names a director that does not exist, For
	Freeze     // the hosts From stand still with all their clocks, For
	StepWall   // Director's wall clock is set Extra ahead
	Deaf       // Director takes nothing in but beats, For; of From alone if there are any
	Stuck      // Peer does not read the stream from Director, For
	RingRemove // Director is ordered to remove Peer from the mesh
	RingAdd    // Director is ordered to let Peer in again
	Replay     // what gossip and push/pull carried from Since to Until comes once more, to Director
	Bad        // Director sends to all others what no sound director would: see Fault
	AllDie     // all directors die at once, and start again within For
	Sick       // checks of Backend fail, for the directors From or for all, For
	Burden     // Backend has Load from now on
	Unname     // the name of the backends lacks Backend, for the directors From or for all, For
)

// BadFault is what a director that has gone bad sends: a row or a register Extra ahead of mesh
// time.
type BadFault int

// The faults.
const (
	BadRow BadFault = iota
	BadRegister
)

// Action is one thing that happens to the mesh.
type Action struct {
	At           time.Duration
	Kind         ActionKind
	Director     int
	Peer         int
	User         int
	Others       []int // Login: users for whom the proxy asks in the same write
	Op           check.Op
	From, To     []int
	For          time.Duration
	Extra        time.Duration
	Silent       bool // Crash: the network does not report it to the peers
	Power        bool // Crash, AllDie: the hosts die too, and what was not synced is lost
	Wiped        bool // Crash: what the data directory held is lost
	StreamsOnly  bool // Slow: gossip and push/pull are as fast as ever
	Since, Until time.Duration
	Fault        BadFault
	Backend      int
	Load         uint64
}

// isFault reports whether the action is something that goes wrong, rather than something that is
// asked.
func (a Action) isFault() bool {
	return a.Kind != Login && a.Kind != Order && a.Kind != AskAll && a.Kind != Sick &&
		a.Kind != Burden && a.Kind != Unname
}

func (a Action) String() string {
	d, p := directorName(a.Director), directorName(a.Peer)
	switch a.Kind {
	case Login:
		if len(a.Others) > 0 {
			return fmt.Sprintf("%s: logins of u%d and u%d", d, a.User, a.Others)
		}
		return fmt.Sprintf("%s: login of u%d", d, a.User)
	case Order:
		return fmt.Sprintf("%s: %v", d, a.Op)
	case Crash:
		if a.Wiped {
			return fmt.Sprintf("%s crashes for %v, silently: %v, and loses its data directory", d,
				a.For, a.Silent)
		}
		return fmt.Sprintf("%s crashes for %v, silently: %v", d, a.For, a.Silent)
	case Leave:
		return fmt.Sprintf("%s leaves for %v", d, a.For)
	case Sleep:
		return fmt.Sprintf("%s sleeps for %v", d, a.For)
	case Cut:
		return fmt.Sprintf("no frames from %v to %v for %v",
			directorNames(a.From), directorNames(a.To), a.For)
	case Break:
		return fmt.Sprintf("the stream from %s to %s breaks", d, p)
	case Slow:
		return fmt.Sprintf("frames from %s to %s take %v more for %v", d, p, a.Extra, a.For)
	case AskAll:
		return "all directors are asked for all users"
	case JoinLater:
		return fmt.Sprintf("%s starts", d)
	case Rename:
		return fmt.Sprintf("%s dies, and starts under another name after %v", d, a.For)
	case Phantom:
		return fmt.Sprintf("%s hears of a director that does not exist, for %v", d, a.For)
	case Freeze:
		return fmt.Sprintf("the hosts of %v stand still for %v", directorNames(a.From), a.For)
	case StepWall:
		return fmt.Sprintf("the wall clock of %s is set %v ahead", d, a.Extra)
	case Deaf:
		return fmt.Sprintf("%s takes nothing in but beats for %v, of %v",
			d, a.For, directorNames(a.From))
	case Stuck:
		return fmt.Sprintf("%s does not read the stream from %s for %v", p, d, a.For)
	case RingRemove:
		return fmt.Sprintf("%s: ring remove %s", d, p)
	case RingAdd:
		return fmt.Sprintf("%s: ring add %s", d, p)
	case Replay:
		return fmt.Sprintf("%s gets once more what was recorded from %v to %v", d, a.Since, a.Until)
	case AllDie:
		return fmt.Sprintf("all directors die, and start within %v; without power: %v", a.For,
			a.Power)
	case Sick:
		return describeSick(a)
	case Unname:
		return describeUnname(a)
	case Burden:
		return fmt.Sprintf("%v has the load %d", backend(a.Backend), a.Load)
	case Bad:
		return fmt.Sprintf("%s sends fault %d, %v ahead", d, a.Fault, a.Extra)
	}
	return fmt.Sprintf("unknown action %d", a.Kind)
}
