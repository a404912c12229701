package replica

import (
	"cmp"
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/flushes"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	flushScanWork = 80_000 // mappings looked at per tick, a leaf counting for a few: 1 to 2 ms
	flushLeafWork = 4
)

// flushRunner runs the flushes of this director: it finds their users, and moves them, so many at a
// time. It goes on with the flushes of directors that are gone, if it acts for all.
type flushRunner struct {
	*output
	flushRunnerPort

	admission *ownAdmission
	cfg       *Config
	clock     *meshtime.Clock
	counters  *Counters
	dir       *directory.Directory
	flushes   *flushes.Set
	peers     *peers
	table     *directory.Table
}

// flushRunnerPort is what flushRunner needs of the other parts of the core.
type flushRunnerPort interface {
	actsForAll() bool
	outnumbered() bool
	peersCountMore() bool
	standsBack(p *peer) bool
	startMove(now mono.Time, m *moves.Move, backend netip.Addr)
	synced() bool
	target(u ring.User) netip.Addr
}

// startFlush begins to move the users of a backend, or of all (zero address), to where they hash
// now.
func (fr *flushRunner) startFlush(now mono.Time, backend netip.Addr, limit int) FlushID {
	f := fr.flushes.Begin(backend, limit, fr.tagsOf(backend), fr.clock.At(now))
	fr.scan(now, f)
	fr.reportFlush(now, f)
	return f.Name(fr.cfg.Name)
}

// tagsOf are the tags that a flush of a backend, or of all, looks through.
func (fr *flushRunner) tagsOf(backend netip.Addr) []ring.Tag {
	if !backend.IsValid() {
		return fr.dir.Tags()
	}
	row, _ := fr.table.Row(backend)
	return []ring.Tag{row.Presence.Value.Tag}
}

// adoptFlushes goes on with the flushes of directors that are gone.
func (fr *flushRunner) adoptFlushes(now mono.Time) {
	orphans := fr.flushes.Orphans()
	if len(orphans) == 0 || fr.cfg.Guards.NoGoingOn || !fr.actsForAll() {
		return
	}
	for _, id := range orphans {
		fr.adoptFlush(now, id)
	}
}

// adoptFlush goes on with a flush that no director runs.
func (fr *flushRunner) adoptFlush(now mono.Time, id FlushID) {
	p := fr.flushes.Known(id).Progress
	limit := cmp.Or(int(min(p.Parallel, maxParallel)), fr.cfg.MaxParallelMoves)
	tags := fr.tagsOf(p.Backend)
	if p.Canceled {
		tags = nil
	}
	f := fr.flushes.Adopt(id, limit, tags)
	fr.counters.FlushesTaken++
	fr.logf(LogInfo, "going on with the flush of a director that is gone",
		Field{"backend", addrOrAll(p.Backend)}, Field{"peer", id.Director})
	fr.reportFlush(now, f)
}

// checkFlushes finds more users to move, and reports the progress of flushes to all directors.
func (fr *flushRunner) checkFlushes(now mono.Time) {
	fr.adoptFlushes(now)
	for _, f := range fr.flushes.Own() {
		fr.scan(now, f)
		if f.AnnounceDue(now) {
			fr.reportFlush(now, f)
		}
	}
	for _, id := range fr.flushes.Clean(fr.clock.At(now), fr.flushesKnown()) {
		fr.keepFlush(id, fr.flushes.Known(id).Progress)
	}
}

// flushesKnown is for how long it is known of flushes that they have ended: as long as a data
// directory from before may have a say, and some minutes more.
func (fr *flushRunner) flushesKnown() time.Duration {
	return flushes.KeptFor + fr.cfg.Expire + fr.dir.Share()
}

// takeUpFlushes takes up what data directories hold of flushes: ours, and those of the directors
// whose snapshots this one took. What has ended or was cancelled there is so here. What had not
// ended is gone on with if the mesh is ours: if we founded it. In one that went on meanwhile the
// others know better; then our data directory is not to say for ever that it runs.
func (fr *flushRunner) takeUpFlushes(now mono.Time, ours bool) {
	for _, p := range fr.flushes.TakeKept() {
		id := FlushID{Director: p.Director, ID: p.ID}
		if p.Canceled && !p.Done { // also where it was given up since
			fr.cancelFlush(id)
		}
		switch {
		case p.Done:
			fr.endedElsewhere(id, p, id.Director)
		case fr.flushes.Knows(id):
		case p.Ended == 0 && ours:
			fr.noteFlush(id, p, id.Director)
			fr.flushes.Orphan(id, fr.clock.At(now))
			if fr.admission.member && !fr.cfg.Guards.NoGoingOn {
				fr.adoptFlush(now, id) // no other director knows of it
			}
		default:
			p.Ended = cmp.Or(p.Ended, fr.clock.At(now))
			fr.keepFlush(id, p)
		}
	}
}

// scan looks through some leaves for users of the flush.
func (fr *flushRunner) scan(now mono.Time, f *flushes.Flush) {
	t := fr.clock.At(now)
	var rows []directory.Mapping
	for work := 0; work < flushScanWork; work += flushLeafWork + len(rows) {
		tag, leaf, ok := f.Leaf()
		if !ok {
			return
		}
		rows = fr.dir.Leaf(tag, leaf, t, rows[:0])
		for _, m := range rows {
			if u := (ring.User{Tag: tag, Hash: m.Hash}); fr.flushable(f, u, m) {
				f.Found(u)
			}
		}
		f.Scanned()
	}
}

// flushable reports whether a mapping is the flush's to move.
func (fr *flushRunner) flushable(f *flushes.Flush, u ring.User, m directory.Mapping) bool {
	backend := f.Progress().Backend
	return m.Backend.IsValid() && !m.Moving &&
		(!backend.IsValid() || m.Backend == backend) &&
		fr.target(u) != m.Backend
}

// pumpFlushes starts moves as others end. A director that comes back to others starts none while
// it counts only some of them: its moves would not wait for the rest.
func (fr *flushRunner) pumpFlushes(now mono.Time) {
	if len(fr.flushes.Own()) == 0 || fr.admission.leaving {
		return
	}
	mayBegin := fr.synced() && !(fr.outnumbered() && fr.peersCountMore())
	for _, f := range fr.flushes.Own() {
		if mayBegin && f.MayBegin(now) {
			fr.beginMoves(now, f)
		}
		if f.End(fr.clock.At(now)) {
			fr.reportFlush(now, f)
			p := f.Progress()
			fr.logf(LogInfo, "flush ended",
				Field{"backend", addrOrAll(p.Backend)}, Field{"moved", p.Moved},
				Field{"failed", p.Failed}, Field{"cancelled", p.Canceled})
		}
	}
	fr.flushes.DropEnded()
}

// beginMoves starts as many moves of a flush as may be under way.
func (fr *flushRunner) beginMoves(now mono.Time, f *flushes.Flush) {
	for u, ok := f.Next(); ok; u, ok = f.Next() {
		m, status := fr.dir.Find(u.Tag, u.Hash, fr.clock.At(now))
		if status != directory.Live || !fr.flushable(f, u, m) {
			f.Skipped()
			continue
		}
		f.Begun()
		fr.startMove(now, &moves.Move{
			User: u, Flush: f.Key(), Cause: wire.CauseFlush,
		}, fr.target(u))
	}
}

// gotFlushCancel stops a flush that was cancelled at a peer, which waits for the report of that, or
// notes it for the case that this director has to go on with the flush.
func (fr *flushRunner) gotFlushCancel(now mono.Time, _ *peer, m *wire.FlushCancel) {
	id := FlushID{Director: cmp.Or(m.Director, fr.cfg.Name), ID: m.ID}
	fr.cancelFlush(id)
	fr.reportStopped(now, id)
}

// reportStopped reports to all how a flush goes, if it runs here.
func (fr *flushRunner) reportStopped(now mono.Time, id FlushID) {
	for _, f := range fr.flushes.Own() {
		if f.Name(fr.cfg.Name) == id {
			fr.reportFlush(now, f)
		}
	}
}

// cancelFlush notes that a flush is cancelled, and stops it if it runs here.
func (fr *flushRunner) cancelFlush(id FlushID) {
	if fr.flushes.Cancel(fr.cfg.Name, id) {
		fr.keepFlush(id, fr.flushes.Known(id).Progress)
	}
}

// reportFlush sends all directors the progress of a flush.
func (fr *flushRunner) reportFlush(now mono.Time, f *flushes.Flush) {
	f.Announced(now)
	progress := f.Progress()
	fr.noteFlush(f.Name(fr.cfg.Name), progress, fr.cfg.Name)
	fr.sendAll(&progress)
}

// noteFlush takes note how a flush goes, and has the data directory do so. It reports whether that
// is news.
func (fr *flushRunner) noteFlush(id FlushID, progress wire.FlushProgress, runner string) bool {
	if !fr.flushes.Note(id, progress, runner) {
		return false
	}
	fr.keepFlush(id, fr.flushes.Known(id).Progress)
	return true
}

// gotFlushProgress takes note how a flush goes that a peer runs. If it runs here too, since one of
// us was taken for gone, the director with the lower name goes on, unless it stands back; only the
// other one ever gives way. If it has ended or was cancelled at one of us, it ends at the other.
func (fr *flushRunner) gotFlushProgress(_ mono.Time, p *peer, m *wire.FlushProgress) {
	id := FlushID{Director: cmp.Or(m.Director, p.name), ID: m.ID}
	if m.Canceled {
		fr.flushes.Cancel(fr.cfg.Name, id)
	}
	if m.Ended != 0 {
		fr.endedElsewhere(id, *m, p.name)
		return
	}
	if fr.flushes.Runs(fr.cfg.Name, id) {
		if fr.cfg.Name < p.name || fr.standsBack(p) {
			return
		}
		fr.flushes.Yield(fr.cfg.Name, id)
	}
	fr.correct(p, id, m)
	fr.noteFlush(id, *m, p.name)
}

// endedElsewhere notes that a flush has ended without this director. If that is said to run it, the
// others have to hear so from it: nobody else reports to all how that flush goes.
func (fr *flushRunner) endedElsewhere(id FlushID, p wire.FlushProgress, runner string) {
	saidToRun := fr.flushes.Knows(id) && fr.flushes.Known(id).Runner == fr.cfg.Name
	fr.flushes.Yield(fr.cfg.Name, id)
	if fr.noteFlush(id, p, runner) && saidToRun {
		p.Director = id.Director
		fr.sendAll(&p)
	}
}

// correct reports to a peer that runs a flush what has become of that without it.
func (fr *flushRunner) correct(p *peer, id FlushID, m *wire.FlushProgress) {
	if !fr.flushes.Knows(id) {
		return
	}
	switch known := fr.flushes.Known(id); {
	case known.Progress.Ended != 0 && !known.Lost:
		known.Progress.Director = id.Director
		fr.send(p, &known.Progress)
	case known.Progress.Canceled && !m.Canceled:
		fr.send(p, &wire.FlushCancel{ID: id.ID, Director: id.Director})
	}
}

// tellFlushes repeats the progress of our flushes to a peer that may have missed it, and of those
// that have ended and whose director may not be there to tell. If the peer is that director it may
// have started again without its data directory.
func (fr *flushRunner) tellFlushes(p *peer) {
	for id, k := range fr.flushes.All() {
		runner := fr.peers.get(k.Runner)
		over := k.Progress.Done && (runner == nil || runner == p || !runner.live)
		if k.Runner == fr.cfg.Name || over {
			k.Progress.Director = id.Director
			fr.send(p, &k.Progress)
		}
	}
}

// cancelFlushes stops the running flushes of a backend, or all, wherever they run, and returns
// them. All directors hear of it, for any of them may have to go on with the flush.
func (fr *flushRunner) cancelFlushes(now mono.Time, backend netip.Addr) (stops []FlushID) {
	for id, k := range fr.flushes.All() {
		if k.Progress.Ended != 0 || backend.IsValid() && k.Progress.Backend != backend {
			continue
		}
		stops = append(stops, id)
		fr.cancelFlush(id)
		fr.sendAll(&wire.FlushCancel{ID: id.ID, Director: id.Director})
		fr.reportStopped(now, id)
	}
	return stops
}

// awaitsStop reports whether a flush that was cancelled may still start moves, and its runner is
// waited for, which has not reported yet that it stops. The runner is named if it is gone without
// that; it hears of it when it is back.
func (fr *flushRunner) awaitsStop(id FlushID) (awaits bool, gone string) {
	k := fr.flushes.Known(id)
	if k.Progress.Ended != 0 || k.Stopped {
		return false, ""
	}
	if p := fr.peers.get(k.Runner); p == nil || !p.live || k.Orphan != 0 {
		return false, k.Runner
	}
	return true, ""
}

func addrOrAll(a netip.Addr) string {
	if !a.IsValid() {
		return "all"
	}
	return ring.AddrText(a)
}
