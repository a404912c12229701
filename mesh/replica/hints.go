package replica

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"directormesh/directory"
)

const (
	maxHints     = MaxDirectors
	hintFor      = 30 * time.Second // since it was last heard of, unless memberlist holds it alive
	firstHintTry = 250 * time.Millisecond
	lastHintTry  = 10 * time.Second
)

// A hint is a director of which somebody told us and that no stream has proven: who it is, where
// it is and that it runs may be invented, or of years ago. All it can bring about is a dial.
type hint struct {
	name       string
	addr       netip.AddrPort
	trust      Trust         // Heard or Named
	member     bool          // memberlist holds it alive
	heardAt    time.Duration // last
	dialAt     time.Duration // when it is to be dialled next
	pause      time.Duration // between that dial and the one after
	lastFailed directory.Time
}

// hear takes note that somebody told us of a director. A boot id of zero means that it is not
// known.
func (c *Core) hear(now time.Duration, h hint, boot uint64) {
	if h.name == "" || h.name == c.cfg.Name || !h.addr.IsValid() {
		return
	}
	if h.addr == c.cfg.Addr {
		c.heardAlias(now, h.name, h.member)
		return
	}
	if c.removed(h.addr) {
		return
	}
	if holder := c.holder(h.addr); holder != nil && holder.name != h.name {
		return // it was there once, or only says that it is
	}
	p := c.peers[h.name]
	switch {
	case p != nil && !p.left && p.addr == h.addr:
		if !p.out && p.boot != boot {
			c.emit(Dial{Name: p.name, Addr: p.addr, Trust: Proven}) // it may have started again
		}
		return
	case p != nil && p.live:
		return // we know better
	}
	known := c.hints[h.name]
	switch {
	case known == nil:
		if len(c.hints) >= maxHints && !c.makeRoom(h.trust) {
			c.counters.IgnoredHints++
			return
		}
		known = &h
		known.dialAt, known.pause = now, firstHintTry
		c.hints[h.name] = known
	case known.addr != h.addr && known.trust > h.trust:
		return
	case known.addr != h.addr:
		h.lastFailed = known.lastFailed
		*known = h
		known.dialAt, known.pause = now, firstHintTry
	}
	known.heardAt = now
	known.trust = max(known.trust, h.trust)
	known.member = known.member || h.member
	c.dialHint(now, known)
}

// makeRoom forgets the hint that was heard of longest ago, if one is trusted less.
func (c *Core) makeRoom(trust Trust) bool {
	var oldest *hint
	for _, h := range c.hints {
		if h.trust < trust && (oldest == nil ||
			cmp.Or(cmp.Compare(h.heardAt, oldest.heardAt), strings.Compare(h.name, oldest.name)) < 0) {
			oldest = h
		}
	}
	if oldest == nil {
		return false
	}
	delete(c.hints, oldest.name)
	return true
}

// checkHints dials those that are due, and forgets those of which nobody has spoken for long.
func (c *Core) checkHints(now time.Duration) {
	if len(c.hints) == 0 {
		return
	}
	for _, h := range c.sortedHints() {
		if !h.member && now-h.heardAt > hintFor || c.removed(h.addr) {
			delete(c.hints, h.name)
			continue
		}
		c.dialHint(now, h)
	}
}

// dialHint has a hint dialled if it is due.
func (c *Core) dialHint(now time.Duration, h *hint) {
	if now < h.dialAt {
		return
	}
	h.dialAt = now + h.pause
	h.pause = min(2*h.pause, lastHintTry)
	c.emit(h.dial())
}

func (h *hint) dial() Dial { return Dial{Name: h.name, Addr: h.addr, Trust: h.trust} }

func (c *Core) sortedHints() []*hint {
	sorted := make([]*hint, 0, len(c.hints))
	for _, h := range c.hints {
		sorted = append(sorted, h)
	}
	slices.SortFunc(sorted, func(a, b *hint) int { return strings.Compare(a.name, b.name) })
	return sorted
}

// MemberJoined notes a director that memberlist holds alive. It may never have been, or be long
// gone.
func (c *Core) MemberJoined(now time.Duration, name string, addr netip.AddrPort, boot uint64) {
	defer c.enter(now)()
	c.hear(now, hint{name: name, addr: addr, member: true}, boot)
}

// MemberFailed stamps a peer that memberlist has given up. Whether it counts is decided by the
// streams.
func (c *Core) MemberFailed(now time.Duration, name string) {
	defer c.enter(now)()
	if h := c.hints[name]; h != nil && h.member {
		delete(c.hints, name)
	}
	if a := c.aliases[name]; a != nil {
		a.member = false
	}
	if p := c.peers[name]; p != nil && !p.left {
		p.lastFailed = c.clock.At(now)
	}
}
