package replica

import (
	"errors"
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/flushes"
	"directormesh/ring"
)

// An Operation is something an operator asks for. Operations end with an AdminDone effect.
type Operation interface{ operation() }

// Operations returns one operation of each type, empty. Tests hold to it what takes operations: the
// core, the check of their names, the daemon, the fuzz test and the simulation.
func Operations() []Operation {
	return []Operation{
		AddBackend{}, UpdateBackend{}, RemoveBackend{}, SetDown{}, Forget{}, Move{}, Flush{},
		CancelFlush{}, KickUser{}, SetDirectorRemoved{}, Import{},
		Drain{}, Undrain{}, Rebalance{}, ResetFactors{}, IfTable{}, Pin{}, Unpin{},
	}
}

// AddBackend adds a backend or, for one that is there, sets what is given.
type AddBackend struct {
	Addr   netip.Addr
	Name   string
	Tag    ring.Tag
	VHosts *int // nil: 100 for a new backend, unchanged for a known one
	// Standby makes it a standby, or none; nil: none for a new backend, unchanged for a known one.
	Standby *bool
	// SlowStart is over how long it gets its whole weight, 0: at once; nil: as configured, if it
	// comes into use by that. So it is with the other operations.
	SlowStart *time.Duration
}

// UpdateBackend changes the vhost count.
type UpdateBackend struct {
	Addr      netip.Addr
	Tag       *ring.Tag // if not nil it must be the backend's
	VHosts    int
	SlowStart *time.Duration
}

// RemoveBackend removes a backend, forgets its users and kicks the sessions on it.
type RemoveBackend struct{ Addr netip.Addr }

// SetDown takes a backend down or up.
type SetDown struct {
	Addr      netip.Addr
	Down      bool
	SlowStart *time.Duration // only up
}

// Forget drops the mappings of a backend, or of all (zero Addr), and ends no session.
type Forget struct{ Addr netip.Addr }

// Move gives one user of the backend's tag this backend. It ends when all live directors hold the
// user or, with Wait, at the release. A user who is there already is seen now, and not held: then
// it ends when all live directors have confirmed that mapping.
type Move struct {
	Hash    ring.UserHash
	Backend netip.Addr
	Wait    bool
}

// Flush moves the users of a backend, or of all (zero Addr), to where they hash now. It ends when
// it has begun; Outcome.Flush names it.
type Flush struct {
	Addr        netip.Addr
	MaxParallel int // users in flight, 10,000 at most; 0: the configured number
}

// CancelFlush stops flushes from starting moves, on all directors: the flushes of this backend, or
// with a zero Addr all. It ends when whoever runs them has reported that, or is gone.
type CancelFlush struct{ Addr netip.Addr }

// Drain gives a backend no new users and moves its users to where they hash now; Outcome.Mapped
// says how many these are. It ends when all live directors know of it: the moves follow.
type Drain struct {
	Addr netip.Addr
	Pace
	Force bool // however little of the tag's weight remains
}

// Undrain lets a drained backend have new users again. Users that were moved stay where they are.
type Undrain struct {
	Addr      netip.Addr
	SlowStart *time.Duration
}

// Rebalance moves the users of a tag, or of all (nil), that are not where they hash now. It ends
// when all live directors know of it.
type Rebalance struct {
	Tag *ring.Tag
	Pace
}

// Pin sends a user of the backend's tag to this backend from now on, while it is usable. One who is
// mapped elsewhere is moved. It ends when all live directors know of it and hold a user who is
// moved or, with Wait, at the release; of a user who is there already, as a move to there.
type Pin struct {
	Hash    ring.UserHash
	Backend netip.Addr
	Wait    bool
}

// Unpin lets a user go by hash again; a mapping stays.
type Unpin struct{ User ring.User }

// ResetFactors makes the vhost counts of a tag, or of all (nil), the weights again. Directors that
// balance go on from there.
type ResetFactors struct{ Tag *ring.Tag }

// Pace is how fast users are moved. With neither By nor Over they are as soon as may be.
type Pace struct {
	By          directory.Time // when the last one is to be moved; 0: not given
	Over        time.Duration  // how long it is to take; 0: not given
	MaxParallel int            // users in flight, directory.MaxParallel at most; 0: as configured
}

// IfTable carries out an operation only if the table has a certain digest, see Core.TableDigest.
type IfTable struct {
	Digest    string
	Operation Operation
}

// KickUser ends a user's sessions on every director; the mapping stays.
type KickUser struct {
	Field string // empty: by name
	Value string
}

// SetDirectorRemoved makes the mesh refuse a director, or accept it again.
type SetDirectorRemoved struct {
	Addr    netip.AddrPort // not valid: that of the director called Name
	Name    string
	Removed bool
}

func (AddBackend) operation()         {}
func (UpdateBackend) operation()      {}
func (RemoveBackend) operation()      {}
func (SetDown) operation()            {}
func (Forget) operation()             {}
func (Move) operation()               {}
func (Flush) operation()              {}
func (CancelFlush) operation()        {}
func (KickUser) operation()           {}
func (SetDirectorRemoved) operation() {}
func (Drain) operation()              {}
func (Undrain) operation()            {}
func (Rebalance) operation()          {}
func (ResetFactors) operation()       {}
func (IfTable) operation()            {}
func (Pin) operation()                {}
func (Unpin) operation()              {}

// Outcome reports what an operation did.
type Outcome struct {
	FailedPeers []string // directors that were counted as failed while the operation waited for all
	Mapped      int      // SetDown, Drain: users still mapped to the backend
	Flush       FlushID  // Flush: the one begun
	// NotKept are directors whose data directories had not kept the change within two seconds,
	// sorted; KeptByNone says that these are all that have one. Directors that are not counted are
	// among these only if no other one has a data directory.
	NotKept    []string
	KeptByNone bool
	Count      int  // KickUser: sessions ended; CancelFlush: flushes that stop
	Known      bool // KickUser: every kicker knows that these were all

	// Move, Pin and KickUser: sessions that could not be ended, and directors without a kicker, as
	// far as reported; both sorted.
	Left  []SessionsLeft
	Blind []string
}

// SessionsLeft is how many sessions a director's kicker saw and could not end.
type SessionsLeft struct {
	Director string
	Sessions int
}

// FlushID names a flush in the whole mesh.
type FlushID = flushes.ID

// What an operation can fail with besides the errors of the directory's table.
var (
	ErrTryAgain        = errors.New("user is already being moved")
	ErrNotSynced       = errors.New("this director is not synced yet")
	ErrRemoved         = errors.New("this director was removed from the mesh")
	ErrUnknownDirector = errors.New("no such director")
	ErrSharedAddress   = errors.New("several directors were seen at")
	ErrNothingToCancel = errors.New("no such flush is running")
	ErrOtherTable      = errors.New("the table has changed since the plan")
	ErrPinned          = errors.New("user is pinned")
	ErrOlderRelease    = errors.New("a director of an earlier release does not know this command")

	ErrOnlyDirector = errors.New(
		"this is the only director that is reachable; to end it, stop it")
	ErrStampAhead = errors.New(
		"the table holds changes that lie ahead of mesh time; try again in a few seconds")
	ErrClockStepped = errors.New("mesh time was stepped while the change was under way; " +
		"look whether it holds, else repeat it")
	ErrOvertaken = errors.New("a later change overtook this one before every director had it; " +
		"look what holds, and repeat it if need be")
	ErrLeftCluster = errors.New(
		"this director was taken into another cluster meanwhile; look whether the change holds")
	errCannotMove = errors.New("the backend was removed, or the user was moved 16,383 times " +
		"without a pause; try again later")
)

// TemporaryError ends a lookup that could not be answered in time; the user should try again.
type TemporaryError struct {
	// why it waited: "no usable backend", "user is being moved", "not synced" and the like
	Reason string
}

func (e *TemporaryError) Error() string { return "temporary failure: " + e.Reason }
