package history

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"directormesh/mesh/wire"
	"directormesh/ring"
)

// nearby is by how much the time of an admin change and of what followed from it may differ:
// directors' mesh times differ, and ticks are cut.
const nearby = 2 * time.Second

// AskedFor returns the admin change that an event followed from; nil if that is not known. The
// events are in order.
func AskedFor(events []Event, e Event) *Event {
	for i := range slices.Backward(events) {
		a := &events[i]
		if a.Admin == nil || a.Admin.Error != "" || !a.before(e) {
			continue
		}
		if a.caused(e) {
			return a
		}
	}
	return nil
}

// before reports whether an admin change had been asked for when another event happened.
func (e *Event) before(other Event) bool { return e.At <= other.At.Add(nearby) }

// caused reports whether an event is what an admin change asked for.
func (e *Event) caused(other Event) bool {
	ended := e.At.Add(time.Duration(e.Admin.Took)*time.Millisecond + nearby)
	switch {
	case other.User != nil && other.User.Cause == wire.CauseMove:
		return e.Admin.Action == "move" && e.Admin.Director == other.User.By &&
			e.detail("user_hash") == hashText(other.User.Hash) && other.At <= ended
	case other.User != nil && other.User.Cause == wire.CausePin:
		return e.Admin.Action == "pin" && e.detail("user_hash") == hashText(other.User.Hash)
	case other.User != nil && other.User.Cause == wire.CauseFlush:
		flushed := "all"
		if other.User.Flushed.IsValid() {
			flushed = ring.AddrText(other.User.Flushed)
		}
		return e.Admin.Action == "flush" && e.Admin.Director == other.User.By &&
			e.detail("backend") == flushed
	case other.User != nil && other.User.Cause == wire.CauseForgotten:
		return e.Admin.Action == "forget" && e.ofBackend(other.User.From)
	case other.User != nil && other.User.Cause == wire.CauseRemoved:
		return e.Admin.Action == "remove" && e.ofBackend(other.User.From)
	case other.User != nil && other.User.Cause == wire.CauseImport:
		return e.Admin.Action == "import" && other.At <= ended
	case other.Table != nil:
		return e.wrote(*other.Table) && other.At <= ended
	}
	return false
}

// wrote reports whether an admin change is of the sort that changes the table like that.
func (e *Event) wrote(t TableEvent) bool {
	if t.Origin != "" && t.Origin != e.Admin.Director {
		return false
	}
	if t.Director.IsValid() {
		return strings.HasPrefix(e.Admin.Action, "ring ")
	}
	if t.What == TableFactor {
		return e.Admin.Action == "balance reset"
	}
	actions := map[TableChange][]string{
		TableAdded: {"add"}, TableRemoved: {"remove"}, TableVHosts: {"update", "add"},
		TableUp: {"up", "add"}, TableDown: {"down"}, TableForgotten: {"forget", "remove", "add"},
		TableDrain: {"drain"}, TableUndrain: {"undrain", "up"}, TableRebalance: {"rebalance"},
		TableRecovered: {"up"}, TableStart: {"add", "update", "up", "undrain"},
		TableRetained: {"undrain", "add"}, TablePinned: {"pin"}, TableUnpinned: {"unpin"},
	}
	if t.What == TablePinned || t.What == TableUnpinned {
		return slices.Contains(actions[t.What], e.Admin.Action) &&
			e.detail("user_hash") == hashText(t.User.Hash)
	}
	return slices.Contains(actions[t.What], e.Admin.Action) && e.ofBackend(t.Backend)
}

// ofBackend reports whether an admin change was about a backend, or about all.
func (e *Event) ofBackend(backend netip.Addr) bool {
	named := e.detail("backend")
	return named == "all" || backend.IsValid() && named == ring.AddrText(backend)
}

func (e *Event) detail(name string) string {
	for _, d := range e.Admin.Details {
		if d.Name == name {
			return d.Value
		}
	}
	return ""
}

// hashText is how an admin change names a user.
func hashText(h ring.UserHash) string { return strconv.FormatUint(uint64(h), 10) }
