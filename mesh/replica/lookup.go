package replica

import (
	"net/netip"
	"slices"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/lookups"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/replica/internal/waiters"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// lookupQueue holds the lookups that could not be answered at once.
type lookupQueue struct {
	*output
	lookupQueuePort

	admission *ownAdmission
	cfg       *Config
	clock     *meshtime.Clock
	counters  *Counters
	dir       *directory.Directory
	lookups   *lookups.Answers
	moves     *moves.Set
	peers     *peers
	relayed   *waiters.Relayed
	waiters   *waiters.List
}

// lookupQueuePort is what lookupQueue needs of the other parts of the core.
type lookupQueuePort interface {
	flushOutbox(now mono.Time)
	inLife(l logs.ID) *peer
	mergeRows(now mono.Time, blocks []wire.Block, each eachMerged)
	moveFromFailed(now mono.Time, u ring.User)
	synced() bool
}

// TryLookup answers what can be answered at once: nearly everything. It is safe for concurrent use,
// at any time, and does not allocate for users it knows. On false use Lookup.
func (c *Core) TryLookup(now mono.Time, tag ring.Tag, h ring.UserHash) (netip.Addr, bool) {
	return c.lookups.Try(now, ring.User{Tag: tag, Hash: h})
}

// TryLookups is TryLookup for each of the batch in turn, one user being allowed several times. It
// takes less time than that, because it waits for memory for many users at once.
func (c *Core) TryLookups(now mono.Time, batch []ring.Lookup) { c.lookups.TryAll(now, batch) }

// Unanswer takes the answers back: they are not to be used.
func Unanswer(batch []ring.Lookup) { lookups.Unanswer(batch) }

// Overslept reports whether a director that has done nothing between two moments was paused: others
// may have counted it as failed meanwhile, and what it knew then is not to be relied on.
func Overslept(from, to mono.Time) bool { return lookups.Overslept(from, to) }

// Lookup answers at once, or later with an Answer effect of this id, within 30 s.
func (c *Core) Lookup(now mono.Time, id uint64, tag ring.Tag, h ring.UserHash) (netip.Addr, bool) {
	defer c.enter(now)()
	u := ring.User{Tag: tag, Hash: h}
	backend, why := c.lookups.Settle(now, u)
	if why == lookups.Answered {
		return backend, true
	}
	c.wait(now, &waiters.Wait{User: u, ID: id}, why)
	return netip.Addr{}, false
}

// Waiting is how many lookups wait for each reason, by its name in metrics. All reasons are there.
func (c *Core) Waiting() map[string]int {
	count := c.waiters.ByReason()
	named := make(map[string]int)
	for _, v := range lookups.Waits() {
		named[v.Label()] = count[v]
	}
	return named
}

// WaitReasons are the reasons for which lookups wait, by their names in metrics.
func WaitReasons() (reasons []string) {
	for _, v := range lookups.Waits() {
		reasons = append(reasons, v.Label())
	}
	return reasons
}

// CancelLookup forgets a waiting lookup.
func (c *Core) CancelLookup(id uint64) { c.waiters.Cancel(id) }

func (lq *lookupQueue) wait(now mono.Time, w *waiters.Wait, why lookups.Verdict) {
	lq.waiters.Add(now, w)
	lq.goOnWaiting(now, w, why)
}

// goOnWaiting does what may help a lookup that waits.
func (lq *lookupQueue) goOnWaiting(now mono.Time, w *waiters.Wait, why lookups.Verdict) {
	lq.noteWhy(w, why)
	if why == lookups.OnFailed {
		lq.moveFromFailed(now, w.User)
	}
	if w.AskDue(now) {
		lq.relay(now, w)
	}
}

// noteWhy notes why a lookup waits, and counts it when that is news.
func (lq *lookupQueue) noteWhy(w *waiters.Wait, why lookups.Verdict) {
	if w.NoteWhy(why) {
		lq.counters.noteWait(why)
	}
}

// retryWaiters looks again at all waiting lookups, if something changed that may help them.
//
// Peers get their replies last, so that the mappings of all of them are one batch of our log.
func (lq *lookupQueue) retryWaiters(now mono.Time) {
	var relayed []*waiters.Wait
	for w := range lq.waiters.Review() {
		backend, why := lq.lookups.Settle(now, w.User)
		switch {
		case why != lookups.Answered:
			lq.goOnWaiting(now, w, why)
			continue
		case w.Own():
			lq.emit(Answer{ID: w.ID, Backend: backend})
		default:
			relayed = append(relayed, w)
		}
		lq.waiters.Finish(w)
	}
	for _, w := range relayed {
		if p := lq.inLife(w.Peer); p != nil {
			lq.reply(now, p, w.Request, w.User)
		}
	}
}

// expireWaiters fails the lookups that have waited for too long.
func (lq *lookupQueue) expireWaiters(now mono.Time) {
	for _, w := range lq.waiters.TakeExpired(now) {
		lq.counters.FailedLookups++
		if w.Own() {
			lq.emit(Answer{ID: w.ID, Err: &TemporaryError{Reason: w.Why().Reason()}})
		} else if p := lq.inLife(w.Peer); p != nil {
			lq.send(p, &wire.LookupReply{ID: w.Request, Failed: true})
		}
	}
}

func (c *Core) makeView() *lookups.View {
	kept := c.barrier.Rings()
	if c.cfg.Guards.NoBarrier {
		kept = kept[len(kept)-1:]
	}
	return lookups.NewView(c.admission.synced, slices.Clone(kept), c.table.Backends())
}

// changeView lets change alter what lookups see. When it returns, no mapping made from an older
// view is missing from the outbox.
func (c *Core) changeView(change func()) {
	c.lookups.ChangeView(func() *lookups.View {
		change()
		return c.makeView()
	})
	c.waiters.Recheck()
}
