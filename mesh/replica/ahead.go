package replica

import (
	"slices"

	"directormesh/directory"
	"directormesh/mesh/mono"
)

// Values that lie ahead of mesh time would outlast, or beat, all that comes after them. Directors
// of one mesh are within a second of each other, so no peer in its right mind sends a value that is
// maxAhead ahead. Such a value is dropped, wherever it comes from, and the peer that sent it is
// excluded. The rest of its message counts: one bad row must not stop all.

// latest is the last moment that a value of a peer may carry.
func (c *Core) latest(now mono.Time) directory.Time { return c.clock.At(now).Add(maxAhead) }

// dropAhead returns the change without rows that lie ahead.
func (c *Core) dropAhead(now mono.Time, change directory.Change) directory.Change {
	until, dropped := change.Until(directory.StampAt(c.latest(now)))
	if dropped {
		c.counters.ValuesAhead += uint64(change.Rows() - until.Rows())
	}
	return until
}

// dropRowsAhead returns the rows, which it changes, without those that lie ahead.
func (c *Core) dropRowsAhead(rows []directory.Mapping, latest directory.Tick) []directory.Mapping {
	ahead := func(m directory.Mapping) bool { return m.Activity > latest || m.Stamp > latest }
	kept := slices.DeleteFunc(rows, ahead)
	c.counters.ValuesAhead += uint64(len(rows) - len(kept))
	return kept
}

// watchAhead runs take, which takes in what a peer sent, and excludes the peer if a value of that
// lay ahead.
func (c *Core) watchAhead(now mono.Time, p *peer, take func()) {
	before := c.counters.ValuesAhead
	take()
	if n := c.counters.ValuesAhead - before; n > 0 {
		c.logf(LogError, "values ahead of mesh time dropped, excluding the peer that sent them",
			Field{"peer", p.name}, Field{"values", n})
		if p.live {
			c.exclude(now, suspect{p, "values ahead of mesh time"})
		}
	}
}

// observe takes part in the peers' logical time. A stamp that lies ahead is not taken.
func (c *Core) observe(now mono.Time, s directory.Stamp) {
	if s.Time() > c.latest(now) {
		c.counters.ValuesAhead++
		return
	}
	c.hlc.Observe(s)
}

// nextStamp is the stamp of a command that this director was given. It is an error for it to lie so
// far ahead of mesh time that peers would drop it.
func (c *Core) nextStamp(now mono.Time, after directory.Time) (directory.Stamp, error) {
	t := c.clock.At(now)
	s := c.hlc.Next(max(t, after))
	if s.Time() > t.Add(ownAhead) {
		return 0, ErrStampAhead
	}
	c.own.Add(s)
	return s, nil
}
