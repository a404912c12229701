// Package digests says where the rows of two directors differ, without comparing all of them.
//
// Digests are taken as of the end of an epoch and no sooner than SettleAfter later, when what
// happened in it is everywhere. A pass over the directory takes most of an epoch, a few groups of
// leaves at a time; it sweeps the dead rows first, which is what keeps digests cheap. Two directors
// compare the digests of groups; where these differ, the digests of leaves; and exchange the rows
// of the leaves that differ.
//
//	Set    the digests taken lately, the pass under way, and the sweep after a table change
//	Rows   what must be known of the directory
//
// Which peers are compared with, and what is sent to them, is decided by package replica. Not safe
// for concurrent use.
package digests

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	// SettleAfter is how long after the end of an epoch a pass over the directory begins.
	SettleAfter = 10 * time.Second
	// PassLength is how long that takes.
	PassLength = 8 * time.Second
	// RepairLeaves is how many leaves are repaired after one answer.
	RepairLeaves = 64

	epochLength   = directory.EpochLength
	groups        = 256 // of each tag
	leavesInGroup = 256
	kept          = 3 // epochs
	// comparableFor is how long after the end of its epoch a leaf digest can still be computed:
	// dead rows are kept for 60 s.
	comparableFor = 50 * time.Second
	groupsPerStep = 32 // swept after a table change
	repairGroups  = 16 // groups asked about after one comparison
)

// Rows is the directory, as far as digests need it.
type Rows interface {
	Tags() []ring.Tag
	SweepGroup(tag ring.Tag, group uint8, now directory.Time) (removed int)
	DigestGroup(tag ring.Tag, group uint8, epochEnd directory.Time) [leavesInGroup]uint64
}

// Set is a director's digests, as far as taken. The zero value has none.
type Set struct {
	taken []epochDigests // oldest first; kept at most, each of a later epoch than the one before
	pass  *pass          // under way; nil: none
	sweep sweep
}

// epochDigests are the digests of all groups as of the end of an epoch.
type epochDigests struct {
	epoch int64
	tags  []wire.GroupDigests
}

// pass is what has been taken of the digests of an epoch.
type pass struct {
	epochDigests
	group int       // next, over all tags
	begun mono.Time // by the monotonic clock
}

// sweep is a pass over all tags without digests. The zero value is at its end.
type sweep struct {
	tags  []ring.Tag // still to be swept
	group int        // next, of the first of them
}

// Group is one group of leaves.
type Group struct {
	Tag   ring.Tag
	Group uint8
}

// SweepSoon has the next steps sweep all groups: a table change made rows dead, and the users of a
// backend are to be counted right before the next pass gets there.
func (s *Set) SweepSoon(tags []ring.Tag) { s.sweep = sweep{tags: tags} }

// Newest is the last epoch of which digests were taken, with these; 0 and nil before the first.
func (s *Set) Newest() (epoch int64, tags []wire.GroupDigests) {
	if n := len(s.taken); n > 0 {
		return s.taken[n-1].epoch, s.taken[n-1].tags
	}
	return 0, nil
}

// Step goes on with the sweep, and with the pass of the epoch that has settled by mesh time t.
func (s *Set) Step(now mono.Time, t directory.Time, rows Rows) {
	s.sweep.step(t, rows)
	if s.pass == nil {
		epoch := int64(t.Add(-SettleAfter))/epochLength.Milliseconds() - 1
		if n := len(s.taken); n > 0 && s.taken[n-1].epoch >= epoch {
			return
		}
		s.pass = &pass{epochDigests: epochDigests{epoch: epoch}, begun: now}
		for _, tag := range rows.Tags() {
			s.pass.tags = append(s.pass.tags, wire.GroupDigests{Tag: tag})
		}
	}
	if !s.pass.step(now, t, rows) {
		return
	}
	s.taken = append(s.taken, s.pass.epochDigests)
	if len(s.taken) > kept {
		s.taken = s.taken[1:]
	}
	s.pass = nil
}

func (w *sweep) step(t directory.Time, rows Rows) {
	for range groupsPerStep {
		if len(w.tags) == 0 {
			return
		}
		rows.SweepGroup(w.tags[0], uint8(w.group), t)
		if w.group++; w.group == groups {
			w.tags, w.group = w.tags[1:], 0
		}
	}
}

// step takes the digests that are due, and reports whether these were the last.
func (p *pass) step(now mono.Time, t directory.Time, rows Rows) (done bool) {
	total := groups * len(p.tags)
	due := min(total, int(int64(total)*int64(now.Sub(p.begun))/int64(PassLength)))
	for ; p.group < due; p.group++ {
		of := &p.tags[p.group/groups]
		group := uint8(p.group % groups)
		rows.SweepGroup(of.Tag, group, t)
		leaves := Leaves(rows, Group{of.Tag, group}, p.epoch)
		of.Groups[group] = fold(&leaves)
	}
	return p.group == total
}

// Compare returns groups in which a peer's digests differ from ours of the same epoch, as many as
// are to be asked about. It is false without digests of ours to compare with.
func (s *Set) Compare(epoch int64, theirs []wire.GroupDigests) (differ []Group, compared bool) {
	for _, ours := range s.taken {
		if ours.epoch != epoch {
			continue
		}
		for _, tag := range unionTags(ours.tags, theirs) {
			a, b := groupsOf(ours.tags, tag), groupsOf(theirs, tag)
			for g := range groups {
				if len(differ) < repairGroups && a[g] != b[g] {
					differ = append(differ, Group{tag, uint8(g)})
				}
			}
		}
		return differ, true
	}
	return nil, false
}

func groupsOf(digests []wire.GroupDigests, tag ring.Tag) (groups [groups]uint64) {
	for _, d := range digests {
		if d.Tag == tag {
			return d.Groups
		}
	}
	return groups
}

func unionTags(a, b []wire.GroupDigests) []ring.Tag {
	var tags []ring.Tag
	have := make(map[ring.Tag]bool)
	for _, digests := range [][]wire.GroupDigests{a, b} {
		for _, d := range digests {
			if !have[d.Tag] {
				have[d.Tag] = true
				tags = append(tags, d.Tag)
			}
		}
	}
	return tags
}
