package replica

import (
	"fmt"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	maxDonations  = 16 // snapshots given at a time
	chunksAhead   = 4  // sent but not acknowledged
	leaves        = 1 << 16
	leavesPerPass = leaves // looked at for one chunk at most, so that many empty tags do not hold up the core
)

// coversBesideRows is how many positions there is room for in a chunk with rows, whatever the
// names.
const coversBesideRows = 60

// outSnapshot is a snapshot being given. The directory goes on changing meanwhile; what changes is
// in the log too.
type outSnapshot struct {
	id      uint64
	since   directory.Tick // 0: everything
	tags    []ring.Tag
	leaf    int
	index   uint32 // next chunk
	acked   uint32 // chunks acknowledged
	sent    uint64
	covers  []wire.Position
	ackedAt time.Duration
	rows    []directory.Mapping // of the chunk being packed; reused, a snapshot has some thousand chunks
}

// gotSnapshotRequest begins to give a peer a snapshot.
func (c *Core) gotSnapshotRequest(now time.Duration, p *peer, m *wire.SnapshotRequest) {
	if _, again := c.donations[p.name]; !again && len(c.donations) >= maxDonations {
		c.send(p, &wire.SnapshotChunk{ID: m.ID, Busy: true})
		return
	}
	c.flushOutbox(now)
	d := &outSnapshot{id: m.ID, since: c.late.Since(m.Since), tags: c.dir.Tags(), ackedAt: now}
	d.covers = append(d.covers, wire.Position{Name: c.cfg.Name, Boot: c.boot, Seq: c.log.Last()})
	for _, log := range c.logs.All() {
		d.covers = append(d.covers, log.Position(now))
	}
	c.donations[p.name] = d
	c.logf(LogInfo, "giving a snapshot", Field{"peer", p.name}, Field{"users", c.dir.Len()})
	c.pumpDonation(now, p, d)
}

func (c *Core) gotChunkAck(now time.Duration, p *peer, m *wire.SnapshotAck) {
	d := c.donations[p.name]
	if d == nil || d.id != m.ID || m.Index >= d.index {
		return
	}
	d.acked, d.ackedAt = max(d.acked, m.Index+1), now
	c.pumpDonation(now, p, d)
}

func (c *Core) pumpDonation(now time.Duration, p *peer, d *outSnapshot) {
	for d.index-d.acked < chunksAhead {
		chunk := &wire.SnapshotChunk{ID: d.id, Index: d.index, Total: uint64(c.dir.Len())}
		if d.index == 0 {
			chunk.Covers = d.covers
		}
		if len(chunk.Covers) <= coversBesideRows {
			chunk.Blocks = d.next(c.dir, c.clock.At(now), c.cfg.ChunkRows)
		}
		chunk.Last = len(d.tags) == 0
		d.index++
		d.sent += uint64(rowset.Count(chunk.Blocks))
		c.send(p, chunk)
		if chunk.Last {
			delete(c.donations, p.name)
			return
		}
	}
}

// next packs the rows of the next leaves, until there are as many as wanted.
func (d *outSnapshot) next(dir *directory.Directory, t directory.Time, wanted int) []wire.Block {
	var blocks []wire.Block
	total := 0
	rows := d.rows[:0]
	pack := func() {
		if len(rows) > 0 {
			blocks = append(blocks, wire.Pack(d.tags[0], rows))
			total += len(rows)
			d.rows, rows = rows, rows[:0]
		}
	}
	for range leavesPerPass {
		if len(d.tags) == 0 || total+len(rows) >= wanted {
			break
		}
		from := len(rows)
		rows = dir.LeafToSend(d.tags[0], uint16(d.leaf), t, rows)
		if d.since != 0 {
			rows = append(rows[:from], slices.DeleteFunc(rows[from:], d.older)...)
		}
		if d.leaf++; d.leaf == leaves {
			pack()
			d.tags, d.leaf = d.tags[1:], 0
		}
	}
	pack()
	return blocks
}

// older reports whether a row has not changed since the time asked for.
func (d *outSnapshot) older(m directory.Mapping) bool {
	return m.Activity < d.since && m.Stamp < d.since
}

func backendText(b ring.Backend) string {
	text := ring.AddrText(b.Addr)
	if b.Tag != "" {
		text += "@" + string(b.Tag)
	}
	if b.VHosts != ring.DefaultVHosts {
		text += fmt.Sprintf(" %d", b.VHosts)
	}
	if b.Down {
		text += " down"
	}
	return text
}
