package replica

import (
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/flushes"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	reportWithin = 12 * time.Second // kick reports; a kicker that takes over 10 s says so
	hookWithin   = 20 * time.Second // since the move began
	// since the move began; before the others give up waiting (holdFor)
	releaseBy = 25 * time.Second
	// beside the share: a user not seen for so long has no login under way
	idleMargin = 30 * time.Second
	// how long a held move's operation waits for reports, so that it can tell of them
	tellWithin = time.Second
	gossipRows = 16 // moves of more users travel by stream alone
)

// startMove begins to give a user another backend; the zero backend kicks and forgets.
func (c *Core) startMove(now mono.Time, m *moves.Move, backend netip.Addr) {
	m.Started = now
	c.moves.Add(m)
	c.supersede(now, m, backend, 0)
}

// supersede writes the moving row, above everything known of the user, and queues its announcement.
func (c *Core) supersede(now mono.Time, m *moves.Move, backend netip.Addr, above uint16) {
	row, previous, was := c.dir.Supersede(
		m.User.Tag, m.User.Hash, backend, true, c.clock.At(now), above)
	if m.Restarts == 0 || was == directory.Live && previous.Activity > m.Previous.Activity {
		m.Previous, m.Was = previous, was
	}
	if row.Generation == 0 {
		c.finishMove(m, errCannotMove)
		return
	}
	m.Begin(row)
	c.follow(now, m.User, row, moves.Replaced{Mapping: previous, Status: was})
	c.moves.Queue(m)
	c.kickOwn(m)
}

// kickOwn ends the sessions here of a user that we move.
func (c *Core) kickOwn(m *moves.Move) {
	row := m.Row
	c.kickMoving(m.User, func(k wire.KickCount) {
		if moves.Same(m.Row, row) {
			m.Report("", kicks.ResultOf(k))
			c.moves.Touch(m)
		}
	})
}

// sendMoves announces what this input began and tells what it released, then sees which moves can
// go on.
func (c *Core) sendMoves(now mono.Time) {
	for c.moves.Pending() {
		for b := range c.moves.Announce(now, c.newID) {
			c.write(now, b.Hold)
			c.gossipRows(b.Hold.Blocks)
		}
		for _, m := range c.moves.TakeDue() {
			c.advance(now, m)
		}
	}
	blocks := c.moves.TakeReleased()
	if len(blocks) == 0 {
		return
	}
	for b := range slices.Chunk(blocks, 1) {
		c.write(now, &wire.Rows{Stamp: c.hlc.Next(c.clock.At(now)), Blocks: b})
	}
	c.gossipRows(blocks)
}

// gossipRows hands a few rows to the gossip too, for directors to which no stream is up.
func (c *Core) gossipRows(blocks []wire.Block) {
	if rowset.Count(blocks) <= gossipRows {
		c.gossip(directory.Change{Mesh: c.table.Mesh()}, blocks)
	}
}

// advance takes a move as far as it can go.
func (c *Core) advance(now mono.Time, m *moves.Move) {
	if !c.moves.Runs(m) {
		return
	}
	row, status := c.dir.Find(m.User.Tag, m.User.Hash, c.clock.At(now))
	switch {
	case status == directory.Live && m.Phase == moves.Holding && m.BeatenByMapping(row):
		c.restartMove(now, m, row.Generation)
		return
	case status != directory.Live || !moves.Same(row, m.Row):
		c.finishMove(m, ErrTryAgain) // another move, or a forget, won
		return
	case !row.Moving:
		c.finishMove(m, nil) // released by another director, which gave up earlier
		return
	case now.Sub(m.Started) >= releaseBy:
		c.release(now, m)
		return
	}
	if m.Phase == moves.Holding && c.peers.all.everyCounted(m.HeldBy) {
		m.Phase, m.HeldAt = moves.Kicking, now
	}
	reported := func() bool { return m.ReportedBy("") && c.peers.all.everyCounted(m.ReportedBy) }
	if m.Op != 0 && m.Phase == moves.Kicking && !m.Wait &&
		(reported() || now.Sub(m.HeldAt) >= tellWithin) {
		c.moveHeld(m)
	}
	if m.Phase == moves.Kicking && (reported() || now.Sub(m.Started) >= reportWithin) {
		if !reported() {
			m.Unsure = true
		}
		c.startHook(now, m)
	}
	if m.Phase == moves.Hooking && now.Sub(m.Started) >= hookWithin {
		c.startDelay(now, m)
	}
	if m.Phase == moves.Delaying && now >= m.Until {
		c.release(now, m)
	}
}

func (c *Core) startHook(now mono.Time, m *moves.Move) {
	old, known := c.table.Row(m.Previous.Backend)
	if !c.cfg.Hook || m.Was != directory.Live || !known || m.Previous.Backend == m.Row.Backend {
		c.startDelay(now, m)
		return
	}
	m.Phase = moves.Hooking
	id := c.newID()
	row := m.Row
	c.kicks.Begin(id, now.Add(hookWithin), func(KickResult, error) {
		if m.Phase == moves.Hooking && moves.Same(m.Row, row) {
			c.startDelay(c.lookups.LastInput(), m)
			c.moves.Touch(m)
		}
	})
	c.emit(RunHook{
		ID: id, Hash: m.User.Hash, Tag: m.User.Tag, Old: old, New: m.Row.Backend,
		Cutoff: hookWithin - now.Sub(m.Started),
	})
}

// HookDone takes the end of a RunHook effect.
func (c *Core) HookDone(now mono.Time, id uint64, ok bool, err error) {
	defer c.enter(now)()
	if err != nil || !ok {
		c.logf(LogWarn, "flush hook failed", Field{"error", err})
	}
	c.kicks.Finish(id, KickResult{Known: true}, nil)
}

// startDelay waits for the sessions just ended to be over, unless there can have been none.
func (c *Core) startDelay(now mono.Time, m *moves.Move) {
	m.Phase, m.Until = moves.Delaying, now.Add(c.cfg.KickDelay)
	idle := m.Was != directory.Live || !m.Previous.Backend.IsValid() ||
		c.clock.At(now).Sub(m.Previous.Activity.Time()) > c.dir.Share()+idleMargin
	if !m.Unsure && idle {
		m.Until = now
	}
}

func (c *Core) release(now mono.Time, m *moves.Move) {
	row, ok := c.dir.Release(m.User.Tag, m.Row)
	if !ok {
		c.finishMove(m, ErrTryAgain)
		return
	}
	c.follow(now, m.User, row, moves.Replaced{})
	c.moves.Release(m.User.Tag, row)
	c.finishMove(m, nil)
}

// moveHeld reports to the operator that all live directors hold the user.
func (c *Core) moveHeld(m *moves.Move) {
	if m.Op != 0 {
		c.reportKicked(m.Op, m.Kicked)
		c.endOperation(m.Op, nil)
		m.Op = 0
	}
}

// restartMove begins a move again above a generation.
func (c *Core) restartMove(now mono.Time, m *moves.Move, above uint16) {
	c.moves.LeaveBatch(m)
	m.Restarts++
	c.supersede(now, m, m.Row.Backend, above)
}

func (c *Core) finishMove(m *moves.Move, err error) {
	c.moves.Remove(m)
	if m.Op != 0 {
		c.reportKicked(m.Op, m.Kicked)
		c.endOperation(m.Op, err)
		m.Op = 0
	}
	if f := c.flushes.Get(m.Flush); f != nil {
		f.Ended(flushes.Outcome{
			Failed: err != nil, Left: len(m.Kicked.Left) > 0, Blind: len(m.Kicked.Blind) > 0,
		})
	}
}

// gotHeld takes a peer's confirmation. A move whose row was beaten there starts again above that
// row, unless the row is of another director's move: then that move won.
func (c *Core) gotHeld(now mono.Time, p *peer, m *wire.Held) {
	b := c.moves.Batch(m.ID)
	if b == nil {
		return
	}
	b.NoteHeld(p.name)
	c.moves.TouchAll(b)
	c.mergeRows(now, m.Beaten, nil)
	for _, block := range m.Beaten {
		for row := range block.All() {
			mv := b.Get(ring.User{Tag: block.Tag, Hash: row.Hash})
			if mv == nil || !mv.BeatenByMapping(row) {
				continue
			}
			mine, status := c.dir.Find(block.Tag, row.Hash, c.clock.At(now))
			if status == directory.Live && mine.Moving && !moves.Same(mine, mv.Row) {
				continue
			}
			c.restartMove(now, mv, row.Generation)
		}
	}
}

// gotKicked takes a peer's reports on the kicks of users that we move.
func (c *Core) gotKicked(_ mono.Time, p *peer, m *wire.Kicked) {
	b := c.moves.Batch(m.ID)
	if b == nil {
		return
	}
	for _, k := range m.Kicks {
		if mv := b.Get(ring.User{Tag: k.Tag, Hash: k.Hash}); mv != nil {
			mv.Report(p.name, kicks.ResultOf(k))
			c.moves.Touch(mv)
		}
	}
}

// resendHolds repeats the holds that a peer has not confirmed or reported in full; it may have lost
// them in a gap.
func (c *Core) resendHolds(p *peer) {
	p.holdsSentAt = c.lookups.LastInput()
	for b := range c.moves.Unanswered(p.name) {
		c.send(p, &wire.Hold{ID: b.ID, Blocks: b.Hold.Blocks})
	}
}

// restartMoves announces the moves that run here anew: what peers know of them was said in an
// earlier life.
func (c *Core) restartMoves(now mono.Time) {
	c.moves.Restart(c.liveRows(now))
}

// suspectHolders suspects the live peers that hold up a move.
func (c *Core) suspectHolders(now mono.Time, suspect func(p *peer, why string)) {
	for b := range c.moves.Overdue(now, confirmWithin) {
		for _, p := range c.peers.all {
			if p.live && p.Counted && !b.HeldBy(p.name) && now.Sub(p.holdsSentAt) > confirmWithin {
				suspect(p, "hold of a user not confirmed")
			}
		}
	}
}

// checkMoves lets moves notice that time passed.
func (c *Core) checkMoves(now mono.Time) {
	c.goOn(now)
	c.moves.Pass(now)
	c.answers.Clean(now)
}

// target is where a user belongs by today's ring; the zero address if nowhere.
func (c *Core) target(u ring.User) netip.Addr {
	place, _ := c.lookups.View().Place(u)
	return place
}
