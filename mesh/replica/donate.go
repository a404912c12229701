package replica

import (
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/wire"
)

// gotSnapshotRequest begins to give a peer a snapshot.
func (c *Core) gotSnapshotRequest(now mono.Time, p *peer, m *wire.SnapshotRequest) {
	if !c.donations.Room(p.name) {
		c.send(p, &wire.SnapshotChunk{ID: m.ID, Busy: true})
		return
	}
	c.flushOutbox(now)
	covers := []wire.Position{{Name: c.cfg.Name, Boot: c.boot, Seq: c.log.Last()}}
	for _, log := range c.logs.All() {
		covers = append(covers, log.Position(now))
	}
	d := c.donations.Begin(now, p.name, m.ID, c.late.Since(m.Since), c.dir.Tags(), covers)
	c.logf(LogInfo, "giving a snapshot", Field{"peer", p.name}, Field{"users", c.dir.Len()})
	c.sendChunks(now, p, d)
}

func (c *Core) gotChunkAck(now mono.Time, p *peer, m *wire.SnapshotAck) {
	if d := c.donations.Get(p.name); d != nil && d.Ack(now, m) {
		c.sendChunks(now, p, d)
	}
}

// sendChunks sends a peer as many chunks as may be on their way.
func (c *Core) sendChunks(now mono.Time, p *peer, d *snapshots.Donation) {
	for {
		chunk := d.Next(c.dir, c.clock.At(now), c.cfg.ChunkRows)
		if chunk == nil {
			return
		}
		c.send(p, chunk)
		if chunk.Last {
			c.donations.Forget(p.name)
		}
	}
}
