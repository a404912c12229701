package replica

import (
	"slices"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/names"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// NamesStatus is what the directors see of the names of backends, as this one knows it.
type NamesStatus struct {
	Watching []string // the directors that look names up, by name
	Count    int      // of the directors that count
	// Writer reports whether this director is the one that writes what follows. OutOfContact is set
	// where it is in contact with fewer than half of the directors that it knows.
	Writer       bool
	OutOfContact bool
	Names        []NameStatus
	Alarms       []NameAlarm // by tag
}

// NameAlarm says that of the backends of a tag so many are gone from their names at once that none
// is drained for it: Gone that were drained or would be, where Most may be.
type NameAlarm = names.Alarm

// NameState says how an address of a name stands to the table.
type NameState = names.State

// NameStates are all of them.
func NameStates() []NameState { return names.States() }

// NameConflict is the state of an address that is under two names.
const NameConflict = names.Conflict

// NameStatus is what is seen of one name.
type NameStatus struct {
	WatchedName
	Directors []NameSeen    // that look it up, by name
	Addresses []NameAddress // by address
}

// NameSeen is what one director sees of a name.
type NameSeen struct {
	Director string
	Resolves bool
	Since    directory.Time // since when Resolves is so
	Reason   string         // why it does not resolve
	Settled  bool           // it has watched the name for so long that what it does not see is gone
	Count    int            // addresses that it has seen lately
}

// NameAddress is an address that a name has for a director, or had when it became a backend.
type NameAddress struct {
	ring.Target
	State  NameState
	SeenBy []string // directors, by name
}

// NamesStatus returns what the directors see of the names of backends.
func (c *Core) NamesStatus() NamesStatus {
	s := NamesStatus{
		Watching: c.namingDirectors(), Count: 1, Writer: c.actsForAll(),
		Alarms: c.naming.verdict.Alarms,
	}
	for _, p := range c.peers.all {
		if p.live && p.Counted {
			s.Count++
		}
	}
	s.OutOfContact = len(s.Watching) > 0 && c.OutOfContact()
	for _, name := range c.naming.verdict.Names {
		status := NameStatus{WatchedName: name.Key}
		seen := make([][]string, len(name.Addresses))
		for _, director := range s.Watching {
			sight := c.nameSight(director, name.Key)
			if sight == nil {
				continue
			}
			status.Directors = append(status.Directors, NameSeen{
				Director: director, Resolves: sight.Resolves, Since: sight.Since,
				Reason: sight.Reason, Settled: sight.Settled, Count: len(sight.Targets),
			})
			for i, a := range name.Addresses {
				if slices.ContainsFunc(sight.Targets, func(t ring.Target) bool {
					return t.Addr == a.Addr
				}) {
					seen[i] = append(seen[i], director)
				}
			}
		}
		for i, a := range name.Addresses {
			status.Addresses = append(status.Addresses, NameAddress{
				Target: a.Target, State: a.State, SeenBy: seen[i],
			})
		}
		s.Names = append(s.Names, status)
	}
	return s
}

// nameSight is what a director sees of a name; nil if it does not look it up.
func (n *naming) nameSight(director string, name WatchedName) *wire.NameSight {
	if director == n.cfg.Name {
		return n.mine[name]
	}
	return n.peers.get(director).names[name]
}
