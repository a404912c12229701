package check

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// A User is who is looked up: a user hash in a tag.
type User struct {
	Tag  string
	Hash uint32
}

func (u User) String() string {
	if u.Tag == "" {
		return fmt.Sprintf("%08x", u.Hash)
	}
	return fmt.Sprintf("%08x@%s", u.Hash, u.Tag)
}

// An Event is one thing that happened in a run. Events are given in the order in which they
// happened, those of one moment too.
type Event interface {
	When() time.Duration
}

// At is the true time of an event since the start of the run; every event embeds it.
type At time.Duration

// When is the time of the event.
func (a At) When() time.Duration { return time.Duration(a) }

// Start begins a life of a director's process.
type Start struct {
	At
	Director string
	// Kept is until when the disk that it goes on from has what its former lives said; 0 if there
	// is none.
	Kept time.Duration
}

// Leave begins the end of a director that stops in good order: from now on the mesh does not count
// on it.
type Leave struct {
	At
	Director string
}

// Stop ends a director's process, whatever the reason; or its membership, and it comes back with
// what it had when it starts next.
type Stop struct {
	At
	Director string
	Removed  bool // from the mesh, and it runs on
}

// Pause stops a director's process without its notice (SIGSTOP); Wake lets it go on.
type Pause struct {
	At
	Director string
	Clocks   bool // and all clocks of its machine, so that it cannot tell by itself
}

// Wake ends a Pause.
type Wake struct {
	At
	Director string
}

// Frame is a frame of a stream that was received, and with it all that was sent on the stream until
// Sent: that is when the frame itself was sent, unless it has overtaken others. Echo is when the
// receiver had sent the newest of its own frames that the sender had received when it sent this
// one, negative if there was none: so the frame proves both directions since then. Not every frame
// needs to be reported, but several a second of each pair.
type Frame struct {
	At
	From, To string
	Sent     time.Duration
	Echo     time.Duration
}

// Synced reports what a director says of itself when that changes: whether it answers by itself,
// and if not, why, and to which mesh it belongs (0: none, or nobody asks). A director is not synced
// when it starts.
type Synced struct {
	At
	Director string
	Synced   bool
	Why      string
	Mesh     uint64
}

// MeshTimes are how far the mesh times of the directors whose clocks run were ahead of true time at
// one moment.
type MeshTimes struct {
	At
	Ahead map[string]time.Duration
}

// Fault is something that goes wrong from now on, until Until.
type Fault struct {
	At
	Until time.Duration
}

// Lookup is a question for a user's backend that reached a director.
type Lookup struct {
	At
	ID       uint64
	Director string
	User     User
}

// Answer ends a lookup; with Failed it was a temporary failure.
type Answer struct {
	At
	ID      uint64
	Backend netip.Addr
	Failed  bool
}

// Admin is an operation that an operator asked a director for.
type Admin struct {
	At
	ID       uint64
	Director string
	Op       Op
}

// Done ends an operation, successfully if Error is empty.
type Done struct {
	At
	ID       uint64
	Error    string
	NoEffect bool // the error says that nothing was changed
	Failed   []string
	Tables   map[string]Table // what every living director had at this moment
	Pins     map[string]Pins
}

// FlushEnded reports that no user is moved any more by the flush that operation ID began.
type FlushEnded struct {
	At
	ID uint64
}

// Kick is an order to the sessions of one director. Exactly one of its forms is used: all sessions
// of User that are not on Keep (the zero address keeps none), all sessions on Backend, or those of
// the user called Name.
type Kick struct {
	At
	Director string
	User     User
	Keep     netip.Addr
	Backend  netip.Addr
	Name     string
}

// Final is what each director had at the end. All faults are healed and the mesh has been quiet
// when it is taken.
type Final struct {
	At
	Directors map[string]State
}

// State is all that a director holds.
type State struct {
	Table    Table
	Pins     Pins
	Mappings []Mapping // live ones, in order of tag and hash
}

// A Table is a director's table by backend.
type Table map[netip.Addr]Row

// Row is one backend of a director's table. Registers has everything that the table keeps of this
// backend in a form that is equal if and only if the registers are.
type Row struct {
	Present bool
	Tag     string
	VHosts  int
	Down    bool
	Drained bool
	Standby bool
	// Rebalanced says that users who hash elsewhere are being moved.
	Rebalanced bool
	Gone       bool // from its name, and drained for that unless an operator keeps it in use
	Failed     bool // its observers see it failed
	Factor     int  // of its weight, in percent; 0: none
	// Start is how much of its weight it has, in percent, 0 for all, and StartLeft for how long.
	Start     int
	StartLeft time.Duration
	Forgotten uint64
	Registers string
}

// Mapping is one record of a director. Activity and Stamp are opaque: the same everywhere, or the
// directors differ.
type Mapping struct {
	User       User
	Backend    netip.Addr // zero: forgotten
	Activity   uint32
	Stamp      uint32
	Generation uint16
	Moving     bool
	Ends       time.Duration // when it dies by its director's clock, in the time of events
}

// OpKind says what an Op does.
type OpKind int

// The operations.
const (
	OpAdd OpKind = iota
	OpUpdate
	OpRemove
	OpDown
	OpUp
	OpForget
	OpMove
	OpFlush
	OpCancel
	OpKick
	OpImport
	OpDrain
	OpUndrain
	OpRebalance
	OpPin
	OpUnpin
	OpReset
	OpKinds // how many there are
)

func (k OpKind) String() string {
	return [OpKinds]string{
		"add", "update", "remove", "down", "up", "forget", "move", "flush", "cancel", "kick",
		"import", "drain", "undrain", "rebalance", "pin", "unpin",
		"reset the factors of",
	}[k]
}

// Op is an operation. Backend is zero for "all" where an operation allows that.
type Op struct {
	Kind    OpKind
	Backend netip.Addr
	Tag     string // OpAdd
	Standby bool   // OpAdd: as a standby; false: not given
	VHosts  int    // OpAdd (negative: not given) and OpUpdate
	User    User   // OpMove, OpImport, OpPin and OpUnpin
	Wait    bool   // OpMove, OpPin: done at the release, not when all hold
	Name    string // OpKick
	// Over is how long an OpDrain or OpRebalance is to take; zero: as short as may be.
	Over time.Duration
	// Slow is over how long the backend is to get its whole weight; zero: not given.
	Slow time.Duration
}

// AtOnce is given for a backend that is not to start slowly.
const AtOnce time.Duration = -1

func (o Op) String() string {
	var b strings.Builder
	b.WriteString(o.Kind.String())
	if o.User != (User{}) {
		fmt.Fprintf(&b, " %v", o.User)
		if o.Wait {
			b.WriteString(" --wait")
		}
	}
	switch {
	case o.Kind == OpKick:
		fmt.Fprintf(&b, " %s", o.Name)
	case o.Backend.IsValid():
		fmt.Fprintf(&b, " %v", o.Backend)
	case o.Kind == OpUnpin:
	default:
		b.WriteString(" all")
	}
	if o.Standby {
		b.WriteString(" --standby")
	}
	if o.Kind == OpUpdate || o.Kind == OpAdd && o.VHosts >= 0 {
		fmt.Fprintf(&b, " %d", o.VHosts)
	}
	switch {
	case o.Slow == AtOnce:
		b.WriteString(" --slow-start 0s")
	case o.Slow != 0:
		fmt.Fprintf(&b, " --slow-start %v", o.Slow)
	}
	return b.String()
}

// Backend is a backend of the table with which a mesh begins.
type Backend struct {
	Addr   netip.Addr
	Tag    string
	VHosts int
	Down   bool

	Drained, Rebalanced, Standby bool

	Start int // how much of its weight it has, in percent; 0: all
}

// Rules are the settings that the guarantees depend on.
type Rules struct {
	Expire   time.Duration
	Backends []Backend   // the table at the founding of the mesh
	Odd      [][]Backend // those of other directors that may found one, if not the same
	Pins     Pins        // with which the mesh goes on

	// BatchLag is the longest time between an answer and the frame that carries its row.
	BatchLag time.Duration
	// RepairWithin is how long after the end of a fault the mesh may need to agree again.
	RepairWithin time.Duration
	// KnownWithin is how long after a director's end, or after those concerned came into touch,
	// what one of them has of its rows may be unknown to another; zero means 8 s: 5 s of silence
	// and two beats, then positions, a request and its answer.
	KnownWithin time.Duration
	// RestWithin is how long after the last fault's end directors may not be synced; zero means 15
	// s.
	RestWithin time.Duration
	// ClocksWithin is how far apart the mesh times of synced directors that are in touch may be;
	// zero means 1 s.
	ClocksWithin time.Duration
	// HoldWithin is by when a director releases a user of whose move it hears nothing more; zero
	// means 28 s.
	HoldWithin time.Duration
	// Founding is by when the directors have founded a mesh together; zero if the first one does so
	// at once.
	Founding time.Duration
}

// share is S of the design: how much longer than the expire time a mapping lives, and twice the age
// at which activity is recorded anew.
func (r Rules) share() time.Duration {
	return min(max(r.Expire/20, 20*time.Second), 45*time.Second)
}

func (r Rules) knownWithin() time.Duration { return cmp.Or(r.KnownWithin, 8*time.Second) }
func (r Rules) restWithin() time.Duration  { return cmp.Or(r.RestWithin, 15*time.Second) }

func (r Rules) holdWithin() time.Duration { return cmp.Or(r.HoldWithin, 28*time.Second) }

// One that is further off the median than this is not synced (protocol.md, Mesh time).
func (r Rules) clocksWithin() time.Duration { return cmp.Or(r.ClocksWithin, time.Second) }

// Breach is one broken guarantee.
type Breach struct {
	At        time.Duration
	Guarantee string // "G1" … "G6"
	User      User   // zero hash: no user in particular
	Text      string
}

func (b Breach) String() string {
	if b.User.Hash == 0 {
		return fmt.Sprintf("%s at %v: %s", b.Guarantee, b.At, b.Text)
	}
	return fmt.Sprintf("%s at %v: user %v: %s", b.Guarantee, b.At, b.User, b.Text)
}
