package replica

import (
	"maps"
	"slices"
	"time"

	"directormesh/mesh/wire"
)

// admitWithin bounds how long we wait for a peer that says again and again that it is repairing a gap before it admits us.
const admitWithin = 30 * time.Second

// outOfTouch tells a peer why it is out.
const outOfTouch = "out of touch for too long; ask to be admitted again"

// matters reports whether a peer can keep us from answering: it is live, and has neither failed nor been excluded without
// asking to be admitted since.
func (p *peer) matters() bool { return p.live && !p.barred }

// behind reports whether a peer holds rows that we lack, in its log or without one.
func (p *peer) behind() bool { return p.gap || p.lacking }

// restOf is a log whose writer is gone and of which a peer has more than we; nil if there is none.
func (c *Core) restOf(p *peer) *peerLog {
	for _, log := range c.logs.behind {
		if len(p.claims[log.id].without(log.have)) > 0 {
			return log
		}
	}
	return nil
}

// lacksOf reports whether a peer holds rows that we do not.
func (c *Core) lacksOf(p *peer) bool { return p.behind() || c.restOf(p) != nil }

// readmit forgets that a peer failed or was excluded.
func (p *peer) readmit() { p.barred, p.excluded, p.excludedAt = false, false, 0 }

// inMajority reports whether we are in touch with more than half of all directors that we know, ourselves included.
func (c *Core) inMajority() bool {
	if !c.admission.bootstrapped {
		return false
	}
	known, near := 1, 1
	for _, p := range c.peers {
		if p.left || p.boot == 0 {
			continue
		}
		known++
		if p.matters() {
			near++
		}
	}
	return 2*near > known
}

// staysIn reports whether of two directors that were out of touch it is the peer that has to ask for admission: the one that is in
// touch with most directors goes on.
func (c *Core) staysIn(p *peer) bool {
	return c.inMajority() && (!p.majority || c.cfg.Name < p.name)
}

// gotExclude learns that a peer no longer counts us: we did not answer in time, or were out of touch.
func (c *Core) gotExclude(now time.Duration, p *peer, m *wire.Exclude) {
	if p.barred && c.inMajority() && c.cfg.Name < p.name {
		// Each of us would have the other ask; the one with the higher name does.
		if now-p.askedAt >= askAgain {
			p.askedAt = now
			c.send(p, &wire.Exclude{Reason: outOfTouch})
		}
		return
	}
	if p.nonce == 0 || p.barred {
		c.counters.Excluded++
		c.logf(LogWarn, "excluded by a peer", Field{"peer", p.name}, Field{"why", m.Reason})
		c.mustBeAdmitted(now, p)
	}
	p.readmit()
	c.evaluate(now)
	c.ask(now, p)
}

// exclude tells a live peer that has not answered for too long that it must ask for admission again. From now on its admission
// does not matter; its confirmations do until it asks or has been silent for another while.
func (c *Core) exclude(now time.Duration, p *peer, why string) {
	if p.barred {
		return
	}
	if !c.admission.bootstrapped && !c.cfg.Guards.JoinersExclude {
		c.complain(now, p, why)
		return
	}
	if c.outvoted(p) {
		c.stepOut(now, why)
		return
	}
	p.barred, p.excluded, p.excludedAt = true, true, now
	c.counters.Exclusions++
	c.logf(LogWarn, "peer excluded", Field{"peer", p.name}, Field{"why", why})
	c.send(p, &wire.Exclude{Reason: why})
}

// outvoted reports whether with one more peer we would have excluded two or more, and more than half of those that we count: then the fault
// is with us.
func (c *Core) outvoted(next *peer) bool {
	if c.cfg.Guards.NoMajority {
		return false
	}
	all, out := 0, 0
	for _, p := range c.peers {
		if p == next || p.excluded {
			out++
			all++
		} else if p.matters() {
			all++
		}
	}
	return out >= 2 && 2*out > all
}

// stepOut stops answering and asks everybody for admission: too many peers seem not to answer.
func (c *Core) stepOut(now time.Duration, why string) {
	c.counters.StepsOut++
	c.logf(LogWarn, "most peers seem not to answer, asking to be admitted again", Field{"why", why})
	for _, p := range c.peers {
		if p.excluded {
			p.readmit()
		}
	}
	c.restartPatience(now)
	c.beginAdmission(now)
}

// restartPatience lets all peers have the whole time again to confirm what they have been told.
func (c *Core) restartPatience(now time.Duration) {
	for _, t := range c.transitions {
		t.since = now
	}
	for _, b := range c.moves.batches {
		b.at = now
	}
}

// complain is all that a joiner does about a peer that does not answer: the members whom it could ask know better whether it is the peer's
// fault. They exclude the peer if it does not answer them either. In the end we go on without it.
func (c *Core) complain(now time.Duration, p *peer, why string) {
	switch {
	case p.toldAt == 0:
		p.toldAt = now
		c.logf(LogWarn, "a peer does not answer, telling the members", Field{"peer", p.name}, Field{"why", why})
		c.tellWaiting(p)
	case now-p.toldAt > confirmWithin:
		c.logf(LogWarn, "joining without a peer that does not answer", Field{"peer", p.name}, Field{"why", why})
		p.barred = true
	}
}

func (c *Core) tellWaiting(p *peer) {
	m := &wire.Waiting{For: []wire.Peer{{Name: p.name, Boot: p.boot, Addr: p.addr}}}
	for _, q := range c.sortedPeers() {
		if q != p && q.live && q.admittedMe {
			c.send(q, m)
		}
	}
}

// gotWaiting asks the peers for which a joiner waits whether they answer us.
func (c *Core) gotWaiting(now time.Duration, m *wire.Waiting) {
	for _, who := range m.For {
		p := c.peers[who.Name]
		if p == nil || p.boot != who.Boot || !p.matters() || !p.counted || !p.out || p.probe != 0 {
			continue
		}
		p.probe, p.probedAt = c.newID(), now
		c.flushOutbox(now)
		c.send(p, &wire.AdmitRequest{Nonce: p.probe, Stopped: !c.synced(), Member: c.admission.bootstrapped})
	}
}

// excludeSilent finds the live peers that do not admit us, do not answer, or hold up a table change or a move.
func (c *Core) excludeSilent(now time.Duration) {
	for _, p := range c.sortedPeers() {
		switch {
		case !c.concerns(now, p):
		case p.probe != 0 && now-p.probedAt > confirmWithin:
			p.probe = 0
			c.exclude(now, p, "does not answer")
		case p.nonce != 0 && c.impatient(now, p):
			c.exclude(now, p, "does not admit us")
		}
	}
	for _, t := range c.transitions {
		if now-t.since <= confirmWithin {
			break
		}
		for _, p := range c.sortedPeers() {
			if !p.behind() && t.awaits(p) {
				c.exclude(now, p, "table change not confirmed")
			}
		}
	}
	c.moves.excludeSilent(c, now)
	c.reportUnreached(now)
}

// impatient reports whether a peer has had its time to admit us. One that takes a snapshot from us before it does gets more.
func (c *Core) impatient(now time.Duration, p *peer) bool {
	heard := max(p.askedSince, p.pendingAt)
	if d := c.donations[p.name]; d != nil {
		heard = max(heard, d.ackedAt)
	}
	return now-heard > confirmWithin || now-p.askedSince > admitWithin
}

// reportUnreached tells the members of directors that they named and that we cannot reach.
func (c *Core) reportUnreached(now time.Duration) {
	if c.synced() {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.admission.named)) {
		p := c.peers[name]
		if p == nil || p.live || p.left || p.toldAt != 0 || now-c.admission.named[name] <= confirmWithin {
			continue
		}
		p.toldAt = now
		c.tellWaiting(p)
	}
}
