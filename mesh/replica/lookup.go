package replica

import (
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/ring"
)

// verdict on a lookup: answered, or why it waits.
type verdict int

const (
	answered verdict = iota
	raced            // the world changed between two looks; look again
	notSynced
	asleep
	beingMoved
	ringChanging
	ending
	noBackend
)

// reason is the text of a verdict in temporary failures and logs.
func (v verdict) reason() string {
	switch v {
	case notSynced:
		return "not synced"
	case asleep:
		return "just woken"
	case beingMoved:
		return "user is being moved"
	case ringChanging:
		return "ring is changing"
	case ending:
		return "mapping ends"
	case noBackend:
		return "no usable backend"
	}
	return "busy"
}

// TryLookup answers what can be answered at once: nearly everything. It is safe for concurrent use,
// at any time, and does not allocate for users it knows. On false use Lookup.
func (c *Core) TryLookup(now time.Duration, tag ring.Tag, h ring.UserHash) (netip.Addr, bool) {
	if c.overslept(now) {
		return netip.Addr{}, false
	}
	backend, v := c.decide(now, ring.User{Tag: tag, Hash: h})
	return backend, v == answered
}

// TryLookups is TryLookup for each of the batch in turn, one user being allowed several times. It
// takes less time than that, because it waits for memory for many users at once.
func (c *Core) TryLookups(now time.Duration, batch []ring.Lookup) {
	if c.overslept(now) {
		Unanswer(batch)
		return
	}
	for ahead := range slices.Chunk(batch, lookAhead) {
		for i := range ahead {
			c.dir.Prefetch(ahead[i].Tag, ahead[i].Hash)
		}
		for i := range ahead {
			l := &ahead[i]
			l.Backend, _ = c.decide(now, ring.User{Tag: l.Tag, Hash: l.Hash})
		}
	}
}

// lookAhead is for how many users memory is waited for at once. More gains nothing, and the first
// cache is small.
const lookAhead = 32

// Unanswer takes the answers back: they are not to be used.
func Unanswer(batch []ring.Lookup) {
	for i := range batch {
		batch[i].Backend = netip.Addr{}
	}
}

// Overslept reports whether a director that has done nothing between two moments was paused: others
// may have counted it as failed meanwhile, and what it knew then is not to be relied on.
func Overslept(from, to time.Duration) bool { return to-from > wakeAfter }

func (c *Core) overslept(now time.Duration) bool {
	return Overslept(time.Duration(c.lastTick.Load()), now) && !c.cfg.Guards.NoWakeCheck
}

// decide is a user's life as far as one lookup goes: answer and record, or give the zero Addr and
// say why not yet.
func (c *Core) decide(now time.Duration, u ring.User) (netip.Addr, verdict) {
	v := c.view.Load()
	if !v.synced {
		return netip.Addr{}, notSynced
	}
	t := c.clock.At(now)
	m, status := c.dir.Find(u.Tag, u.Hash, t)
	if status != directory.Live || !m.Backend.IsValid() {
		if status == directory.Live && m.Moving && !c.cfg.Guards.NoHold {
			return netip.Addr{}, beingMoved
		}
		return c.assign(v, u, t)
	}
	if m.Moving && !c.cfg.Guards.NoHold {
		return netip.Addr{}, beingMoved
	}
	if t.Sub(m.Activity.Time()) <= c.dir.Share()/2 {
		return m.Backend, answered
	}
	down := len(v.down) > 0 && v.down[m.Backend]
	// In its last seconds a mapping whose hash has moved is left to die; they are more than
	// failAfter, one batch, the clock tolerance and the truncation of ticks together, so nobody can
	// have prolonged it meanwhile without our knowing.
	if c.dir.Ends(m).Sub(t) <= directory.EndOfLife && !c.cfg.Guards.NoEndOfLife {
		if place, _, agree := v.agreed(u); down || !agree || place != m.Backend {
			return netip.Addr{}, ending
		}
	} else if down && !c.cfg.Guards.NoDownExpiry {
		return m.Backend, answered
	}
	recorded, ok := c.dir.Touch(u.Tag, m, t)
	if !ok {
		return netip.Addr{}, raced
	}
	c.outbox.Push(u.Tag, recorded)
	return recorded.Backend, answered
}

// assign maps a user that has no mapping. The lock keeps the view from changing until the new row
// is in the outbox.
func (c *Core) assign(v *view, u ring.User, t directory.Time) (netip.Addr, verdict) {
	place, ok, agree := v.agreed(u)
	if !agree {
		return netip.Addr{}, ringChanging
	}
	if !ok {
		return netip.Addr{}, noBackend
	}
	c.assignMu.RLock()
	defer c.assignMu.RUnlock()
	if c.view.Load() != v {
		return netip.Addr{}, raced
	}
	m, ok := c.dir.Assign(u.Tag, u.Hash, place, t)
	if !ok {
		return netip.Addr{}, raced
	}
	c.outbox.Push(u.Tag, m)
	return m.Backend, answered
}

// settle decides, looking again while lookups on other threads get in between.
func (c *Core) settle(now time.Duration, u ring.User) (netip.Addr, verdict) {
	for range 8 {
		if backend, v := c.decide(now, u); v != raced {
			return backend, v
		}
	}
	return netip.Addr{}, raced
}
