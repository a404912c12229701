package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// maxUnpacked is the room for rows that is kept from message to message: a chunk of a snapshot
// fits.
const maxUnpacked = 1 << 14

// mergeRows merges rows from wherever they come, and does what changed rows ask for: kick, hold,
// release. With each it reports every row and what became of it, and leaves the kicking to the
// caller.
func (c *Core) mergeRows(
	now mono.Time,
	blocks []wire.Block,
	each func(u ring.User, in directory.Mapping, out directory.Merged),
) {
	t, latest := c.clock.At(now), c.latest(now).Tick()
	buf := c.unpacked
	c.unpacked = nil // while it is in use
	for _, b := range blocks {
		rows := b.Append(buf[:0])
		buf = rows
		rows = c.dropRowsAhead(rows, latest)
		dropped := c.dir.Merge(b.Tag, rows, t, func(in directory.Mapping, out directory.Merged) {
			u := ring.User{Tag: b.Tag, Hash: in.Hash}
			if out.Changed {
				c.rowChanged(now, u, out, each == nil)
				c.announceMerged(u, in, out.Mapping)
			}
			if c.cfg.Guards.NoReleaseCheck && !in.Moving {
				c.releaseUnchecked(u)
			}
			if each != nil {
				each(u, in, out)
			}
		})
		if dropped > 0 {
			c.countDead(rows)
		}
	}
	if cap(buf) <= maxUnpacked {
		c.unpacked = buf
	}
}

// seenLater is by how much more activity a row must have than one that was merged into it, so that
// it is announced. Two directors that answer a user at one moment differ by a tick.
const seenLater = time.Second

// announceMerged announces what became of a row if no other director can know that: the row that
// came in won, and the user was seen later than it says. A director that stepped back has set its
// rows back, and does not hear otherwise that this one keeps the later activity.
func (c *Core) announceMerged(u ring.User, in, merged directory.Mapping) {
	if !merged.Moving && merged.Activity.Time().Sub(in.Activity.Time()) >= seenLater {
		c.outbox.Push(u.Tag, merged)
	}
}

// rowChanged follows one changed mapping.
func (c *Core) rowChanged(now mono.Time, u ring.User, out directory.Merged, kicks bool) {
	wasLive := out.BeforeStatus == directory.Live
	if wasLive && out.Before.Backend != out.Mapping.Backend {
		if out.Before.Generation == out.Mapping.Generation {
			c.counters.Conflicts++
			c.logf(LogDebug, "conflicting mappings, one backend wins",
				Field{"user_hash", uint32(u.Hash)}, Field{"tag", string(u.Tag)},
				Field{"backend", out.Mapping.Backend.String()},
				Field{"other", out.Before.Backend.String()})
		}
		kicks = kicks && out.Before.Backend.IsValid() && !c.cfg.Guards.NoKickOnChange
	} else {
		kicks = false
	}
	c.follow(now, u, out.Mapping, moves.Replaced{Mapping: out.Before, Status: out.BeforeStatus})
	switch {
	case kicks && out.Mapping.Moving:
		c.kickMoving(u, nil)
	case kicks:
		c.startKick(u.Tag, KickTarget{ByHash: true, Hash: u.Hash, Keep: out.Mapping.Backend}, nil)
	}
}

// kickMoving ends the sessions of a held user that are not on its new backend, once for each move.
// Report gets the result; it may be nil.
func (c *Core) kickMoving(u ring.User, report func(wire.KickCount)) {
	if k := c.moves.Held.Kick(u, report); k != nil {
		target := KickTarget{ByHash: true, Hash: u.Hash, Keep: k.Keep}
		c.startKick(u.Tag, target, func(r KickResult, _ error) { k.End(r) })
	}
}

// follow holds or releases a user by the present row; was is what a moving row replaced.
func (c *Core) follow(now mono.Time, u ring.User, m directory.Mapping, was moves.Replaced) {
	if c.moves.Held.Follow(now, u, m, was) {
		c.waiters.Recheck()
	}
}

// liveRows finds the rows of users that are live now.
func (c *Core) liveRows(now mono.Time) moves.Find {
	t := c.clock.At(now)
	return func(u ring.User) (directory.Mapping, bool) {
		row, status := c.dir.Find(u.Tag, u.Hash, t)
		return row, status == directory.Live
	}
}

// releaseUnchecked releases a user by whatever row is not moving.
func (c *Core) releaseUnchecked(u ring.User) {
	if row, held := c.moves.Held.Row(u); held {
		c.dir.Release(u.Tag, row)
		c.moves.Held.Release(u)
	}
}

// releaseForgotten releases users whose release was never announced. Each tick looks at all lookups
// that wait, behind this.
func (c *Core) releaseForgotten(now mono.Time) {
	for u, row := range c.moves.Held.TakeForgotten(now) {
		c.counters.ForgottenHolds++
		c.dir.Release(u.Tag, row)
	}
}

// movingRows are the rows of all held users, for a peer that is being admitted.
func (c *Core) movingRows(now mono.Time) []wire.Block {
	rows := rowset.New()
	for u := range c.moves.Held.All() {
		m, status := c.dir.Find(u.Tag, u.Hash, c.clock.At(now))
		if status == directory.Live && m.Moving {
			rows.Add(u.Tag, m)
		}
	}
	return rows.Blocks()
}

// countDead counts what was dropped: rows that came after their backend's mappings had been
// forgotten are worth distinguishing.
func (c *Core) countDead(rows []directory.Mapping) {
	for _, m := range rows {
		row, ok := c.table.Row(m.Backend)
		if ok && row.Forgotten != 0 && m.Stamp <= row.Forgotten.Tick() {
			c.counters.LateRows++
		} else if !ok || !row.Presence.Value.Present {
			c.counters.UnknownBackendRows++
		}
	}
}
