package replica

import (
	"fmt"
	"maps"
	"math"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// donateWithin is after how long a peer is excluded if we lack rows of it and no donor gives them.
const donateWithin = 10 * time.Second

// requestSnapshot asks a peer for all its mappings, unless one is on its way already.
func (c *Core) requestSnapshot(now mono.Time, p *peer) {
	if c.receiver.Current() != nil || !p.out {
		return
	}
	m := &wire.SnapshotRequest{ID: c.newID(), Since: c.since()}
	c.receiver.Begin(now, snapshots.Snapshot{
		ID: m.ID, Peer: p.name, Since: m.Since, Whole: maps.Clone(p.counts),
	})
	c.logf(LogInfo, "taking a snapshot", Field{"peer", p.name})
	c.send(p, m)
}

// since is the time of the oldest gap, when a member only wants to close gaps: what is older we
// have. A joiner wants everything.
func (c *Core) since() directory.Tick {
	if !c.admission.bootstrapped {
		return 0
	}
	oldest := directory.Time(math.MaxInt64)
	for _, p := range c.peers.all {
		if p.live && p.gap {
			oldest = min(oldest, p.log.WholeAt())
		}
	}
	for _, log := range c.logs.Behind() {
		oldest = min(oldest, log.WholeAt())
	}
	since := logs.Since(oldest)
	for _, p := range c.peers.all {
		if p.live && p.lacking {
			since = min(since, p.lackSince)
		}
	}
	return since
}

func (c *Core) gotChunk(now mono.Time, p *peer, m *wire.SnapshotChunk) {
	if !c.receiver.Expects(p.name, m.ID) {
		return
	}
	if why := c.receiver.Take(now, m); why != "" {
		c.snapshotFailed(now, why)
		return
	}
	c.mergeRows(now, m.Blocks, nil)
	if !m.Last {
		c.send(p, &wire.SnapshotAck{ID: m.ID, Index: m.Index})
		return
	}
	c.snapshotDone(now, p, c.receiver.Done())
}

// snapshotDone closes the gaps that the snapshot covers. Taken from a synced director it also makes
// us a member.
func (c *Core) snapshotDone(now mono.Time, p *peer, s *snapshots.Snapshot) {
	c.takeCovers(now, p, s)
	for _, q := range c.peers.all {
		if q.lacking && s.Since <= q.lackSince &&
			(q == p || s.Whole[wire.Life{Name: q.name, Boot: q.boot}]) {
			q.lacking = false
			c.counters.GapsRepaired++
		}
	}
	if p.behind() {
		c.receiver.NoteTried(now, p.name)
	}
	c.logf(LogInfo, "snapshot taken", Field{"peer", p.name}, Field{"users", s.Rows})
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
func (c *Core) takeCovers(now mono.Time, p *peer, s *snapshots.Snapshot) {
	for _, at := range s.Covers {
		log, _ := c.heardOf(now, p, at)
		if log == nil {
			continue
		}
		if s.Since == 0 || s.Since <= logs.Since(log.WholeAt()) {
			c.gained(log, logs.SpansOf(at))
		}
		if !c.writes(log) {
			c.logs.Changed()
		}
		c.seekRest(now, log)
	}
}

func (c *Core) snapshotFailed(now mono.Time, why string) {
	donor := c.receiver.Fail(now)
	c.logf(LogWarn, "snapshot failed", Field{"peer", donor}, Field{"reason", why})
}

// donorLost gives up the snapshot that is being received, if it comes from this peer.
func (c *Core) donorLost(now mono.Time, name, why string) {
	if c.receiver.From(name) {
		c.snapshotFailed(now, why)
	}
}

// checkSnapshots gives up donors and receivers that went silent.
func (c *Core) checkSnapshots(now mono.Time) {
	if c.receiver.Silent(now) {
		c.snapshotFailed(now, "the donor went silent")
	}
	c.donations.Clean(now)
	c.receiver.Clean(now)
}

// logDifferences reports to the operator of a joiner how the mesh's table differs from its
// configuration, which is not used.
func (c *Core) logDifferences() {
	present := c.table.Backends()
	differences := backendDifferences(c.cfg.Backends, present)
	if len(differences) > 0 && len(c.cfg.Backends) > 0 {
		c.logf(
			LogWarn, "the table comes from the mesh and differs from this director's configuration",
			Field{"differences", differences})
		return
	}
	c.logf(LogInfo, "the table comes from the mesh", Field{"backends", len(present)})
}

// backendDifferences lists, with a plus, the backends that are present and not configured as they
// are, then, with a minus, the backends that are configured and not present like that.
func backendDifferences(configured, present []ring.Backend) (differences []string) {
	missing := make(map[string]bool)
	for _, b := range configured {
		missing[backendText(b)] = true
	}
	for _, b := range present {
		if text := backendText(b); missing[text] {
			delete(missing, text)
		} else {
			differences = append(differences, "+"+text)
		}
	}
	for _, b := range configured {
		if text := backendText(b); missing[text] {
			differences = append(differences, "-"+text)
		}
	}
	return differences
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
