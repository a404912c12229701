package replica

import (
	"time"

	"directormesh/mesh/wire"
)

// tailFor is how long the rows received from a peer are kept beside the directory. When the peer fails, each director passes on what it has of
// the last rows: some of the others may have missed them, and there is nobody else who would ever tell them of recorded activity. It is more
// than failAfter and the longest batch.
const tailFor = 15 * time.Second

// tail is the end of a peer's log, as far as it holds rows.
type tail struct {
	entries []tailEntry
	rows    int
}

type tailEntry struct {
	at     time.Duration
	blocks []wire.Block
}

// maxTailRows bounds a tail; beyond it the oldest rows go first. At 60,000 logins a second in the mesh it is never reached.
const maxTailRows = 1 << 20

func (t *tail) add(now time.Duration, blocks []wire.Block) {
	t.prune(now)
	t.entries = append(t.entries, tailEntry{now, blocks})
	t.rows += rowCount(blocks)
}

func (t *tail) prune(now time.Duration) {
	n := 0
	for n < len(t.entries) && (now-t.entries[n].at > tailFor || t.rows > maxTailRows) {
		t.rows -= rowCount(t.entries[n].blocks)
		t.entries[n].blocks = nil
		n++
	}
	t.entries = t.entries[n:]
}

// passOn writes the last rows of a peer that died into our own log.
func (c *Core) passOn(now time.Duration, p *peer) {
	p.tail.prune(now)
	for _, e := range p.tail.entries {
		c.write(now, &wire.Rows{Stamp: c.hlc.Next(c.clock.at(now)), Blocks: e.blocks})
	}
	p.tail = tail{}
}
