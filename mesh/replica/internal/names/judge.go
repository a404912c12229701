package names

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Backend is what the table says of an address, as far as it matters here.
type Backend struct {
	Addr    netip.Addr
	Present bool // false: it was removed
	Key     Key  // the name that it was added for, with the tag of the backend
	Listing directory.Listing
	VHosts  int
	InUse   bool // it takes users
}

// State says how an address that a name has, or had, stands to the table.
type State int

// The states.
const (
	Used     State = iota // it is a backend, for this name
	Missing               // it is, but no director has seen it lately
	Gone                  // it is, but drained: the name does not have it any more
	Retained              // it is gone, but an operator keeps it in use
	New                   // it is no backend, and not yet seen by most
	Ready                 // it is none, but most see it: it is about to be added
	Removed               // it is none: an operator has removed it
	ByAddr                // it is a backend that was added by address, and left alone
	Conflict              // it is under two names, and left alone
)

// States are all of them.
func States() []State {
	return []State{Used, Missing, Gone, Retained, New, Ready, Removed, ByAddr, Conflict}
}

func (s State) String() string {
	return [...]string{"used", "missing", "gone", "retained", "new", "ready", "removed",
		"by_address", "conflict"}[s]
}

// Address is an address of a name.
type Address struct {
	ring.Target
	SeenBy int // directors
	State  State
}

// Name is what the directors see of a name.
type Name struct {
	Key
	Resolving int       // directors for which it resolves
	Addresses []Address // by address
}

// Alarm says that of the backends of a tag so many are gone from their names at once that more than
// a third would be drained for it, or all. Then none is.
type Alarm struct {
	Tag  ring.Tag
	Gone int // backends in use that no director has seen lately, and those drained for that
	Most int // so many may be drained
}

// Verdict is what follows from what the directors see.
type Verdict struct {
	Names  []Name
	Alarms []Alarm // by tag

	Add   []Address // by address; Keys has their names
	Adopt []netip.Addr
	Gone  []netip.Addr // by address, as those that follow
	Back  []netip.Addr
	Keys  map[netip.Addr]Key // of those to add and to adopt
}

// View is what Judge goes by.
type View struct {
	Directors int      // that count, the one that judges included
	Sights    []Sights // of those of them that watch names
	Table     []Backend
	At        directory.Time
	GoneAfter time.Duration
}

// claim is what is seen of an address under one name.
type claim struct {
	key      Key
	seenBy   int
	vhosts   []int
	standbys int
}

// Judge compares what the directors see with the table. Most directors are more than half of all
// that count, those included that watch no names: a change of the settings takes effect when most
// directors have it.
func Judge(v View) Verdict {
	verdict := Verdict{Keys: make(map[netip.Addr]Key)}
	table := make(map[netip.Addr]Backend, len(v.Table))
	for _, b := range v.Table {
		table[b.Addr] = b
	}
	watched := v.watched()
	claims := v.claims()
	lost := make(map[ring.Tag][]Backend)
	for _, key := range slices.SortedFunc(maps.Keys(watched), Key.Compare) {
		name := Name{Key: key, Resolving: v.count(key, func(s *wire.NameSight) bool {
			return s.Resolves
		})}
		settled := v.most(v.count(key, func(s *wire.NameSight) bool {
			return s.Resolves && s.Settled
		}))
		for _, addr := range addresses(key, claims, v.Table) {
			a := Address{Target: ring.Target{Addr: addr}}
			b, known := table[addr]
			c := claimOf(claims[addr], key)
			if c != nil {
				a = c.address(addr)
			}
			a.State = state(a.SeenBy, v.most(a.SeenBy), key, b, known, len(claims[addr]))
			elsewhere := b.Present && b.Key.Name != "" && b.Key != key
			switch {
			case a.State == Conflict && elsewhere && !watched[b.Key] && b.Key.Tag == key.Tag &&
				len(claims[addr]) == 1:
				// The name that it was added for is watched no more: it is another's now.
				a.State = New
				if v.most(a.SeenBy) {
					a.State = Ready
					verdict.Adopt = append(verdict.Adopt, addr)
					verdict.Keys[addr] = key
				}
			case a.State == Ready:
				verdict.Add = append(verdict.Add, a)
				verdict.Keys[addr] = key
			case a.State == Missing && settled:
				lost[key.Tag] = append(lost[key.Tag], b)
			case (a.State == Gone || a.State == Retained) && v.most(a.SeenBy):
				verdict.Back = append(verdict.Back, addr)
			}
			name.Addresses = append(name.Addresses, a)
		}
		verdict.Names = append(verdict.Names, name)
	}
	v.give(&verdict, lost)
	slices.SortFunc(verdict.Add, func(a, b Address) int { return ring.CompareAddr(a.Addr, b.Addr) })
	for _, addrs := range [][]netip.Addr{verdict.Adopt, verdict.Gone, verdict.Back} {
		slices.SortFunc(addrs, ring.CompareAddr)
	}
	return verdict
}

// state says how an address stands to the table: seen by so many directors under a name, and under
// so many names.
func state(seenBy int, most bool, key Key, b Backend, known bool, names int) State {
	switch {
	case names > 1, b.Present && b.Key.Name != "" && b.Key != key:
		return Conflict
	case known && !b.Present:
		return Removed
	case b.Present && b.Key.Name == "":
		return ByAddr
	case !b.Present && most:
		return Ready
	case !b.Present:
		return New
	case b.Listing.Gone && b.Listing.Retained:
		return Retained
	case b.Listing.Gone:
		return Gone
	case seenBy == 0:
		return Missing
	}
	return Used
}

// give says which of the backends that are gone are drained for it: those of a tag all or none.
func (v View) give(verdict *Verdict, lost map[ring.Tag][]Backend) {
	for _, tag := range slices.Sorted(maps.Keys(lost)) {
		weighted, inUse, given := 0, 0, 0
		for _, b := range v.Table {
			if !b.Present || b.Key.Tag != tag {
				continue
			}
			if b.VHosts > 0 {
				weighted++
				if b.Listing.Gone && !b.Listing.Retained {
					given++
				}
			}
			if b.InUse {
				inUse++
			}
		}
		going := 0
		for _, b := range lost[tag] {
			if b.InUse {
				going++
			}
		}
		most := directory.MostOut(weighted)
		if going > 0 && (given+going > most || going >= inUse) {
			alarm := Alarm{Tag: tag, Gone: given + going, Most: most}
			verdict.Alarms = append(verdict.Alarms, alarm)
			continue
		}
		for _, b := range lost[tag] {
			verdict.Gone = append(verdict.Gone, b.Addr)
		}
	}
}

// counts says whether what is seen of a name counts: it resolves, or did not long ago.
func (v View) counts(s *wire.NameSight) bool {
	return s.Resolves || v.At.Sub(s.Since) <= v.GoneAfter
}

// most says whether so many directors are most.
func (v View) most(n int) bool { return 2*n > v.Directors }

// watched are the names that a director looks up.
func (v View) watched() map[Key]bool {
	all := make(map[Key]bool)
	for _, sights := range v.Sights {
		for key := range sights {
			all[key] = true
		}
	}
	return all
}

// count counts the directors whose sight of a name is so.
func (v View) count(key Key, is func(s *wire.NameSight) bool) (n int) {
	for _, sights := range v.Sights {
		if s := sights[key]; s != nil && is(s) {
			n++
		}
	}
	return n
}

// claims are all addresses that are seen, with the names under which they are.
func (v View) claims() map[netip.Addr][]*claim {
	all := make(map[netip.Addr][]*claim)
	for _, sights := range v.Sights {
		for _, key := range sights.keys() {
			if !v.counts(sights[key]) {
				continue
			}
			for _, target := range sights[key].Targets {
				c := claimOf(all[target.Addr], key)
				if c == nil {
					c = &claim{key: key}
					all[target.Addr] = append(all[target.Addr], c)
				}
				c.seenBy++
				c.vhosts = append(c.vhosts, target.VHosts)
				if target.Standby {
					c.standbys++
				}
			}
		}
	}
	return all
}

func claimOf(claims []*claim, key Key) *claim {
	for _, c := range claims {
		if c.key == key {
			return c
		}
	}
	return nil
}

// address is what those that see it say of an address: of their vhost counts the middle one, and a
// standby if most say so.
func (c *claim) address(addr netip.Addr) Address {
	slices.Sort(c.vhosts)
	return Address{SeenBy: c.seenBy, Target: ring.Target{
		Addr: addr, VHosts: c.vhosts[(len(c.vhosts)-1)/2], Standby: 2*c.standbys > c.seenBy,
	}}
}

// addresses are those that a name has, for some director or by the table, in order.
func addresses(key Key, claims map[netip.Addr][]*claim, table []Backend) (addrs []netip.Addr) {
	for addr, c := range claims {
		if claimOf(c, key) != nil {
			addrs = append(addrs, addr)
		}
	}
	for _, b := range table {
		if b.Present && b.Key == key && claimOf(claims[b.Addr], key) == nil {
			addrs = append(addrs, b.Addr)
		}
	}
	slices.SortFunc(addrs, ring.CompareAddr)
	return addrs
}
