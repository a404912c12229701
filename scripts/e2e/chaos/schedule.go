package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The kinds. Those of the network need hosts of their own, those of disks mounts.
const (
	Kill     Kind = "kill"      // with -9, and started again after a while
	Hang     Kind = "hang"      // SIGSTOP, and SIGCONT after a while
	Leave    Kind = "leave"     // SIGTERM, and started again after a while
	WallOff  Kind = "wall-off"  // killed and started again with a wall clock that is off
	Rolling  Kind = "rolling"   // each in turn leaves and is started again at once
	KillAll  Kind = "kill-all"  // all at one moment; they find their data directories again
	WipeAll  Kind = "wipe-all"  // all at one moment; the data directories are gone
	Cut      Kind = "cut"       // one from all others
	Split    Kind = "split"     // the directors named from all others
	OneWay   Kind = "one-way"   // what the first sends does not get to the second
	Loss     Kind = "loss"      // of a share of all packets to one
	Slow     Kind = "slow"      // a narrow link to one, on which packets queue
	FullDisk Kind = "full-disk" // of one
	ReadOnly Kind = "read-only" // one is killed and finds a data directory that it cannot write
)

// Needs is what a machine must have for a kind.
type Needs struct{ Hosts, Mounts bool }

// kinds says how often each comes, and for how long it lasts.
var kinds = []struct {
	kind     Kind
	weight   int
	min, max time.Duration
	needs    Needs
}{
	{Kill, 5, 0, 9 * time.Second, Needs{}},
	{Hang, 4, 500 * time.Millisecond, 9 * time.Second, Needs{}},
	{Leave, 2, 0, 5 * time.Second, Needs{}},
	{WallOff, 2, 0, 3 * time.Second, Needs{}},
	{Rolling, 1, 0, time.Second, Needs{}},
	{KillAll, 3, 0, 3 * time.Second, Needs{}},
	{WipeAll, 1, 0, 3 * time.Second, Needs{}},
	{Cut, 3, time.Second, 12 * time.Second, Needs{Hosts: true}},
	{Split, 3, time.Second, 12 * time.Second, Needs{Hosts: true}},
	{OneWay, 2, time.Second, 10 * time.Second, Needs{Hosts: true}},
	{Loss, 2, 3 * time.Second, 8 * time.Second, Needs{Hosts: true}},
	{Slow, 2, 3 * time.Second, 8 * time.Second, Needs{Hosts: true}},
	{FullDisk, 2, 3 * time.Second, 10 * time.Second, Needs{Mounts: true}},
	{ReadOnly, 2, 3 * time.Second, 8 * time.Second, Needs{Mounts: true}},
}

// Fault is one thing that is done. It lasts For; what comes to an end then is undone.
type Fault struct {
	At, For   time.Duration // At is since the beginning of its turn
	Kind      Kind
	Directors []int // which
	Share     float64
	Off       time.Duration // of a wall clock
}

func (f Fault) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", f.Kind)
	for _, d := range f.Directors {
		fmt.Fprintf(&b, " d%d", d+1)
	}
	fmt.Fprintf(&b, " for %v", f.For.Round(10*time.Millisecond))
	if f.Share > 0 {
		fmt.Fprintf(&b, ", %.0f %%", 100*f.Share)
	}
	if f.Off != 0 {
		fmt.Fprintf(&b, ", off by %v", f.Off)
	}
	return b.String()
}

// Turn is what is done between two looks at the whole mesh.
type Turn []Fault

// Lasts is until when it is done.
func (t Turn) Lasts() (end time.Duration) {
	for _, f := range t {
		end = max(end, f.At+f.For)
	}
	return end
}

// Schedule draws the turns of a run.
type Schedule struct {
	random    *rand.Rand
	directors int
	may       Needs
}

// Draw begins the schedule of a seed for so many directors on a machine that has these things.
// Equal arguments give equal turns.
func Draw(seed uint64, directors int, may Needs) *Schedule {
	return &Schedule{rand.New(rand.NewPCG(seed, 0xc4a05)), directors, may}
}

// turnLength is about how long a turn is.
const turnLength = 20 * time.Second

// Next draws the next turn. Faults of single directors may overlap; what concerns all stands alone.
func (s *Schedule) Next() (turn Turn) {
	for at := s.between(0, 2*time.Second); at < turnLength; {
		f := s.fault()
		f.At = at
		if len(f.Directors) == 0 {
			// All are concerned: nothing else goes on.
			f.At = max(at, turn.Lasts()+time.Second)
			turn = append(turn, f)
			return turn
		}
		if slices.ContainsFunc(turn, func(g Fault) bool { return g.clashes(f) }) {
			at += time.Second
			continue
		}
		turn = append(turn, f)
		at += s.between(time.Second, 7*time.Second)
	}
	return turn
}

// clashes reports whether two faults cannot be at the same time: of the same director, or of the
// network twice.
func (f Fault) clashes(g Fault) bool {
	const margin = 2 * time.Second
	if f.At > g.At+g.For+margin || g.At > f.At+f.For+margin {
		return false
	}
	if f.Kind.network() && g.Kind.network() {
		return true
	}
	return slices.ContainsFunc(f.Directors, func(d int) bool {
		return slices.Contains(g.Directors, d)
	})
}

func (k Kind) network() bool { return k.needs().Hosts }

func (k Kind) needs() Needs {
	for _, of := range kinds {
		if of.kind == k {
			return of.needs
		}
	}
	return Needs{}
}

func (s *Schedule) between(low, high time.Duration) time.Duration {
	return low + time.Duration(s.random.Int64N(int64(high-low)+1))
}

func (s *Schedule) fault() Fault {
	total := 0
	for _, k := range kinds {
		if s.has(k.needs) {
			total += k.weight
		}
	}
	at := s.random.IntN(total)
	for _, k := range kinds {
		if !s.has(k.needs) {
			continue
		}
		if at -= k.weight; at < 0 {
			return s.of(k.kind, s.between(k.min, k.max))
		}
	}
	panic("chaos: no kind of fault is left")
}

func (s *Schedule) has(n Needs) bool {
	return (s.may.Hosts || !n.Hosts) && (s.may.Mounts || !n.Mounts)
}

func (s *Schedule) of(kind Kind, length time.Duration) Fault {
	f := Fault{Kind: kind, For: length}
	some := s.random.Perm(s.directors)
	switch kind {
	case Rolling, KillAll, WipeAll:
		return f
	case Split:
		f.Directors = some[:max(1, s.directors/2)]
	case OneWay:
		f.Directors = some[:2]
	default:
		f.Directors = some[:1]
	}
	switch kind {
	case Loss:
		f.Share = 0.05 + 0.35*s.random.Float64()
	case WallOff:
		offs := []time.Duration{time.Hour, -time.Hour, 30 * time.Second, -7 * time.Second}
		f.Off = offs[s.random.IntN(len(offs))]
	}
	return f
}
