package directory

import (
	"fmt"
	"net/netip"

	"directormesh/ring"
)

// The operations below begin and end what moves the users of backends away. Like those in
// tableops.go they make a Change and leave the table alone.

// Drain begins to drain a backend, or changes how fast one is drained. Without force at least half
// of the weight of its tag must remain in use.
func (t *Table) Drain(
	stamp Stamp, origin string, addr netip.Addr, how Task, force bool,
) (Change, error) {
	stored, err := t.present(addr)
	if err != nil {
		return Change{}, err
	}
	if err := checkParallel(how.Parallel); err != nil {
		return Change{}, err
	}
	if !force && !stored.Drain.Value.On {
		if err := t.checkRemaining(stored); err != nil {
			return Change{}, err
		}
	}
	return t.change(BackendRow{Addr: addr, Drain: begun(stored.Drain, stamp, origin, how)}), nil
}

// Undrain ends the drain of a backend, also if its name has lost its address. The users that were
// moved stay where they are.
func (t *Table) Undrain(stamp Stamp, origin string, addr netip.Addr) (Change, error) {
	stored, err := t.present(addr)
	if err != nil {
		return Change{}, err
	}
	if !stored.Drained() {
		return Change{}, fmt.Errorf("%w: %s", ErrNotDrained, ring.AddrText(addr))
	}
	row := BackendRow{Addr: addr, Listing: retained(stored, stamp, origin)}
	if stored.Drain.Value.On {
		row.Drain = ended(stamp, origin)
	}
	return t.change(row), nil
}

// Rebalance begins to move the users of a tag, or of all (nil), that hash elsewhere. Backends that
// are drained are left alone.
func (t *Table) Rebalance(stamp Stamp, origin string, tag *ring.Tag, how Task) (Change, error) {
	if err := checkParallel(how.Parallel); err != nil {
		return Change{}, err
	}
	c := t.change()
	for _, b := range t.Backends() {
		if tag != nil && b.Tag != *tag || b.Drained {
			continue
		}
		stored := t.backends[b.Addr].Rebalance
		row := BackendRow{Addr: b.Addr, Rebalance: begun(stored, stamp, origin, how)}
		c.Backends = append(c.Backends, row)
	}
	if tag != nil && len(c.Backends) == 0 {
		return Change{}, fmt.Errorf("%w: no backend of tag %q can be rebalanced",
			ErrUnknownBackend, *tag)
	}
	return c, nil
}

// EndRebalance ends the rebalancing of these backends, where it is under way. It is written just
// after the command that it has carried out: one that another director has been given meanwhile is
// later, and goes on.
func (t *Table) EndRebalance(stamp Stamp, origin string, addrs ...netip.Addr) Change {
	c := t.change()
	for _, addr := range addrs {
		if stored := t.backends[addr].Rebalance; stored.Value.On {
			row := BackendRow{Addr: addr, Rebalance: ended(stamp, origin)}
			row.Rebalance.Stamp = stored.Stamp + 1
			c.Backends = append(c.Backends, row)
		}
	}
	return c
}

// begun is a register that says that a task is under way. One that is under way already goes on.
func begun(stored Register[Task], stamp Stamp, origin string, how Task) Register[Task] {
	how.On, how.Since = true, stamp
	if stored.Value.On {
		how.Since = stored.Value.Since
	}
	return Register[Task]{Value: how, Stamp: stamp, Origin: origin}
}

func ended(stamp Stamp, origin string) Register[Task] {
	return Register[Task]{Value: Task{Since: stamp}, Stamp: stamp, Origin: origin}
}

// checkRemaining refuses to drain a backend if the others that are in use have less than half of
// the weight of its tag.
func (t *Table) checkRemaining(drained BackendRow) error {
	tag := drained.Presence.Value.Tag
	all, remaining, standby := 0, 0, 0
	for _, b := range t.Backends() {
		takesUsers := b.Addr != drained.Addr && !b.Down && !b.Drained
		switch {
		case b.Tag != tag:
		case b.Standby:
			if takesUsers {
				standby += b.VHosts
			}
		default:
			all += b.VHosts
			if takesUsers {
				remaining += b.VHosts
			}
		}
	}
	if remaining == 0 {
		remaining = standby // they come into use
	}
	if 2*remaining < all {
		return fmt.Errorf("%w: %d of %d vhosts; bring other backends up first, or force it",
			ErrTooLittleLeft, remaining, all)
	}
	return nil
}

func checkParallel(n int) error {
	if n < 0 || n > MaxParallel {
		return fmt.Errorf("%w: %d is not in 0..%d", ErrParallel, n, MaxParallel)
	}
	return nil
}
