package replica

import (
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// BackendStatus is one backend as `director status` shows it.
type BackendStatus struct {
	Backend   ring.Backend
	ChangedAt directory.Time // last up/down change, 0 = never
	Users     int            // mappings, may lag one sweep
	Leaving   int            // users who are being moved away from it
	Drain     directory.Task
	Rebalance directory.Task
	// StartedAt and StartEnds are since when and until when it starts slowly; 0: it does not.
	StartedAt, StartEnds directory.Time
	FailedAt             directory.Time // 0: its observers do not see it failed
	FailedBy             string         // the director that wrote so
	Load                 uint64         // sessions, or percent; see Balance
	LoadKnown            bool
}

// UserStatus is where one user is and would be.
type UserStatus struct {
	Mapped bool // there is a live mapping
	// the mapping's backend, else where a login would go now; zero: no usable backend
	Current netip.Addr
	Expires directory.Time
	Moving  bool
	Hashed  netip.Addr // by pin or ring of now; zero: none
	Initial netip.Addr // by the ring of the configuration; zero: none
	Pinned  netip.Addr // zero: not pinned; a pin to a backend that is not usable does not count
}

// PeerState is how a director sees a peer.
type PeerState int

// The states of a peer; see the design for their meaning.
const (
	Handshaking PeerState = iota
	Syncing
	Synced
)

// PeerStates are all of them.
func PeerStates() []PeerState { return []PeerState{Handshaking, Syncing, Synced} }

func (s PeerState) String() string {
	return [...]string{"handshaking", "syncing", "synced"}[s]
}

// PeerStatus is one line of `director ring status`.
type PeerStatus struct {
	Name      string
	Boot      uint64
	Addr      netip.AddrPort
	Self      bool
	Removed   bool
	Reachable bool // frames flow both ways
	Left      bool // left in good order
	// SilentSince is since when no beat came of a peer that should send some, by mesh time: long
	// before it counts as failed, and ever since. Zero: it is heard, or never was.
	SilentSince time.Time
	LastFailed  time.Time // last failed probe, stream or protocol error, by mesh time; zero: never
	State       PeerState
	Received    uint64 // users received or sent while Handshaking; both 0: none
	Sent        uint64
	RoundTrip   time.Duration // last, 0 if unknown
	Users       uint64
	Skew        time.Duration // the peer's mesh time less ours
	Offset      time.Duration // self: mesh time less own wall clock
	Reason      string        // self: why not synced, or what is wrong with its address
}

// FlushStatus is how a flush goes, as last heard.
type FlushStatus struct {
	ID       FlushID
	Backend  netip.Addr // zero: all
	Total    uint64
	Scanning bool
	Moved    uint64
	Moving   uint64
	Failed   uint64
	Started  directory.Time
	Ended    directory.Time // 0: runs
	Canceled bool
	Left     uint64 // users with sessions that a kicker saw and could not end
	Blind    bool   // a director has no kicker
	Runner   string // the director that runs it, or ran it last
	Lost     bool   // that director is gone, and no other one goes on with it
}

// SelfStatus is the state of this director.
type SelfStatus struct {
	Synced  bool
	Alone   bool          // serves without any peer although it has some to join
	Reason  string        // why not synced, or why alone
	Mesh    wire.MeshRank // ID 0: belongs to none yet
	Users   int
	Waiting int // lookups that wait
	Rings   int // rings kept; more than one while a table change is not confirmed by all
	// Missing are the directors that were live when this one ended, and are not; for a minute.
	Missing []string
}
