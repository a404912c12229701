package moves

import (
	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Phase of a move at its originator. They follow each other in this order.
type Phase int

// The phases.
const (
	Holding  Phase = iota // until every counted peer holds the user
	Kicking               // until every counted peer has reported
	Hooking               // until the flush hook is through
	Delaying              // until the kick delay has passed
)

// MaxRestarts is how often a move begins again above a mapping that beat it.
const MaxRestarts = 5

// Move is one user on the way to another backend, at the director that moves it.
type Move struct {
	User     ring.User
	Row      directory.Mapping // the moving row; it names the move
	Previous directory.Mapping // what it replaced
	Was      directory.Status  // of Previous
	Started  mono.Time
	Until    mono.Time // end of the delay; meant when Delaying
	Phase    Phase
	HeldAt   mono.Time    // when every peer held the user; meant after Holding
	Unsure   bool         // some kicker ended sessions, or does not know
	Unknown  bool         // some kicker does not know whether there were others
	Kicked   kicks.Report // what directors could not do
	Restarts int          // MaxRestarts at most

	// Stays says that the user is there already, by this row, which does not move: the peers are to
	// confirm that they have it, and that is all.
	Stays bool

	Op    uint64     // waiting operation, 0: none
	Wait  bool       // the operation waits for the release
	Flush uint64     // the flush that began the move, by its id; 0: none
	Cause wire.Cause // why the user is moved; CauseOther if another director knows
	// FromFailed says that a login waits for the move, because the user's backend has failed.
	FromFailed bool
	Task       uint64 // the drain or rebalance that began it, by its id; 0: none

	batch    *Batch          // the Hold that announced it; nil: it is to be announced
	reported map[string]bool // by peer; "" is ourselves
	touched  bool            // it is listed in Set.touched
}

// Same reports whether two rows are of one move: generation, stamp and backend name it.
func Same(a, b directory.Mapping) bool {
	return a.Generation == b.Generation && a.Stamp == b.Stamp && a.Backend == b.Backend
}

// SeenBefore notes that a peer let the user in by a mapping that the move replaces and that this
// director had not heard of yet, in full.
func (m *Move) SeenBefore(in directory.Mapping) {
	if m.Was != directory.Live || in.Activity > m.Previous.Activity {
		m.Previous, m.Was = in, directory.Live
	}
}

// Begin begins the move with this row: what peers said of another one is void.
func (m *Move) Begin(row directory.Mapping) {
	m.Row, m.Phase = row, Holding
	m.reported, m.Kicked = make(map[string]bool), kicks.Report{}
}

// Announced reports whether a Hold announced the move to the peers.
func (m *Move) Announced() bool { return m.batch != nil }

// HeldBy reports whether a peer has confirmed to hold the user.
func (m *Move) HeldBy(peer string) bool { return m.batch != nil && m.batch.held[peer] }

// Holders reports of any peer whether it has confirmed the Hold that announced the move last, also
// when the move has ended.
func (m *Move) Holders() func(peer string) bool {
	if m.batch == nil {
		return func(string) bool { return false }
	}
	held := m.batch.held
	return func(peer string) bool { return held[peer] }
}

// ReportedBy reports whether a director has reported what its kicker did; "" is ourselves.
func (m *Move) ReportedBy(director string) bool { return m.reported[director] }

// Report takes the report of a director; "" is ourselves.
func (m *Move) Report(director string, r kicks.Result) {
	m.reported[director] = true
	if r.Count > 0 || !r.Known {
		m.Unsure = true
	}
	m.Unknown = m.Unknown || !r.Known
	m.Kicked.Note(director, r)
}

// Doubt notes that a director's kicker may have left something, or still be at work.
func (m *Move) Doubt() { m.Unsure, m.Unknown = true, true }

// BeatenByMapping reports whether a row that beat the move is no move: a lookup elsewhere made it
// before this director knew of it. A move begins again above such a row, MaxRestarts times at most.
func (m *Move) BeatenByMapping(row directory.Mapping) bool {
	return !row.Moving && !Same(row, m.Row) && m.Restarts < MaxRestarts
}
