package replica

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// operationState is an admin operation that has not ended.
type operationState struct {
	outcome Outcome
	wrote   Operation       // into the table; nil if it is of another kind
	table   *barrier.Change // waits for its confirmations
	upTo    bool            // and for those of all changes before it
	kick    *kicks.ByName   // waits for reports of directors; nil if it is no KickUser
	stops   []FlushID       // CancelFlush: those that their directors have not reported to stop
	durable bool            // it is to be kept by the data directories
	awaits  *awaited        // it is applied and waits for the data directories; nil: it does not
	// holds reports whether a peer has confirmed a Move, which it may though we do not count it.
	holds func(peer string) bool
}

// postpone gives directors so much more time to report, and disks to keep.
func (o *operationState) postpone(late time.Duration) {
	if o.kick != nil {
		o.kick.Postpone(late)
	}
	if o.awaits != nil {
		o.awaits.until = o.awaits.until.Add(late)
	}
}

// Do carries out an admin operation; it ends with an AdminDone effect of this id, when every live
// director has applied it.
func (c *Core) Do(now mono.Time, id uint64, op Operation) {
	defer c.enter(now)()
	o := &operationState{holds: func(string) bool { return false }}
	c.ops[id] = o
	if c.admission.removed {
		c.endOperation(id, fmt.Errorf("%w; let it in at another one with: director ring add %s %d",
			ErrRemoved, c.cfg.Addr.Addr(), c.cfg.Addr.Port()))
		return
	}
	if !c.synced() {
		c.endOperation(id, fmt.Errorf("%w (%s); try again", ErrNotSynced, c.admission.reason))
		return
	}
	if given, ok := op.(IfTable); ok {
		if is := c.TableDigest(); is != given.Digest {
			c.endOperation(id, fmt.Errorf(
				"%w: its digest is %s, not %s; plan again", ErrOtherTable, is, given.Digest))
			return
		}
		op = given.Operation
	}
	switch op := op.(type) {
	case Move:
		o.durable = true
		c.doMove(now, id, op)
	case Flush:
		c.doFlush(now, id, op)
	case CancelFlush:
		o.stops = c.cancelFlushes(now, op.Addr)
		o.outcome.Count = len(o.stops)
		if o.outcome.Count == 0 {
			c.endOperation(id, ErrNothingToCancel)
		}
	case KickUser:
		c.doKickUser(now, o, op)
	case Import:
		o.durable = op.Keep
		c.doImport(now, o, op)
		c.endOperation(id, nil)
	default:
		o.durable = true
		c.doTable(now, id, o, op)
	}
}

// Cancel forgets an operation whose outcome is not needed any more; what it began goes on.
func (c *Core) Cancel(id uint64) { delete(c.ops, id) }

// doTable carries out what changes the table.
func (c *Core) doTable(now mono.Time, id uint64, o *operationState, op Operation) {
	op, err := c.addressed(op)
	if err != nil {
		c.endOperation(id, err)
		return
	}
	change, err := c.tableChange(now, o, op)
	if err != nil {
		c.endOperation(id, err)
		return
	}
	o.wrote = op
	if o.table = c.apply(now, change, nil); o.table != nil {
		c.gossip(change, nil)
		return
	}
	// Nothing to change: but others may still be about to learn of what we found.
	if o.table = c.barrier.Latest(); o.table != nil {
		o.upTo = true
		return
	}
	c.endOperation(id, nil)
}

// addressed gives a director that an operation names its address.
func (c *Core) addressed(op Operation) (Operation, error) {
	remove, ok := op.(SetDirectorRemoved)
	if !ok || remove.Addr.IsValid() {
		return op, nil
	}
	addr, err := c.directorNamed(remove.Name)
	if told, apart := c.apart[remove.Name]; apart && errors.Is(err, ErrUnknownDirector) &&
		!c.taken(told.Director.Addr) {
		addr, err = told.Director.Addr, nil
	}
	remove.Addr = addr
	return remove, err
}

func (c *Core) tableChange(
	now mono.Time, o *operationState, op Operation,
) (directory.Change, error) {
	stamp, err := c.nextStamp(now, 0)
	if err != nil {
		return directory.Change{}, err
	}
	change, err := c.changeBy(now, stamp, o, op)
	if given, brings := slowStartOf(op); brings && err == nil {
		change, err = c.slowly(change, stamp, given)
	}
	return change, err
}

// changeBy is tableChange without how backends start that come into use.
func (c *Core) changeBy(
	now mono.Time, stamp directory.Stamp, o *operationState, op Operation,
) (change directory.Change, err error) {
	switch op := op.(type) {
	case AddBackend:
		if op.Standby != nil && *op.Standby {
			if err := c.allKnow(directory.StandbyRegister); err != nil {
				return directory.Change{}, err
			}
		}
		return op.change(c.table, stamp, c.cfg.Name)
	case UpdateBackend:
		return c.table.Update(stamp, c.cfg.Name, op.Addr, op.VHosts, op.Tag)
	case RemoveBackend:
		if stamp, err = c.afterForgotten(now, stamp, op.Addr); err != nil {
			return directory.Change{}, err
		}
		return c.table.Remove(stamp, c.cfg.Name, op.Addr)
	case SetDown:
		o.outcome.Mapped = c.dir.Users(op.Addr)
		return c.table.SetDown(stamp, c.cfg.Name, op.Addr, op.Down)
	case Forget:
		if stamp, err = c.afterForgotten(now, stamp, op.Addr); err != nil {
			return directory.Change{}, err
		}
		return c.table.Forget(stamp, c.cfg.Name, op.Addr)
	case Drain:
		if err := c.allKnow(drainRegister); err != nil {
			return directory.Change{}, err
		}
		o.outcome.Mapped = c.dir.Users(op.Addr)
		return c.table.Drain(stamp, c.cfg.Name, op.Addr, op.task(c.clock.At(now)), op.Force)
	case Undrain:
		return c.table.Undrain(stamp, c.cfg.Name, op.Addr)
	case Pin:
		if err := c.allKnow(directory.PinRegister); err != nil {
			return directory.Change{}, err
		}
		return c.table.PinUser(stamp, c.cfg.Name, op.Hash, op.Backend)
	case Unpin:
		return c.table.Unpin(stamp, c.cfg.Name, op.User)
	case Rebalance:
		if err := c.allKnow(rebalanceRegister); err != nil {
			return directory.Change{}, err
		}
		return c.table.Rebalance(stamp, c.cfg.Name, op.Tag, op.task(c.clock.At(now)))
	case ResetFactors:
		return c.table.ResetFactors(stamp, c.cfg.Name, op.Tag)
	case SetDirectorRemoved:
		switch {
		case op.Removed && !c.knowsDirector(op.Addr):
			return directory.Change{}, ErrUnknownDirector
		case op.Removed && op.Addr == c.cfg.Addr && c.peers.all.live() == 0:
			return directory.Change{}, ErrOnlyDirector // no director could let it in again
		}
		return c.table.SetDirectorRemoved(stamp, c.cfg.Name, op.Addr, op.Removed), nil
	}
	return directory.Change{}, fmt.Errorf("unknown operation %T", op)
}

// change is what adding the backend does to a table.
func (op AddBackend) change(
	t *directory.Table, stamp directory.Stamp, origin string,
) (directory.Change, error) {
	change, err := t.Add(stamp, origin, op.Addr, op.Name, op.Tag, op.VHosts)
	if err == nil && op.Standby != nil {
		change = change.SetStandby(stamp, origin, *op.Standby)
	}
	return change, err
}

// afterForgotten is a stamp whose tick is later than that of any mapping assigned after the last
// forget: such mappings carry the tick after it, which may not have come yet.
func (c *Core) afterForgotten(
	now mono.Time, stamp directory.Stamp, backend netip.Addr,
) (directory.Stamp, error) {
	after := directory.Time(0)
	for _, b := range c.table.Backends() {
		if backend.IsValid() && b.Addr != backend {
			continue
		}
		if row, ok := c.table.Row(b.Addr); ok && row.Forgotten != 0 {
			after = max(after, (row.Forgotten.Tick() + 1).Time())
		}
	}
	if after <= stamp.Tick().Time() {
		return stamp, nil
	}
	return c.nextStamp(now, after)
}

func (c *Core) knowsDirector(addr netip.AddrPort) bool {
	_, known := c.table.Director(addr)
	for _, told := range c.apart { // of which all that are left may have only been told
		known = known || told.Director.Addr == addr
	}
	return known || c.taken(addr)
}

// taken reports whether an address is ours, or that of a peer.
func (c *Core) taken(addr netip.AddrPort) bool {
	return addr == c.cfg.Addr || c.peers.all.anyAt(addr)
}

// tableOperationsDone ends the operations that waited for a barrier alone or, with upTo, for all up
// to it.
func (c *Core) tableOperationsDone(t *barrier.Change, upTo bool) {
	for _, id := range c.operationIDs() {
		if o := c.ops[id]; o.table == t && o.upTo == upTo {
			o.outcome.FailedPeers = slices.Clone(t.Failed())
			if c.overtaken(o.wrote) {
				c.endOperation(id, ErrOvertaken)
				continue
			}
			if c.writesPin(t, id) {
				continue
			}
			c.endOperation(id, nil)
		}
	}
}

// settleCancels ends the operations that cancelled flushes, when whoever runs those has reported
// that they stop, or is gone.
func (c *Core) settleCancels() {
	for _, id := range c.operationIDs() {
		o := c.ops[id]
		if o.stops == nil {
			continue
		}
		if !c.flushes.Knows(o.stops[0]) { // and none of the others: no flush outlives a mesh
			c.endOperation(id, ErrLeftCluster)
			continue
		}
		o.stops = slices.DeleteFunc(o.stops, func(flush FlushID) bool {
			awaits, gone := c.awaitsStop(flush)
			if gone != "" && !slices.Contains(o.outcome.FailedPeers, gone) {
				o.outcome.FailedPeers = append(o.outcome.FailedPeers, gone)
			}
			return !awaits
		})
		if len(o.stops) == 0 {
			c.endOperation(id, nil)
		}
	}
}

// operationIDs are the operations that have not ended, in order.
func (c *Core) operationIDs() []uint64 {
	if len(c.ops) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(c.ops))
}

// endTableOperations ends all operations that wait for a barrier with an error.
func (c *Core) endTableOperations(err error) {
	for _, id := range c.operationIDs() {
		if c.ops[id].table != nil {
			c.endOperation(id, err)
		}
	}
}

func (c *Core) doMove(now mono.Time, id uint64, op Move) {
	row, ok := c.table.Row(op.Backend)
	if !ok || !row.Presence.Value.Present {
		c.endOperation(id, directory.ErrUnknownBackend)
		return
	}
	u := ring.User{Tag: row.Presence.Value.Tag, Hash: op.Hash}
	t := c.clock.At(now)
	m, status := c.dir.Find(u.Tag, u.Hash, t)
	if to, pinned := c.pinnedElsewhere(u, op.Backend); pinned {
		c.endOperation(id, fmt.Errorf("%w to %s; pin the user to the other backend, or unpin first",
			ErrPinned, ring.AddrText(to)))
		return
	}
	switch {
	case status == directory.Live && m.Moving || c.moves.Get(u) != nil:
		c.endOperation(id, ErrTryAgain)
	// A mapping that is about to end is moved like any other: the others must know before they let
	// it die.
	case status == directory.Live && m.Backend == op.Backend &&
		c.dir.Ends(m).Sub(t) > directory.EndOfLife:
		if recorded, ok := c.dir.Touch(u.Tag, m, t); ok {
			m = recorded
		}
		c.confirmPlace(now, &moves.Move{User: u, Op: id, Wait: op.Wait, Cause: wire.CauseMove}, m)
	default:
		c.startMove(now, &moves.Move{
			User: u, Op: id, Wait: op.Wait, Cause: wire.CauseMove,
		}, op.Backend)
	}
}

// maxParallel bounds the users that a flush has in flight, whatever is asked for: as many kicks run
// at once on each director, and a user whose kick has not had its turn in time would be let in
// again before the sessions have ended.
const maxParallel = 10_000

func (c *Core) doFlush(now mono.Time, id uint64, op Flush) {
	if row, ok := c.table.Row(op.Addr); op.Addr.IsValid() && (!ok || !row.Presence.Value.Present) {
		c.endOperation(id, directory.ErrUnknownBackend)
		return
	}
	limit := op.MaxParallel
	if limit <= 0 {
		limit = c.cfg.MaxParallelMoves
	}
	c.ops[id].outcome.Flush = c.startFlush(now, op.Addr, min(limit, maxParallel))
	c.endOperation(id, nil)
}

// endMove ends an operation that has moved a user, whom some peers hold.
func (c *Core) endMove(id uint64, err error, holds func(peer string) bool) {
	if o := c.ops[id]; o != nil {
		o.holds = holds
	}
	c.endOperation(id, err)
}

func (c *Core) endOperation(id uint64, err error) {
	o := c.ops[id]
	if o != nil && o.table == nil {
		if _, pin := o.wrote.(Pin); pin {
			err = nil // it stands in the table: what became of the move is no matter
		}
	}
	if o == nil || err == nil && c.awaitKept(o) {
		return
	}
	delete(c.ops, id)
	if err == nil {
		lacksIt := func(p *peer) bool { return c.sameMesh(p) && !o.holds(p.name) }
		names := c.peers.failed(o.outcome.FailedPeers, c.table.Removed, lacksIt)
		o.outcome.FailedPeers = c.failedUnmet(c.lookups.LastInput(), names)
		slices.Sort(o.outcome.FailedPeers)
	}
	c.emit(AdminDone{ID: id, Outcome: o.outcome, Err: err})
}
