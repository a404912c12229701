package replica

import (
	"math"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/digests"
	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/wire"
)

// A director that starts from its data directory takes a snapshot of what came after that was
// whole, and relies on having all from before. A disk may have lost something without a word. So
// behind such a snapshot the directors compare digests of the rows of before, group by group and
// then leaf by leaf, and the one that starts takes the leaves that differ. Where all start together
// the first one does so with each of the others before it founds the mesh, and each of these with
// it before they answer. Nobody else answers meanwhile, so the digests are taken at once: of what
// was assigned before the snapshot begins and is alive now. In a mesh that goes on, rows that are
// moved at this moment may differ, which costs their leaves. A director that takes what one that
// comes holds compares too, if the two were never together: that one may have answered alone
// before, when this one was away or on the other side of a split.

// checkRows goes on with the comparison that follows a snapshot; false if there is nothing more to
// ask the donor.
func (sn *snapshotting) checkRows(now mono.Time, p *peer) (asked bool) {
	s := sn.receiver.Current()
	comes := !sn.admission.bootstrapped
	if s.Since == 0 || sn.cfg.Guards.NoRowCheck ||
		!comes && !p.toCompare() {
		return false
	}
	if s.Check == nil {
		s.Check = snapshots.NewCheck((s.Since - 1).Time(), sn.clock.At(now), sn.dir.Tags())
	}
	m := &wire.SnapshotRequest{ID: sn.newID(), Since: math.MaxUint32}
	if question, ok := s.Check.Question(); ok {
		digests.Fill(sn.dir, &question)
		m.Compare = question
	} else if m.Leaves = s.Check.TakeLeaves(); len(m.Leaves) == 0 {
		if s.Check.Leaves > 0 {
			sn.counters.LeavesRepaired += uint64(s.Check.Leaves)
			sn.logf(LogWarn, "the data directory lacked rows that a peer had, or had others",
				Field{"peer", p.name}, Field{"leaves", s.Check.Leaves})
		}
		return false
	}
	sn.receiver.GoOn(now, m.ID)
	sn.send(p, m)
	return true
}

// takeDifferences notes in which leaves our rows differ from the donor's.
func (sn *snapshotting) takeDifferences(m *wire.SnapshotChunk) {
	s := sn.receiver.Current()
	if s.Check == nil {
		return
	}
	for i := range m.Differ {
		s.Check.Differ(m.Differ[i].Tag, digests.Unlike(sn.dir, s.Check.AsOf(), &m.Differ[i]))
	}
}
