package replica

import (
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/digests"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// compareDigests looks at a peer's digests beside ours of the same epoch, and asks about the groups
// that differ.
func (c *Core) compareDigests(p *peer, m *wire.PushPull) {
	differ, compared := c.digests.Compare(m.Epoch, m.Digests)
	if !compared {
		return
	}
	c.counters.DigestRounds++
	for _, g := range differ {
		c.send(p, &wire.LeafDigests{
			Epoch: m.Epoch, Tag: g.Tag, Group: g.Group, Leaves: digests.Leaves(c.dir, g, m.Epoch),
		})
	}
	p.differs = len(differ) > 0
}

// gotLeafDigests sends our rows of the leaves that differ, and asks for the peer's. It always
// answers: the peer shows us as syncing until then.
func (c *Core) gotLeafDigests(now mono.Time, p *peer, m *wire.LeafDigests) {
	if !digests.Comparable(c.clock.At(now), m.Epoch) {
		c.send(p, &wire.LeafRows{}) // the next comparison tells
		return
	}
	ours := digests.Leaves(c.dir, digests.Group{Tag: m.Tag, Group: m.Group}, m.Epoch)
	differ := digests.Differing(m.Group, &ours, &m.Leaves)
	if len(differ) == 0 {
		c.send(p, &wire.LeafRows{}) // equal by now
		return
	}
	c.counters.LeavesRepaired += uint64(len(differ))
	c.sendLeaves(now, p, m.Tag, differ)
	c.send(p, &wire.LeafRequest{Tag: m.Tag, Leaves: differ})
}

func (c *Core) gotLeafRequest(now mono.Time, p *peer, m *wire.LeafRequest) {
	c.sendLeaves(now, p, m.Tag, m.Leaves[:min(len(m.Leaves), digests.RepairLeaves)])
}

func (c *Core) sendLeaves(now mono.Time, p *peer, tag ring.Tag, wanted []uint16) {
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
func (c *Core) gotLeafRows(now mono.Time, p *peer, m *wire.LeafRows) {
	p.differs = false // as far as we know; the next comparison tells
	c.mergeRows(now, m.Blocks, nil)
}
