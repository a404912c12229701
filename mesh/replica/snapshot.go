package replica

import (
	"maps"
	"math"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
)

const (
	snapshotStall = 5 * time.Second        // a donor that sends nothing for so long is given up
	tryAgainAfter = 500 * time.Millisecond // a donor that did not work out is not asked again before
	donateWithin  = 10 * time.Second       // a peer of whom we lack something and nobody gives it is excluded
)

// inSnapshot is a snapshot being received.
type inSnapshot struct {
	id      uint64
	since   directory.Tick // what was asked for: rows of this time or later; 0: all
	peer    string
	whole   map[wire.Life]bool // of whom the donor lacked nothing when it was asked
	next    uint32             // chunk expected
	rows    uint64
	covers  []wire.Position
	heardAt time.Duration
}

// requestSnapshot asks a peer for all its mappings, unless one is on its way already.
func (c *Core) requestSnapshot(now time.Duration, p *peer) {
	if c.snapshot != nil || !p.out {
		return
	}
	c.snapshot = &inSnapshot{
		id: c.newID(), since: c.since(), peer: p.name, heardAt: now, whole: maps.Clone(p.counts),
	}
	c.logf(LogInfo, "taking a snapshot", Field{"peer", p.name})
	c.send(p, &wire.SnapshotRequest{ID: c.snapshot.id, Since: c.snapshot.since})
}

// since is the time of the oldest gap, when a member only wants to close gaps: what is older we
// have. A joiner wants everything.
func (c *Core) since() directory.Tick {
	if !c.admission.bootstrapped {
		return 0
	}
	oldest := directory.Time(math.MaxInt64)
	for _, p := range c.peers {
		if p.live && p.gap {
			oldest = min(oldest, p.log.WholeAt())
		}
	}
	for _, log := range c.logs.Behind() {
		oldest = min(oldest, log.WholeAt())
	}
	since := logs.Since(oldest)
	for _, p := range c.peers {
		if p.live && p.lacking {
			since = min(since, p.lackSince)
		}
	}
	return since
}

// tried reports whether this donor failed us a moment ago.
func (c *Core) tried(now time.Duration, name string) bool {
	at, ok := c.triedAt[name]
	return ok && now-at < tryAgainAfter
}

func (c *Core) gotChunk(now time.Duration, p *peer, m *wire.SnapshotChunk) {
	s := c.snapshot
	if s == nil || s.id != m.ID || s.peer != p.name {
		return
	}
	if m.Busy {
		c.busyAt = now
		c.snapshotFailed(now, "the donor is busy")
		return
	}
	if m.Index != s.next {
		c.snapshotFailed(now, "a chunk is missing")
		return
	}
	if m.Index == 0 {
		s.covers = m.Covers
	}
	s.next++
	s.rows += uint64(rowset.Count(m.Blocks))
	s.heardAt, c.chunkAt = now, now
	c.mergeRows(now, m.Blocks, nil)
	if !m.Last {
		c.send(p, &wire.SnapshotAck{ID: m.ID, Index: m.Index})
		return
	}
	c.snapshotDone(now, p)
}

// snapshotDone closes the gaps that the snapshot covers. Taken from a synced director it also makes
// us a member.
func (c *Core) snapshotDone(now time.Duration, p *peer) {
	s := c.snapshot
	c.snapshot = nil
	c.takeCovers(now, p, s)
	for _, q := range c.sortedPeers() {
		if q.lacking && s.since <= q.lackSince && (q == p || s.whole[wire.Life{Name: q.name, Boot: q.boot}]) {
			q.lacking = false
			c.counters.GapsRepaired++
		}
	}
	if p.behind() {
		c.triedAt[p.name] = now
	}
	c.logf(LogInfo, "snapshot taken", Field{"peer", p.name}, Field{"users", s.rows})
	switch {
	case c.admission.bootstrapped:
	case p.synced && c.sameMesh(p):
		c.admission.bootstrapped, c.admission.alone, c.admission.coldSince = true, false, 0
		c.late.Restart(c.clock.At(now))
		c.logDifferences()
	case c.admission.cold != nil:
		c.admission.cold[p.name] = true
	}
	c.progressAdmission(now)
}

// takeCovers notes what a snapshot contained of each log. Of a log that was whole here only
// before the time from which on we have got the rows it may lack some: then all that we know is
// what its donor has.
func (c *Core) takeCovers(now time.Duration, p *peer, s *inSnapshot) {
	for _, at := range s.covers {
		log, _ := c.heardOf(now, p, at)
		if log == nil {
			continue
		}
		if s.since == 0 || s.since <= logs.Since(log.WholeAt()) {
			c.gained(log, logs.SpansOf(at))
		}
		if !c.writes(log) {
			c.logs.Changed()
		}
		c.seekRest(now, log)
	}
}

func (c *Core) snapshotFailed(now time.Duration, why string) {
	c.logf(LogWarn, "snapshot failed", Field{"peer", c.snapshot.peer}, Field{"why", why})
	c.triedAt[c.snapshot.peer] = now
	c.snapshot = nil
}

// checkSnapshots gives up donors and receivers that went silent.
func (c *Core) checkSnapshots(now time.Duration) {
	if c.snapshot != nil && now-c.snapshot.heardAt > snapshotStall {
		c.snapshotFailed(now, "the donor went silent")
	}
	for name, d := range c.donations {
		if now-d.ackedAt > 4*snapshotStall {
			delete(c.donations, name)
		}
	}
	for name, at := range c.triedAt {
		if now-at > tryAgainAfter {
			delete(c.triedAt, name)
		}
	}
}

// logDifferences tells the operator of a joiner how the mesh's table differs from its
// configuration, which is not used.
func (c *Core) logDifferences() {
	configured := make(map[string]bool)
	for _, b := range c.cfg.Backends {
		configured[backendText(b)] = true
	}
	var differences []string
	for _, b := range c.table.Backends() {
		if text := backendText(b); configured[text] {
			delete(configured, text)
		} else {
			differences = append(differences, "+"+text)
		}
	}
	for _, b := range c.cfg.Backends {
		if text := backendText(b); configured[text] {
			differences = append(differences, "-"+text)
		}
	}
	if len(differences) > 0 && len(c.cfg.Backends) > 0 {
		c.logf(LogWarn, "the table comes from the mesh and differs from this director's configuration", Field{"differences", differences})
		return
	}
	c.logf(LogInfo, "the table comes from the mesh", Field{"backends", len(c.table.Backends())})
}
