package snapshots

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/digests"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	// MaxDonations is how many snapshots are given at a time.
	MaxDonations = 16

	chunksAhead = 4         // sent but not acknowledged
	forgetAfter = 4 * Stall // a receiver that acknowledges nothing
	leaves      = 1 << 16   // of each tag
	// leavesPerPass are looked at for one chunk at most, so that many empty tags do not hold up the
	// core.
	leavesPerPass = leaves
	// coversBesideRows is how many positions there is room for in a chunk with rows, whatever the
	// names.
	coversBesideRows = 60
	// rowsPerPass are looked at for one chunk, about. The core does nothing else meanwhile.
	rowsPerPass = 1 << 17
)

// Rows is the directory, as far as a donor needs it.
type Rows interface {
	Len() int
	LeafSince(
		tag ring.Tag, leaf uint16, now directory.Time, since directory.Tick,
		buf []directory.Mapping,
	) (rows []directory.Mapping, looked int)
	digests.LiveRows
}

// Donations are the snapshots being given. The zero value has none.
type Donations struct {
	byPeer map[string]*Donation // MaxDonations at most
}

// Len is how many there are.
func (d *Donations) Len() int { return len(d.byPeer) }

// Room reports whether a peer can be given a snapshot, in the place of the one that it takes
// already if there is one.
func (d *Donations) Room(peer string) bool {
	return d.byPeer[peer] != nil || len(d.byPeer) < MaxDonations
}

// Begin begins to give a peer a snapshot: of these tags, of rows that changed at a time or later, 0
// for all. Covers are what we have of each log. Id is by the peer's count.
func (d *Donations) Begin(
	now mono.Time, peer string, id uint64, since directory.Tick, tags []ring.Tag,
	covers []wire.Position,
) *Donation {
	return d.begin(now, peer, Donation{id: id, since: since, tags: tags, covers: covers})
}

// BeginComparison begins to tell a peer in which groups its rows differ from ours.
func (d *Donations) BeginComparison(
	now mono.Time, peer string, id uint64, differ *digests.Alike,
) *Donation {
	return d.begin(now, peer, Donation{id: id, differ: differ})
}

// BeginLeaves begins to give a peer all rows of some leaves.
func (d *Donations) BeginLeaves(
	now mono.Time, peer string, id uint64, only []wire.TagLeaves,
) *Donation {
	return d.begin(now, peer, Donation{id: id, only: only})
}

func (d *Donations) begin(now mono.Time, peer string, given Donation) *Donation {
	if d.byPeer == nil {
		d.byPeer = make(map[string]*Donation)
	}
	given.ackedAt = now
	d.byPeer[peer] = &given
	return &given
}

// Get returns the snapshot that a peer is given, or nil.
func (d *Donations) Get(peer string) *Donation { return d.byPeer[peer] }

// Forget forgets that a peer is given one.
func (d *Donations) Forget(peer string) { delete(d.byPeer, peer) }

// Clean forgets receivers that have gone silent.
func (d *Donations) Clean(now mono.Time) {
	for name, given := range d.byPeer {
		if now.Sub(given.ackedAt) > forgetAfter {
			delete(d.byPeer, name)
		}
	}
}

// Abandon forgets all.
func (d *Donations) Abandon() { clear(d.byPeer) }

// Postpone gives the receivers so much more time.
func (d *Donations) Postpone(late time.Duration) {
	for _, given := range d.byPeer {
		given.ackedAt = given.ackedAt.Add(late)
	}
}

// Donation is a snapshot being given.
type Donation struct {
	id      uint64
	since   directory.Tick   // 0: everything
	tags    []ring.Tag       // still to be sent
	leaf    int              // next, of the first of them
	only    []wire.TagLeaves // still to be sent
	differ  *digests.Alike   // nil: no comparison
	index   uint32           // next chunk
	acked   uint32           // chunks acknowledged
	done    bool             // the last chunk is sent
	sent    uint64           // rows
	covers  []wire.Position
	flushes []wire.FlushProgress
	ackedAt mono.Time           // when the last acknowledgement came, or the request
	rows    []directory.Mapping // of the chunk being packed; reused by some thousand chunks
}

// Sent is how many rows have been sent.
func (d *Donation) Sent() uint64 { return d.sent }

// AckedAt is when the receiver was last heard.
func (d *Donation) AckedAt() mono.Time { return d.ackedAt }

// Tell adds how flushes went as a data directory has it. They go before the rows.
func (d *Donation) Tell(flushes []wire.FlushProgress) { d.flushes = flushes }

// Ack notes that a chunk has come; false if the acknowledgement is of another snapshot.
func (d *Donation) Ack(now mono.Time, m *wire.SnapshotAck) bool {
	if d.id != m.ID || m.Index >= d.index {
		return false
	}
	d.acked, d.ackedAt = max(d.acked, m.Index+1), now
	return true
}

// Next makes the next chunk, with about as many rows as wanted; nil if the receiver is to
// acknowledge others first, or the last one has been made.
func (d *Donation) Next(rows Rows, t directory.Time, wanted int) *wire.SnapshotChunk {
	if d.done || d.index-d.acked >= chunksAhead {
		return nil
	}
	chunk := &wire.SnapshotChunk{ID: d.id, Index: d.index, Total: uint64(rows.Len())}
	if d.index == 0 {
		chunk.Covers, chunk.Flushes = d.covers, d.flushes
	}
	switch {
	case d.differ != nil:
		chunk.Differ = d.differ.Step(rows, rowsPerPass)
	case len(chunk.Covers) <= coversBesideRows && len(chunk.Flushes) == 0:
		chunk.Blocks = append(d.pack(rows, t, wanted), d.packOnly(rows, t, wanted)...)
	}
	d.done = len(d.tags) == 0 && len(d.only) == 0 && (d.differ == nil || d.differ.Done())
	chunk.Last = d.done
	d.index++
	d.sent += uint64(rowset.Count(chunk.Blocks))
	return chunk
}

// pack packs the rows of the next leaves, until there are as many as wanted.
func (d *Donation) pack(dir Rows, t directory.Time, wanted int) []wire.Block {
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
	looked := 0
	for range leavesPerPass {
		if len(d.tags) == 0 || total+len(rows) >= wanted || looked >= rowsPerPass {
			break
		}
		var n int
		rows, n = dir.LeafSince(d.tags[0], uint16(d.leaf), t, d.since, rows)
		looked += n
		if d.leaf++; d.leaf == leaves {
			pack()
			d.tags, d.leaf = d.tags[1:], 0
		}
	}
	pack()
	return blocks
}

// packOnly packs the rows of the next of the leaves that were asked for, until there are as many as
// wanted.
func (d *Donation) packOnly(dir Rows, t directory.Time, wanted int) []wire.Block {
	var blocks []wire.Block
	total := 0
	for len(d.only) > 0 && total < wanted {
		of := &d.only[0]
		rows := d.rows[:0]
		for len(of.Leaves) > 0 && total+len(rows) < wanted {
			rows, _ = dir.LeafSince(of.Tag, of.Leaves[0], t, 0, rows)
			of.Leaves = of.Leaves[1:]
		}
		if len(rows) > 0 {
			blocks = append(blocks, wire.Pack(of.Tag, rows))
			total += len(rows)
			d.rows = rows
		}
		if len(of.Leaves) == 0 {
			d.only = d.only[1:]
		}
	}
	return blocks
}
