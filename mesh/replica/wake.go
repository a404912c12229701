package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/health"
)

// wake begins admission anew after a pause: what we know is of before it. The peers get the time of
// a failure to answer.
func (c *Core) wake(now mono.Time, late time.Duration) {
	c.counters.Pauses++
	if c.cfg.Guards.NoWakeCheck {
		return
	}
	c.logf(LogWarn, "woke up from a pause", Field{"late", late})
	c.postpone(late)
	c.doubtAll(now)
}

// heardTime looks at the mesh time that a peer tells. Where a machine was frozen with all its
// clocks nothing in it can tell, but the others' time has gone on: suddenly they are ahead. No
// peer's time jumps by itself, for one that steps begins another life. The message took its time,
// so the peer is ahead by what it says or more.
func (c *Core) heardTime(now mono.Time, p *peer, theirs directory.Micros) {
	ahead := theirs.Sub(c.clock.Micros(now))
	stood, known := p.clock.Leap(now, ahead, !c.synced())
	if stood <= wakeAfter || !p.live || !p.Counted || !known || !c.synced() ||
		c.cfg.Guards.NoThawCheck {
		return
	}
	c.counters.Pauses++
	c.logf(LogWarn, "stood still with all clocks", Field{"peer", p.name}, Field{"for", stood})
	p.clock.IsAhead(now, ahead)
	c.checkClock(now)
	c.doubtAll(now)
}

// doubtAll gives the peers the time of a failure to answer, and answers nothing until they have.
func (c *Core) doubtAll(now mono.Time) {
	c.clock.NoteAgain(now)
	for _, p := range c.peers.all {
		if p.live {
			p.echoAt = now
		}
	}
	c.beginAdmission(now)
}

// beginAdmission makes us ask all live peers to be admitted, as if we came from outside.
func (c *Core) beginAdmission(now mono.Time) {
	for _, p := range c.peers.all {
		if p.live {
			p.Begin(now, c.newID())
		}
	}
	c.evaluate(now)
	c.progressAdmission(now)
}

// postpone gives everything that waits for something outside the time that we slept through.
func (c *Core) postpone(late time.Duration) {
	a := &c.admission
	a.joinsSince = a.joinsSince.Add(late)
	if a.coldSince != 0 {
		a.coldSince = a.coldSince.Add(late)
	}
	if a.refusedAt != 0 {
		a.refusedAt = a.refusedAt.Add(late)
	}
	a.named.Postpone(late)
	c.barrier.Postpone(late)
	c.logs.Postpone(late)
	c.moves.Postpone(late)
	c.kicks.Postpone(late)
	c.donations.Postpone(late)
	c.receiver.Postpone(late)
	for _, o := range c.ops {
		o.postpone(late)
	}
	c.agreements = health.Agreements{} // nobody agreed with us meanwhile
	for _, p := range c.peers.all {
		p.Postpone(late)
		p.seenAt = p.seenAt.Add(late)
		if p.behindAt != 0 {
			p.behindAt = p.behindAt.Add(late)
		}
	}
}
