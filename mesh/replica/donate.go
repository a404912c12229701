package replica

import (
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/digests"
	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/wire"
)

// gotSnapshotRequest begins to give a peer a snapshot.
func (sn *snapshotting) gotSnapshotRequest(now mono.Time, p *peer, m *wire.SnapshotRequest) {
	if !sn.donations.Room(p.name) {
		sn.send(p, &wire.SnapshotChunk{ID: m.ID, Busy: true})
		return
	}
	if m.Compare.Alive != 0 || len(m.Leaves) > 0 {
		sn.sendChunks(now, p, sn.beginCheck(now, p, m))
		return
	}
	sn.flushOutbox(now)
	covers := []wire.Position{{Name: sn.cfg.Name, Boot: sn.self().Boot, Seq: sn.log.Last()}}
	for _, log := range sn.logs.All() {
		covers = append(covers, log.Position(now))
	}
	d := sn.donations.Begin(now, p.name, m.ID, sn.late.Since(m.Since), sn.dir.Tags(), covers)
	d.Tell(sn.flushes.KeptToTell())
	sn.logf(LogInfo, "giving a snapshot", Field{"peer", p.name}, Field{"users", sn.dir.Len()})
	sn.sendChunks(now, p, d)
}

// beginCheck begins to answer a question that follows a snapshot; see likeness.go.
func (sn *snapshotting) beginCheck(
	now mono.Time, p *peer, m *wire.SnapshotRequest,
) *snapshots.Donation {
	if len(m.Leaves) > 0 {
		return sn.donations.BeginLeaves(now, p.name, m.ID, m.Leaves)
	}
	return sn.donations.BeginComparison(now, p.name, m.ID, digests.NewAlike(sn.dir, m.Compare))
}

func (sn *snapshotting) gotChunkAck(now mono.Time, p *peer, m *wire.SnapshotAck) {
	if d := sn.donations.Get(p.name); d != nil && d.Ack(now, m) {
		sn.sendChunks(now, p, d)
	}
}

// sendChunks sends a peer as many chunks as may be on their way.
func (sn *snapshotting) sendChunks(now mono.Time, p *peer, d *snapshots.Donation) {
	for {
		chunk := d.Next(sn.dir, sn.clock.At(now), sn.cfg.ChunkRows)
		if chunk == nil {
			return
		}
		sn.send(p, chunk)
		if chunk.Last {
			sn.donations.Forget(p.name)
		}
	}
}
