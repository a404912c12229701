package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/ring"
)

// Refresh records that a user has a live session, as its proxy reports from time to time. It never
// makes a mapping, and does nothing that a login would have to wait for; but unlike a login it
// prolongs a mapping on a backend that is down, because the session is there. It is safe for
// concurrent use.
func (c *Core) Refresh(now time.Duration, tag ring.Tag, h ring.UserHash) {
	v := c.view.Load()
	if !v.synced || now-time.Duration(c.lastTick.Load()) > wakeAfter {
		return
	}
	t := c.clock.At(now)
	m, status := c.dir.Find(tag, h, t)
	if status != directory.Live || m.Moving || !m.Backend.IsValid() || t.Sub(m.Activity.Time()) <= c.dir.Share()/2 {
		return
	}
	if c.dir.Ends(m).Sub(t) <= directory.EndOfLife {
		if place, _, agree := v.agreed(ring.User{Tag: tag, Hash: h}); !agree || place != m.Backend {
			return
		}
	}
	if recorded, ok := c.dir.Touch(tag, m, t); ok {
		c.outbox.Push(tag, recorded)
	}
}
