package replica

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/admission"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/flushes"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/lookups"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/replica/internal/tasks"
	"directormesh/mesh/replica/internal/waiters"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Intervals of the protocol. Real time as measured by the now that goes in.
const (
	beatEvery     = 250 * time.Millisecond // below beatManyPeers peers
	beatManyPeers = 50
	// failAfter is silence of 5 s, and up to two beats until the last echo; see silence.
	failAfter     = 5*time.Second + 500*time.Millisecond
	confirmWithin = admission.ConfirmWithin
	wakeAfter     = lookups.WakeAfter
	// startWait is after how long a director whose peers do not answer serves alone: 3 s after its
	// start.
	startWait   = 2950 * time.Millisecond
	contactLost = 10 * time.Second // after it a director that lost its contacts serves alone
)

// defaultParallelMoves is how many users a flush has in flight unless somebody says otherwise.
const defaultParallelMoves = 100

// Core is one director's side of the mesh protocol. See the package comment for its rules on
// concurrency.
//
// It is made of parts, see parts.go. What is left to the Core itself is what needs nearly all of
// them: the order in which parts work, peers and their streams, admission, the barrier, operations.
type Core struct {
	output
	flushRunner
	taskRunner
	pinKeeper
	kicking
	gaps
	deadLogs
	timekeeping
	mover
	exclusion
	membership
	lookupQueue
	snapshotting
	comparing
	ownLog
	merging
	addressBook
	gossiping
	watching
	balancing
	starting
	naming

	cfg   Config
	began mono.Time // the time of New
	rand  *rand.Rand
	boot  uint64   // of this life; a step of mesh time begins another
	boots []uint64 // of the lives of this process before
	clock meshtime.Clock
	hlc   directory.Clock
	own   meshtime.Stamps
	// forgottenWith is the latest moment in common with peers that were forgotten since.
	forgottenWith directory.Micros
	// apart are, by name, directors that those which let us in are apart from, and that we have not
	// met ourselves.
	apart map[string]wire.Apart

	dir     *directory.Directory
	table   *directory.Table
	initial *ring.Rings // of the configuration alone

	// What concurrent lookups use, beside the clock and the directory.
	lookups   *lookups.Answers
	outbox    rowset.Outbox
	adoptions lookups.Adoptions

	log       logs.Own
	logs      *logs.Set // of all lives but this one
	late      logs.LateRows
	peers     peers
	strangers strangers
	sessions  map[uint64]*peer
	session   uint64 // last given out

	disk     *disk          // what came from the data directory; nil: nothing did
	whole    directory.Time // when this director last lacked nothing; 0: not known
	markedAt mono.Time      // when what was kept was last to be synced
	// keptUpTo is the number of the last Keep that is on the disk.
	keptUpTo uint64

	admission ownAdmission
	receiver  snapshots.Receiver
	donations snapshots.Donations

	barrier *barrier.Barrier // table changes not yet confirmed by all, and the kept rings

	waiters *waiters.List
	relayed waiters.Relayed // what peers may let users in by
	moves   *moves.Set      // that this director runs; and the users that are held for any move
	kicks   *kicks.Local
	ops     map[uint64]*operationState
	flushes *flushes.Set
	tasks   *tasks.Set // drains and rebalances that run here

	nextReview mono.Time // of the peers
	nextBatch  mono.Time
	beatPeers  int // peers at the last beat
	nextBeat   mono.Time
	counters   Counters
}

// New makes the core of a director that starts at now.
func New(cfg Config, now mono.Time) *Core {
	cfg.MaxParallelMoves = cmp.Or(cfg.MaxParallelMoves, defaultParallelMoves)
	if cfg.ChunkRows == 0 {
		cfg.ChunkRows = 10_000
	}
	c := &Core{
		cfg:       cfg,
		boot:      cfg.Boot,
		began:     now,
		rand:      cfg.Rand,
		dir:       cfg.Directory,
		logs:      logs.NewSet(),
		moves:     moves.NewSet(),
		kicks:     kicks.NewLocal(),
		waiters:   waiters.New(),
		flushes:   flushes.NewSet(cfg.Rand.Uint64N(flushes.MaxFirstID)),
		tasks:     new(tasks.Set),
		initial:   ring.Build(cfg.Backends, nil),
		strangers: make(strangers),
		sessions:  make(map[uint64]*peer),
		apart:     make(map[string]wire.Apart),
		ops:       make(map[uint64]*operationState),
	}
	if cfg.Disk != nil && cfg.Disk.blank() {
		cfg.Disk, c.cfg.Disk = nil, nil
	}
	c.admission.joinsSince = now
	c.clock.Init(cfg.Wall, now)
	c.keeps, c.notes = cfg.Keeps, cfg.Notes
	c.table = directory.NewTable(0, cfg.Name, cfg.Backends)
	if cfg.Guards.NoFailedLimit {
		c.table.Unlimited()
	}
	if cfg.Disk != nil {
		c.restore(now, cfg.Disk)
	}
	c.dir.SetBackends(c.table.Snapshot().Backends)
	c.barrier = barrier.New(c.table.Places(nil))
	g := cfg.Guards
	c.lookups = lookups.NewAnswers(now, c.dir, &c.clock, &c.outbox, c.makeView(), lookups.Guards{
		NoEndOfLife: g.NoEndOfLife, NoHold: g.NoHold, NoWakeCheck: g.NoWakeCheck,
		NoDownExpiry: g.NoDownExpiry,
	})
	c.assemble()
	if cfg.Founder && cfg.Disk == nil {
		c.found(now, "no peers are configured")
	}
	return c
}

// Tick lets time pass; call it at least every 50 ms.
func (c *Core) Tick(now mono.Time) {
	c.enter(now)
	c.log.Prune(now)
	wasOff := c.admission.clockOff
	c.disciplineClock(now)
	review := now >= c.nextReview || !c.synced()
	if review {
		c.checkPeers(now)
		c.checkHints(now)
		c.progressAdmission(now)
		c.excludeSilent(now)
		c.nextReview = now.Add(c.pace().review())
	}
	c.retryEarly(now)
	c.seekRests(now)
	c.checkSnapshots(now)
	c.beat(now)
	if now >= c.nextBatch {
		c.flushOutbox(now)
		c.nextBatch = now.Add(c.pace().batch())
	}
	c.releaseForgotten(now)
	c.losers.Clean(now)
	c.checkKicks(now)
	c.adopt(now)
	c.checkMoves(now)
	c.checkFlushes(now)
	c.settleCancels()
	c.watch(now)
	c.balance(now)
	c.stepStarts(now)
	c.watchNames(now)
	c.checkTasks(now)
	c.keepPins(now)
	if c.disk == nil || c.admission.bootstrapped { // else mesh time is not agreed: nothing expires
		c.digests.Step(now, c.clock.At(now), c.dir)
	}
	c.waiters.Pass(now)
	c.conclude(now)
	if review || c.admission.clockOff != wasOff { // else only what else came in can have changed it
		c.evaluate(now)
	}
	c.retryWaiters(now)
	c.settleKept(now)
	c.keepMark(now)
	c.expireWaiters(now) // after what ended at the same moment has let them through
}

// SetLimits changes the limits: those of the moves whose kicks have not ended, of the flushes that
// begin from now on, and of the backends that come into use from now on.
func (c *Core) SetLimits(now mono.Time, l Limits) {
	defer c.enter(now)()
	c.cfg.KickDelay, c.cfg.SlowStart = l.KickDelay, l.SlowStart
	c.cfg.MaxParallelMoves = cmp.Or(l.MaxParallelMoves, defaultParallelMoves)
}

// enter begins every input; what it returns ends it. A late input is how a director notices that it
// slept.
func (c *Core) enter(now mono.Time) (leave func()) {
	if late := now.Sub(c.lookups.LastInput()); late > wakeAfter {
		c.wake(now, late)
	}
	c.lookups.NoteInput(now)
	return func() { c.leave(now) }
}

// leave draws the conclusions of an input.
func (c *Core) leave(now mono.Time) {
	c.conclude(now)
	c.evaluate(now)
	c.retryWaiters(now)
	if c.hurry {
		c.keepMark(now)
	}
}

// conclude ends what an input may have brought to its end.
func (c *Core) conclude(now mono.Time) {
	c.settleBarrier()
	c.heedDisks(now)
	for range 2 { // the moves that end make room for others
		c.pumpFlushes(now)
		c.pumpTasks(now)
		c.sendMoves(now)
	}
	c.settleKickUsers(now)
	c.reportKicks()
}

// settings are what peers must have in common with us.
func (c *Core) settings() wire.Settings {
	return wire.Settings{
		Protocol:   ProtocolVersion,
		Mesh:       c.cfg.Mesh,
		HashFormat: c.cfg.HashFormat,
		Expire:     c.cfg.Expire.Milliseconds(),
	}
}

func (c *Core) self() wire.Peer {
	return wire.Peer{Name: c.cfg.Name, Boot: c.boot, Addr: c.cfg.Addr}
}

// isOurs reports whether a log was written by this process, which has all of it.
func (c *Core) isOurs(id logs.ID) bool {
	return id.Name == c.cfg.Name && (id.Boot == c.boot || slices.Contains(c.boots, id.Boot))
}
