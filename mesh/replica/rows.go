package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// maxUnpacked is the room for rows that is kept from message to message: a chunk of a snapshot
// fits.
const maxUnpacked = 1 << 14

// heldUser is a user whose lookups are held here.
type heldUser struct {
	mapping directory.Mapping
	since   mono.Time
	kick    *moveKick // nil: none begun
	by      logs.ID   // the director, and its life, that runs the move; zero: not known
	before  before    // what the mapping replaced here
}

// before is a mapping that was replaced.
type before struct {
	mapping directory.Mapping
	status  directory.Status
}

// moveKick is the kick that the first word of a move began: its row may come by gossip before the
// Hold that wants a report.
type moveKick struct {
	result  *wire.KickCount // nil: under way
	reports []func(wire.KickCount)
}

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
			if h, held := c.held[u]; held && !in.Moving && c.cfg.Guards.NoReleaseCheck {
				c.dir.Release(u.Tag, h.mapping)
				delete(c.held, u)
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

// announceMerged announces what became of a row if nobody else can know that: the row that came in
// won, and the user was seen later than it says. A director that stepped back has set its rows
// back, and does not hear otherwise that this one keeps the later activity.
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
	c.follow(now, u, out.Mapping, before{out.Before, out.BeforeStatus})
	switch {
	case kicks && out.Mapping.Moving:
		c.kickMoving(u, nil)
	case kicks:
		c.startKick(u.Tag, KickTarget{ByHash: true, Hash: u.Hash, Keep: out.Mapping.Backend}, nil)
	}
}

// kickMoving ends the sessions of a held user that are not on its new backend, once for each move,
// and reports to whoever asks.
func (c *Core) kickMoving(u ring.User, report func(wire.KickCount)) {
	h := c.held[u]
	if h.kick == nil {
		k := &moveKick{}
		h.kick = k
		c.held[u] = h
		target := KickTarget{ByHash: true, Hash: u.Hash, Keep: h.mapping.Backend}
		c.startKick(u.Tag, target, func(r KickResult, _ error) {
			k.result = &wire.KickCount{
				Tag: u.Tag, Hash: u.Hash,
				Count: uint32(r.Count), Known: r.Known, Left: uint32(r.Left), Blind: r.Blind,
			}
			for _, report := range k.reports {
				report(*k.result)
			}
			k.reports = nil
		})
	}
	switch {
	case report == nil:
	case h.kick.result != nil:
		report(*h.kick.result)
	default:
		h.kick.reports = append(h.kick.reports, report)
	}
}

// follow keeps the list of held users in step with a row.
func (c *Core) follow(now mono.Time, u ring.User, m directory.Mapping, was before) {
	h, held := c.held[u]
	switch {
	case m.Moving && (!held || !moves.Same(h.mapping, m)):
		c.held[u] = heldUser{mapping: m, since: now, before: was}
	case !m.Moving && held:
		delete(c.held, u)
		c.waiters.Recheck()
	}
}

// releaseForgotten releases users of whose release nobody told us. Each tick looks at all lookups
// that wait, behind this.
func (c *Core) releaseForgotten(now mono.Time) {
	for u, h := range c.held {
		if now.Sub(h.since) < moves.HoldFor {
			continue
		}
		c.counters.ForgottenHolds++
		c.dir.Release(u.Tag, h.mapping)
		delete(c.held, u)
	}
}

// movingRows are the rows of all held users, for a peer that is being admitted.
func (c *Core) movingRows(now mono.Time) []wire.Block {
	rows := rowset.New()
	for u := range c.held {
		m, status := c.dir.Find(u.Tag, u.Hash, c.clock.At(now))
		if status == directory.Live && m.Moving {
			rows.Add(u.Tag, m)
		}
	}
	return rows.Blocks()
}

// countDead counts what was dropped: rows that came after their backend's mappings had been
// forgotten are worth telling apart.
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
