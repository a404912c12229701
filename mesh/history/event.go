package history

import (
	"cmp"
	"net/netip"
	"slices"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Event is one change, by whomever it was seen. Exactly one of Admin, Table, User and Login is
// set.
type Event struct {
	At   directory.Time // mesh time; of several directors' the earliest
	Wall directory.Time // the wall clock of the director that saw it at At
	Seen []string       // by which directors, sorted

	Admin *wire.AdminNote // as it was noted, but for N, At and Wall, which are zero
	Table *TableEvent
	User  *wire.UserNote // likewise
	Login *LoginEvent
}

// TableEvent is one change of the table.
type TableEvent struct {
	Backend  netip.Addr     // not valid: of a director
	Director netip.AddrPort // not valid: of a backend
	What     TableChange
	Tag      ring.Tag  // TableAdded
	User     ring.User // TablePinned, TableUnpinned
	VHosts   int       // TableVHosts
	Percent  int       // TableFactor, TableStart: of the vhosts that are the weight
	Stamp    directory.Stamp
	Origin   string // the director that was asked; "" if that is not said
}

// TableChange is what was changed.
type TableChange string

// The changes, in the words of the commands.
const (
	TableAdded     TableChange = "add" // or added again
	TableRemoved   TableChange = "remove"
	TableVHosts    TableChange = "update"
	TableUp        TableChange = "up"
	TableDown      TableChange = "down"
	TableForgotten TableChange = "forget" // mappings made up to the stamp
	TableDrain     TableChange = "drain"
	TableUndrain   TableChange = "undrain"
	TableRebalance TableChange = "rebalance"
	TableSettled   TableChange = "rebalanced"
	TablePinned    TableChange = "pin" // of User, to Backend
	TableUnpinned  TableChange = "unpin"
)

// The changes that no command asks for: what most observers of a backend see, what evens out load,
// the steps of a slow start, of which a command may be the first, and what becomes of the address
// of a name.
const (
	TableFailed    TableChange = "failed"
	TableRecovered TableChange = "recovered"
	TableFactor    TableChange = "factor" // balancing; or "balance reset"
	TableStart     TableChange = "slow start"
	TableGone      TableChange = "gone from name"
	TableBack      TableChange = "back in name"
	TableRetained  TableChange = "kept in use" // though gone from its name, by undrain or add
)

// LoginEvent is a mapping that a director made for a login of a user without one.
type LoginEvent struct {
	Director   string
	Tag        ring.Tag
	Hash       ring.UserHash
	Backend    netip.Addr
	Generation uint16
	Stamp      directory.Tick
}

// TableEvents takes a change apart.
func TableEvents(c directory.Change) (all []TableEvent) {
	for _, b := range c.Backends {
		add := func(what TableChange, stamp directory.Stamp, origin string) *TableEvent {
			all = append(all, TableEvent{
				Backend: b.Addr, What: what, Stamp: stamp, Origin: origin,
			})
			return &all[len(all)-1]
		}
		// What has no stamp is of the configuration, or not there.
		if p := b.Presence; p.Stamp != 0 && p.Value.Present {
			add(TableAdded, p.Stamp, p.Origin).Tag = p.Value.Tag
		} else if p.Stamp != 0 {
			add(TableRemoved, p.Stamp, p.Origin)
		}
		if v := b.VHosts; v.Stamp != 0 {
			add(TableVHosts, v.Stamp, v.Origin).VHosts = v.Value
		}
		// Since is not set until something changes.
		if s := b.State; s.Value.Since != 0 {
			add(either(s.Value.Down, TableDown, TableUp), s.Stamp, s.Origin)
		}
		if d := b.Drain; d.Value.Since != 0 {
			add(either(d.Value.On, TableDrain, TableUndrain), d.Stamp, d.Origin)
		}
		if r := b.Rebalance; r.Value.Since != 0 {
			add(either(r.Value.On, TableRebalance, TableSettled), r.Stamp, r.Origin)
		}
		if v := b.Verdict; v.Stamp != 0 && v.Value.Since == v.Stamp {
			add(either(v.Value.Failed, TableFailed, TableRecovered), v.Stamp, v.Origin)
		}
		if f := b.Factor; f.Stamp != 0 && f.Stamp != b.Presence.Stamp {
			add(TableFactor, f.Stamp, f.Origin).Percent = f.Value.Percent()
		}
		if s := b.Start; s.Value.Since != 0 { // else it did not start slowly
			percent := cmp.Or(s.Value.Percent, ring.WholeStart)
			add(TableStart, s.Stamp, s.Origin).Percent = percent
		}
		if l := b.Listing; l.Stamp != 0 && l.Stamp != b.Presence.Stamp {
			switch {
			case !l.Value.Gone:
				add(TableBack, l.Stamp, l.Origin)
			case l.Value.Retained:
				add(TableRetained, l.Stamp, l.Origin)
			default:
				add(TableGone, l.Stamp, l.Origin)
			}
		}
		// add and remove forget too, which goes without saying.
		if b.Forgotten != 0 && b.Forgotten != b.Presence.Stamp {
			add(TableForgotten, b.Forgotten, "")
		}
	}
	for _, p := range c.Pins {
		all = append(all, TableEvent{
			Backend: p.Backend.Value, User: p.User,
			What:  either(p.Pinned(), TablePinned, TableUnpinned),
			Stamp: p.Backend.Stamp, Origin: p.Backend.Origin,
		})
	}
	for _, d := range c.Directors {
		what := TableAdded
		if d.Removed.Value {
			what = TableRemoved
		}
		all = append(all, TableEvent{
			Director: d.Addr, What: what, Stamp: d.Removed.Stamp, Origin: d.Removed.Origin,
		})
	}
	return all
}

// at notes that an event was seen at a moment.
func (e *Event) at(at, wall directory.Time) {
	if at < e.At || at == e.At && wall < e.Wall {
		e.At, e.Wall = at, wall
	}
}

// seenBy notes that a director has seen an event.
func (e *Event) seenBy(director string) {
	if i, seen := slices.BinarySearch(e.Seen, director); !seen {
		e.Seen = slices.Insert(e.Seen, i, director)
	}
}

func either(on bool, then, otherwise TableChange) TableChange {
	if on {
		return then
	}
	return otherwise
}
