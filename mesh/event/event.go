package event

import (
	"net/netip"

	"directormesh/directory"
	"directormesh/mesh/history"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Event is one thing that happened. Exactly one of the fields behind Wall is set.
type Event struct {
	At   directory.Time // mesh time
	Wall directory.Time // the wall clock of the director that saw it

	Admin  *wire.AdminNote // a change that somebody asked for, and how it went
	Table  *history.TableEvent
	Moved  *Moved
	Peer   *Peer
	Self   *Self
	Health *Health
	Alarm  *Alarm
	Flush  *Flush
	Done   *Drained
	Keys   *Keys
	Lost   uint64 // events of which nothing but their number is known
}

// MaxUsers is how many users one event has, at most.
const MaxUsers = 1000

// Moved is users who got another backend.
type Moved struct {
	Tag      ring.Tag
	From, To netip.Addr // not valid: none, or not known
	Cause    wire.Cause
	By       string // the director that decided it; "": not known
	Users    []ring.UserHash
}

// Peer is another director whose state has changed.
type Peer struct {
	Name string
	Addr netip.AddrPort
	What PeerChange
}

// PeerChange is what became of a peer.
type PeerChange string

// The changes.
const (
	PeerReachable   PeerChange = "reachable"
	PeerUnreachable PeerChange = "unreachable"
	PeerLeft        PeerChange = "left"
	PeerRestarted   PeerChange = "restarted"
	PeerSynced      PeerChange = "synced"
	PeerNotSynced   PeerChange = "not synced"
	PeerForgotten   PeerChange = "forgotten"
)

// PeerChanges are all of them.
func PeerChanges() []PeerChange {
	return []PeerChange{
		PeerReachable, PeerUnreachable, PeerLeft, PeerRestarted, PeerSynced, PeerNotSynced,
		PeerForgotten,
	}
}

// Self is this director, which has come to be in another state.
type Self struct {
	Synced bool
	Alone  bool
	Reason string // why not synced, or why alone
}

// Health is a backend that is seen otherwise than before, in the words of replica.Health.
type Health struct {
	Backend netip.Addr
	Tag     ring.Tag
	Was, Is string
	Reason  string // what is wrong with one that fails
}

// Alarm is more backends of a tag failing at once than may be out of use, or the end of that.
type Alarm struct {
	Tag     ring.Tag
	Over    bool
	Failing int
	Most    int
}

// Flush is a flush that began or ended.
type Flush struct {
	Backend  netip.Addr // not valid: all
	Director string     // that began it
	ID       uint64
	What     FlushChange
	Runner   string // the director that runs it, or ran it last
	Moved    uint64
	Failed   uint64
}

// FlushChange is what became of a flush.
type FlushChange string

// The changes.
const (
	FlushBegun     FlushChange = "begun"
	FlushEnded     FlushChange = "ended"
	FlushCancelled FlushChange = "cancelled"
	FlushLost      FlushChange = "lost"
)

// FlushChanges are all of them.
func FlushChanges() []FlushChange {
	return []FlushChange{FlushBegun, FlushEnded, FlushCancelled, FlushLost}
}

// Drained is a drained backend that has no user any more.
type Drained struct {
	Backend netip.Addr
	Tag     ring.Tag
}

// Keys is a change of the keys of the mesh. Keys are named by their ids.
type Keys struct {
	What KeyChange
	ID   string // of the key; of a rotation the new one
	By   string // who began the rotation; "": not known
}

// KeyChange is what became of a key, or of the keys.
type KeyChange string

// The changes.
const (
	KeyAdded         KeyChange = "added"
	KeyRemoved       KeyChange = "removed"
	KeyUsed          KeyChange = "used" // this director encrypts with it from now on
	RotationBegun    KeyChange = "rotation begun"
	RotationFinished KeyChange = "rotation ended"
)

// KeyChanges are all of them.
func KeyChanges() []KeyChange {
	return []KeyChange{KeyAdded, KeyRemoved, KeyUsed, RotationBegun, RotationFinished}
}
