package replica

import (
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/flushes"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/replica/internal/lookups"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/replica/internal/tasks"
	"directormesh/mesh/replica/internal/waiters"
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

// mover moves users: those of this director's moves, and those that peers have it hold.
type mover struct {
	*output
	moverPort

	answers moves.Answers // to the Holds of others
	cfg     *Config
	clock   *meshtime.Clock
	dir     *directory.Directory
	flushes *flushes.Set
	hlc     *directory.Clock
	kicks   *kicks.Local
	lookups *lookups.Answers
	moves   *moves.Set
	peers   *peers
	relayed *waiters.Relayed
	table   *directory.Table
	tasks   *tasks.Set
}

// moverPort is what mover needs of the other parts of the core.
type moverPort interface {
	endMove(id uint64, err error, holds func(peer string) bool)
	everyNamed(now mono.Time, did func(name string) bool) bool
	flushOutbox(now mono.Time)
	follow(now mono.Time, u ring.User, m directory.Mapping, was moves.Replaced)
	goOn(now mono.Time)
	gossip(change directory.Change, blocks []wire.Block)
	kickMoving(u ring.User, report func(wire.KickCount))
	mergeRows(now mono.Time, blocks []wire.Block, each eachMerged)
	reportKicked(id uint64, k kicks.Report)
	write(now mono.Time, m wire.Message)
}

// Moves is how many moves this director runs.
func (c *Core) Moves() int { return c.moves.Len() }

// startMove begins to give a user another backend; the zero backend kicks and forgets.
func (mo *mover) startMove(now mono.Time, m *moves.Move, backend netip.Addr) {
	m.Started = now
	if other := mo.moves.Get(m.User); other != nil {
		mo.finishMove(other, ErrTryAgain) // one to where the user has stayed until now
	}
	mo.moves.Add(m)
	mo.supersede(now, m, backend, 0)
}

// confirmPlace lets the operation of a move end when all live directors have this row, by which the
// user is where the move is to. One of them may have another row, if it is out of touch with the
// director of whom we have this one. Nobody waits: the user is not held. A director that has a
// better row answers with it, as it answers any move. If that is of another backend, the user is
// moved in earnest.
//
// The row goes ahead of the Hold, too: by a Hold that moves nobody, directors of an earlier release
// end no session elsewhere.
func (mo *mover) confirmPlace(now mono.Time, m *moves.Move, row directory.Mapping) {
	mo.write(now, &wire.Rows{
		Stamp:  mo.hlc.Next(mo.clock.At(now)),
		Blocks: []wire.Block{wire.Pack(m.User.Tag, []directory.Mapping{row})},
	})
	m.Started, m.Stays = now, true
	m.Begin(row)
	mo.moves.Add(m)
	mo.moves.Queue(m)
}

// maxFromFailed is how many users are moved away from failed backends at a time. A login waits for
// each, so they have their own limit, the highest that a flush can have.
const maxFromFailed = maxParallel

// moveFromFailed moves a user for whose login a lookup waits, to where the user hashes now. If too
// many are under way, or the user is on its way, the next look of the lookup tries again.
func (mo *mover) moveFromFailed(now mono.Time, u ring.User) {
	if mo.moves.FromFailed() >= maxFromFailed || mo.moves.Get(u) != nil {
		return
	}
	m, status := mo.dir.Find(u.Tag, u.Hash, mo.clock.At(now))
	if place := mo.target(u); status == directory.Live && !m.Moving && place.IsValid() {
		mo.startMove(now, &moves.Move{
			User: u, FromFailed: true, Cause: wire.CauseFailed,
		}, place)
	}
}

// supersede writes the moving row, above everything known of the user, and queues its announcement.
func (mo *mover) supersede(now mono.Time, m *moves.Move, backend netip.Addr, above uint16) {
	row, previous, was := mo.dir.Supersede(
		m.User.Tag, m.User.Hash, backend, true, mo.clock.At(now), above)
	if m.Restarts == 0 || was == directory.Live && previous.Activity > m.Previous.Activity {
		m.Previous, m.Was = previous, was
	}
	if row.Generation == 0 {
		mo.finishMove(m, errCannotMove)
		return
	}
	m.Begin(row)
	if mo.notes {
		mo.noteMove(now, wire.UserNote{
			Tag: m.User.Tag, Hash: m.User.Hash, Cause: m.Cause, Flushed: mo.flushedBackend(m.Flush),
		}, row, previous, was)
	}
	mo.follow(now, m.User, row, moves.Replaced{Mapping: previous, Status: was})
	mo.moves.Queue(m)
	mo.kickOwn(m)
}

// kickOwn ends the sessions here of a user that we move.
func (mo *mover) kickOwn(m *moves.Move) {
	row := m.Row
	mo.kickMoving(m.User, func(k wire.KickCount) {
		if moves.Same(m.Row, row) {
			m.Report("", kicks.ResultOf(k))
			mo.moves.Touch(m)
		}
	})
}

// sendMoves announces what this input began and tells what it released, then sees which moves can
// go on.
func (mo *mover) sendMoves(now mono.Time) {
	for mo.moves.Pending() {
		for b := range mo.moves.Announce(now, mo.newID) {
			mo.write(now, b.Hold)
			mo.gossipRows(b.Hold.Blocks)
		}
		for _, m := range mo.moves.TakeDue() {
			mo.advance(now, m)
		}
	}
	blocks := mo.moves.TakeReleased()
	if len(blocks) == 0 {
		return
	}
	for b := range slices.Chunk(blocks, 1) {
		mo.write(now, &wire.Rows{Stamp: mo.hlc.Next(mo.clock.At(now)), Blocks: b})
	}
	mo.gossipRows(blocks)
}

// gossipRows hands a few rows to the gossip too, for directors to which no stream is up.
func (mo *mover) gossipRows(blocks []wire.Block) {
	if rowset.Count(blocks) <= gossipRows {
		mo.gossip(directory.Change{Mesh: mo.table.Mesh()}, blocks)
	}
}

// advance takes a move as far as it can go.
func (mo *mover) advance(now mono.Time, m *moves.Move) {
	if !mo.moves.Runs(m) {
		return
	}
	row, status := mo.dir.Find(m.User.Tag, m.User.Hash, mo.clock.At(now))
	switch {
	case status == directory.Live && m.Phase == moves.Holding && m.BeatenByMapping(row):
		mo.restartMove(now, m, row.Generation)
		return
	case status != directory.Live || !moves.Same(row, m.Row):
		mo.finishMove(m, ErrTryAgain) // another move, or a forget, won
		return
	case m.Stays:
		if mo.everyAwaited(now, m.HeldBy) {
			mo.finishMove(m, nil)
		}
		return
	case !row.Moving:
		mo.finishMove(m, nil) // released by another director, which gave up earlier
		return
	case now.Sub(m.Started) >= releaseBy:
		mo.release(now, m)
		return
	}
	if m.Phase == moves.Holding && mo.relayed.Until(now, m.User) == 0 &&
		mo.everyAwaited(now, m.HeldBy) {
		m.Phase, m.HeldAt = moves.Kicking, now
	}
	reported := func() bool { return m.ReportedBy("") && mo.everyAwaited(now, m.ReportedBy) }
	if m.Op != 0 && m.Phase == moves.Kicking && !m.Wait &&
		(reported() || now.Sub(m.HeldAt) >= tellWithin) {
		mo.moveHeld(m)
	}
	if m.Phase == moves.Kicking && (reported() || now.Sub(m.Started) >= reportWithin) {
		if !reported() {
			m.Doubt()
		}
		mo.startHook(now, m)
	}
	if m.Phase == moves.Hooking && now.Sub(m.Started) >= hookWithin {
		mo.startDelay(now, m)
	}
	if m.Phase == moves.Delaying && now >= m.Until {
		mo.release(now, m)
	}
}

// everyAwaited reports whether something is true of all directors that a move waits for: those that
// we count, and those that we are about to count.
func (mo *mover) everyAwaited(now mono.Time, did func(name string) bool) bool {
	return mo.peers.all.everyCounted(did) && mo.everyNamed(now, did)
}

func (mo *mover) startHook(now mono.Time, m *moves.Move) {
	old, known := mo.table.Row(m.Previous.Backend)
	if !mo.cfg.Hook || m.Was != directory.Live || !known || m.Previous.Backend == m.Row.Backend {
		mo.startDelay(now, m)
		return
	}
	m.Phase = moves.Hooking
	id := mo.newID()
	row := m.Row
	mo.kicks.Begin(id, now.Add(hookWithin), func(KickResult, error) {
		if m.Phase == moves.Hooking && moves.Same(m.Row, row) {
			mo.startDelay(mo.lookups.LastInput(), m)
			mo.moves.Touch(m)
		}
	})
	mo.emit(RunHook{
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

func (mo *mover) release(now mono.Time, m *moves.Move) {
	row, ok := mo.dir.Release(m.User.Tag, m.Row)
	if !ok {
		mo.finishMove(m, ErrTryAgain)
		return
	}
	mo.follow(now, m.User, row, moves.Replaced{})
	mo.moves.Release(m.User.Tag, row)
	mo.finishMove(m, nil)
}

// moveHeld reports to the operator that all live directors hold the user.
func (mo *mover) moveHeld(m *moves.Move) {
	if m.Op != 0 {
		mo.reportKicked(m.Op, m.Kicked)
		mo.endMove(m.Op, nil, m.Holders())
		m.Op = 0
	}
}

// restartMove begins a move again above a generation. One whose user was to stay begins only now:
// nobody has held the user. If it had waited for long, the user would else be let in at once. But
// if the row that beat it is of the same backend the user stays, and the peers confirm that row.
func (mo *mover) restartMove(now mono.Time, m *moves.Move, above uint16) {
	mo.moves.Remove(m)
	m.Restarts++
	if m.Stays {
		row, status := mo.dir.Find(m.User.Tag, m.User.Hash, mo.clock.At(now))
		if status == directory.Live && row.Backend == m.Row.Backend && !row.Moving &&
			!moves.Same(row, m.Row) {
			mo.confirmPlace(now, m, row)
			return
		}
		m.Started, m.Stays = now, false
	}
	mo.moves.Add(m)
	mo.supersede(now, m, m.Row.Backend, above)
}

func (mo *mover) finishMove(m *moves.Move, err error) {
	holders := m.Holders()
	mo.moves.Remove(m)
	if m.Op != 0 {
		mo.reportKicked(m.Op, m.Kicked)
		mo.endMove(m.Op, err, holders)
		m.Op = 0
	}
	if f := mo.flushes.Get(m.Flush); f != nil {
		f.Ended(flushes.Outcome{
			Failed: err != nil, Left: len(m.Kicked.Left) > 0, Blind: len(m.Kicked.Blind) > 0,
		})
	}
	if t := mo.tasks.Get(m.Task); t != nil {
		t.Ended()
	}
}

// gotHeld takes a peer's confirmation. A move whose row was beaten there starts again above that
// row, unless the row is of another director's move: then that move won.
func (mo *mover) gotHeld(now mono.Time, p *peer, m *wire.Held) {
	b := mo.moves.Batch(m.ID)
	if b == nil {
		return
	}
	b.NoteHeld(p.name)
	mo.moves.TouchAll(b)
	mo.mergeRows(now, m.Beaten, nil)
	for _, block := range m.Beaten {
		for row := range block.All() {
			mv := b.Get(ring.User{Tag: block.Tag, Hash: row.Hash})
			if mv == nil || !mv.BeatenByMapping(row) {
				continue
			}
			mine, status := mo.dir.Find(block.Tag, row.Hash, mo.clock.At(now))
			if status == directory.Live && mine.Moving && !moves.Same(mine, mv.Row) {
				continue
			}
			mo.restartMove(now, mv, row.Generation)
		}
	}
}

// gotKicked takes a peer's reports on the kicks of users that we move.
func (mo *mover) gotKicked(_ mono.Time, p *peer, m *wire.Kicked) {
	b := mo.moves.Batch(m.ID)
	if b == nil {
		return
	}
	for _, k := range m.Kicks {
		if mv := b.Get(ring.User{Tag: k.Tag, Hash: k.Hash}); mv != nil {
			mv.Report(p.name, kicks.ResultOf(k))
			mo.moves.Touch(mv)
		}
	}
}

// resendHolds repeats the holds that a peer has not confirmed or reported in full; it may have lost
// them in a gap.
func (mo *mover) resendHolds(p *peer) {
	p.holdsSentAt = mo.lookups.LastInput()
	for b := range mo.moves.Unanswered(p.name) {
		mo.send(p, &wire.Hold{ID: b.ID, Blocks: b.Hold.Blocks})
	}
}

// restartMoves announces the moves that run here anew: what peers know of them was said in an
// earlier life.
func (c *Core) restartMoves(now mono.Time) { c.moves.Restart(c.liveRows(now)) }

// suspectHolders suspects the live peers that hold up a move.
func (mo *mover) suspectHolders(now mono.Time, suspect func(p *peer, why string)) {
	for b := range mo.moves.Overdue(now, confirmWithin) {
		for _, p := range mo.peers.all {
			if p.live && p.Counted && !b.HeldBy(p.name) && now.Sub(p.holdsSentAt) > confirmWithin {
				suspect(p, "hold of a user not confirmed")
			}
		}
	}
}

// checkMoves lets moves notice that time passed.
func (mo *mover) checkMoves(now mono.Time) {
	mo.goOn(now)
	mo.moves.Pass(now)
	mo.confirmLate(now)
	mo.answers.Clean(now)
	mo.relayed.Clean(now)
}

// target is where a user belongs by today's ring; the zero address if nowhere.
func (mo *mover) target(u ring.User) netip.Addr {
	place, _ := mo.lookups.View().Place(u)
	return place
}
