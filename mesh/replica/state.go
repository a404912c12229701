package replica

import (
	"errors"
	"time"

	"directormesh/mesh/wire"
)

// LocalState is what memberlist's push/pull carries to a peer: who we are, the table, and the digests of the last epoch taken.
func (c *Core) LocalState(now time.Duration) *wire.State {
	defer c.enter(now)()
	s := &wire.State{Hello: *c.hello(now), Change: c.table.Snapshot()}
	if n := len(c.digests.taken); n > 0 {
		s.Epoch, s.Digests = c.digests.taken[n-1].epoch, c.digests.taken[n-1].tags
	}
	return s
}

// MergeState takes a peer's push/pull state. A push/pull has no place in the order of the peer's log, so it confirms nothing.
func (c *Core) MergeState(now time.Duration, s *wire.State) error {
	defer c.enter(now)()
	if s.Hello.From == c.self() {
		return errors.New("this is our own state")
	}
	if err := c.acceptable(now, &s.Hello); err != nil {
		c.counters.Refused++
		c.logf(LogWarn, "push/pull refused", Field{"peer", s.Hello.From.Name}, Field{"addr", s.Hello.From.Addr.String()}, Field{"error", err.Error()})
		return err
	}
	c.admission.contact = true
	p := c.know(now, s.Hello.From.Name, s.Hello.From.Addr)
	if c.admission.bootstrapped && p.clock.near() {
		c.apply(now, s.Change, nil)
	}
	if p.live && p.boot == s.Hello.From.Boot && s.Epoch != 0 {
		c.compareDigests(p, s)
	}
	return nil
}
