package kick

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"directormesh/ring"
)

const (
	// maxLate bounds the users that are watched.
	maxLate = 100_000
	// lateParallel is how many of them are asked for at a time, beside the kicks.
	lateParallel = 16
	// lateTick is how often it is looked whose turn it is.
	lateTick = time.Second
	// failedEvery bounds the reports of failures.
	failedEvery = time.Minute
)

// lateAfter returns when after a kick its user is looked at again: Dovecot gives up a login on its
// way after 30 s.
func lateAfter() []time.Duration {
	return []time.Duration{3 * time.Second, 8 * time.Second, 18 * time.Second, 33 * time.Second}
}

// Late ends sessions that are there some time after a kick: their login took long and nothing could
// end it on its way, or the kick failed. It looks only at users of such kicks, and only while their
// mapping is the one for which they were kicked.
type Late struct {
	// Current returns the backend that a user is mapped to. It returns false if the user has no
	// mapping or is being moved.
	Current func(tag ring.Tag, h ring.UserHash) (netip.Addr, bool)

	mu    sync.Mutex
	users map[lateUser]lateKick
}

type lateUser struct {
	tag  ring.Tag
	hash ring.UserHash
}

type lateKick struct {
	target Target
	since  time.Time
	step   int
}

// add takes note of a kick by hash that has ended.
func (l *Late) add(t Target, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users == nil {
		l.users = make(map[lateUser]lateKick)
	}
	u := lateUser{t.Tag, t.Hash}
	if _, known := l.users[u]; known || len(l.users) < maxLate {
		l.users[u] = lateKick{target: t, since: now}
	}
}

// due returns the kicks whose turn it is.
func (l *Late) due(now time.Time) []Target {
	l.mu.Lock()
	defer l.mu.Unlock()
	var due []Target
	steps := lateAfter()
	for u, k := range l.users {
		if now.Sub(k.since) < steps[k.step] {
			continue
		}
		if backend, ok := l.Current(u.tag, u.hash); ok && backend != k.target.Keep {
			delete(l.users, u) // moved, or forgotten, and mapped anew
			continue
		} else if ok {
			due = append(due, k.target)
		}
		if k.step++; k.step == len(steps) {
			delete(l.users, u)
		} else {
			l.users[u] = k
		}
	}
	return due
}

// Run works until ctx ends, for one kicker. failed gets the error of a turn, at most once a minute;
// the next turn may succeed.
func (l *Late) Run(ctx context.Context, k DovecotKicker, failed func(error)) {
	ticker := time.NewTicker(lateTick)
	defer ticker.Stop()
	var reported time.Time
	for {
		select {
		case now := <-ticker.C:
			due := l.due(now)
			if len(due) == 0 {
				continue
			}
			err := k.kickLate(ctx, due)
			if err != nil && ctx.Err() == nil && now.Sub(reported) >= failedEvery {
				reported = now
				failed(err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// DovecotKicker is IPC or Anvil.
type DovecotKicker interface {
	Kicker
	kickLate(ctx context.Context, targets []Target) error
}

// late ends what a list shows of users who were kicked before. Those for whom the time is too short
// have further turns.
func (d Dovecot) late(ctx context.Context, targets []Target, by ender) error {
	list, err := d.Sessions.Fresh(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, kickTime, errKick)
	defer cancel()
	var ending errgroup.Group
	ending.SetLimit(lateParallel)
	for _, t := range targets {
		chosen := d.choose(t, list)
		if len(chosen) == 0 {
			continue
		}
		ending.Go(func() error {
			// The list may be older than the next mapping.
			if backend, ok := d.Late.Current(t.Tag, t.Hash); !ok || backend != t.Keep {
				return nil
			}
			return inTurn{by, d.Turns, t}.end(ctx, t, chosen, list, false)
		})
	}
	return ending.Wait()
}
