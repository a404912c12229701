package replica

import (
	"time"

	"directormesh/mesh/wire"
)

// The rows received from a peer are kept beside the directory. When the peer is gone, each director passes on what it has of the last ones: some
// of the others may have missed them, and digests, which leave recorded activity out, would not find all. In a whole mesh only the
// silence before a failure is in question; where some were away lately, everything since they were last heard: a replay brings them what we
// wrote in historyFor, a gap longer than that ends with a snapshot, but neither brings what a director wrote that died before they met.
const (
	tailFor       = historyFor + failAfter + 5*time.Second
	beforeSilence = 2 * time.Second
)

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

// passOn writes the last rows of a peer that is gone into our own log.
func (c *Core) passOn(now time.Duration, p *peer) {
	since := now - tailFor
	switch {
	case c.someoneAway(now, p):
	case p.left:
		since = now // what it said reached everybody before its farewell
	default:
		since = now - c.silence() - beforeSilence
	}
	for _, e := range p.tail.entries {
		if e.at > since {
			c.write(now, &wire.Rows{Stamp: c.hlc.Next(c.clock.at(now)), Blocks: e.blocks})
		}
	}
	p.tail = tail{}
}

// someoneAway reports whether another director than p is failed, and may come back, or has come back so lately that it may lack what p
// wrote meanwhile.
func (c *Core) someoneAway(now time.Duration, p *peer) bool {
	for _, q := range c.peers {
		if q != p && !q.left && q.boot != 0 && (!q.live || now-q.liveSince <= tailFor) {
			return true
		}
	}
	return false
}
