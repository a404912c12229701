package replica

import (
	"time"

	"directormesh/mesh/wire"
)

// gotExclude learns that a peer no longer counts us: we did not confirm in time.
func (c *Core) gotExclude(now time.Duration, p *peer, m *wire.Exclude) {
	c.counters.Excluded++
	c.logf(LogWarn, "excluded by a peer", Field{"peer", p.name}, Field{"why", m.Reason})
	p.admittedMe, p.nonce = false, c.newID()
	p.askedAt = now - askAgain
	c.evaluate(now)
	c.ask(now, p)
}

// exclude tells a live peer that has not confirmed for too long that it must ask for admission again.
func (c *Core) exclude(now time.Duration, p *peer, why string) {
	if p.excludedAt != 0 {
		return
	}
	p.excludedAt = now
	c.counters.Exclusions++
	c.logf(LogWarn, "peer excluded", Field{"peer", p.name}, Field{"why", why})
	c.send(p, &wire.Exclude{Reason: why})
}

// excludeSilent finds the live peers that hold up a table change or a move.
func (c *Core) excludeSilent(now time.Duration) {
	for _, t := range c.transitions {
		if now-t.since <= confirmWithin {
			break
		}
		for _, p := range c.sortedPeers() {
			if !p.gap && t.awaits(p) {
				c.exclude(now, p, "table change not confirmed")
			}
		}
	}
	c.moves.excludeSilent(c, now)
}
