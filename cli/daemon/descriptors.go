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
	// fewestAPI is that of director.sock, by which people find out what is wrong. One process may
	// have three quarters of it, and "director lookup -f" uses 64.
	fewestAPI = 96
)

// appetite is how many connections a door takes where descriptors are plenty, and how many
// descriptors a connection costs.
type appetite struct{ connections, cost int }

func appetiteOf(k handover.Kind) appetite {
	switch k {
	case handover.Login: // in Dovecot 2.4 each login has a process of its own
		return appetite{20_000, 2} // one to the client, one to auth
	case handover.Userdb:
		return appetite{5_000, 2}
	case handover.Authreply:
		return appetite{1_000, 1}
	case handover.API:
		return appetite{2048, 1} // scripts that look up many users at a time
	case handover.HTTP:
		return appetite{256, 1}
	}
	return appetite{512, 1} // of doveadm, poolmon and the like
}

// fewest is what a door gets first of all, if there are so many descriptors for all doors.
func fewest(k handover.Kind, all int) int {
	if k == handover.API {
		return max(fewestAPI, min(all/4, appetiteOf(k).connections))
	}
	return fewConnections
}

// shareOut tells how many connections each of these doors takes if the process may have so many
// descriptors. Half of them at most are kept for the mesh and for the process itself. Of the rest
// each door gets a few, and what remains goes by appetite.
func shareOut(limit uint64, doors []handover.Kind) map[handover.Kind]int {
	const plenty = 1 << 20 // far more than all doors want
	descriptors := int(min(limit, plenty))
	rest := descriptors - min(descriptors/2, meshDescriptors+ownDescriptors)
	all, wanted := rest, 0
	for _, k := range doors {
		a := appetiteOf(k)
		rest -= fewest(k, all) * a.cost
		wanted += (a.connections - fewest(k, all)) * a.cost
	}
	rest = max(rest, 0)
	shares := make(map[handover.Kind]int)
	for _, k := range doors {
		a, few := appetiteOf(k), fewest(k, all)
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
