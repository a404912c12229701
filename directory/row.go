package directory

import (
	"cmp"
	"net/netip"

	"directormesh/ring"
)

// BackendRow is what the table knows of one backend: four independent
// registers. Because they are independent, `down` on one director and
// `update` on another at the same moment both hold. In a delta the registers
// that it does not touch are unset.
//
// To add a register, add a field, and a line to Known. The tests of this package, of mesh/wire,
// mesh/replica, mesh/meshtest/sim and cli name each place that lacks it. It travels as an optional
// last field (mesh/doc/protocol.md, Two releases).
type BackendRow struct {
	Addr     netip.Addr
	Presence Register[Presence]
	VHosts   Register[int]
	State    Register[State]
	// Forgotten is the last "forgotten up to": mappings to this backend that
	// were assigned at or before it are dead. It merges by maximum; zero means
	// that nothing was ever forgotten.
	Forgotten Stamp

	// What follows was added after the first release, one after the other. Directors of an earlier
	// release do not know it; see Known.

	Drain     Register[Task]
	Rebalance Register[Task]
	// Verdict says whether the observers of the backend see it failed; unset: nobody ever said so.
	Verdict Register[Verdict]
	// Factor changes the weight; unset: the vhost count is the weight.
	Factor Register[Factor]
	// Standby says that it takes users only while no other backend of its tag does.
	Standby Register[bool]
	// Start says that it starts slowly; unset: it has its whole weight.
	Start Register[Start]
	// Listing says whether the name that the backend was added for still has its address.
	Listing Register[Listing]
}

// Registers is how many registers of a backend a director of this release knows beyond those of the
// first release. PinRegister is the place of pins among them, which are rows of their own, and
// StandbyRegister, StartRegister and ListingRegister those of Standby, Start and Listing.
const (
	Registers       = 8
	PinRegister     = 5
	StandbyRegister = 6
	StartRegister   = 7
	ListingRegister = 8
)

// Known returns the row as a director knows it that has only so many of the registers that were
// added after the first release. Such a director neither goes by the others nor confirms them.
func (r BackendRow) Known(registers int) BackendRow {
	if registers < 1 {
		r.Drain = Register[Task]{}
	}
	if registers < 2 {
		r.Rebalance = Register[Task]{}
	}
	if registers < 3 {
		r.Verdict = Register[Verdict]{}
	}
	if registers < 4 {
		r.Factor = Register[Factor]{}
	}
	if registers < StandbyRegister {
		r.Standby = Register[bool]{}
	}
	if registers < StartRegister {
		r.Start = Register[Start]{}
	}
	if registers < ListingRegister {
		r.Listing = Register[Listing]{}
	}
	return r
}

// Covers says whether merging change into r would leave r as it is.
func (r BackendRow) Covers(change BackendRow) bool {
	return change.Presence.compare(r.Presence, comparePresence) <= 0 &&
		change.VHosts.compare(r.VHosts, cmp.Compare[int]) <= 0 &&
		change.State.compare(r.State, compareState) <= 0 &&
		change.Forgotten <= r.Forgotten &&
		change.Drain.compare(r.Drain, compareTask) <= 0 &&
		change.Rebalance.compare(r.Rebalance, compareTask) <= 0 &&
		change.Verdict.compare(r.Verdict, compareVerdict) <= 0 &&
		change.Factor.compare(r.Factor, cmp.Compare[Factor]) <= 0 &&
		change.Standby.compare(r.Standby, compareBool) <= 0 &&
		change.Start.compare(r.Start, compareStart) <= 0 &&
		change.Listing.compare(r.Listing, compareListing) <= 0
}

// merge takes over what is later in the row in and returns just that.
func (r *BackendRow) merge(in BackendRow) (won BackendRow) {
	won = BackendRow{
		Addr:      in.Addr,
		Presence:  r.Presence.merge(in.Presence, comparePresence),
		VHosts:    r.VHosts.merge(in.VHosts, cmp.Compare[int]),
		State:     r.State.merge(in.State, compareState),
		Drain:     r.Drain.merge(in.Drain, compareTask),
		Rebalance: r.Rebalance.merge(in.Rebalance, compareTask),
		Verdict:   r.Verdict.merge(in.Verdict, compareVerdict),
		Factor:    r.Factor.merge(in.Factor, cmp.Compare[Factor]),
		Standby:   r.Standby.merge(in.Standby, compareBool),
		Start:     r.Start.merge(in.Start, compareStart),
		Listing:   r.Listing.merge(in.Listing, compareListing),
	}
	if in.Forgotten > r.Forgotten {
		r.Forgotten, won.Forgotten = in.Forgotten, in.Forgotten
	}
	return won
}

// Commanded returns the row without its configured registers.
func (r BackendRow) Commanded() BackendRow {
	return BackendRow{
		Addr:      r.Addr,
		Presence:  r.Presence.commanded(),
		VHosts:    r.VHosts.commanded(),
		State:     r.State.commanded(),
		Forgotten: r.Forgotten,
		Drain:     r.Drain.commanded(),
		Rebalance: r.Rebalance.commanded(),
		Verdict:   r.Verdict.commanded(),
		Factor:    r.Factor.commanded(),
		Standby:   r.Standby.commanded(),
		Start:     r.Start.commanded(),
		Listing:   r.Listing.commanded(),
	}
}

// Empty says that no register is set.
func (r BackendRow) Empty() bool { return r == BackendRow{Addr: r.Addr} }

// present says whether the backend is in the table.
func (r BackendRow) present() bool { return r.Presence.Value.Present }

// Drained says whether the backend gets no new users and loses those that it has: an operator
// drains it, or its name has lost its address.
func (r BackendRow) Drained() bool { return r.Drain.Value.On || r.Listing.Value.drains() }

// vhosts returns the vhost count to use. Presence can be known before, or
// without, a vhost count. A peer may send any number, but a ring of any size
// may not fit in memory.
func (r BackendRow) vhosts() int {
	if !r.VHosts.set() {
		return ring.DefaultVHosts
	}
	return min(max(r.VHosts.Value, 0), ring.MaxVHosts)
}

// lastStamp returns the highest stamp in the row.
func (r BackendRow) lastStamp() Stamp {
	return max(r.Presence.Stamp, r.VHosts.Stamp, r.State.Stamp, r.Forgotten, r.Drain.Stamp,
		r.Rebalance.Stamp, r.Verdict.Stamp, r.Factor.Stamp, r.Standby.Stamp, r.Start.Stamp,
		r.Listing.Stamp)
}

// lastMoment returns the highest stamp in the row, those in its values included.
func (r BackendRow) lastMoment() Stamp {
	return max(r.lastStamp(), r.State.Value.Since, r.Drain.Value.Since,
		r.Rebalance.Value.Since, r.Verdict.Value.Since, r.Start.Value.Since)
}

// DirectorRow is what `ring add` and `ring remove` have said about one
// director: a removed one is refused until it is added again.
type DirectorRow struct {
	Addr    netip.AddrPort
	Removed Register[bool]
}

// Covers says whether merging change into r would leave r as it is.
func (r DirectorRow) Covers(change DirectorRow) bool {
	return change.Removed.compare(r.Removed, compareBool) <= 0
}
