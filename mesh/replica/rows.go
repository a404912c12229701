package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/losers"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/replica/internal/waiters"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// maxUnpacked is the room for rows that is kept from message to message: a chunk of a snapshot
// fits.
const maxUnpacked = 1 << 14

// merging takes rows into the directory, and draws the consequences.
type merging struct {
	*output
	mergingPort

	cfg      *Config
	clock    *meshtime.Clock
	counters *Counters
	dir      *directory.Directory
	moves    *moves.Set
	outbox   *rowset.Outbox
	table    *directory.Table
	unpacked []directory.Mapping // room for rows being merged; see mergeRows
	// mergedFor is why the rows that are being merged may have other backends, for the history.
	mergedFor wire.Cause
	waiters   *waiters.List
	losers    losers.Set
}

// eachMerged takes a row that was merged, and what became of it.
type eachMerged func(u ring.User, in directory.Mapping, out directory.Merged)

// mergingPort is what merging needs of the other parts of the core.
type mergingPort interface {
	dropRowsAhead(rows []directory.Mapping, latest directory.Tick) []directory.Mapping
	latest(now mono.Time) directory.Time
	startKick(tag ring.Tag, target KickTarget, done func(r KickResult, failed error))
}

// mergeRows merges rows from wherever they come, and does what changed rows ask for: kick, hold,
// release. With each it reports every row and what became of it, and leaves the kicking to the
// caller.
func (mg *merging) mergeRows(now mono.Time, blocks []wire.Block, each eachMerged) {
	t, latest := mg.clock.At(now), mg.latest(now).Tick()
	buf := mg.unpacked
	mg.unpacked = nil // while it is in use
	for _, b := range blocks {
		rows := b.Append(buf[:0])
		buf = rows
		rows = mg.dropRowsAhead(rows, latest)
		changed := false
		dropped := mg.dir.Merge(b.Tag, rows, t, func(in directory.Mapping, out directory.Merged) {
			u := ring.User{Tag: b.Tag, Hash: in.Hash}
			mg.noteLoser(now, u, in, out)
			mg.noteSeen(u, in, out)
			if out.Changed {
				changed = true
				mg.rowChanged(now, u, out, each == nil)
				mg.announceMerged(u, in, out.Mapping)
			}
			if mg.cfg.Guards.NoReleaseCheck && !in.Moving {
				mg.releaseUnchecked(u)
			}
			if each != nil {
				each(u, in, out)
			}
		})
		if dropped > 0 {
			mg.countDead(rows)
		}
		if changed || dropped > 0 {
			mg.keepRows(now, keptBlock(b, rows))
		}
	}
	if cap(buf) <= maxUnpacked {
		mg.unpacked = buf
	}
}

// noteSeen lets a move of ours know that its user was let in elsewhere when it began.
func (mg *merging) noteSeen(u ring.User, in directory.Mapping, out directory.Merged) {
	if m := mg.moves.Get(u); m != nil && !in.Moving && out.Mapping.Moving &&
		moves.Same(m.Row, out.Mapping) {
		m.SeenBefore(in)
	}
}

// noteLoser remembers which of two living rows lost that were made without knowledge of each
// other, of one backend too: users may be forgotten that were there before a moment between the
// two.
func (mg *merging) noteLoser(
	now mono.Time, u ring.User, in directory.Mapping, out directory.Merged,
) {
	if out.BeforeStatus != directory.Live || out.Before.Generation != in.Generation ||
		moves.Same(out.Before, in) {
		return
	}
	loser := in
	if moves.Same(out.Mapping, in) {
		loser = out.Before
	}
	if !loser.Moving { // what releases it would not find it
		mg.losers.Note(now, u, loser)
	}
}

// mergeLosers merges the rows again that lost lately, after a change of the table that may have
// killed the winners. What lives by that is announced, for there may be directors that never heard
// of it.
func (mg *merging) mergeLosers(now mono.Time) {
	if mg.losers.Len() == 0 {
		return
	}
	mg.mergeRows(now, mg.losers.Blocks(now), func(
		u ring.User, in directory.Mapping, out directory.Merged,
	) {
		if out.Changed && out.BeforeStatus == directory.Dead && moves.Same(in, out.Mapping) {
			mg.outbox.Push(u.Tag, out.Mapping)
		}
	})
}

// seenLater is by how much more activity a row must have than one that was merged into it, so that
// it is announced. Two directors that answer a user at one moment differ by a tick.
const seenLater = time.Second

// announceMerged announces what became of a row if no other director can know that: the row that
// came in won, and the user was seen later than it says. A director that stepped back has set its
// rows back, and does not hear otherwise that this one keeps the later activity.
func (mg *merging) announceMerged(u ring.User, in, merged directory.Mapping) {
	if !merged.Moving && merged.Activity.Time().Sub(in.Activity.Time()) >= seenLater {
		mg.outbox.Push(u.Tag, merged)
	}
}

// rowChanged follows one changed mapping.
func (mg *merging) rowChanged(now mono.Time, u ring.User, out directory.Merged, kicks bool) {
	mg.noteMerged(now, u, out)
	wasLive := out.BeforeStatus == directory.Live
	if wasLive && out.Before.Backend != out.Mapping.Backend {
		if out.Before.Generation == out.Mapping.Generation {
			mg.counters.Conflicts++
			mg.logf(LogDebug, "conflicting mappings, one backend wins",
				Field{"user_hash", uint32(u.Hash)}, Field{"tag", string(u.Tag)},
				Field{"backend", out.Mapping.Backend.String()},
				Field{"other", out.Before.Backend.String()})
		}
		kicks = kicks && out.Before.Backend.IsValid() && !mg.cfg.Guards.NoKickOnChange
	} else {
		kicks = false
	}
	mg.follow(now, u, out.Mapping, moves.Replaced{Mapping: out.Before, Status: out.BeforeStatus})
	switch {
	case kicks && out.Mapping.Moving:
		mg.kickMoving(u, nil)
	case kicks:
		mg.startKick(u.Tag, KickTarget{ByHash: true, Hash: u.Hash, Keep: out.Mapping.Backend}, nil)
	}
}

// kickMoving ends the sessions of a held user that are not on its new backend, once for each move.
// Report gets the result; it may be nil.
func (mg *merging) kickMoving(u ring.User, report func(wire.KickCount)) {
	if k := mg.moves.Held.Kick(u, report); k != nil {
		target := KickTarget{ByHash: true, Hash: u.Hash, Keep: k.Keep}
		mg.startKick(u.Tag, target, func(r KickResult, _ error) { k.End(r) })
	}
}

// follow holds or releases a user by the present row; was is what a moving row replaced.
func (mg *merging) follow(now mono.Time, u ring.User, m directory.Mapping, was moves.Replaced) {
	if mg.moves.Held.Follow(now, u, m, was) {
		mg.waiters.RecheckUser(u)
	}
}

// liveRows finds the rows of users that are live now.
func (mg *merging) liveRows(now mono.Time) moves.Find {
	t := mg.clock.At(now)
	return func(u ring.User) (directory.Mapping, bool) {
		row, status := mg.dir.Find(u.Tag, u.Hash, t)
		return row, status == directory.Live
	}
}

// releaseUnchecked releases a user by whatever row is not moving.
func (mg *merging) releaseUnchecked(u ring.User) {
	if row, held := mg.moves.Held.Row(u); held {
		mg.dir.Release(u.Tag, row)
		mg.moves.Held.Release(u)
		mg.waiters.RecheckUser(u)
	}
}

// releaseForgotten releases users whose release was never announced.
func (mg *merging) releaseForgotten(now mono.Time) {
	for u, row := range mg.moves.Held.TakeForgotten(now) {
		mg.counters.ForgottenHolds++
		mg.waiters.RecheckUser(u)
		if row, ok := mg.dir.Release(u.Tag, row); ok {
			mg.keepRows(now, wire.Pack(u.Tag, []directory.Mapping{row}))
		}
	}
}

// keepRows hands rows that are in the directory to the data directory, with the mesh time at which
// they came.
func (mg *merging) keepRows(now mono.Time, b wire.Block) {
	if mg.keeps {
		mg.keep(&wire.Rows{
			Stamp: directory.StampAt(mg.clock.At(now)), Blocks: []wire.Block{b},
		})
	}
}

// movingRows are the rows of all held users, for a peer that is being admitted.
func (mg *merging) movingRows(now mono.Time) []wire.Block {
	rows := rowset.New()
	for u := range mg.moves.Held.All() {
		m, status := mg.dir.Find(u.Tag, u.Hash, mg.clock.At(now))
		if status == directory.Live && m.Moving {
			rows.Add(u.Tag, m)
		}
	}
	return rows.Blocks()
}

// countDead counts what was dropped: rows that came after their backend's mappings had been
// forgotten are worth distinguishing.
func (mg *merging) countDead(rows []directory.Mapping) {
	for _, m := range rows {
		row, ok := mg.table.Row(m.Backend)
		if ok && row.Forgotten != 0 && m.Stamp <= row.Forgotten.Tick() {
			mg.counters.LateRows++
		} else if !ok || !row.Presence.Value.Present {
			mg.counters.UnknownBackendRows++
		}
	}
}
