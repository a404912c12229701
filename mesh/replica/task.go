package replica

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/lookups"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/tasks"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Drains and rebalances stand in the table, so all directors know of them; one carries them out.
// That is the synced director with the lowest name, by what each director sees. Where it is gone,
// another one finds out who is still mapped to the backend, and goes on. If two do it for a moment
// it does no harm: a user that is being moved, or was moved, is left alone.

// tasksEvery is how often a director looks which tasks are its own.
const tasksEvery = 500 * time.Millisecond

// moveSlack is how long the last moves of a task take beside the kick delay.
const moveSlack = 500 * time.Millisecond

// taskRunner carries out the drains and rebalances in the table.
type taskRunner struct {
	*output
	taskRunnerPort

	barrier   *barrier.Barrier
	cfg       *Config
	clock     *meshtime.Clock
	counters  *Counters
	dir       *directory.Directory
	lookups   *lookups.Answers
	moves     *moves.Set
	table     *directory.Table
	tasks     *tasks.Set
	nextTasks mono.Time
}

// taskRunnerPort is what taskRunner needs of the other parts of the core.
type taskRunnerPort interface {
	actsForAll() bool
	apply(now mono.Time, change directory.Change, from *peer) *barrier.Change
	gossip(change directory.Change, blocks []wire.Block)
	nextStamp(now mono.Time, after directory.Time) (directory.Stamp, error)
	startMove(now mono.Time, m *moves.Move, backend netip.Addr)
	target(u ring.User) netip.Addr
}

// The places of registers among those that were added after the first release, from 1 on; see
// directory.BackendRow.Known.
const (
	drainRegister = 1 + iota
	rebalanceRegister
)

// allKnow refuses to write a register while a director is in the mesh that does not know it: it
// would send users to a backend that is drained, or past their pins.
func (c *Core) allKnow(register int) error {
	for _, p := range c.peers.all {
		if p.live && p.Counted && p.registers < register {
			return fmt.Errorf("%w: %s; upgrade it first", ErrOlderRelease, p.name)
		}
	}
	return nil
}

// task is what the table says of a task that begins at some moment.
func (p Pace) task(at directory.Time) directory.Task {
	by := p.By
	if p.Over > 0 {
		by = at.Add(p.Over)
	}
	return directory.Task{By: by, Parallel: p.MaxParallel}
}

// TableDigest stands for the table as far as it decides where users are: two tables that say the
// same of all backends have the same.
func (c *Core) TableDigest() string { return c.table.Digest() }

// actsForAll reports whether this director is to do what one does for all: of the synced directors
// it has the lowest name. One that is in contact with fewer than half of the directors that it
// knows, or is in touch with one that is in contact with more, changes nothing by itself, so that
// one does not leave it to the lower name.
func (c *Core) actsForAll() bool {
	a := &c.admission
	if !c.synced() || a.leaving || a.removed || !c.mayAct() {
		return false
	}
	for _, p := range c.peers.all {
		if p.live && p.Counted && p.synced && !p.left && !c.standsBack(p) {
			return c.cfg.Name < p.name
		}
	}
	return true
}

// checkTasks takes over the tasks of the table, if this director is to carry them out, and finds
// the users that they are to move.
func (tr *taskRunner) checkTasks(now mono.Time) {
	if now >= tr.nextTasks {
		tr.nextTasks = now.Add(tasksEvery)
		if tr.actsForAll() {
			tr.tasks.Want(tr.wanted())
		} else {
			tr.tasks.Want(nil)
		}
		tr.endTasks(now)
	}
	for _, t := range tr.tasks.All() {
		tr.scan(now, t)
	}
}

// wanted are the tasks in the table: one for each backend that is drained and has users, and one
// for each tag that has backends to rebalance, by the terms that were set last.
func (tr *taskRunner) wanted() (wanted []tasks.Wanted) {
	rebalanced := make(map[ring.Tag]directory.Register[directory.Task])
	for row := range tr.table.Tasks() {
		tag := row.Presence.Value.Tag
		switch drain := row.Drain.Value; {
		case row.Drained() && tr.dir.Users(row.Addr) > 0:
			wanted = append(wanted, tasks.Wanted{
				Key:   tasks.Key{Tag: tag, Backend: row.Addr},
				Stamp: max(row.Drain.Stamp, row.Listing.Stamp), By: drain.By,
				Parallel: tr.parallel(drain.Parallel),
			})
		case row.Rebalance.Value.On && !row.Drained():
			if last, ok := rebalanced[tag]; !ok || last.Stamp < row.Rebalance.Stamp {
				rebalanced[tag] = row.Rebalance
			}
		}
	}
	for tag, last := range rebalanced {
		wanted = append(wanted, tasks.Wanted{
			Key: tasks.Key{Tag: tag}, Stamp: last.Stamp, By: last.Value.By,
			Parallel: tr.parallel(last.Value.Parallel),
		})
	}
	return wanted
}

func (tr *taskRunner) parallel(asked int) int {
	return min(cmp.Or(asked, tr.cfg.MaxParallelMoves), directory.MaxParallel)
}

// endTasks writes into the table that the backends of a tag are rebalanced, and those that are
// drained need not be.
func (tr *taskRunner) endTasks(now mono.Time) {
	if !tr.actsForAll() {
		return
	}
	over := make(map[ring.Tag]bool)
	for _, t := range tr.tasks.All() {
		if !t.Backend.IsValid() && t.Over() {
			over[t.Tag] = true
		}
	}
	var addrs []netip.Addr
	for row := range tr.table.Tasks() {
		if row.Rebalance.Value.On && (over[row.Presence.Value.Tag] || row.Drained()) {
			addrs = append(addrs, row.Addr)
		}
	}
	if len(addrs) == 0 {
		return
	}
	slices.SortFunc(addrs, ring.CompareAddr)
	stamp, err := tr.nextStamp(now, 0)
	if err != nil {
		return // the table lies ahead: later
	}
	change := tr.table.EndRebalance(stamp, tr.cfg.Name, addrs...)
	tr.apply(now, change, nil)
	tr.gossip(change, nil)
	tr.logf(LogInfo, "rebalanced", Field{"backends", len(addrs)})
}

// scan looks through some leaves for users of a task.
func (tr *taskRunner) scan(now mono.Time, t *tasks.Task) {
	at := tr.clock.At(now)
	var rows []directory.Mapping
	for work := 0; work < flushScanWork; work += flushLeafWork + len(rows) {
		leaf, ok := t.Leaf(now)
		if !ok || t.Passes() > 0 && tr.cfg.Guards.NoNewLook {
			return
		}
		rows = tr.dir.Leaf(t.Tag, leaf, at, rows[:0])
		for _, m := range rows {
			if !tr.isOf(t, m) {
				continue
			}
			switch place := tr.target(ring.User{Tag: t.Tag, Hash: m.Hash}); {
			case place == m.Backend:
			case !place.IsValid(), tr.expiresInTime(at, t, m):
				t.Spared() // where no backend is usable the task waits for one
			default:
				t.Found(m)
			}
		}
		if tr.barrier.Len() > 0 {
			t.Spared() // by the ring of before others may have let somebody in
		}
		t.Scanned(now)
	}
}

// movable reports whether a mapping is the task's, and can be moved.
func (tr *taskRunner) movable(t *tasks.Task, m directory.Mapping) bool {
	if !tr.isOf(t, m) {
		return false
	}
	place := tr.target(ring.User{Tag: t.Tag, Hash: m.Hash})
	return place.IsValid() && place != m.Backend
}

// isOf reports whether a mapping is the task's to move, if the user hashes elsewhere.
func (tr *taskRunner) isOf(t *tasks.Task, m directory.Mapping) bool {
	if !m.Backend.IsValid() || m.Moving || t.Backend.IsValid() && m.Backend != t.Backend {
		return false
	}
	row, ok := tr.table.Row(m.Backend)
	if t.Backend.IsValid() {
		ok = ok && row.Drained()
	} else {
		ok = ok && row.Rebalance.Value.On && !row.Drained()
	}
	return ok
}

// expiresInTime reports whether a mapping is left to expire: there is time for that, and no session
// has been heard of for longer than one is silent.
func (tr *taskRunner) expiresInTime(at directory.Time, t *tasks.Task, m directory.Mapping) bool {
	return t.By() > at && tr.dir.Ends(m) <= t.By() &&
		at.Sub(m.Activity.Time()) > tr.dir.Share()+idleMargin
}

// pumpTasks starts moves as time passes and others end.
func (tr *taskRunner) pumpTasks(now mono.Time) {
	if len(tr.tasks.All()) == 0 || !tr.actsForAll() {
		return
	}
	at := tr.clock.At(now)
	for _, t := range tr.tasks.All() {
		left := t.Waiting()
		if t.Backend.IsValid() {
			left = tr.dir.Users(t.Backend)
		}
		n := min(t.Begin(now, at, left, tr.cfg.KickDelay+moveSlack),
			directory.MaxParallel-tr.moves.Len())
		for n > 0 {
			u, ok := t.Next()
			if !ok {
				break
			}
			m, status := tr.dir.Find(u.Tag, u.Hash, at)
			if status != directory.Live || tr.moves.Get(u) != nil || m.Moving ||
				!tr.movable(t, m) && !tr.cfg.Guards.NoTaskCheck || tr.expiresInTime(at, t, m) {
				continue
			}
			t.Begun()
			n--
			tr.counters.TaskMoves++
			cause := wire.CauseDrain
			if !t.Backend.IsValid() {
				cause = wire.CauseRebalance
			}
			tr.startMove(now, &moves.Move{User: u, Task: t.ID, Cause: cause}, tr.target(u))
		}
	}
}
