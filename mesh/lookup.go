package mesh

import (
	"context"
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// Lookup returns on which backend a user is, assigns one if need be, and records activity. It
// waits only when the answer is in question, at most 30 s, and ends in an answer, a
// *replica.TemporaryError, ErrInvalid, ctx's error, or ErrClosed.
func (n *Node) Lookup(ctx context.Context, tag ring.Tag, hash ring.UserHash) (netip.Addr, error) {
	if n.ctx.Err() != nil {
		return netip.Addr{}, ErrClosed
	}
	if backend, ok := n.core.TryLookup(n.clock(), tag, hash); ok {
		return backend, nil
	}
	if err := checkTag(tag); err != nil {
		return netip.Addr{}, err
	}
	answer := make(chan replica.Answer, 1)
	var id uint64
	var backend netip.Addr
	var ok bool
	n.input(func(c *replica.Core, now mono.Time) {
		n.nextID++
		id = n.nextID
		if backend, ok = c.Lookup(now, id, tag, hash); !ok {
			n.waits[id] = answer
		}
	})
	if ok {
		return backend, nil
	}
	select {
	case a := <-answer:
		return a.Backend, a.Err
	case <-ctx.Done():
		n.cancelLookup(id)
		return netip.Addr{}, context.Cause(ctx)
	case <-n.ctx.Done():
		n.cancelLookup(id)
		return netip.Addr{}, ErrClosed
	}
}

func (n *Node) cancelLookup(id uint64) {
	n.input(func(c *replica.Core, _ mono.Time) {
		delete(n.waits, id)
		c.CancelLookup(id)
	})
}

// Do runs an admin operation and waits for its end. When ctx ends first, nobody waits for it any
// more, but what it began goes on.
func (n *Node) Do(ctx context.Context, op replica.Operation) (replica.Outcome, error) {
	if n.ctx.Err() != nil {
		return replica.Outcome{}, ErrClosed
	}
	if err := checkOperation(op); err != nil {
		return replica.Outcome{}, err
	}
	done := make(chan replica.AdminDone, 1)
	var id uint64
	n.input(func(c *replica.Core, now mono.Time) {
		n.nextID++
		id = n.nextID
		n.admin[id] = done
		c.Do(now, id, op)
	})
	cancel := func() {
		n.input(func(c *replica.Core, _ mono.Time) {
			delete(n.admin, id)
			c.Cancel(id)
		})
	}
	select {
	case d := <-done:
		return d.Outcome, d.Err
	case <-ctx.Done():
		cancel()
		return replica.Outcome{}, context.Cause(ctx)
	case <-n.ctx.Done():
		cancel()
		return replica.Outcome{}, ErrClosed
	}
}

// WaitSynced returns when this director answers lookups by itself, or with ctx's error, or
// ErrClosed.
func (n *Node) WaitSynced(ctx context.Context) error {
	ticks := time.Tick(tickEvery)
	for !n.Self().Synced {
		select {
		case <-ticks:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-n.ctx.Done():
			return ErrClosed
		}
	}
	return nil
}

// query asks the core something that changes nothing.
func query[T any](n *Node, f func(c *replica.Core, now mono.Time) T) (answer T) {
	n.coreMu.Lock()
	defer n.coreMu.Unlock()
	n.last = max(n.last, n.clock())
	return f(n.core, n.last)
}

// SetLimits changes limits while the node runs; the values are checked as Config.Check does.
func (n *Node) SetLimits(l replica.Limits) {
	n.input(func(c *replica.Core, now mono.Time) { c.SetLimits(now, l) })
}

// Self returns the state of this director.
func (n *Node) Self() replica.SelfStatus {
	return query(n, func(c *replica.Core, now mono.Time) replica.SelfStatus { return c.Self(now) })
}

// Waiting is how many lookups wait for each of replica.WaitReasons. It looks at each lookup that
// waits.
func (n *Node) Waiting() map[string]int {
	return query(n, func(c *replica.Core, _ mono.Time) map[string]int { return c.Waiting() })
}

// ActsForAll reports whether this director is the one that does what one does for all: the lowest
// synced one by name, in contact with half of those that it knows at least.
func (n *Node) ActsForAll() bool {
	return query(n, func(c *replica.Core, _ mono.Time) bool { return c.ActsForAll() })
}

// TableDigest stands for the table as far as it decides where users are.
func (n *Node) TableDigest() string {
	return query(n, func(c *replica.Core, _ mono.Time) string { return c.TableDigest() })
}

// Peers returns the state of all directors, this one among them, sorted by address.
func (n *Node) Peers() []replica.PeerStatus {
	return query(n, func(c *replica.Core, now mono.Time) []replica.PeerStatus {
		return c.Peers(now)
	})
}

// Backends returns today's backends.
func (n *Node) Backends() []replica.BackendStatus {
	return query(n, func(c *replica.Core, _ mono.Time) []replica.BackendStatus {
		return c.Backends()
	})
}

// OutOfContact reports whether this director is in contact with too few others to change anything
// by itself; see [replica.Core.OutOfContact].
func (n *Node) OutOfContact() bool {
	return query(n, func(c *replica.Core, _ mono.Time) bool { return c.OutOfContact() })
}

// Configured returns the backends of this director's configuration.
func (n *Node) Configured() []ring.Backend {
	return query(n, func(c *replica.Core, _ mono.Time) []ring.Backend { return c.Configured() })
}

// Table returns the whole table, tombstones included.
func (n *Node) Table() directory.Change {
	return query(n, func(c *replica.Core, _ mono.Time) directory.Change { return c.Table() })
}

// User returns where a user is and would be; it records nothing.
func (n *Node) User(tag ring.Tag, hash ring.UserHash) replica.UserStatus {
	return query(n, func(c *replica.Core, now mono.Time) replica.UserStatus {
		return c.User(now, tag, hash)
	})
}

// Pins returns the users that are pinned.
func (n *Node) Pins() []replica.PinStatus {
	return query(n, func(c *replica.Core, _ mono.Time) []replica.PinStatus { return c.Pins() })
}

// Flushes returns the flushes that run in the mesh and the flushes that ended lately.
func (n *Node) Flushes() []replica.FlushStatus {
	return query(n, func(c *replica.Core, _ mono.Time) []replica.FlushStatus { return c.Flushes() })
}

// Directory returns the mappings of this director. Callers only read it: what they wrote to it
// would not reach the peers. It is safe for concurrent use.
func (n *Node) Directory() *directory.Directory { return n.dir }

// MeshTime returns the time on which all directors agree.
func (n *Node) MeshTime() directory.Time { return n.core.MeshTime(n.clock()) }

// Advertise returns the address at which peers reach this director.
func (n *Node) Advertise() netip.AddrPort { return n.advertise }
