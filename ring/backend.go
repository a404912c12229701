package ring

import (
	"cmp"
	"net/netip"
)

const (
	// DefaultVHosts is the vhost count of a backend that was given none.
	DefaultVHosts = 100
	// MaxBackends and MaxTags bound a cluster.
	MaxBackends = 10_000
	MaxTags     = 1000
	// MaxPoints bounds the vhost counts of all backends together: a ring of that many points takes
	// most of a second to build.
	MaxPoints = MaxBackends * DefaultVHosts
	// MaxVHosts is the largest vhost count. Code that reads one from outside refuses larger ones; a
	// Ring counts them as MaxVHosts.
	MaxVHosts = 1000
	// NoFactor, MinFactor and MaxFactor are the factors of a backend that nobody gave one, and the
	// bounds of those that are given, in percent.
	NoFactor  = 100
	MinFactor = 50
	MaxFactor = 150
	// WholeStart is how much of its weight a backend has that does not start slowly, in percent.
	WholeStart = 100
)

// Tag names a partition of the cluster with its own backends, its own ring and its own users. "" is
// a tag like any other, and the one that is meant where none is given.
type Tag string

// Backend is a mail server that users are sent to, as far as the ring and its configuration know
// it.
type Backend struct {
	Addr netip.Addr
	// Name is the host name by which the backend was configured, "" if it was given by address. It
	// does not affect the ring.
	Name string
	Tag  Tag
	// VHosts is the weight, 0 to MaxVHosts: how many points the backend has on the ring of its tag.
	// With 0 it gets no new users.
	VHosts int
	// Factor is by how much balancing changes the weight, in percent; 0 means NoFactor. See Weight.
	Factor int
	// Start is how much of its weight counts while it starts slowly, in percent; 0 means
	// WholeStart, as for one that does not. See Weight.
	Start int
	// Down keeps the backend off the ring, whatever VHosts says.
	Down bool
	// Drained keeps the backend off the ring too; its users are moved away one after the other.
	Drained bool
	// Rebalanced says that those of its users are being moved that hash elsewhere. It does not
	// affect the ring.
	Rebalanced bool
	// Failed says that its observers see it failed, and Out that it is off the ring for that. How
	// many failed ones may be out is bounded; the others stay on the ring.
	Failed, Out bool
	// Standby says that it takes users only while no other backend of its tag does, and Idle that
	// it is off the ring for that.
	Standby, Idle bool
	// Gone says that Name does not have the address any more. It does not affect the ring: Drained
	// does, which is set too, unless an operator keeps the backend in use.
	Gone bool
}

// Target is an address of a name of backends, and what the name says of it.
type Target struct {
	Addr    netip.Addr
	VHosts  int
	Standby bool
}

// Weight is the vhost count that the ring goes by: VHosts, and what the directors make of it for
// now. All that asks for a backend's share goes by it. It is 0 only where VHosts is.
func (b Backend) Weight() int {
	factor, start := cmp.Or(b.Factor, NoFactor), cmp.Or(b.Start, WholeStart)
	if b.VHosts <= 0 || factor == NoFactor && start == WholeStart {
		return min(b.VHosts, MaxVHosts)
	}
	const whole = NoFactor * WholeStart
	percent := min(max(factor, MinFactor), MaxFactor) * min(max(start, 1), WholeStart)
	return min(max((b.VHosts*percent+whole/2)/whole, 1), MaxVHosts)
}

// Usable reports whether b takes new users.
func (b Backend) Usable() bool {
	return !b.Down && !b.Drained && !b.Out && !b.Idle && b.VHosts > 0 && b.Addr.IsValid()
}
