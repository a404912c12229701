package replica

import (
	"net/netip"
	"slices"
	"time"

	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// waiters are the lookups that could not be answered at once, our own and those that peers relayed
// to us.
type waiters struct {
	order   []*waiter // by age
	byID    map[uint64]*waiter
	relays  map[uint64]*waiter // by the ID of the request that a peer is to answer for us
	recheck bool
}

type waiter struct {
	user  ring.User
	since time.Duration
	why   verdict
	done  bool

	id    uint64  // of a local lookup
	peer  logs.ID // who relayed it to us, in which life; zero: nobody
	reqID uint64  // of the relayed request

	relay   uint64 // our own request to a peer, 0 if none
	askedAt time.Duration
	asked   int // how many peers were asked
}

func (w *waiters) init() {
	w.byID = make(map[uint64]*waiter)
	w.relays = make(map[uint64]*waiter)
}

// Lookup answers at once, or later with an Answer effect of this id, within 30 s.
func (c *Core) Lookup(now time.Duration, id uint64, tag ring.Tag, h ring.UserHash) (netip.Addr, bool) {
	defer c.enter(now)()
	u := ring.User{Tag: tag, Hash: h}
	backend, why := c.settle(now, u)
	if why == answered {
		return backend, true
	}
	c.wait(now, &waiter{user: u, id: id}, why)
	return netip.Addr{}, false
}

// CancelLookup forgets a waiting lookup.
func (c *Core) CancelLookup(id uint64) {
	if w := c.waiters.byID[id]; w != nil {
		c.waiters.finish(w)
	}
}

func (c *Core) wait(now time.Duration, w *waiter, why verdict) {
	w.since = now
	c.countWait(w, why)
	c.waiters.order = append(c.waiters.order, w)
	if w.peer == (logs.ID{}) {
		c.waiters.byID[w.id] = w
		if why == notSynced {
			c.relay(now, w)
		}
	}
}

func (c *Core) countWait(w *waiter, why verdict) {
	if w.why == why {
		return
	}
	w.why = why
	switch why {
	case beingMoved:
		c.counters.HeldLookups++
	case ending:
		c.counters.EndOfLifeWaits++
	case ringChanging:
		c.counters.BarrierWaits++
	case notSynced:
		c.counters.UnsyncedWaits++
	case noBackend:
		c.counters.NoBackendWaits++
	}
}

func (w *waiters) finish(x *waiter) {
	x.done = true
	delete(w.byID, x.id)
	delete(w.relays, x.relay)
	x.relay = 0
}

// retryWaiters looks again at all who wait, if something changed that may help them.
func (c *Core) retryWaiters(now time.Duration) {
	if !c.waiters.recheck {
		return
	}
	c.waiters.recheck = false
	for _, w := range c.waiters.order {
		if w.done {
			continue
		}
		backend, why := c.settle(now, w.user)
		if why == answered {
			c.finishLookup(now, w, backend)
			continue
		}
		c.countWait(w, why)
		if why == notSynced && w.peer == (logs.ID{}) && (w.relay == 0 || now-w.askedAt > askAgain) {
			c.relay(now, w)
		}
	}
	c.waiters.order = slices.DeleteFunc(c.waiters.order, func(w *waiter) bool { return w.done })
}

func (c *Core) finishLookup(now time.Duration, w *waiter, backend netip.Addr) {
	c.waiters.finish(w)
	if w.peer == (logs.ID{}) {
		c.emit(Answer{ID: w.id, Backend: backend})
	} else if p := c.inLife(w.peer); p != nil {
		c.reply(now, p, w.reqID, w.user)
	}
}

func (c *Core) expireWaiters(now time.Duration) {
	expired := false
	for _, w := range c.waiters.order {
		if w.done || now-w.since < lookupDeadline {
			continue
		}
		expired = true
		c.waiters.finish(w)
		c.counters.FailedLookups++
		if w.peer == (logs.ID{}) {
			c.emit(Answer{ID: w.id, Err: &TemporaryError{Reason: w.why.reason()}})
		} else if p := c.inLife(w.peer); p != nil {
			c.send(p, &wire.LookupReply{ID: w.reqID, Failed: true})
		}
	}
	if expired {
		c.waiters.order = slices.DeleteFunc(c.waiters.order, func(w *waiter) bool { return w.done })
	}
}
