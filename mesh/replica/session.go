package replica

import (
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/ring"
)

// Refresh records that a user has a live session, as its proxy reports from time to time. It never makes a mapping, and does nothing that a
// login would have to wait for; but unlike a login it prolongs a mapping on a backend that is down, because the session is there.
// It is safe for concurrent use.
func (c *Core) Refresh(now time.Duration, tag ring.Tag, h ring.UserHash) {
	v := c.view.Load()
	if !v.synced || now-time.Duration(c.lastTick.Load()) > wakeAfter {
		return
	}
	t := c.clock.at(now)
	m, status := c.dir.Find(tag, h, t)
	if status != directory.Live || m.Moving || !m.Backend.IsValid() || t.Sub(m.Activity.Time()) <= c.dir.Share()/2 {
		return
	}
	if c.dir.Ends(m).Sub(t) <= directory.EndOfLife {
		if place, _, agree := v.agreed(user{tag, h}); !agree || place != m.Backend {
			return
		}
	}
	if recorded, ok := c.dir.Touch(tag, m, t); ok {
		c.outbox.push(tag, recorded)
	}
}

// Adopt is Refresh for a session whose backend is known: a user without a mapping is mapped there, whatever the ring says. So a director
// that lost its mappings learns them again from the sessions. It is safe for concurrent use.
func (c *Core) Adopt(now time.Duration, tag ring.Tag, h ring.UserHash, backend netip.Addr) {
	v := c.view.Load()
	if !v.synced || now-time.Duration(c.lastTick.Load()) > wakeAfter {
		return
	}
	t := c.clock.at(now)
	if m, status := c.dir.Find(tag, h, t); status == directory.Live && m.Backend.IsValid() {
		if m.Backend == backend {
			c.Refresh(now, tag, h)
		}
		return
	}
	c.assignMu.RLock()
	defer c.assignMu.RUnlock()
	if c.view.Load() != v {
		return // the next report comes
	}
	if m, ok := c.dir.Assign(tag, h, backend, t); ok {
		c.outbox.push(tag, m)
	}
}
