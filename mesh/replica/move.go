package replica

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	reportWithin = 12 * time.Second // kick reports; a kicker that takes over 10 s says so
	hookWithin   = 20 * time.Second // since the move began
	releaseBy    = 25 * time.Second // since the move began; before the others give up waiting (holdFor)
	idleMargin   = 30 * time.Second // beside the share: a user not seen for so long has no login under way
	tellWithin   = time.Second      // how long a held move's operation waits for reports, so that it can tell of them
	maxRestarts  = 5
	advanceEvery = 50 * time.Millisecond
	movesPerHold = 4096
	gossipRows   = 16 // moves of more users travel by stream alone
)

// phase of a move at its originator.
type phase int

const (
	holding  phase = iota // until every counted peer holds the user
	kicking               // until every counted peer has reported
	hooking               // until the flush hook is through
	delaying              // until the kick delay has passed
)

// move is one user on the way to another backend, at the director that moves it.
type move struct {
	user     ring.User
	row      directory.Mapping // the moving row; it names the move
	previous directory.Mapping // what it replaced
	was      directory.Status
	started  time.Duration
	until    time.Duration // end of the delay
	phase    phase
	batch    *holdBatch
	reported map[string]bool // by peer; "" is ourselves
	unsure   bool            // some kicker ended sessions, or does not know
	kicked   kickReport      // what directors could not do
	heldAt   time.Duration   // when every peer held the user
	restarts int
	touched  bool // listed in moves.touched

	op    uint64 // waiting operation, 0: none
	wait  bool   // the operation waits for the release
	flush *flush
}

// holdBatch is the moves that one Hold message began.
type holdBatch struct {
	id    uint64
	at    time.Duration
	msg   *wire.Hold
	order []*move
	moves map[ring.User]*move // those of order that still run
	held  map[string]bool     // peers that confirmed
}

// moves are those that this director runs, and what it needs to answer for those of others.
type moves struct {
	byUser     map[ring.User]*move
	batches    map[uint64]*holdBatch
	starting   []*move       // to be announced in one message when the input ends
	releasing  rowset.Set    // likewise
	touched    []*move       // may go on
	all        bool          // all may go on
	advancedAt time.Duration // when all were last looked at because time passed
	orphaned   bool          // a director went: some of its moves may have to be gone on with
	lookedAt   time.Duration // when we last looked for such moves

	answered  map[report]*heldBatch // other directors' Holds
	cleanedAt time.Duration
}

func (ms *moves) init() {
	ms.byUser = make(map[ring.User]*move)
	ms.batches = make(map[uint64]*holdBatch)
	ms.releasing = rowset.New()
	ms.answered = make(map[report]*heldBatch)
}

// startMove begins to give a user another backend; the zero backend kicks and forgets.
func (c *Core) startMove(now time.Duration, m *move, backend netip.Addr) {
	m.started = now
	c.moves.byUser[m.user] = m
	c.supersede(now, m, backend, 0)
}

// supersede writes the moving row, above everything known of the user, and queues its announcement.
func (c *Core) supersede(now time.Duration, m *move, backend netip.Addr, above uint16) {
	row, previous, was := c.dir.Supersede(m.user.Tag, m.user.Hash, backend, true, c.clock.At(now), above)
	if m.restarts == 0 || was == directory.Live && previous.Activity > m.previous.Activity {
		m.previous, m.was = previous, was
	}
	if row.Generation == 0 {
		c.finishMove(m, errCannotMove)
		return
	}
	m.row, m.phase = row, holding
	m.reported, m.kicked = make(map[string]bool), kickReport{}
	c.follow(now, m.user, row, before{previous, was})
	c.moves.starting = append(c.moves.starting, m)
	c.kickOwn(m)
}

// kickOwn ends the sessions here of a user that we move.
func (c *Core) kickOwn(m *move) {
	row := m.row
	c.kickMoving(m.user, func(k wire.KickCount) {
		if sameMove(m.row, row) {
			m.report("", kickResult(k))
			c.moves.touch(m)
		}
	})
}

func (m *move) report(peer string, r KickResult) {
	m.reported[peer] = true
	if r.Count > 0 || !r.Known {
		m.unsure = true
	}
	m.kicked.note(peer, r)
}

// send announces what this input began and what it released, then sees which moves can go on.
func (ms *moves) send(c *Core, now time.Duration) {
	for ms.all || len(ms.touched) > 0 || len(ms.starting) > 0 {
		ms.announce(c, now)
		due := ms.touched
		if ms.all {
			due = ms.sorted()
		}
		for _, m := range ms.touched {
			m.touched = false
		}
		ms.touched, ms.all = nil, false
		for _, m := range due {
			c.advance(now, m)
		}
	}
	if len(ms.releasing) == 0 {
		return
	}
	blocks := ms.releasing.Blocks()
	ms.releasing = rowset.New()
	for b := range slices.Chunk(blocks, 1) {
		c.write(now, &wire.Rows{Stamp: c.hlc.Next(c.clock.At(now)), Blocks: b})
	}
	c.gossipRows(blocks)
}

func (ms *moves) announce(c *Core, now time.Duration) {
	starting := ms.starting
	ms.starting = nil
	for order := range slices.Chunk(starting, movesPerHold) {
		b := &holdBatch{
			id: c.newID(), at: now, order: order,
			moves: make(map[ring.User]*move), held: make(map[string]bool),
		}
		rows := rowset.New()
		for _, m := range b.order {
			m.batch, b.moves[m.user] = b, m
			rows.Add(m.user.Tag, m.row)
			ms.touch(m)
		}
		ms.batches[b.id] = b
		b.msg = &wire.Hold{ID: b.id, Blocks: rows.Blocks()}
		c.write(now, b.msg)
		c.gossipRows(b.msg.Blocks)
	}
}

// touch has a move looked at when the input ends.
func (ms *moves) touch(m *move) {
	if !m.touched {
		m.touched = true
		ms.touched = append(ms.touched, m)
	}
}

// touchAll does so for the moves of a batch.
func (ms *moves) touchAll(b *holdBatch) {
	for _, m := range b.order {
		if b.moves[m.user] == m {
			ms.touch(m)
		}
	}
}

// gossipRows hands a few rows to the gossip too, for directors to whom no stream is up.
func (c *Core) gossipRows(blocks []wire.Block) {
	if rowset.Count(blocks) <= gossipRows {
		c.gossip(directory.Change{Mesh: c.table.Mesh()}, blocks)
	}
}

// sorted gives the moves in an order that does not depend on the map's.
func (ms *moves) sorted() []*move {
	sorted := make([]*move, 0, len(ms.byUser))
	for _, m := range ms.byUser {
		sorted = append(sorted, m)
	}
	slices.SortFunc(sorted, func(a, b *move) int { return ring.CompareUsers(a.user, b.user) })
	return sorted
}

// advance takes a move as far as it can go.
func (c *Core) advance(now time.Duration, m *move) {
	if c.moves.byUser[m.user] != m || m.batch == nil {
		return
	}
	row, status := c.dir.Find(m.user.Tag, m.user.Hash, c.clock.At(now))
	switch {
	case status == directory.Live && m.phase == holding && m.beatenByMapping(row):
		c.restartMove(now, m, row.Generation)
		return
	case status != directory.Live || !sameMove(row, m.row):
		c.finishMove(m, ErrTryAgain) // another move, or a forget, won
		return
	case !row.Moving:
		c.finishMove(m, nil) // released by others, who wait less patiently
		return
	case now-m.started >= releaseBy:
		c.release(now, m)
		return
	}
	if m.phase == holding && c.everyPeer(m.batch.held) {
		m.phase, m.heldAt = kicking, now
	}
	if m.op != 0 && m.phase == kicking && !m.wait && (m.reported[""] && c.everyPeer(m.reported) || now-m.heldAt >= tellWithin) {
		c.moveHeld(m)
	}
	if m.phase == kicking && (m.reported[""] && c.everyPeer(m.reported) || now-m.started >= reportWithin) {
		if !m.reported[""] || !c.everyPeer(m.reported) {
			m.unsure = true
		}
		c.startHook(now, m)
	}
	if m.phase == hooking && now-m.started >= hookWithin {
		c.startDelay(now, m)
	}
	if m.phase == delaying && now >= m.until {
		c.release(now, m)
	}
}

// everyPeer reports whether all counted live peers are in a set.
func (c *Core) everyPeer(set map[string]bool) bool {
	for _, p := range c.peers {
		if p.live && p.counted && !set[p.name] {
			return false
		}
	}
	return true
}

func (c *Core) startHook(now time.Duration, m *move) {
	old, known := c.table.Row(m.previous.Backend)
	if !c.cfg.Hook || m.was != directory.Live || !known || m.previous.Backend == m.row.Backend {
		c.startDelay(now, m)
		return
	}
	m.phase = hooking
	id := c.newID()
	row := m.row
	c.kicks.byID[id] = &kick{since: now + hookWithin, done: func(KickResult, string) {
		if m.phase == hooking && sameMove(m.row, row) {
			c.startDelay(time.Duration(c.lastTick.Load()), m)
			c.moves.touch(m)
		}
	}}
	c.emit(RunHook{ID: id, Hash: m.user.Hash, Tag: m.user.Tag, Old: old, New: m.row.Backend, Cutoff: hookWithin - (now - m.started)})
}

// HookDone takes the end of a RunHook effect.
func (c *Core) HookDone(now time.Duration, id uint64, ok bool, err error) {
	defer c.enter(now)()
	if err != nil || !ok {
		c.logf(LogWarn, "flush hook failed", Field{"error", err})
	}
	c.kicks.finish(id, KickResult{Known: true}, "")
}

// startDelay waits for the sessions just ended to be over, unless there can have been none.
func (c *Core) startDelay(now time.Duration, m *move) {
	m.phase, m.until = delaying, now+c.cfg.KickDelay
	idle := m.was != directory.Live || !m.previous.Backend.IsValid() ||
		c.clock.At(now).Sub(m.previous.Activity.Time()) > c.dir.Share()+idleMargin
	if !m.unsure && idle {
		m.until = now
	}
}

func (c *Core) release(now time.Duration, m *move) {
	row, ok := c.dir.Release(m.user.Tag, m.row)
	if !ok {
		c.finishMove(m, ErrTryAgain)
		return
	}
	c.follow(now, m.user, row, before{})
	c.moves.releasing.Add(m.user.Tag, row)
	c.finishMove(m, nil)
}

// moveHeld tells the operator that all live directors hold the user.
func (c *Core) moveHeld(m *move) {
	if m.op != 0 {
		c.kicksTold(m.op, m.kicked)
		c.endOperation(m.op, nil)
		m.op = 0
	}
}

// beatenByMapping reports whether a row that beat the move is no move: a lookup elsewhere made it
// before this director knew of it. A move begins again above such a row, maxRestarts times at most.
func (m *move) beatenByMapping(row directory.Mapping) bool {
	return !row.Moving && !sameMove(row, m.row) && m.restarts < maxRestarts
}

// restartMove begins a move again above a generation.
func (c *Core) restartMove(now time.Duration, m *move, above uint16) {
	c.moves.leaveBatch(m)
	m.restarts++
	c.supersede(now, m, m.row.Backend, above)
}

// leaveBatch takes a move out of the Hold that announced it; later answers to that are not for it.
func (ms *moves) leaveBatch(m *move) {
	b := m.batch
	if b == nil {
		return
	}
	m.batch = nil
	delete(b.moves, m.user)
	if len(b.moves) == 0 {
		delete(ms.batches, b.id)
	}
}

func (c *Core) finishMove(m *move, err error) {
	delete(c.moves.byUser, m.user)
	c.moves.leaveBatch(m)
	if m.op != 0 {
		c.kicksTold(m.op, m.kicked)
		c.endOperation(m.op, err)
		m.op = 0
	}
	if m.flush != nil {
		c.flushes.moveEnded(m, err)
	}
}

// gotHeld takes a peer's confirmation. A move whose row was beaten there starts again above that
// row, unless it is another director's move: then that one won.
func (c *Core) gotHeld(now time.Duration, p *peer, m *wire.Held) {
	b := c.moves.batches[m.ID]
	if b == nil {
		return
	}
	b.held[p.name] = true
	c.moves.touchAll(b)
	c.mergeRows(now, m.Beaten, nil)
	for _, block := range m.Beaten {
		for row := range block.All() {
			mv := b.moves[ring.User{Tag: block.Tag, Hash: row.Hash}]
			if mv == nil || !mv.beatenByMapping(row) {
				continue
			}
			mine, status := c.dir.Find(block.Tag, row.Hash, c.clock.At(now))
			if status == directory.Live && mine.Moving && !sameMove(mine, mv.row) {
				continue
			}
			c.restartMove(now, mv, row.Generation)
		}
	}
}

// gotKicked takes a peer's reports on the kicks of users that we move.
func (c *Core) gotKicked(_ time.Duration, p *peer, m *wire.Kicked) {
	b := c.moves.batches[m.ID]
	if b == nil {
		return
	}
	for _, k := range m.Kicks {
		if mv := b.moves[ring.User{Tag: k.Tag, Hash: k.Hash}]; mv != nil {
			mv.report(p.name, kickResult(k))
			c.moves.touch(mv)
		}
	}
}

// resend repeats the holds that a peer has not confirmed or reported in full; it may have lost them
// in a gap.
func (ms *moves) resend(c *Core, p *peer) {
	p.holdsSentAt = time.Duration(c.lastTick.Load())
	for _, id := range slices.Sorted(maps.Keys(ms.batches)) {
		b := ms.batches[id]
		missing := !b.held[p.name]
		for _, m := range b.moves {
			missing = missing || !m.reported[p.name]
		}
		if missing {
			c.send(p, &wire.Hold{ID: b.id, Blocks: b.msg.Blocks})
		}
	}
}

// restart announces the moves that run here anew: what peers know of them was said in an earlier
// life.
func (ms *moves) restart(c *Core, now time.Duration) {
	ms.batches = make(map[uint64]*holdBatch)
	ms.starting = ms.sorted()
	for _, m := range ms.starting {
		m.batch, m.phase, m.touched = nil, holding, false
		m.reported, m.unsure = map[string]bool{"": true}, true // our kick was for the row of before
		if row, status := c.dir.Find(m.user.Tag, m.user.Hash, c.clock.At(now)); status == directory.Live {
			m.row = row
		}
	}
	ms.touched, ms.all = nil, true
}

// peerGone goes on without a peer that failed. Should it come back, it must confirm and report
// again.
func (ms *moves) peerGone(name string) {
	for _, m := range ms.byUser {
		if !m.reported[name] {
			m.unsure = true
		}
		delete(m.reported, name)
	}
	for _, b := range ms.batches {
		delete(b.held, name)
	}
	ms.all, ms.orphaned = true, true
}

// silent suspects the live peers that hold up a move.
func (ms *moves) silent(c *Core, now time.Duration, suspect func(p *peer, why string)) {
	for _, id := range slices.Sorted(maps.Keys(ms.batches)) {
		b := ms.batches[id]
		if now-b.at <= confirmWithin {
			continue
		}
		for _, p := range c.sortedPeers() {
			if p.live && p.counted && !b.held[p.name] && now-p.holdsSentAt > confirmWithin {
				suspect(p, "hold of a user not confirmed")
			}
		}
	}
}

// checkMoves lets moves notice that time passed.
func (c *Core) checkMoves(now time.Duration) {
	c.goOn(now)
	if len(c.moves.byUser) > 0 && now-c.moves.advancedAt >= advanceEvery {
		c.moves.all, c.moves.advancedAt = true, now
	}
	if now-c.moves.cleanedAt < time.Second {
		return
	}
	c.moves.cleanedAt = now
	for r, h := range c.moves.answered {
		if now-h.at > 2*holdFor {
			delete(c.moves.answered, r)
		}
	}
}

// target is where a user belongs by today's ring; the zero address if nowhere.
func (c *Core) target(tag ring.Tag, h ring.UserHash) netip.Addr {
	place, _ := c.view.Load().hashed(ring.User{Tag: tag, Hash: h})
	return place
}
