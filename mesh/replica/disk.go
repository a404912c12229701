package replica

import (
	"math"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/rank"
	"directormesh/mesh/replica/internal/snapshots"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// A start with what a data directory holds. The table is there from the beginning; rows come by
// Load, and until Loaded this director asks nobody to be admitted and founds no mesh. Then it is
// admitted as any other that comes. It lacks only what came after the disk was whole, and the
// others may lack what it answered at its end.

// Disk is what a data directory holds beside the rows.
type Disk struct {
	Mark    wire.Mark          // the last one
	First   wire.Mark          // the one that begins the snapshot; zero if there is none
	Changes []directory.Change // of the table, in any order
	// Flushes are how flushes went, in the order in which that was kept.
	Flushes []wire.FlushProgress
	// Damaged says that something that was kept is lost. Then this director goes on only if a peer
	// has the state, or with GoOn.
	Damaged, GoOn bool
}

// blank reports whether nobody has ever put anything into the mesh of the disk: it has no backends,
// not even removed ones, no pins, and no director was added or removed. So it has no users either,
// and there is nothing to go on with. Such a disk is what a director leaves that ran before it got
// its first settings; these then begin a mesh of their own.
func (d *Disk) blank() bool {
	return !d.Damaged && !slices.ContainsFunc(d.Changes, func(c directory.Change) bool {
		return !c.Empty()
	})
}

// disk is what is left of a Disk while the directory of it matters.
type disk struct {
	loading bool
	damaged bool // and not to go on alone
	// until is the mesh time of the disk: nothing on it is later. since is from when on it lacks
	// what happened in the mesh, 0 if that is not known.
	until   directory.Time
	since   directory.Tick
	whole   directory.Time // up to when it lacks nothing of that
	lateAt  directory.Time // from then on it has notes of late rows
	moving  map[ring.User]bool
	founded bool // this director served without having taken what others had
	rows    uint64
	started mono.Time
	live    []wire.Peer // at the last sync
	apart   []wire.Peer // then, see wholeNow
	parted  []string    // of live: they left or were removed while we were away
	// logs are those of our former lives, up to where the disk had them at the last sync. Last is
	// the highest number that was found behind it.
	logs []wire.Position
	last uint64
}

// restore begins with what a data directory holds. It is part of New.
func (c *Core) restore(now mono.Time, d *Disk) {
	m := &d.Mark
	c.disk = &disk{
		loading: true, damaged: d.Damaged && !d.GoOn, until: m.MeshTime.Time(),
		moving: make(map[ring.User]bool), started: now, live: m.Live, apart: m.Apart,
	}
	if !d.Damaged {
		c.disk.logs = m.Logs
	}
	if !d.Damaged && m.Whole > 0 {
		c.disk.since, c.disk.whole, c.whole = logs.Since(m.Whole), m.Whole, m.Whole
	}
	c.disk.lateAt = c.disk.until
	if noted := d.First.Noted; noted != 0 {
		c.disk.lateAt = noted
		c.late.Take(d.First.Late)
	}
	c.clock.Init(max(m.MeshTime, m.MeshTime.Add(c.cfg.Wall.Sub(m.Wall))), now)
	c.clock.ReadWall(now, c.cfg.Wall)
	c.forgottenWith = m.MeshTime
	c.restoreFlushes(now, d.Flushes)
	c.table = directory.NewTable(0, c.cfg.Name, nil)
	c.table.Join(m.Mesh.ID)
	for _, change := range d.Changes {
		c.table.Merge(change)
	}
	c.admission.removed = c.table.Removed(c.cfg.Addr)
	c.age = rank.Claimed(now, m.Mesh)
	c.hlc.Observe(c.table.LastStamp())
}

// Load takes in rows of the data directory. Nothing expires by that: mesh time is not agreed yet.
func (c *Core) Load(now mono.Time, m *wire.Rows) {
	defer c.enter(now)()
	d := c.disk
	if d == nil || !d.loading {
		return
	}
	if m.Stamp != 0 {
		c.late.Note(m.Stamp.Time(), m.Blocks)
	}
	if m.Stamp.Time() > d.until {
		d.last = max(d.last, m.Seq)
	}
	buf := c.unpacked
	for _, b := range m.Blocks {
		buf = b.Append(buf[:0])
		for _, row := range buf {
			if row.Moving {
				d.moving[ring.User{Tag: b.Tag, Hash: row.Hash}] = true
			}
		}
		d.rows += uint64(len(buf))
		c.dir.Merge(b.Tag, buf, d.until, nil)
	}
	c.unpacked = buf
}

// Loaded ends the loading. A failed one counts as a damaged disk.
func (c *Core) Loaded(now mono.Time, failed error) {
	defer c.enter(now)()
	d := c.disk
	if d == nil || !d.loading {
		return
	}
	d.loading = false
	if failed != nil {
		d.damaged, d.since, d.whole, d.logs = true, 0, 0, nil
		c.logf(LogError, "cannot read the data directory to its end", Field{"error", failed})
	}
	c.admission.holds = &holdings{since: d.since}
	c.formerLogs(now)
	for _, p := range c.peers.all {
		if p.CountsUs {
			// It came to count us when it asked us itself, and has not heard what we hold.
			p.Begin(now, c.newID())
		}
	}
	c.holdLoaded(now)
	c.logf(LogInfo, "data directory loaded", Field{"users", c.dir.Len()},
		Field{"took", now.Sub(d.started)})
	if c.cfg.Founder && !d.damaged && !c.admission.removed {
		c.found(now, "no peers are configured")
	}
}

// formerLogs lets the peers know of the logs of our former lives. What stands at their end nobody
// else may have, and only those get that which admit us: others that are out of touch now would not
// learn from them that there is something to ask for.
func (c *Core) formerLogs(now mono.Time) {
	d := c.disk
	ago := c.clock.At(now).Sub(d.until)
	for _, at := range d.logs {
		id := logs.ID{Name: at.Name, Boot: at.Boot}
		gone := max(0, ago) + time.Duration(at.Gone)*time.Millisecond
		if at.Name != c.cfg.Name || c.isOurs(id) || gone > logs.GoneReported {
			continue
		}
		if at.Gone == 0 {
			at.Seq = max(at.Seq, d.last)
		}
		c.logs.Ended(now.Add(-gone), id, at.Seq)
		if log := c.logs.Get(id); log != nil {
			log.NoteWhole(d.until)
		}
	}
	for _, p := range c.peers.all {
		if p.out {
			c.reportGoneTo(now, p)
		}
	}
}

// wholeOnDisk is up to when the disk lacks nothing of a log: that of a director that was counted
// when the disk was last synced; 0 if it was not.
func (c *Core) wholeOnDisk(id logs.ID) directory.Time {
	if c.disk == nil || !slices.ContainsFunc(c.disk.live, func(was wire.Peer) bool {
		return was.Name == id.Name && was.Boot == id.Boot
	}) {
		return 0
	}
	return c.disk.whole
}

// hadApart is a peer as it was when the disk was last synced, if it was out of touch then.
func (d *disk) hadApart(p *peer) (was wire.Peer) {
	at := slices.IndexFunc(d.apart, func(was wire.Peer) bool { return was.Name == p.name })
	if at >= 0 {
		was = d.apart[at]
	}
	return was
}

// holdLoaded holds the users that are being moved. Nobody runs their moves any more; the live
// director with the lowest name will. Who was logged in where is not known: so the sessions end
// first.
func (c *Core) holdLoaded(now mono.Time) {
	t := c.clock.At(now)
	for u := range c.disk.moving {
		if m, status := c.dir.Find(u.Tag, u.Hash, t); status == directory.Live && m.Moving {
			c.follow(now, u, m, moves.Replaced{Mapping: m, Status: directory.Live})
		}
	}
	c.disk.moving = nil
}

// noteFounded notes that this director serves without having taken what others had: with what the
// configuration says, or the data directory.
func (c *Core) noteFounded(now mono.Time, why string) {
	c.takeUpFlushes(now, true)
	for _, p := range c.peers.all {
		if p.out {
			c.tellFlushes(p)
		}
	}
	if c.disk == nil {
		c.late.Restart(c.clock.At(now))
		c.logf(LogInfo, "mesh founded, the table comes from the configuration",
			Field{"reason", why}, Field{"backends", len(c.table.Backends())})
		return
	}
	c.late.From(c.disk.lateAt)
	c.disk.founded = true
	c.logf(LogInfo, "serving, the table comes from the data directory",
		Field{"reason", why}, Field{"backends", len(c.table.Backends())})
	c.logConfigured()
}

// offeredSince is from when on we may lack what a peer offers that comes, whatever it knows of that
// itself: it may have answered without us until it ended. What it had before we were last together
// we have. If we never were, and have gone on from a data directory, others may have written on
// after that. Else we took what a mesh had, and it is the last tick there is.
//
// How long ago all this was does not matter: others may have answered until just now.
func (c *Core) offeredSince(p *peer) directory.Tick {
	switch d := c.disk; {
	case p.togetherAt != 0:
		return logs.Since(p.togetherAt)
	case d != nil && d.founded:
		return d.since
	}
	return math.MaxUint32
}

// restoreFlushes begins with what the data directory holds of flushes. Of those that had not ended
// it counts only as long as a user may live whom they were to move. Others know for that long that
// they ended, see flushesKnown.
func (c *Core) restoreFlushes(now mono.Time, kept []wire.FlushProgress) {
	last := make(map[FlushID]wire.FlushProgress)
	for _, p := range kept {
		last[FlushID{Director: p.Director, ID: p.ID}] = p
	}
	t := c.clock.At(now)
	old := t.Sub(c.disk.until) > c.cfg.Expire+c.dir.Share()
	for _, p := range last {
		if old && p.Ended == 0 {
			p.Ended = t
		}
		c.flushes.Keep(p)
	}
}

// heedDisks takes up what data directories hold of flushes, when this director is a member of a
// mesh and has taken the rows that came with it. The founder does so at once. Others wait until the
// members have had time to ask for what they hold, and to ask again: one of them may be the
// founder, which is told then, and goes on with flushes that it has not heard of.
func (c *Core) heedDisks(now mono.Time) {
	a, founded := &c.admission, c.disk != nil && c.disk.founded
	if a.member && c.receiver.Current() == nil &&
		(founded || now.Sub(a.syncedAt) > 2*snapshots.Stall) {
		c.takeUpFlushes(now, founded)
	}
}

// otherMesh notes that the data directory has nothing of the mesh that this director now joins, and
// that nobody has told us of its directors.
func (c *Core) otherMesh() {
	clear(c.apart)
	if c.disk != nil {
		c.disk.since, c.disk.whole, c.disk.founded = 0, 0, false
	}
}

// logConfigured reports to the operator how the table differs from the configuration, which is not
// used.
func (c *Core) logConfigured() {
	differences := backendDifferences(c.cfg.Backends, c.table.Backends())
	if len(differences) > 0 && len(c.cfg.Backends) > 0 {
		c.logf(LogWarn, "the table of the data directory differs from the configuration",
			Field{"differences", differences})
	}
}

// mayNotGoOn reports whether this director must not serve with what it has loaded alone.
func (c *Core) mayNotGoOn() bool { return c.disk != nil && c.disk.damaged }

// missedFor is for how long after the start it is said which directors are not back.
const missedFor = time.Minute

// missing are the directors that were live at the last sync before this start, and are not now.
func (c *Core) missing(now mono.Time) (names []string) {
	if c.disk == nil || now.Sub(c.disk.started) > missedFor {
		return nil
	}
	for _, was := range c.disk.live {
		p := c.peers.get(was.Name)
		if (p == nil || !p.live && !p.left) && !slices.Contains(c.disk.parted, was.Name) {
			names = append(names, was.Name)
		}
	}
	return names
}

// loading reports whether rows of the data directory are still to come.
func (c *Core) loading() bool { return c.disk != nil && c.disk.loading }

// diskState is what counts of the data directory for snapshots.
type diskState struct {
	since directory.Tick // from when on it lacks what happened in the mesh: 0 if it lacks all
	noted directory.Time // from when on it has notes of rows that came late; 0: there is no disk
}

func (c *Core) diskState() diskState {
	if c.disk == nil {
		return diskState{}
	}
	return diskState{c.disk.since, c.disk.lateAt}
}

// setAside drops what came from the data directory, because it lies ahead of the mesh time of the
// others: nothing could be written over it, and it would outlast all. What lay ahead because the
// sides of a split drifted apart has moved by the step, and is of use.
func (c *Core) setAside(now mono.Time) {
	d := c.disk
	if d == nil || c.admission.bootstrapped || d.until <= c.clock.At(now).Add(maxAhead) {
		return
	}
	c.logf(LogError, "the data directory lies ahead of mesh time and is not used",
		Field{"ahead", d.until.Sub(c.clock.At(now))})
	c.dropDisk()
	c.moves.Held.Clear()
	c.losers.Clear()
	c.flushes.TakeKept()
	for _, log := range c.logs.All() {
		if log.ID().Name == c.cfg.Name {
			c.forgetLog(log) // what stood in it is gone too, nobody is to ask us for it
		}
	}
	c.changeView(func() {
		c.dir.Clear()
		*c.table = *directory.NewTable(0, c.cfg.Name, c.cfg.Backends)
		c.dir.SetBackends(c.table.Snapshot().Backends)
		c.barrier.ReplaceToday(c.table.Places(nil))
	})
	c.age = rank.Age{}
	c.keep(nil)
}

// dropDisk forgets what came from the data directory beside the table, rows and flushes.
func (c *Core) dropDisk() {
	loading := c.loading()
	c.disk, c.admission.holds, c.whole = nil, nil, 0
	if loading {
		c.disk = &disk{} // what still comes of it is dropped
	}
}
