package replica

import (
	"net/netip"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// The history of a director is made of notes. The core notes what only it knows: changes of the
// table, the mappings that it makes for logins, and each user whose backend changes, be it that a
// mapping is replaced by one with another backend, or that a login follows one that has died. A
// user's first mapping is no change, unless a move made it.
//
// A mapping that died is remembered for a minute. A user who comes later goes by hash like a new
// one; where he was before, the note of the login before says.

// Noted hands a note to the history. It has no number yet.
type Noted struct{ Note wire.Note }

func (Noted) effect() {}

// noted is the beginning of a note of now.
func (o *output) noted(now mono.Time, clock *meshtime.Clock) wire.Noted {
	return wire.Noted{At: clock.At(now), Wall: clock.Wall(now).Time()}
}

// putNote hands a note to the history, if there is one.
func (o *output) putNote(n wire.Note) {
	if o.notes {
		o.emit(Noted{n})
	}
}

// noteTable notes what was new in a change of the table. A whole table that comes with a mesh is no
// change.
func (c *Core) noteTable(now mono.Time, applied directory.Change) {
	if c.notes && !applied.Empty() {
		c.putNote(&wire.TableNote{Noted: c.noted(now, &c.clock), Change: applied})
	}
}

// noteMerged notes a user whose backend changed by a row that was merged.
func (mg *merging) noteMerged(now mono.Time, u ring.User, out directory.Merged) {
	next := out.Mapping
	if !mg.notes || out.BeforeStatus == directory.None && !next.Moving ||
		out.BeforeStatus != directory.None && out.Before.Backend == next.Backend {
		return
	}
	n := &wire.UserNote{
		Noted: mg.noted(now, mg.clock), Tag: u.Tag, Hash: u.Hash, To: next.Backend,
		Generation: next.Generation, Stamp: next.Stamp, Cause: mg.mergedFor,
	}
	if out.BeforeStatus != directory.None {
		n.From = out.Before.Backend
	}
	switch {
	case n.Cause != wire.CauseOther || !n.From.IsValid():
	case out.BeforeStatus == directory.Live && out.Before.Generation == next.Generation:
		n.Cause = wire.CauseConflict
	case out.BeforeStatus == directory.Dead && !next.Moving:
		n.Cause = endOf(mg.table, mg.dir, u.Tag, out.Before, mg.clock.At(now))
	}
	mg.putNote(n)
}

// noteMove notes that this director gives a user another backend.
func (mo *mover) noteMove(
	now mono.Time, n wire.UserNote, row, previous directory.Mapping, was directory.Status,
) {
	if was == directory.Live && previous.Backend == row.Backend {
		return
	}
	if was != directory.None {
		n.From = previous.Backend
	}
	n.Noted, n.By = mo.noted(now, mo.clock), mo.cfg.Name
	n.To, n.Generation, n.Stamp = row.Backend, row.Generation, row.Stamp
	mo.putNote(&n)
}

// noteLogins notes the mappings in a batch of rows that logins here made.
func (ol *ownLog) noteLogins(now mono.Time, b wire.Block) {
	var made []directory.Mapping
	for m := range b.All() {
		if m.Stamp >= m.Activity && m.Backend.IsValid() && !m.Moving {
			made = append(made, m)
		}
	}
	if len(made) == 0 {
		return
	}
	if len(made) < b.Len() {
		b = wire.Pack(b.Tag, made)
	}
	ol.putNote(&wire.LoginsNote{
		Noted: ol.noted(now, ol.clock), Director: ol.cfg.Name, Block: b,
	})
}

// noteReplaced notes the users for whom a login here made a mapping in place of a dead one of
// another backend.
func (ol *ownLog) noteReplaced(now mono.Time) {
	for _, r := range ol.lookups.TakeReplaced() {
		ol.putNote(&wire.UserNote{
			Noted: ol.noted(now, ol.clock), Tag: r.Tag, Hash: r.Mapping.Hash, From: r.Was.Backend,
			To: r.Mapping.Backend, By: ol.cfg.Name, Generation: r.Mapping.Generation,
			Stamp: r.Mapping.Stamp,
			Cause: endOf(ol.table, ol.dir, r.Tag, r.Was, r.Mapping.Activity.Time()),
		})
	}
}

// endOf says by what a mapping that is dead at a moment died.
func endOf(
	table *directory.Table, dir *directory.Directory, tag ring.Tag, m directory.Mapping,
	at directory.Time,
) wire.Cause {
	row, ok := table.Row(m.Backend)
	switch p := row.Presence.Value; {
	case dir.Ends(m) <= at:
		return wire.CauseExpired
	case !ok || !p.Present || p.Tag != tag:
		return wire.CauseRemoved
	}
	return wire.CauseForgotten
}

// flushedBackend is the backend whose users a flush moves; the zero address if it moves all.
func (mo *mover) flushedBackend(id uint64) netip.Addr {
	if f := mo.flushes.Get(id); f != nil {
		return f.Progress().Backend
	}
	return netip.Addr{}
}
