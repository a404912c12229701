package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Digests are taken as of the end of an epoch and no sooner than settleAfter later, when what
// happened in it is everywhere. A pass over the directory takes most of an epoch, a few leaves per
// tick; it sweeps the dead rows first, which is what keeps digests cheap.
const (
	epochLength   = directory.EpochLength
	settleAfter   = 10 * time.Second
	passLength    = 8 * time.Second
	groups        = 256
	leavesInGroup = 256
	digestsKept   = 3
	// comparable is how long after the end of its epoch a leaf digest can still be computed: dead
	// rows are kept for 60 s.
	comparableFor = 50 * time.Second
	groupsPerTick = 32 // swept after a table change
	repairGroups  = 16 // groups asked about after one comparison
	repairLeaves  = 64 // leaves repaired after one answer
)

// digests are this director's, as far as taken.
type digests struct {
	taken []digestSet // newest last
	pass  *digestPass
	sweep sweep
}

type digestSet struct {
	epoch int64
	tags  []wire.GroupDigests
}

// sweepSoon drops what a table change made dead, so that the users of a backend are counted right
// before the next pass gets there.
func (c *Core) sweepSoon(t directory.Time) {
	s := &c.digests.sweep
	for range groupsPerTick {
		if len(s.tags) == 0 {
			return
		}
		c.dir.SweepGroup(s.tags[0], uint8(s.group), t)
		if s.group++; s.group == groups {
			s.tags, s.group = s.tags[1:], 0
		}
	}
}

// sweep is a pass over all tags without digests.
type sweep struct {
	tags  []ring.Tag
	group int // next
}

type digestPass struct {
	set   digestSet
	group int // next, over all tags
	begun time.Duration
}

func epochEnd(epoch int64) directory.Time {
	return directory.Time((epoch + 1) * epochLength.Milliseconds())
}

// stepDigests goes on with the pass of the epoch that has settled.
func (c *Core) stepDigests(now time.Duration) {
	t := c.clock.At(now)
	epoch := int64(t.Add(-settleAfter))/epochLength.Milliseconds() - 1
	d := &c.digests
	c.sweepSoon(t)
	if d.pass == nil {
		if n := len(d.taken); n > 0 && d.taken[n-1].epoch >= epoch {
			return
		}
		d.pass = &digestPass{set: digestSet{epoch: epoch}, begun: now}
		for _, tag := range c.dir.Tags() {
			d.pass.set.tags = append(d.pass.set.tags, wire.GroupDigests{Tag: tag})
		}
	}
	p := d.pass
	total := groups * len(p.set.tags)
	due := min(total, int(int64(total)*int64(now-p.begun)/int64(passLength)))
	for ; p.group < due; p.group++ {
		of := &p.set.tags[p.group/groups]
		group := uint8(p.group % groups)
		c.dir.SweepGroup(of.Tag, group, t)
		leaves := c.leafDigests(of.Tag, group, p.set.epoch)
		of.Groups[group] = foldDigests(&leaves)
	}
	if p.group == total {
		d.taken = append(d.taken, p.set)
		if len(d.taken) > digestsKept {
			d.taken = d.taken[1:]
		}
		d.pass = nil
	}
}

func (c *Core) leafDigests(tag ring.Tag, group uint8, epoch int64) [leavesInGroup]uint64 {
	return c.dir.DigestGroup(tag, group, epochEnd(epoch))
}

// foldDigests makes one digest of a group's leaves; no rows at all give 0.
func foldDigests(leaves *[leavesInGroup]uint64) uint64 {
	var sum uint64
	for i, d := range leaves {
		if d != 0 {
			sum += mix(d ^ uint64(i+1)*0x9e3779b97f4a7c15)
		}
	}
	return sum
}

// mix scatters 64 bits (the finalizer of MurmurHash3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// compareDigests looks at a peer's digests beside ours of the same epoch, and asks about the groups
// that differ.
func (c *Core) compareDigests(p *peer, m *wire.PushPull) {
	for _, set := range c.digests.taken {
		if set.epoch != m.Epoch {
			continue
		}
		c.counters.DigestRounds++
		asked := 0
		for _, tag := range unionTags(set.tags, m.Digests) {
			ours, theirs := groupsOf(set.tags, tag), groupsOf(m.Digests, tag)
			for g := range groups {
				if ours[g] == theirs[g] {
					continue
				}
				if asked++; asked > repairGroups {
					break
				}
				c.send(p, &wire.LeafDigests{Epoch: set.epoch, Tag: tag, Group: uint8(g), Leaves: c.leafDigests(tag, uint8(g), set.epoch)})
			}
		}
		p.differs = asked > 0
	}
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

// gotLeafDigests sends our rows of the leaves that differ, and asks for the peer's. It always
// answers: the peer shows us as syncing until then.
func (c *Core) gotLeafDigests(now time.Duration, p *peer, m *wire.LeafDigests) {
	t := c.clock.At(now)
	if end := epochEnd(m.Epoch); t < end.Add(settleAfter/2) || t > end.Add(comparableFor) {
		c.send(p, &wire.LeafRows{}) // the next comparison tells
		return
	}
	ours := c.leafDigests(m.Tag, m.Group, m.Epoch)
	var differ []uint16
	for i := range ours {
		if ours[i] != m.Leaves[i] && len(differ) < repairLeaves {
			differ = append(differ, uint16(m.Group)<<8|uint16(i))
		}
	}
	if len(differ) == 0 {
		c.send(p, &wire.LeafRows{}) // equal by now
		return
	}
	c.counters.LeavesRepaired += uint64(len(differ))
	c.sendLeaves(now, p, m.Tag, differ)
	c.send(p, &wire.LeafRequest{Tag: m.Tag, Leaves: differ})
}

func (c *Core) gotLeafRequest(now time.Duration, p *peer, m *wire.LeafRequest) {
	c.sendLeaves(now, p, m.Tag, m.Leaves[:min(len(m.Leaves), repairLeaves)])
}

func (c *Core) sendLeaves(now time.Duration, p *peer, tag ring.Tag, wanted []uint16) {
	rows := rowset.New()
	for _, leaf := range wanted {
		for _, m := range c.dir.LeafToSend(tag, leaf, c.clock.At(now), nil) {
			rows.Add(tag, m)
		}
	}
	blocks := rows.Blocks()
	if len(blocks) == 0 {
		c.send(p, &wire.LeafRows{}) // what differs is what only the peer has
	}
	for _, b := range blocks {
		c.send(p, &wire.LeafRows{Blocks: []wire.Block{b}})
	}
}

// gotLeafRows takes the rows of leaves that differed.
func (c *Core) gotLeafRows(now time.Duration, p *peer, m *wire.LeafRows) {
	p.differs = false // as far as we know; the next comparison tells
	c.mergeRows(now, m.Blocks, nil)
}
