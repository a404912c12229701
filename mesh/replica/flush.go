package replica

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	flushTellEvery   = 500 * time.Millisecond
	flushBeginEvery  = 20 * time.Millisecond
	flushKept        = 10 * time.Minute // an ended flush can still be asked for
	flushScanWork    = 80_000           // mappings looked at per tick, a leaf counting for a few: 1 to 2 ms
	flushLeafWork    = 4
	flushScanPending = 1 << 17 // candidates found ahead of the moves
)

// flush is one that this director runs.
type flush struct {
	progress wire.FlushProgress
	max      int
	tags     []ring.Tag // still to be scanned
	leaf     int
	pending  []ring.User
	toldAt   time.Duration
	begunAt  time.Duration // when moves were last begun
}

// flushes are the ones that run here, and what is known of all in the mesh.
type flushes struct {
	own   []*flush
	known map[FlushID]*knownFlush
	// lastID was given out last. It starts anywhere: flushes of an earlier life are asked for
	// still.
	lastID uint64
}

type knownFlush struct {
	progress wire.FlushProgress
	lost     bool
	boot     uint64
}

func (f *flushes) init(r *rand.Rand) {
	f.known = make(map[FlushID]*knownFlush)
	f.lastID = r.Uint64N(flushIDs)
}

// flushIDs is below what a number in JSON may be, with room for those to come.
const flushIDs = 1 << 48

// startFlush begins to move the users of a backend, or of all (zero address), to where they hash
// now.
func (c *Core) startFlush(now time.Duration, backend netip.Addr, limit int) FlushID {
	c.flushes.lastID++
	f := &flush{
		progress: wire.FlushProgress{
			ID: c.flushes.lastID, Backend: backend, Scanning: true, Started: c.clock.At(now),
		},
		max:  limit,
		tags: c.dir.Tags(),
	}
	if backend.IsValid() {
		row, _ := c.table.Row(backend)
		f.tags = []ring.Tag{row.Presence.Value.Tag}
	}
	c.flushes.own = append(c.flushes.own, f)
	c.scan(now, f)
	c.tellFlush(now, f)
	return FlushID{c.cfg.Name, f.progress.ID}
}

// checkFlushes finds more users to move, and tells all directors how flushes go.
func (c *Core) checkFlushes(now time.Duration) {
	for _, f := range c.flushes.own {
		c.scan(now, f)
		if now-f.toldAt >= flushTellEvery {
			c.tellFlush(now, f)
		}
	}
	for id, k := range c.flushes.known {
		if k.progress.Ended != 0 && c.clock.At(now).Sub(k.progress.Ended) > flushKept {
			delete(c.flushes.known, id)
		}
	}
}

// scan looks through some leaves for users of the flush.
func (c *Core) scan(now time.Duration, f *flush) {
	if !f.progress.Scanning {
		return
	}
	t := c.clock.At(now)
	var rows []directory.Mapping
	for work := 0; work < flushScanWork; work += flushLeafWork + len(rows) {
		if len(f.tags) == 0 {
			f.progress.Scanning = false
			return
		}
		if len(f.pending) > flushScanPending {
			return
		}
		rows = c.dir.Leaf(f.tags[0], uint16(f.leaf), t, rows[:0])
		for _, m := range rows {
			if u := (ring.User{Tag: f.tags[0], Hash: m.Hash}); c.flushable(f, u, m) {
				f.pending = append(f.pending, u)
				f.progress.Total++
			}
		}
		if f.leaf++; f.leaf == leaves {
			f.tags, f.leaf = f.tags[1:], 0
		}
	}
}

// flushable reports whether a mapping is the flush's to move.
func (c *Core) flushable(f *flush, u ring.User, m directory.Mapping) bool {
	return m.Backend.IsValid() && !m.Moving &&
		(!f.progress.Backend.IsValid() || m.Backend == f.progress.Backend) &&
		c.target(u.Tag, u.Hash) != m.Backend
}

// pumpFlushes starts moves as others end.
func (c *Core) pumpFlushes(now time.Duration) {
	if len(c.flushes.own) == 0 || c.admission.leaving {
		return
	}
	for _, f := range c.flushes.own {
		// Moves that begin together share a message.
		free := f.max - int(f.progress.Moving)
		begin := free*4 >= f.max || now-f.begunAt >= flushBeginEvery
		if begin {
			f.begunAt = now
		}
		for begin && f.progress.Moving < uint64(f.max) && len(f.pending) > 0 {
			u := f.pending[0]
			f.pending = f.pending[1:]
			m, status := c.dir.Find(u.Tag, u.Hash, c.clock.At(now))
			if status != directory.Live || !c.flushable(f, u, m) {
				f.progress.Moved++ // somebody did it already, or the user is gone
				continue
			}
			f.progress.Moving++
			c.startMove(now, &moves.Move{User: u, Flush: f.progress.ID}, c.target(u.Tag, u.Hash))
		}
		if len(f.pending) == 0 && !f.progress.Scanning && f.progress.Moving == 0 {
			f.progress.Done, f.progress.Ended = true, c.clock.At(now)
			c.tellFlush(now, f)
			c.logf(LogInfo, "flush ended",
				Field{"backend", addrOrAll(f.progress.Backend)}, Field{"moved", f.progress.Moved},
				Field{"failed", f.progress.Failed}, Field{"cancelled", f.progress.Canceled})
		}
	}
	c.flushes.own = slices.DeleteFunc(c.flushes.own, func(f *flush) bool { return f.progress.Done })
}

// moveEnded counts a move that a flush of ours began.
func (f *flushes) moveEnded(m *moves.Move, err error) {
	i := slices.IndexFunc(f.own, func(own *flush) bool { return own.progress.ID == m.Flush })
	if i < 0 {
		return
	}
	progress := &f.own[i].progress
	progress.Moving--
	if err != nil {
		progress.Failed++
	} else {
		progress.Moved++
	}
	if len(m.Kicked.Left) > 0 {
		progress.Left++
	}
	progress.Blind = progress.Blind || len(m.Kicked.Blind) > 0
}

// cancel stops a flush of ours from starting more moves.
func (f *flushes) cancel(id uint64) {
	for _, own := range f.own {
		if own.progress.ID == id {
			own.pending, own.tags = nil, nil
			own.progress.Scanning, own.progress.Canceled = false, true
		}
	}
}

// gotFlushCancel stops a flush of ours that was cancelled at a peer.
func (c *Core) gotFlushCancel(_ time.Duration, _ *peer, m *wire.FlushCancel) {
	c.flushes.cancel(m.ID)
}

func (c *Core) tellFlush(now time.Duration, f *flush) {
	f.toldAt = now
	progress := f.progress
	id := FlushID{c.cfg.Name, progress.ID}
	c.flushes.known[id] = &knownFlush{progress: progress, boot: c.boot}
	c.sendAll(&progress)
}

// gotFlushProgress takes note how a flush of a peer goes.
func (c *Core) gotFlushProgress(_ time.Duration, p *peer, m *wire.FlushProgress) {
	c.flushes.known[FlushID{p.name, m.ID}] = &knownFlush{progress: *m, boot: p.boot}
}

// tell repeats the progress of our flushes to a peer that may have missed it.
func (f *flushes) tell(c *Core, p *peer) {
	for _, id := range slices.SortedFunc(maps.Keys(f.known), compareFlushes) {
		if k := f.known[id]; id.Director == c.cfg.Name {
			progress := k.progress
			c.send(p, &progress)
		}
	}
}

// peerGone ends what we know of a failed director's flushes: nobody goes on with them.
func (f *flushes) peerGone(c *Core, now time.Duration, p *peer) {
	for id, k := range f.known {
		if id.Director == p.name && k.progress.Ended == 0 {
			k.progress.Ended, k.lost = c.clock.At(now), true
		}
	}
}

// cancelFlushes stops the running flushes of a backend, or all, wherever they run, and says how
// many that were.
func (c *Core) cancelFlushes(backend netip.Addr) int {
	n := 0
	for _, id := range slices.SortedFunc(maps.Keys(c.flushes.known), compareFlushes) {
		k := c.flushes.known[id]
		if k.progress.Ended != 0 || backend.IsValid() && k.progress.Backend != backend {
			continue
		}
		if id.Director == c.cfg.Name {
			c.flushes.cancel(id.ID)
			n++
		} else if p := c.peers[id.Director]; p != nil && p.out {
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

func compareFlushes(a, b FlushID) int {
	return cmp.Or(cmp.Compare(a.Director, b.Director), cmp.Compare(a.ID, b.ID))
}
