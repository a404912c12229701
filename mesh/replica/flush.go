package replica

import (
	"net/netip"

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
// time.
type flushRunner struct {
	*output
	flushRunnerPort

	admission *ownAdmission
	cfg       *Config
	clock     *meshtime.Clock
	dir       *directory.Directory
	flushes   *flushes.Set
	peers     *peers
	table     *directory.Table
}

// flushRunnerPort is what flushRunner needs of the other parts of the core.
type flushRunnerPort interface {
	startMove(now mono.Time, m *moves.Move, backend netip.Addr)
	target(u ring.User) netip.Addr
}

// startFlush begins to move the users of a backend, or of all (zero address), to where they hash
// now.
func (fr *flushRunner) startFlush(now mono.Time, backend netip.Addr, limit int) FlushID {
	tags := fr.dir.Tags()
	if backend.IsValid() {
		row, _ := fr.table.Row(backend)
		tags = []ring.Tag{row.Presence.Value.Tag}
	}
	f := fr.flushes.Begin(backend, limit, tags, fr.clock.At(now))
	fr.scan(now, f)
	fr.reportFlush(now, f)
	return FlushID{Director: fr.cfg.Name, ID: f.Progress().ID}
}

// checkFlushes finds more users to move, and reports the progress of flushes to all directors.
func (fr *flushRunner) checkFlushes(now mono.Time) {
	for _, f := range fr.flushes.Own() {
		fr.scan(now, f)
		if f.AnnounceDue(now) {
			fr.reportFlush(now, f)
		}
	}
	fr.flushes.Clean(fr.clock.At(now))
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

// pumpFlushes starts moves as others end.
func (fr *flushRunner) pumpFlushes(now mono.Time) {
	if len(fr.flushes.Own()) == 0 || fr.admission.leaving {
		return
	}
	for _, f := range fr.flushes.Own() {
		if f.MayBegin(now) {
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
			User: u, Flush: f.Progress().ID, Cause: wire.CauseFlush,
		}, fr.target(u))
	}
}

// gotFlushCancel stops a flush of ours that was cancelled at a peer.
func (fr *flushRunner) gotFlushCancel(_ mono.Time, _ *peer, m *wire.FlushCancel) {
	fr.flushes.Cancel(m.ID)
}

// reportFlush sends all directors the progress of a flush.
func (fr *flushRunner) reportFlush(now mono.Time, f *flushes.Flush) {
	f.Announced(now)
	progress := f.Progress()
	fr.flushes.Note(FlushID{Director: fr.cfg.Name, ID: progress.ID}, progress)
	fr.sendAll(&progress)
}

// gotFlushProgress takes note how a flush of a peer goes.
func (fr *flushRunner) gotFlushProgress(_ mono.Time, p *peer, m *wire.FlushProgress) {
	fr.flushes.Note(FlushID{Director: p.name, ID: m.ID}, *m)
}

// tellFlushes repeats the progress of our flushes to a peer that may have missed it.
func (fr *flushRunner) tellFlushes(p *peer) {
	for id, k := range fr.flushes.All() {
		if id.Director == fr.cfg.Name {
			fr.send(p, &k.Progress)
		}
	}
}

// cancelFlushes stops the running flushes of a backend, or all, wherever they run, and says how
// many that were.
func (fr *flushRunner) cancelFlushes(backend netip.Addr) int {
	n := 0
	for id, k := range fr.flushes.All() {
		if k.Progress.Ended != 0 || backend.IsValid() && k.Progress.Backend != backend {
			continue
		}
		if id.Director == fr.cfg.Name {
			fr.flushes.Cancel(id.ID)
			n++
		} else if p := fr.peers.get(id.Director); p != nil && p.out {
			fr.send(p, &wire.FlushCancel{ID: id.ID})
			n++
		}
	}
	return n
}

func addrOrAll(a netip.Addr) string {
	if !a.IsValid() {
		return "all"
	}
	return ring.AddrText(a)
}
