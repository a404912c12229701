package directory

import (
	"cmp"
	"net/netip"

	"directormesh/ring"
)

// Mapping is the record of one user: to which backend it goes. The zero
// Backend means "no backend", which is a value like any other: an
// operator made the directory forget the user, and that must win over older rows.
type Mapping struct {
	Hash     ring.UserHash
	Backend  netip.Addr
	Activity Tick // recorded activity: the last use worth recording
	Stamp    Tick // when the backend was assigned
	// Generation counts the assignments of this user, 1 to MaxGeneration. It
	// begins anew once the user has had no mapping for a while.
	Generation uint16
	Moving     bool // lookups are held until the move is released
}

// MaxGeneration is the highest generation, 14 bits of it. Counting stops
// there, so a mapping of that generation cannot be superseded; its user keeps
// the backend until the mapping dies. That takes sixteen thousand moves of one
// user with never an expiry between them.
const MaxGeneration = 1<<14 - 1

// NextGeneration returns the generation of the mapping that replaces one of
// generation g; at MaxGeneration it stays there.
func NextGeneration(g uint16) uint16 { return min(g, MaxGeneration-1) + 1 }

// valid says whether a row has a form that this package can store.
func (m Mapping) valid() bool { return m.Generation >= 1 && m.Generation <= MaxGeneration }

// same says whether m and n are the same assignment.
func (m Mapping) same(n Mapping) bool {
	return m.Hash == n.Hash && m.Generation == n.Generation && m.Stamp == n.Stamp &&
		m.Backend == n.Backend
}

// merge is the law by which directors agree on one of two live rows of a user.
// It is commutative, associative and idempotent. Rows that are dead by the
// table take part, see beats; rows that are dead by time do not.
//
// The later generation wins, since it was given by someone who knew the
// earlier one. Of equal generations, made without knowledge of each other, the
// older stamp wins, because more sessions will have followed it. Of equal
// assignments, released wins over moving. What remains is decided by address.
// Recorded activity is a fact about the user, not about the assignment: the
// latest counts, whichever row wins.
func merge(a, b Mapping) Mapping {
	if compareMappings(a, b) < 0 {
		a, b = b, a
	}
	a.Activity = max(a.Activity, b.Activity)
	return a
}

// beats says whether a wins over b, given which of them are alive by the table.
// The generation comes first: a dead row still supersedes what came before it.
// Of one generation, the living win.
func beats(a Mapping, aLive bool, b Mapping, bLive bool) bool {
	if a.Generation == b.Generation && aLive != bLive {
		return aLive
	}
	return compareMappings(a, b) >= 0
}

// compareMappings returns a positive number if a wins over b, a negative one
// if b wins over a; zero if they differ in activity only.
func compareMappings(a, b Mapping) int {
	if c := cmp.Compare(a.Generation, b.Generation); c != 0 {
		return c
	}
	if c := cmp.Compare(b.Stamp, a.Stamp); c != 0 {
		return c
	}
	if c := compareBool(b.Moving, a.Moving); c != 0 {
		return c
	}
	return ring.CompareAddr(b.Backend, a.Backend) // "no backend" is the lowest
}
