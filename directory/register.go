package directory

import (
	"cmp"
	"strings"
	"time"

	"directormesh/ring"
)

// Register is one replicated value of which the last write wins. It is unset
// while Origin is empty, and configured when Stamp is zero.
//
// Writes are ordered by stamp, then origin, then value, so that any two
// directors that have seen the same writes hold the same one.
type Register[T comparable] struct {
	Value  T
	Stamp  Stamp
	Origin string // name of the director that wrote the value
}

// set says whether the register holds a value.
func (r Register[T]) set() bool { return r.Origin != "" }

// compare orders two writes of one register; unset comes first.
func (r Register[T]) compare(s Register[T], values func(a, b T) int) int {
	switch {
	case !r.set() || !s.set():
		return compareBool(r.set(), s.set())
	default:
		return cmp.Or(
			cmp.Compare(r.Stamp, s.Stamp),
			strings.Compare(r.Origin, s.Origin),
			values(r.Value, s.Value),
		)
	}
}

// merge keeps the later of r and in; it returns in if that was the one, else
// an unset register.
func (r *Register[T]) merge(in Register[T], values func(a, b T) int) (won Register[T]) {
	if in.compare(*r, values) > 0 {
		*r = in
		return in
	}
	return won
}

// commanded returns the register if a command wrote it, and an unset one if
// its value was configured.
func (r Register[T]) commanded() Register[T] {
	if r.Stamp == 0 {
		return Register[T]{}
	}
	return r
}

// Presence says whether a backend is in the table, and with what it was added.
type Presence struct {
	Present bool
	Tag     ring.Tag
	Name    string // configured host name, "" if the backend was given by address
}

func comparePresence(a, b Presence) int {
	return cmp.Or(
		compareBool(a.Present, b.Present),
		strings.Compare(string(a.Tag), string(b.Tag)),
		strings.Compare(a.Name, b.Name),
	)
}

// State says whether a backend is down, and since when.
type State struct {
	Down bool
	// Since is the stamp of the command that changed it; zero means that it is
	// up since it was added, or is as configured. A command that finds the
	// state as wanted is written like any other, so that it wins over older
	// ones of a part of the mesh that is away, but keeps Since.
	Since Stamp
}

func compareState(a, b State) int {
	return cmp.Or(compareBool(a.Down, b.Down), cmp.Compare(a.Since, b.Since))
}

// Task says whether users of a backend are being moved to where they hash now, and how fast. There
// are two of each backend. One that is drained gets no new users, though it keeps its vhost count,
// and stays drained when it has no users left. One that is rebalanced loses those that hash
// elsewhere; then the task ends.
type Task struct {
	On bool
	// Since is the stamp of the command that changed On; zero means that it never changed.
	Since Stamp
	// By is when its last user is to be moved, by mesh time; zero means as soon as may be.
	By Time
	// Parallel is how many of its users are moved at a time, MaxParallel at most; zero means as
	// many as each director's settings say.
	Parallel int
}

func compareTask(a, b Task) int {
	return cmp.Or(compareBool(a.On, b.On), cmp.Compare(a.Since, b.Since), cmp.Compare(a.By, b.By),
		cmp.Compare(a.Parallel, b.Parallel))
}

// Verdict says whether a backend has failed, as most of its observers see it.
type Verdict struct {
	Failed bool
	// Since is the stamp of the write that last changed Failed.
	Since Stamp
	// Cleared says that an operator's command ended a failure. The backend does not fail again
	// before it was seen good for a while; who sees that writes the verdict without the mark.
	Cleared bool
	// Flaps is how often in a row it failed within FlapWithin of being good again, MaxFlaps at
	// most. Who is to see it good again must do so the longer.
	Flaps int
}

func compareVerdict(a, b Verdict) int {
	return cmp.Or(
		compareBool(a.Failed, b.Failed),
		cmp.Compare(a.Since, b.Since),
		compareBool(a.Cleared, b.Cleared),
		cmp.Compare(a.Flaps, b.Flaps),
	)
}

// Factor is by how much the directors change the weight of a backend to even out load, in percent
// of its vhost count. 0 means ring.NoFactor: nobody changed it yet.
type Factor int

// Percent returns the factor as a number.
func (f Factor) Percent() int { return cmp.Or(int(f), ring.NoFactor) }

// Start says how a backend starts that comes into use: slowly, with a weight that grows in steps,
// or at once, which is the zero value.
type Start struct {
	// Since is the stamp of the change that brought it into use; 0: it did not start slowly.
	Since Stamp
	// Over is in how long it gets its whole weight, in whole milliseconds, MaxSlowStart at most.
	Over time.Duration
	// Percent is how much of its weight it has, 1 to 99; 0 means all.
	Percent int
}

func compareStart(a, b Start) int {
	return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.Over, b.Over),
		cmp.Compare(a.Percent, b.Percent))
}

// Listing says whether the name that a backend was added for has the backend's address. One that
// was added by address has a zero Listing.
type Listing struct {
	// Gone says that the name does not have the address any more: the backend is drained.
	Gone bool
	// Retained says that an operator's command keeps the backend in use although it is gone.
	Retained bool
}

// drains says whether the backend is drained for what its name says.
func (l Listing) drains() bool { return l.Gone && !l.Retained }

func compareListing(a, b Listing) int {
	return cmp.Or(compareBool(a.Gone, b.Gone), compareBool(a.Retained, b.Retained))
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}
