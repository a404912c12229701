package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
)

// A data directory is a peer on disk. It is given all that the table and the directory take in,
// from whatever source, as the mesh's own messages, and after a restart that is merged as what
// comes from a peer. Beside it there is how flushes go, since no other director may be left that
// could go on with them, and up to where our log goes, since nobody else may have its end. It is
// given nothing else: no number in the log of another, peer, observation or hold survives a
// restart.

// markEvery is how often what was kept is to be synced.
const markEvery = time.Second

// Keep hands a message to the data directory: a *wire.Table, *wire.Rows, *wire.FlushProgress or
// *wire.Mark, which must not be changed. Behind a mark all that came before it is to be synced.
// Without a message what was kept before counts no more, as stamps in it have been moved: what is
// held now takes its place.
type Keep struct {
	N       uint64 // counts them, from 1 on
	Message wire.Message
}

func (Keep) effect() {}

// keep hands a message to the data directory, if there is one. What it says must be in the table
// and the directory already, or a snapshot of them could lack it.
func (o *output) keep(m wire.Message) {
	if !o.keeps {
		return
	}
	o.lastKeep++
	o.emit(Keep{N: o.lastKeep, Message: m})
}

// keepLog hands a message of our log to the data directory.
func (o *output) keepLog(m wire.Message) {
	if hold, ok := m.(*wire.Hold); ok {
		m = &wire.Rows{Blocks: hold.Blocks}
	}
	o.keep(m)
}

// keepMark has synced what was kept, now and then.
func (c *Core) keepMark(now mono.Time) {
	due := markEvery
	if c.hurry {
		due = hurryEvery
	}
	if !c.keeps || now.Sub(c.markedAt) < due || !c.admission.bootstrapped {
		return
	}
	c.markedAt, c.hurry = now, false
	whole, apart := c.wholeNow(now)
	if c.synced() {
		c.whole = whole
	}
	m := &wire.Mark{
		MeshTime: c.clock.Micros(now), Wall: c.clock.Wall(now), Whole: c.whole,
		Mesh: c.meshRank(now), Logs: c.ownLogs(now), Apart: apart,
	}
	for _, p := range c.peers.all {
		if p.live && p.Counted {
			m.Live = append(m.Live, p.self())
		}
	}
	c.keep(m)
	c.noteMark()
}

// wholeNow is up to when nothing is missing here of what directors of the mesh said, while this
// director is synced, and who is apart.
func (c *Core) wholeNow(now mono.Time) (whole directory.Time, apart []wire.Peer) {
	whole = c.clock.At(now)
	for _, p := range c.peers.all {
		if c.wasWith(p) {
			whole = min(whole, p.togetherAt)
		}
	}
	for _, was := range c.apartFrom(now) {
		if was.Together != 0 {
			whole = min(whole, was.Together)
		}
		apart = append(apart, was.Director)
	}
	return whole, apart
}

// ownLogs are up to where our log goes, and those of our lives that ended lately.
func (c *Core) ownLogs(now mono.Time) (own []wire.Position) {
	own = append(own, wire.Position{Name: c.cfg.Name, Boot: c.boot, Seq: c.log.Last()})
	for _, at := range c.logs.Gone(now, logs.GoneReported) {
		if at.Name == c.cfg.Name {
			own = append(own, at)
		}
	}
	return own
}

// KeepNow has all synced that was kept so far; this director is about to end.
func (c *Core) KeepNow(now mono.Time) {
	defer c.enter(now)()
	c.flushOutbox(now)
	c.markedAt = 0
	c.keepMark(now)
}

// keepTable hands the whole table to the data directory, when it has come to belong to a mesh.
func (c *Core) keepTable() { c.keep(&wire.Table{Change: c.table.Snapshot()}) }

// keepFlush hands the data directory how a flush goes, by its name.
func (o *output) keepFlush(id FlushID, p wire.FlushProgress) {
	p.Director = id.Director
	o.keep(&p)
}

// Held is what a snapshot for the data directory begins with, before the rows of the directory:
// when it was begun, the table, and how flushes go. Those that have ended are among them, since the
// disk of another director may have them as they were before.
func (c *Core) Held(now mono.Time) []wire.Message {
	noted, late := c.late.Notes()
	held := []wire.Message{
		&wire.Mark{
			MeshTime: c.clock.Micros(now), Wall: c.clock.Wall(now), Mesh: c.meshRank(now),
			Noted: noted, Late: late, Logs: c.ownLogs(now),
		},
		&wire.Table{Change: c.table.Snapshot()},
	}
	for _, p := range c.flushes.Held() {
		held = append(held, &p)
	}
	return held
}

// keptBlock returns rows that were merged as the data directory is to keep them: without those that
// were dropped because they lie ahead. left are the others.
func keptBlock(b wire.Block, left []directory.Mapping) wire.Block {
	if len(left) < b.Len() {
		return wire.Pack(b.Tag, left)
	}
	return b
}
