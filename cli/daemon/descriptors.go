package daemon

import (
	"syscall"

	"directormesh/cli/handover"
)

const (
	// meshDescriptors are kept for the mesh: streams to and from 1,000 directors, and those of
	// strangers that have not proved anything yet.
	meshDescriptors = 2*1000 + 512
	// ownDescriptors are kept for listeners, logs, kicks, and what Go's runtime needs.
	ownDescriptors = 128
	// fewConnections is what each door may have however few descriptors there are.
	fewConnections = 16
)

// appetite is how many connections a door takes where descriptors are plenty, and how many
// descriptors a connection costs.
type appetite struct {
	connections, cost int

	// least is what it gets first of all, whatever the others want; 0: fewConnections. With quarter
	// it is at least a quarter of the descriptors for all doors. director.sock has both: by it
	// people find out what is wrong. Its three quarters are more than the 64 that one "director
	// lookup -f" uses.
	least   int
	quarter bool
}

// first is what a door gets first of all, if there are so many descriptors for all doors.
func (a appetite) first(all int) int {
	few := max(a.least, fewConnections)
	if a.quarter {
		few = max(few, min(all/4, a.connections))
	}
	return few
}

// shareOut returns how many connections each of these doors takes if the process may have so many
// descriptors. Half of them at most are kept for the mesh and for the process itself. Of the rest
// each door gets a few, and what remains goes by appetite.
func shareOut(limit uint64, doors []handover.Kind) map[handover.Kind]int {
	const plenty = 1 << 20 // far more than all doors want
	descriptors := int(min(limit, plenty))
	rest := descriptors - min(descriptors/2, meshDescriptors+ownDescriptors)
	all, wanted := rest, 0
	for _, k := range doors {
		a := doorOf(k).takes
		rest -= a.first(all) * a.cost
		wanted += (a.connections - a.first(all)) * a.cost
	}
	rest = max(rest, 0)
	shares := make(map[handover.Kind]int)
	for _, k := range doors {
		a := doorOf(k).takes
		few := a.first(all)
		more := a.connections - few
		if rest < wanted {
			more = int(int64(more) * int64(rest) / int64(wanted))
		}
		shares[k] = few + more
	}
	return shares
}

// descriptorLimit is how many descriptors this process may have. Go raises the soft limit to the
// hard one when a program starts.
func descriptorLimit() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return uint64(limit.Cur), nil
}
