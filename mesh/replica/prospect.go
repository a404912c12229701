package replica

import (
	"errors"
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/ring"
)

// ErrNoPlan means that an operation moves nobody by the table, so that there is nothing to plan.
var ErrNoPlan = errors.New("there is no plan of this command")

// Prospect is the table as it is and as it would be after an operation, and which users would then
// be moved. It belongs to the caller.
type Prospect struct {
	Digest        string // of the table as it is, see Core.TableDigest
	Before, After *directory.Table

	Tags []ring.Tag // whose users may be moved
	From netip.Addr // only those of this backend; not valid: of all
	Only *ring.User // only this one; nil: all
	// Forgets says that the users are not moved, but forgotten at once, and that their next login
	// gives them another backend.
	Forgets bool
	// Waits says that users for whom no backend is left are not moved.
	Waits bool
	// SparesDrained says that users on drained backends are left alone.
	SparesDrained bool

	// SlowStart is over how long a backend gets its whole weight, which After gives it at once; 0:
	// none starts slowly by the operation.
	SlowStart time.Duration

	At       directory.Time
	By       directory.Time // when the last is to be moved; 0: as soon as may be
	Parallel int            // users that are moved at a time
	Delay    time.Duration  // what a user who was seen lately is held for, at least
	Recent   time.Duration  // who was seen within it was seen lately
}

// Prospect says what an operation would do to the table, and changes nothing.
func (c *Core) Prospect(now mono.Time, op Operation) (*Prospect, error) {
	if !c.synced() {
		return nil, ErrNotSynced
	}
	at := c.clock.At(now)
	p := &Prospect{
		Digest: c.TableDigest(), Before: c.table.Clone(), After: c.table.Clone(),
		At: at, Parallel: c.cfg.MaxParallelMoves, Delay: c.cfg.KickDelay,
		Recent: c.dir.Share() + idleMargin,
	}
	var addr netip.Addr
	var change directory.Change
	var err error
	stamp, t := p.After.LastStamp()+1, p.After
	switch op := op.(type) {
	case AddBackend:
		addr = op.Addr
		change, err = op.change(t, stamp, c.cfg.Name)
	case UpdateBackend:
		addr = op.Addr
		change, err = t.Update(stamp, c.cfg.Name, op.Addr, op.VHosts, op.Tag)
	case RemoveBackend:
		addr, p.From, p.Forgets = op.Addr, op.Addr, true
		change, err = t.Remove(stamp, c.cfg.Name, op.Addr)
	case SetDown:
		addr = op.Addr
		change, err = t.SetDown(stamp, c.cfg.Name, op.Addr, op.Down)
	case Drain:
		addr, p.From, p.Waits = op.Addr, op.Addr, true
		p.setPace(op.Pace)
		change, err = t.Drain(stamp, c.cfg.Name, op.Addr, op.task(at), op.Force)
	case Undrain:
		addr = op.Addr
		change, err = t.Undrain(stamp, c.cfg.Name, op.Addr)
	case Rebalance:
		p.SparesDrained, p.Waits = true, true
		p.setPace(op.Pace)
		if op.Tag != nil {
			p.Tags = []ring.Tag{*op.Tag}
		}
		change, err = t.Rebalance(stamp, c.cfg.Name, op.Tag, op.task(at))
	case ResetFactors:
		if op.Tag != nil {
			p.Tags = []ring.Tag{*op.Tag}
		}
		change, err = t.ResetFactors(stamp, c.cfg.Name, op.Tag)
	case Pin:
		addr = op.Backend
		if row, ok := t.Row(op.Backend); ok {
			p.Only = &ring.User{Tag: row.Presence.Value.Tag, Hash: op.Hash}
		}
		change, err = t.PinUser(stamp, c.cfg.Name, op.Hash, op.Backend)
	case Unpin:
		p.Only, p.Tags = &op.User, []ring.Tag{op.User.Tag}
		change, err = t.Unpin(stamp, c.cfg.Name, op.User)
	case Flush:
		addr, p.From = op.Addr, op.Addr
		p.setPace(Pace{MaxParallel: op.MaxParallel})
		if row, ok := t.Row(op.Addr); op.Addr.IsValid() && (!ok || !row.Presence.Value.Present) {
			err = directory.ErrUnknownBackend
		}
	default:
		return nil, ErrNoPlan
	}
	if err != nil {
		return nil, err
	}
	if change, err = c.afterSlowStart(p, op, change, stamp); err != nil {
		return nil, err
	}
	t.Merge(change)
	switch {
	case addr.IsValid():
		before, _ := p.Before.Row(addr)
		after, _ := p.After.Row(addr)
		tag := after.Presence.Value.Tag
		if p.Forgets {
			tag = before.Presence.Value.Tag
		}
		p.Tags = []ring.Tag{tag}
	case p.Tags == nil:
		p.Tags = c.dir.Tags()
	}
	return p, nil
}

// afterSlowStart gives the backends that a change brings into use their whole weight, as if their
// slow start was over, and notes how long that takes.
func (c *Core) afterSlowStart(
	p *Prospect, op Operation, change directory.Change, stamp directory.Stamp,
) (directory.Change, error) {
	given, brings := slowStartOf(op)
	if !brings {
		return change, nil
	}
	slow, err := c.slowly(change, stamp, given)
	if err != nil {
		return directory.Change{}, err
	}
	for _, row := range slow.Backends {
		p.SlowStart = max(p.SlowStart, row.Start.Value.Over)
	}
	if given == nil && p.SlowStart == 0 {
		return slow, nil
	}
	return c.table.StartSlowly(change, stamp, c.cfg.Name, 0, true)
}

// slowStartOf is the slow start that an operation gives, if it may bring a backend into use.
func slowStartOf(op Operation) (given *time.Duration, brings bool) {
	switch op := op.(type) {
	case AddBackend:
		return op.SlowStart, true
	case UpdateBackend:
		return op.SlowStart, true
	case SetDown:
		return op.SlowStart, !op.Down
	case Undrain:
		return op.SlowStart, true
	}
	return nil, false
}

func (p *Prospect) setPace(pace Pace) {
	p.By = pace.task(p.At).By
	if pace.MaxParallel > 0 {
		p.Parallel = min(pace.MaxParallel, directory.MaxParallel)
	}
}
