package replica

import (
	"errors"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/hints"
	"directormesh/mesh/wire"
)

// PushPull is what memberlist's push/pull carries to a peer: who we are, the table, and the
// digests of the last epoch taken.
func (c *Core) PushPull(now mono.Time) *wire.PushPull {
	defer c.enter(now)()
	s := &wire.PushPull{Hello: *c.hello(now), Change: c.table.Snapshot()}
	s.Epoch, s.Digests = c.digests.Newest()
	return s
}

var errStrangers = errors.New("the sender's mesh has no backend in common with ours")

var errUnproven = errors.New("no stream has proven yet that the sender runs")

// MergePushPull takes what a push/pull brings of a peer. It has no place in the order of the peer's
// log, so it confirms nothing. One of a director that is not known to run may be of years ago:
// it changes nothing and makes us dial the director at most.
func (c *Core) MergePushPull(now mono.Time, s *wire.PushPull) error {
	defer c.enter(now)()
	if s.Hello.From == c.self() {
		return errors.New("this is our own push/pull")
	}
	from := s.Hello.From
	if !c.runs(wire.Life{Name: from.Name, Boot: from.Boot}) {
		c.counters.UnprovenPushPulls++
		c.hear(now, hints.Hint{Name: from.Name, Addr: from.Addr}, from.Boot)
		return errUnproven
	}
	if err := c.acceptable(now, &s.Hello); err != nil {
		c.counters.Refused++
		c.logf(LogWarn, "push/pull refused", Field{"peer", from.Name},
			Field{"addr", addrText(from.Addr)}, Field{"error", err.Error()})
		return err
	}
	p := c.peers.get(from.Name)
	if c.table.Disjoint(s.Change) && !c.cfg.Guards.NoStrangers {
		return errStrangers
	}
	if c.admission.bootstrapped && (p == nil || p.clock.Near()) {
		c.apply(now, s.Change, nil)
	}
	if p != nil && p.live && p.boot == from.Boot && s.Epoch != 0 {
		c.compareDigests(p, s)
	}
	return nil
}
