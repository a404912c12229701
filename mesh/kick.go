package mesh

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica"

	"directormesh/mesh/wording"
)

const (
	// maxKicks bounds the kicks that run at once, and so the memory that they need. Most of them
	// wait for a list of sessions that they share: how many may trouble Dovecot at a time is for
	// the kicker to say.
	maxKicks = 10_000
	// spareKicks is how many more may run of the kicks that an operator waits for.
	spareKicks = 100

	// urgentBurst is how many kicks operators may ask for at once, urgentRate how many a second
	// after that: each may run a command, and any director of the mesh can ask.
	urgentBurst = 1000
	urgentRate  = 100

	kickTime = 10 * time.Second // from the core's wish; later the outcome counts as unknown
	maxHooks = 100              // at once
)

var (
	errKickLate     = errors.New("kicker did not answer within 10 s")
	errTooManyKicks = errors.New("too many users are kicked at the same time; try again in a while")
)

// kickQueue runs kicks in their order, a bounded number at once. Kicks that an operator waits for
// go ahead of all others, of which a flush or the end of a partition may bring a hundred thousand.
// Its workers come and go with the work. A kick whose turn comes late is still run: the sessions
// must end, even if nobody waits for the count any more.
type kickQueue struct {
	n   *Node
	max int // workers, but for the spare ones
	wg  sync.WaitGroup

	mu      sync.Mutex
	urgent  []*kick // an operator waits for them
	waiting []*kick // all others
	workers int
	spent   float64   // of urgentBurst, at
	at      time.Time // this moment
}

// A kick is one wish of the core. It is reported once, by the kicker or by the clock,
// whichever comes first.
type kick struct {
	replica.Kick
	once  sync.Once
	timer *time.Timer
}

func (q *kickQueue) init(n *Node) { q.n, q.max = n, maxKicks }

// add queues a kick; it never waits.
func (q *kickQueue) add(e replica.Kick) {
	k := &kick{Kick: e}
	q.mu.Lock()
	defer q.mu.Unlock()
	// report does not touch k.timer
	k.timer = time.AfterFunc(kickTime, func() { q.report(k, replica.KickResult{}, errKickLate) })
	room := q.max
	user := !e.Target.ByHash && !e.Target.Backend.IsValid()
	if user && !q.affordLocked(time.Now()) {
		k.timer.Stop()
		q.n.metrics.drop(dropKick)
		// add is called by an input
		q.wg.Go(func() { q.report(k, replica.KickResult{}, errTooManyKicks) })
		return
	}
	if e.Target.ByHash {
		q.waiting = append(q.waiting, k)
	} else {
		q.urgent = append(q.urgent, k)
		room += spareKicks
	}
	if q.workers < room {
		q.workers++
		q.wg.Go(q.work)
	}
}

// affordLocked says whether one more kick that an operator waits for may run, and counts it.
func (q *kickQueue) affordLocked(now time.Time) bool {
	q.spent = max(0, q.spent-now.Sub(q.at).Seconds()*urgentRate)
	q.at = now
	if q.spent+1 > urgentBurst {
		return false
	}
	q.spent++
	return true
}

func (q *kickQueue) work() {
	for k := q.next(); k != nil; k = q.next() {
		r, err := q.n.cfg.Kicker.Kick(q.n.ctx, k.Tag, k.Target)
		k.timer.Stop()
		r.Known = r.Known && err == nil
		q.report(k, r, err)
	}
}

// next returns the kick whose turn it is. Nil tells the worker to exit.
func (q *kickQueue) next() (k *kick) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.n.ctx.Err() != nil:
	case len(q.urgent) > 0:
		k, q.urgent = takeFirst(q.urgent)
	case len(q.waiting) > 0 && q.workers <= q.max:
		k, q.waiting = takeFirst(q.waiting)
	}
	if k == nil {
		q.workers--
	}
	return k
}

func takeFirst(kicks []*kick) (first *kick, rest []*kick) {
	first, kicks[0] = kicks[0], nil
	return first, kicks[1:]
}

func (q *kickQueue) report(k *kick, r replica.KickResult, err error) {
	k.once.Do(func() {
		if err != nil {
			q.n.metrics.kicksFailed.Inc()
			q.n.limited("kick").Warn().Err(wording.Plain(err)).Msg("kick failed")
		}
		if r.Left > 0 {
			q.n.metrics.sessionsLeft.Add(float64(r.Left))
			q.n.limited("sessions left").Warn().Int("sessions", r.Left).
				Msg("sessions could not be ended and go on where their user is no more; " +
					"look at the login services' settings")
		}
		q.n.input(func(c *replica.Core, now mono.Time) {
			c.KickDone(now, k.ID, r, wording.Plain(err))
		})
	})
}

// length returns how many kicks wait for a worker.
func (q *kickQueue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.urgent) + len(q.waiting)
}

// wait returns when no worker runs; the node's context has ended before.
func (q *kickQueue) wait() {
	q.mu.Lock()
	for _, k := range slices.Concat(q.urgent, q.waiting) {
		k.timer.Stop()
	}
	q.mu.Unlock()
	q.wg.Wait()
}

// runHook runs the flush hook of one user. Moves are few at a time, so each hook has its goroutine;
// tokens bound how many run.
func (n *Node) runHook(run replica.RunHook) {
	n.wg.Go(func() {
		ctx, cancel := context.WithTimeout(n.ctx, run.Cutoff)
		defer cancel()
		var ok bool
		var err error
		select {
		case n.hooks <- struct{}{}:
			ok, err = n.cfg.Hook.Run(ctx, run)
			<-n.hooks
		case <-ctx.Done():
			err = ctx.Err()
		}
		if n.ctx.Err() != nil {
			return
		}
		if err != nil {
			n.metrics.hooksFailed.Inc()
		}
		// The core says that it failed, and writeLine words the error.
		n.input(func(c *replica.Core, now mono.Time) { c.HookDone(now, run.ID, ok, err) })
	})
}

// askVacant asks the old backend of a moved user for sessions. Whoever waits for an answer of one
// backend shares its lists, so there is a goroutine for each user and no limit but that of moves.
func (n *Node) askVacant(ask replica.AskVacant) {
	n.wg.Go(func() {
		ctx, cancel := context.WithTimeout(n.ctx, ask.Cutoff)
		defer cancel()
		vacant := n.cfg.Vacancy.Vacant(ctx, ask)
		if n.ctx.Err() == nil {
			n.input(func(c *replica.Core, now mono.Time) { c.VacantDone(now, ask.ID, vacant) })
		}
	})
}
