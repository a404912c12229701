// Package rank says which of two meshes that meet stays.
//
// A mesh that has ever had two directors ranks above one that has not; then counts the age in whole
// minutes, then the lower id. Each of these only grows or stays, so that two meshes never both give
// way, nor both stay, for ever. No wall clock takes part: age is time that the mesh's directors
// ran.
//
// The package knows ranks. Which directors belong to which mesh, and what it takes to join one, is
// known by package replica.
package rank

import (
	"cmp"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

const (
	perRank = int64(time.Minute / time.Millisecond) // ages are compared in whole minutes
	maxAge  = 100 * 365 * 24 * time.Hour            // bounds what a peer says
)

// Age is what a mesh ranks by, beside its id. The zero value is that of no mesh.
type Age struct {
	grown bool          // it has had two directors
	age   time.Duration // at the moment since
	since mono.Time
}

// Founded is the age of a mesh that is founded now.
func Founded(now mono.Time) Age { return Age{since: now} }

// Claimed is the age of a mesh as a peer states it now.
func Claimed(now mono.Time, m wire.MeshRank) Age {
	return Age{grown: m.Grown, age: claimed(m), since: now}
}

func claimed(m wire.MeshRank) time.Duration {
	return time.Duration(min(max(m.Age, 0), maxAge.Milliseconds())) * time.Millisecond
}

// Of is the rank of the mesh of this id and age.
func (a Age) Of(id directory.MeshID, now mono.Time) wire.MeshRank {
	return wire.MeshRank{ID: id, Grown: a.grown, Age: (a.age + now.Sub(a.since)).Milliseconds()}
}

// Learn takes what a peer of the mesh states of it. Counted says that we count that peer: then the
// mesh has two directors.
func (a *Age) Learn(now mono.Time, m wire.MeshRank, counted bool) {
	a.grown = a.grown || m.Grown || counted
	if theirs := claimed(m); theirs > a.age+now.Sub(a.since) {
		a.age, a.since = theirs, now
	}
}

// Compare returns a positive number if mesh a stays where it meets mesh b, a negative one if a
// joins b, and zero if they are the same. With exact, ages are compared to the millisecond.
func Compare(a, b wire.MeshRank, exact bool) int {
	unit := perRank
	if exact {
		unit = 1
	}
	switch {
	case a.ID == b.ID:
		return 0
	case a.ID == 0 || b.ID == 0:
		return cmp.Compare(min(a.ID, 1), min(b.ID, 1))
	case a.Grown != b.Grown && a.Grown:
		return 1
	case a.Grown != b.Grown:
		return -1
	}
	return cmp.Or(cmp.Compare(a.Age/unit, b.Age/unit), cmp.Compare(b.ID, a.ID))
}
