package replica

import (
	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/digests"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// comparing compares digests with peers, and exchanges the leaves that differ.
type comparing struct {
	*output
	comparingPort

	clock    *meshtime.Clock
	counters *Counters
	digests  digests.Set // of the epochs that peers may ask about
	dir      *directory.Directory
}

// comparingPort is what comparing needs of the other parts of the core.
type comparingPort interface {
	mergeRows(now mono.Time, blocks []wire.Block, each eachMerged)
}

// compareDigests looks at a peer's digests beside ours of the same epoch, and asks about the groups
// that differ.
func (cm *comparing) compareDigests(p *peer, m *wire.PushPull) {
	differ, compared := cm.digests.Compare(m.Epoch, m.Digests)
	if !compared {
		return
	}
	cm.counters.DigestRounds++
	for _, g := range differ {
		cm.send(p, &wire.LeafDigests{
			Epoch: m.Epoch, Tag: g.Tag, Group: g.Group, Leaves: digests.Leaves(cm.dir, g, m.Epoch),
		})
	}
	p.differs = len(differ) > 0
}

// gotLeafDigests sends our rows of the leaves that differ, and asks for the peer's. It always
// answers: the peer shows us as syncing until then.
func (cm *comparing) gotLeafDigests(now mono.Time, p *peer, m *wire.LeafDigests) {
	if !digests.Comparable(cm.clock.At(now), m.Epoch) {
		cm.send(p, &wire.LeafRows{}) // the next comparison tells
		return
	}
	ours := digests.Leaves(cm.dir, digests.Group{Tag: m.Tag, Group: m.Group}, m.Epoch)
	differ := digests.Differing(m.Group, &ours, &m.Leaves)
	if len(differ) == 0 {
		cm.send(p, &wire.LeafRows{}) // equal by now
		return
	}
	cm.counters.LeavesRepaired += uint64(len(differ))
	cm.sendLeaves(now, p, m.Tag, differ)
	cm.send(p, &wire.LeafRequest{Tag: m.Tag, Leaves: differ})
}

func (cm *comparing) gotLeafRequest(now mono.Time, p *peer, m *wire.LeafRequest) {
	cm.sendLeaves(now, p, m.Tag, m.Leaves[:min(len(m.Leaves), digests.RepairLeaves)])
}

func (cm *comparing) sendLeaves(now mono.Time, p *peer, tag ring.Tag, wanted []uint16) {
	rows := rowset.New()
	for _, leaf := range wanted {
		for _, m := range cm.dir.LeafToSend(tag, leaf, cm.clock.At(now), nil) {
			rows.Add(tag, m)
		}
	}
	blocks := rows.Blocks()
	if len(blocks) == 0 {
		cm.send(p, &wire.LeafRows{}) // what differs is what only the peer has
	}
	for _, b := range blocks {
		cm.send(p, &wire.LeafRows{Blocks: []wire.Block{b}})
	}
}

// gotLeafRows takes the rows of leaves that differed.
func (cm *comparing) gotLeafRows(now mono.Time, p *peer, m *wire.LeafRows) {
	p.differs = false // as far as we know; the next comparison tells
	cm.mergeRows(now, m.Blocks, nil)
}
