package moves

import (
	"iter"
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Held is the users whose lookups are held here: those whose row is moving, whichever director runs
// the move. The zero value holds no user.
type Held struct {
	users map[ring.User]*heldUser
	// no user has been held for HoldFor before then; there may be thousands, and each tick asks
	nextForgotten mono.Time
}

// heldUser belongs to one move: another moving row of the user makes another one.
type heldUser struct {
	row      directory.Mapping // moving
	since    mono.Time         // when it came
	by       logs.ID           // the life that runs the move; zero: not known
	gossiped bool              // that is known by gossip alone
	replaced Replaced
	kick     *Kick // nil: none begun
}

// Replaced is what a moving row replaced here.
type Replaced struct {
	Mapping directory.Mapping
	Status  directory.Status
}

// Find finds the row of a user; false if it has none.
type Find func(u ring.User) (row directory.Mapping, ok bool)

// Len is how many users are held.
func (h *Held) Len() int { return len(h.users) }

// Has reports whether a user is held.
func (h *Held) Has(u ring.User) bool { return h.users[u] != nil }

// Row is the moving row of a user; false if the user is not held.
func (h *Held) Row(u ring.User) (row directory.Mapping, held bool) {
	if user := h.users[u]; user != nil {
		return user.row, true
	}
	return directory.Mapping{}, false
}

// All yields the users, in any order.
func (h *Held) All() iter.Seq[ring.User] {
	return func(yield func(ring.User) bool) {
		for u := range h.users {
			if !yield(u) {
				return
			}
		}
	}
}

// Leaving is how many of the users are on their way away from each backend.
func (h *Held) Leaving() map[netip.Addr]int {
	leaving := make(map[netip.Addr]int)
	for _, user := range h.users {
		if old := user.replaced.Mapping.Backend; old.IsValid() && old != user.row.Backend {
			leaving[old]++
		}
	}
	return leaving
}

// Follow takes the present row of a user, which holds or releases the user; was is what a moving
// row replaced. It reports whether the user is released by that.
func (h *Held) Follow(now mono.Time, u ring.User, row directory.Mapping, was Replaced) bool {
	user := h.users[u]
	switch {
	case row.Moving && (user == nil || !Same(user.row, row)):
		if h.users == nil {
			h.users = make(map[ring.User]*heldUser)
		}
		if until := now.Add(HoldFor); len(h.users) == 0 || until < h.nextForgotten {
			h.nextForgotten = until
		}
		h.users[u] = &heldUser{row: row, since: now, replaced: was}
	case !row.Moving && user != nil:
		delete(h.users, u)
		return true
	}
	return false
}

// Release lets a user go.
func (h *Held) Release(u ring.User) { delete(h.users, u) }

// Clear lets all users go.
func (h *Held) Clear() { clear(h.users) }

// Postpone holds a user for so much longer.
func (h *Held) Postpone(u ring.User, late time.Duration) {
	if user := h.users[u]; user != nil {
		user.since = user.since.Add(late)
	}
}

// TakeForgotten yields the users, with their moving rows, that were held for HoldFor, and lets them
// go.
func (h *Held) TakeForgotten(now mono.Time) iter.Seq2[ring.User, directory.Mapping] {
	return func(yield func(ring.User, directory.Mapping) bool) {
		if now < h.nextForgotten {
			return
		}
		next := now.Add(HoldFor)
		for u, row := range h.take(func(_ ring.User, user *heldUser) bool {
			if now.Sub(user.since) >= HoldFor {
				return true
			}
			next = min(next, user.since.Add(HoldFor))
			return false
		}) {
			if !yield(u, row) {
				return
			}
		}
		h.nextForgotten = next
	}
}

// TakeReplaced lets the users go whose row is another one by now, and reports whether there are
// any. A user without a row stays.
func (h *Held) TakeReplaced(find Find) (some bool) {
	for range h.take(func(u ring.User, user *heldUser) bool {
		row, ok := find(u)
		return ok && !Same(row, user.row)
	}) {
		some = true
	}
	return some
}

func (h *Held) take(
	which func(ring.User, *heldUser) bool,
) iter.Seq2[ring.User, directory.Mapping] {
	return func(yield func(ring.User, directory.Mapping) bool) {
		for u, user := range h.users {
			if !which(u, user) {
				continue
			}
			delete(h.users, u)
			if !yield(u, user.row) {
				return
			}
		}
	}
}

// Restamp follows a step of mesh time, by which moving rows got other stamps.
func (h *Held) Restamp(find Find) {
	for u, user := range h.users {
		if row, ok := find(u); ok && row.Moving {
			user.row = row
		}
	}
}

// RunBy notes which life of a director runs the move of a user, if the user is held.
func (h *Held) RunBy(u ring.User, by logs.ID) {
	if user := h.users[u]; user != nil {
		user.by, user.gossiped = by, false
	}
}

// RunAllBy does so for rows that came otherwise than by the Hold of a director that lives, perhaps
// by gossip: only for moves of which it was not known.
func (h *Held) RunAllBy(blocks []wire.Block, by logs.ID, gossiped bool) {
	for _, b := range blocks {
		for row := range b.All() {
			user := h.users[ring.User{Tag: b.Tag, Hash: row.Hash}]
			if user != nil && user.by == (logs.ID{}) && Same(user.row, row) {
				user.by, user.gossiped = by, gossiped
			}
		}
	}
}

// isOrphan reports whether no director runs the move. If it is not known which one does, word of
// that may be on its way for a time. Gossip comes also from a director that is out of reach: it
// runs the move with others, which wait for directors that we may not count.
func (user *heldUser) isOrphan(
	now mono.Time, unknownFor time.Duration, runs func(logs.ID) bool,
) bool {
	if runs(user.by) {
		return false
	}
	return user.by != (logs.ID{}) && !user.gossiped || now.Sub(user.since) >= unknownFor
}

// Kick is the end of a held user's sessions, but for those on the new backend. There is one for
// each move: the row may come by gossip, before the Hold whose sender wants a report.
type Kick struct {
	Keep netip.Addr // the new backend

	user    ring.User
	result  *wire.KickCount // nil: under way
	reports []func(wire.KickCount)
}

// Kick gives report the result of the kick of a held user, at once if it is known; report may be
// nil. It returns a kick that the caller is to begin, nil if there is none. A user that is not held
// was released, and has no session to end.
func (h *Held) Kick(u ring.User, report func(wire.KickCount)) (begin *Kick) {
	user := h.users[u]
	if user == nil {
		if report != nil {
			report(wire.KickCount{Tag: u.Tag, Hash: u.Hash})
		}
		return nil
	}
	if user.kick == nil {
		user.kick = &Kick{Keep: user.row.Backend, user: u}
		begin = user.kick
	}
	switch k := user.kick; {
	case report == nil:
	case k.result != nil:
		report(*k.result)
	default:
		k.reports = append(k.reports, report)
	}
	return begin
}

// End takes the result of the kick.
func (k *Kick) End(r kicks.Result) {
	k.result = &wire.KickCount{
		Tag: k.user.Tag, Hash: k.user.Hash,
		Count: uint32(r.Count), Known: r.Known, Left: uint32(r.Left), Blind: r.Blind,
	}
	for _, report := range k.reports {
		report(*k.result)
	}
	k.reports = nil
}
