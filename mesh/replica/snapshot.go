package replica

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/flushes"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// donateWithin is after how long a peer is excluded if we lack rows of it and no donor gives them.
const donateWithin = 10 * time.Second

// snapshotting takes snapshots from donors, and gives them.
type snapshotting struct {
	*output
	snapshottingPort

	admission *ownAdmission
	cfg       *Config
	clock     *meshtime.Clock
	counters  *Counters
	dir       *directory.Directory
	donations *snapshots.Donations
	flushes   *flushes.Set
	late      *logs.LateRows
	log       *logs.Own
	logs      *logs.Set
	peers     *peers
	receiver  *snapshots.Receiver
	table     *directory.Table
}

// snapshottingPort is what snapshotting needs of the other parts of the core.
type snapshottingPort interface {
	diskState() diskState
	flushOutbox(now mono.Time)
	gained(log *logs.Peer, more logs.Spans)
	heardOf(now mono.Time, p *peer, at wire.Position) (log *logs.Peer, news bool)
	mergeRows(now mono.Time, blocks []wire.Block, each eachMerged)
	progressAdmission(now mono.Time)
	sameMesh(p *peer) bool
	seekRest(now mono.Time, log *logs.Peer)
	self() wire.Peer
	writes(log *logs.Peer) bool
}

// requestSnapshot asks a peer for all its mappings, unless one is on its way already.
func (sn *snapshotting) requestSnapshot(now mono.Time, p *peer) {
	if sn.receiver.Current() != nil || !p.out {
		return
	}
	m := &wire.SnapshotRequest{ID: sn.newID(), Since: sn.since(now, p)}
	sn.receiver.Begin(now, snapshots.Snapshot{
		ID: m.ID, Peer: p.name, Since: m.Since, Whole: maps.Clone(p.counts),
		Joins: !sn.admission.bootstrapped,
	})
	sn.logf(LogInfo, "taking a snapshot", Field{"peer", p.name})
	sn.send(p, m)
}

// since is the time of the oldest gap, when a member only wants to close gaps: what is older we
// have. A joiner wants everything, or what came after its data directory was whole.
func (sn *snapshotting) since(now mono.Time, p *peer) directory.Tick {
	if !sn.admission.bootstrapped {
		if !sn.sameMesh(p) {
			return 0
		}
		return sn.diskState().since
	}
	oldest := directory.Time(math.MaxInt64)
	for _, p := range sn.peers.all {
		if p.live && p.gap {
			oldest = min(oldest, p.log.WholeAt())
		}
	}
	for _, log := range sn.logs.Behind() {
		oldest = min(oldest, log.WholeAt())
	}
	since := logs.Since(oldest)
	for _, p := range sn.peers.all {
		if p.live && p.lacking {
			since = min(since, p.lackSince)
		}
	}
	return since
}

func (sn *snapshotting) gotChunk(now mono.Time, p *peer, m *wire.SnapshotChunk) {
	if !sn.receiver.Expects(p.name, m.ID) {
		return
	}
	if why := sn.receiver.Take(now, m); why != "" {
		sn.snapshotFailed(now, why)
		return
	}
	if s := sn.receiver.Current(); s.Since != 0 && s.Check == nil && !sn.admission.bootstrapped {
		// They may have come late to the mesh. What a comparison finds did not.
		sn.late.Note(sn.clock.At(now), m.Blocks)
	}
	sn.mergeRows(now, m.Blocks, nil)
	sn.takeDifferences(m)
	for _, f := range m.Flushes {
		f.Director = cmp.Or(f.Director, p.name)
		sn.flushes.Keep(f)
	}
	if !m.Last {
		sn.send(p, &wire.SnapshotAck{ID: m.ID, Index: m.Index})
		return
	}
	if sn.checkRows(now, p) {
		return
	}
	sn.snapshotDone(now, p, sn.receiver.Done())
}

// snapshotDone closes the gaps that the snapshot covers. Taken from a synced director it also makes
// us a member. What is to be compared with a peer a member takes from that peer: another one found
// the older rows by comparing too, and has them in no snapshot since a time.
func (sn *snapshotting) snapshotDone(now mono.Time, p *peer, s *snapshots.Snapshot) {
	sn.takeCovers(now, p, s)
	for _, q := range sn.peers.all {
		life := wire.Life{Name: q.name, Boot: q.boot}
		if q.lacking && (s.Joins || s.Since <= q.lackSince) &&
			(q == p || (s.Joins || !q.toCompare()) && s.Whole[life]) {
			q.lacking = false
			sn.counters.GapsRepaired++
		}
	}
	if p.behind() {
		sn.receiver.NoteTried(now, p.name)
	}
	sn.logf(LogInfo, "snapshot taken", Field{"peer", p.name}, Field{"users", s.Rows})
	switch {
	case sn.admission.bootstrapped:
	case p.synced && sn.sameMesh(p):
		sn.admission.bootstrapped, sn.admission.alone, sn.admission.coldSince = true, false, 0
		if noted := sn.diskState().noted; s.Since != 0 && noted != 0 {
			sn.late.From(noted) // what came late by the snapshot was noted
		} else {
			sn.late.Restart(sn.clock.At(now))
		}
		sn.logDifferences()
	case sn.admission.cold != nil:
		sn.admission.cold[p.name] = true
	}
	sn.progressAdmission(now)
}

// takeCovers notes what a snapshot contained of each log. Of a log that was whole here only
// before the time from which on we have got the rows it may lack some: then all that we know is
// what its donor has.
func (sn *snapshotting) takeCovers(now mono.Time, p *peer, s *snapshots.Snapshot) {
	for _, at := range s.Covers {
		log, _ := sn.heardOf(now, p, at)
		if log == nil {
			continue
		}
		if s.Joins || s.Since == 0 || s.Since <= logs.Since(log.WholeAt()) {
			sn.gained(log, logs.SpansOf(at))
		}
		if !sn.writes(log) {
			sn.logs.Changed()
		}
		sn.seekRest(now, log)
	}
}

func (sn *snapshotting) snapshotFailed(now mono.Time, why string) {
	donor := sn.receiver.Fail(now)
	sn.logf(LogWarn, "snapshot failed", Field{"peer", donor}, Field{"reason", why})
}

// donorLost gives up the snapshot that is being received, if it comes from this peer.
func (sn *snapshotting) donorLost(now mono.Time, name, why string) {
	if sn.receiver.From(name) {
		sn.snapshotFailed(now, why)
	}
}

// checkSnapshots gives up donors and receivers that went silent.
func (sn *snapshotting) checkSnapshots(now mono.Time) {
	if sn.receiver.Silent(now) {
		sn.snapshotFailed(now, "the donor went silent")
	}
	sn.donations.Clean(now)
	sn.receiver.Clean(now)
}

// logDifferences reports to the operator of a joiner how the mesh's table differs from its
// configuration, which is not used.
func (sn *snapshotting) logDifferences() {
	present := sn.table.Backends()
	differences := backendDifferences(sn.cfg.Backends, present)
	if len(differences) > 0 && len(sn.cfg.Backends) > 0 {
		sn.logf(
			LogWarn, "the table comes from the mesh and differs from this director's configuration",
			Field{"differences", differences})
		return
	}
	sn.logf(LogInfo, "the table comes from the mesh", Field{"backends", len(present)})
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
	if b.Factor != 0 && b.Factor != ring.NoFactor {
		text += fmt.Sprintf(" factor %d%%", b.Factor)
	}
	if b.Start != 0 {
		text += fmt.Sprintf(" starting at %d%%", b.Start)
	}
	switch {
	case b.Idle:
		text += " standby"
	case b.Standby:
		text += " standby in use"
	}
	if b.Down {
		text += " down"
	}
	if b.Drained {
		text += " drained"
	}
	if b.Gone {
		text += " gone from its name"
	}
	if b.Rebalanced {
		text += " rebalanced"
	}
	switch {
	case b.Out:
		text += " failed"
	case b.Failed:
		text += " failed, kept"
	}
	return text
}
