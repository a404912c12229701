package replica

import (
	"net/netip"
	"slices"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/lookups"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// A pin stands in the table, and is part of what the rings say: a user who is pinned to a usable
// backend hashes there. So lookups, the table barrier, flushes, drains and plans go by it without
// knowing of it. A user who is mapped elsewhere is moved by the director that was asked; and by the
// one that acts for all, where that came to nothing, and where the backend was not usable then.

const (
	// pinsEvery is how often a director looks whether users are where they are pinned to.
	pinsEvery = tasksEvery
	// pinsAtOnce is how many it looks at then: all that there may be within five seconds.
	pinsAtOnce = 1000
)

// pinKeeper moves users to where they are pinned.
type pinKeeper struct {
	pinKeeperPort

	cfg     *Config
	clock   *meshtime.Clock
	dir     *directory.Directory
	lookups *lookups.Answers
	moves   *moves.Set

	rings *ring.Rings // those that the users are of
	users []ring.User // whose pins count, sorted
	next  int         // index of the one to look at next
	look  mono.Time   // when that is to be
}

// pinKeeperPort is what pinKeeper needs of the other parts of the core.
type pinKeeperPort interface {
	actsForAll() bool
	startMove(now mono.Time, m *moves.Move, backend netip.Addr)
	target(u ring.User) netip.Addr
}

// keepPins looks at some users who are pinned, and moves those that are mapped elsewhere.
func (pk *pinKeeper) keepPins(now mono.Time) {
	if now < pk.look {
		return
	}
	pk.look = now.Add(pinsEvery)
	if today := pk.lookups.View().Today(); today != pk.rings {
		pk.rings, pk.users, pk.next = today, today.PinnedUsers(), 0
	}
	if len(pk.users) == 0 || !pk.actsForAll() {
		return
	}
	free := min(pk.cfg.MaxParallelMoves, directory.MaxParallel-pk.moves.Len())
	for range min(pinsAtOnce, len(pk.users)) {
		if free <= 0 {
			return
		}
		u := pk.users[pk.next]
		pk.next = (pk.next + 1) % len(pk.users)
		m, status := pk.dir.Find(u.Tag, u.Hash, pk.clock.At(now))
		place := pk.target(u)
		switch {
		case status != directory.Live || !m.Backend.IsValid() || m.Backend == place && !m.Moving:
		case m.Moving || pk.moves.Get(u) != nil:
			free--
		case !pk.cfg.Guards.NoPinMoves:
			free--
			pk.startMove(now, &moves.Move{User: u, Cause: wire.CausePin}, place)
		}
	}
}

// pinWritten goes on with a pin that all live directors have: a user who is mapped elsewhere is
// moved, and the operation ends as that move does. Else it ends.
func (c *Core) pinWritten(now mono.Time, id uint64, pin Pin) {
	o := c.ops[id]
	o.table = nil
	row, _ := c.table.Row(pin.Backend)
	u := ring.User{Tag: row.Presence.Value.Tag, Hash: pin.Hash}
	m, status := c.dir.Find(u.Tag, u.Hash, c.clock.At(now))
	move := &moves.Move{User: u, Op: id, Wait: pin.Wait, Cause: wire.CausePin}
	switch {
	case status != directory.Live || !m.Backend.IsValid() || m.Moving || c.moves.Get(u) != nil ||
		c.target(u) != pin.Backend:
		c.endOperation(id, nil)
	case m.Backend == pin.Backend:
		c.confirmPlace(now, move, m)
	default:
		c.startMove(now, move, pin.Backend)
	}
}

// pinnedElsewhere is where a user is pinned, if a move to a backend would be undone for that.
func (c *Core) pinnedElsewhere(u ring.User, backend netip.Addr) (netip.Addr, bool) {
	place, pinned := c.lookups.View().Today().PinOf(u)
	return place, pinned && place != backend
}

// writesPin ends an operation's wait for the table, if it is a pin.
func (c *Core) writesPin(t *barrier.Change, id uint64) bool {
	pin, ok := c.ops[id].wrote.(Pin)
	if ok && c.ops[id].table == t {
		c.pinWritten(c.lookups.LastInput(), id, pin)
	}
	return ok
}

// PinStatus is a user who is pinned.
type PinStatus struct {
	User    ring.User
	Backend netip.Addr
	Since   directory.Time
	// Counts is false while the backend is not usable, or not there: the user then goes by hash.
	Counts bool
}

// Pins returns the users that are pinned, by tag and hash.
func (c *Core) Pins() []PinStatus {
	today := c.lookups.View().Today()
	var all []PinStatus
	for _, row := range c.table.Pins() {
		_, counts := today.PinOf(row.User)
		all = append(all, PinStatus{
			User: row.User, Backend: row.Backend.Value, Since: row.Backend.Stamp.Time(),
			Counts: counts,
		})
	}
	return slices.Clip(all)
}
