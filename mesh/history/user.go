package history

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Reason is why a user went to a backend, or has none any more.
type Reason string

// The reasons. A login makes a mapping where there was none, or none that anybody remembers.
const (
	ByLogin     Reason = "login"
	ByMove      Reason = "move"
	ByFlush     Reason = "flush"
	BySession   Reason = "session"
	ByImport    Reason = "import"
	ByConflict  Reason = "conflict"
	ByExpired   Reason = "expired"
	ByForgotten Reason = "forgotten"
	ByRemoved   Reason = "removed"
	ByFailed    Reason = "failed"
	ByDrain     Reason = "drain"
	ByRebalance Reason = "rebalance"
	ByPin       Reason = "pin"
	ByOther     Reason = "other"
)

// reasons words causes.
var reasons = [...]Reason{
	wire.CauseOther: ByOther, wire.CauseMove: ByMove, wire.CauseFlush: ByFlush,
	wire.CauseSession: BySession, wire.CauseImport: ByImport, wire.CauseConflict: ByConflict,
	wire.CauseExpired: ByExpired, wire.CauseForgotten: ByForgotten, wire.CauseRemoved: ByRemoved,
	wire.CauseFailed: ByFailed, wire.CauseDrain: ByDrain, wire.CauseRebalance: ByRebalance,
	wire.CausePin: ByPin,
}

// ReasonOf words a cause. One of a later release is other.
func ReasonOf(c wire.Cause) Reason {
	if int(c) < len(reasons) {
		return reasons[c]
	}
	return ByOther
}

// Reasons returns all reasons that there are.
func Reasons() []Reason { return append([]Reason{ByLogin}, reasons[:]...) }

// UserEvent is a change of where a user was. Event has a User or Login; or a Table, which ended the
// user's mapping.
type UserEvent struct {
	Event
	Tag      ring.Tag
	From, To netip.Addr // not valid: none, or not known
	Reason   Reason
	By       string // the director that decided it; "" if that is not known
}

// Of returns what happened to a user, oldest first.
func (m Merged) Of(hash ring.UserHash) []UserEvent {
	var all []UserEvent
	spans := m.spans(hash)
	for _, tag := range slices.Sorted(maps.Keys(spans)) {
		list := spans[tag]
		for i, s := range list {
			e := UserEvent{Event: *s.cause, Tag: tag}
			if u := s.cause.User; u != nil {
				e.From, e.To, e.Reason, e.By = u.From, u.To, ReasonOf(u.Cause), u.By
			} else {
				login := s.cause.Login
				e.To, e.Reason, e.By = login.Backend, ByLogin, login.Director
			}
			all = append(all, e)
			until := directory.Time(1<<62 - 1)
			if i+1 < len(list) {
				until = list[i+1].since
			}
			if gone := m.forgotten(s.backend, s.since, until); gone != nil && s.backend.IsValid() {
				ended := UserEvent{
					Event: *gone, Tag: tag, From: s.backend, Reason: ByForgotten,
					By: gone.Table.Origin,
				}
				if gone.Table.What == TableRemoved {
					ended.Reason = ByRemoved
				}
				all = append(all, ended)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b UserEvent) int { return cmp.Compare(a.At, b.At) })
	return all
}
