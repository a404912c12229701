package replica

import (
	"net/netip"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/flushes"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	flushScanWork = 80_000 // mappings looked at per tick, a leaf counting for a few: 1 to 2 ms
	flushLeafWork = 4
)

// startFlush begins to move the users of a backend, or of all (zero address), to where they hash
// now.
func (c *Core) startFlush(now mono.Time, backend netip.Addr, limit int) FlushID {
	tags := c.dir.Tags()
	if backend.IsValid() {
		row, _ := c.table.Row(backend)
		tags = []ring.Tag{row.Presence.Value.Tag}
	}
	f := c.flushes.Begin(backend, limit, tags, c.clock.At(now))
	c.scan(now, f)
	c.reportFlush(now, f)
	return FlushID{Director: c.cfg.Name, ID: f.Progress().ID}
}

// checkFlushes finds more users to move, and reports the progress of flushes to all directors.
func (c *Core) checkFlushes(now mono.Time) {
	for _, f := range c.flushes.Own() {
		c.scan(now, f)
		if f.AnnounceDue(now) {
			c.reportFlush(now, f)
		}
	}
	c.flushes.Clean(c.clock.At(now))
}

// scan looks through some leaves for users of the flush.
func (c *Core) scan(now mono.Time, f *flushes.Flush) {
	t := c.clock.At(now)
	var rows []directory.Mapping
	for work := 0; work < flushScanWork; work += flushLeafWork + len(rows) {
		tag, leaf, ok := f.Leaf()
		if !ok {
			return
		}
		rows = c.dir.Leaf(tag, leaf, t, rows[:0])
		for _, m := range rows {
			if u := (ring.User{Tag: tag, Hash: m.Hash}); c.flushable(f, u, m) {
				f.Found(u)
			}
		}
		f.Scanned()
	}
}

// flushable reports whether a mapping is the flush's to move.
func (c *Core) flushable(f *flushes.Flush, u ring.User, m directory.Mapping) bool {
	backend := f.Progress().Backend
	return m.Backend.IsValid() && !m.Moving &&
		(!backend.IsValid() || m.Backend == backend) &&
		c.target(u) != m.Backend
}

// pumpFlushes starts moves as others end.
func (c *Core) pumpFlushes(now mono.Time) {
	if len(c.flushes.Own()) == 0 || c.admission.leaving {
		return
	}
	for _, f := range c.flushes.Own() {
		if f.MayBegin(now) {
			c.beginMoves(now, f)
		}
		if f.End(c.clock.At(now)) {
			c.reportFlush(now, f)
			p := f.Progress()
			c.logf(LogInfo, "flush ended",
				Field{"backend", addrOrAll(p.Backend)}, Field{"moved", p.Moved},
				Field{"failed", p.Failed}, Field{"cancelled", p.Canceled})
		}
	}
	c.flushes.DropEnded()
}

// beginMoves starts as many moves of a flush as may be under way.
func (c *Core) beginMoves(now mono.Time, f *flushes.Flush) {
	for u, ok := f.Next(); ok; u, ok = f.Next() {
		m, status := c.dir.Find(u.Tag, u.Hash, c.clock.At(now))
		if status != directory.Live || !c.flushable(f, u, m) {
			f.Skipped()
			continue
		}
		f.Begun()
		c.startMove(now, &moves.Move{User: u, Flush: f.Progress().ID}, c.target(u))
	}
}

// gotFlushCancel stops a flush of ours that was cancelled at a peer.
func (c *Core) gotFlushCancel(_ mono.Time, _ *peer, m *wire.FlushCancel) {
	c.flushes.Cancel(m.ID)
}

// reportFlush sends all directors the progress of a flush.
func (c *Core) reportFlush(now mono.Time, f *flushes.Flush) {
	f.Announced(now)
	progress := f.Progress()
	c.flushes.Note(FlushID{Director: c.cfg.Name, ID: progress.ID}, progress)
	c.sendAll(&progress)
}

// gotFlushProgress takes note how a flush of a peer goes.
func (c *Core) gotFlushProgress(_ mono.Time, p *peer, m *wire.FlushProgress) {
	c.flushes.Note(FlushID{Director: p.name, ID: m.ID}, *m)
}

// tellFlushes repeats the progress of our flushes to a peer that may have missed it.
func (c *Core) tellFlushes(p *peer) {
	for id, k := range c.flushes.All() {
		if id.Director == c.cfg.Name {
			c.send(p, &k.Progress)
		}
	}
}

// cancelFlushes stops the running flushes of a backend, or all, wherever they run, and says how
// many that were.
func (c *Core) cancelFlushes(backend netip.Addr) int {
	n := 0
	for id, k := range c.flushes.All() {
		if k.Progress.Ended != 0 || backend.IsValid() && k.Progress.Backend != backend {
			continue
		}
		if id.Director == c.cfg.Name {
			c.flushes.Cancel(id.ID)
			n++
		} else if p := c.peers.get(id.Director); p != nil && p.out {
			c.send(p, &wire.FlushCancel{ID: id.ID})
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
