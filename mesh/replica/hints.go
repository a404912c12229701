package replica

import (
	"net/netip"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/hints"
)

// hear takes note that a director was named to us. A boot id of zero means that it is not known.
func (c *Core) hear(now mono.Time, h hints.Hint, boot uint64) {
	if h.Name == "" || h.Name == c.cfg.Name || !h.Addr.IsValid() {
		return
	}
	if h.Addr == c.cfg.Addr {
		c.heardAlias(now, h.Name, h.Member)
		return
	}
	if c.table.Removed(h.Addr) {
		return
	}
	if holder := c.peers.all.holder(h.Addr); holder != nil && holder.name != h.Name {
		return // it was there once, or only says that it is
	}
	p := c.peers.get(h.Name)
	switch {
	case p != nil && !p.left && p.addr == h.Addr:
		if !p.out && p.boot != boot {
			c.emit(Dial{Name: p.name, Addr: p.addr, Trust: Proven}) // it may have started again
		}
		return
	case p != nil && p.live:
		return // we know better
	}
	dial, ok := c.hints.Hear(now, h)
	if !ok {
		c.counters.IgnoredHints++
	}
	if dial != nil {
		c.emit(dialOf(dial))
	}
}

// dialOf is what a hint brings about.
func dialOf(h *hints.Hint) Dial { return Dial{Name: h.Name, Addr: h.Addr, Trust: h.Trust} }

// checkHints dials the directors of hints that are due.
func (c *Core) checkHints(now mono.Time) {
	for _, h := range c.hints.Review(now, c.table.Removed) {
		c.emit(dialOf(h))
	}
}

// MemberJoined notes a director that memberlist holds alive. It may never have been, or be long
// gone.
func (c *Core) MemberJoined(now mono.Time, name string, addr netip.AddrPort, boot uint64) {
	defer c.enter(now)()
	c.hear(now, hints.Hint{Name: name, Addr: addr, Member: true}, boot)
}

// MemberFailed stamps a peer that memberlist has given up. Whether it counts is decided by the
// streams.
func (c *Core) MemberFailed(now mono.Time, name string) {
	defer c.enter(now)()
	c.hints.ForgetMember(name)
	c.aliases.MemberFailed(name)
	if p := c.peers.get(name); p != nil && !p.left {
		p.lastFailed = c.clock.At(now)
	}
}
