package mesh

import (
	"context"
	"errors"
	"sync"
	"time"

	"directormesh/mesh/replica"
)

const (
	maxKicks = 100              // at once
	kickTime = 10 * time.Second // from the core's wish; later the outcome counts as unknown
	maxHooks = 100              // at once
)

var errKickLate = errors.New("kicker did not answer within 10 s")

// kickQueue runs kicks, a bounded number at once. Its workers come and go with the work. A kick whose turn comes late is still run:
// the sessions must end, even if nobody waits for the count any more.
type kickQueue struct {
	n  *Node
	wg sync.WaitGroup

	mu      sync.Mutex
	waiting []*kick
	workers int
}

// A kick is one wish of the core. It is reported once, by whoever is first: the kicker or the clock.
type kick struct {
	replica.Kick
	once  sync.Once
	timer *time.Timer
}

func (q *kickQueue) init(n *Node) { q.n = n }

// add queues a kick; it never waits.
func (q *kickQueue) add(e replica.Kick) {
	k := &kick{Kick: e}
	q.mu.Lock()
	defer q.mu.Unlock()
	k.timer = time.AfterFunc(kickTime, func() { q.report(k, 0, false, errKickLate) }) // does not touch k.timer
	q.waiting = append(q.waiting, k)
	if q.workers < maxKicks {
		q.workers++
		q.wg.Go(q.work)
	}
}

func (q *kickQueue) work() {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 || q.n.ctx.Err() != nil {
			q.workers--
			q.mu.Unlock()
			return
		}
		k := q.waiting[0]
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
		q.mu.Unlock()

		ctx, cancel := context.WithTimeout(q.n.ctx, kickTime)
		count, known, err := q.n.cfg.Kicker.Kick(ctx, k.Tag, k.Target)
		cancel()
		k.timer.Stop()
		q.report(k, count, known && err == nil, err)
	}
}

func (q *kickQueue) report(k *kick, count int, known bool, err error) {
	k.once.Do(func() {
		if err != nil {
			q.n.metrics.kicksFailed.Inc()
			q.n.limited("kick").Warn().Err(err).Msg("kick failed")
		}
		q.n.input(func(c *replica.Core, now time.Duration) { c.KickDone(now, k.ID, count, known, err) })
	})
}

// length returns how many kicks wait for a worker.
func (q *kickQueue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// wait returns when no worker runs; the node's context has ended before.
func (q *kickQueue) wait() {
	q.mu.Lock()
	for _, k := range q.waiting {
		k.timer.Stop()
	}
	q.mu.Unlock()
	q.wg.Wait()
}

// runHook runs the flush hook of one user. Moves are few at a time, so each hook has its goroutine; tokens bound how many run.
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
			n.limited("hook").Warn().Err(err).Msg("flush hook failed")
		}
		n.input(func(c *replica.Core, now time.Duration) { c.HookDone(now, run.ID, ok && err == nil, err) })
	})
}
