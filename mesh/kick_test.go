package mesh

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

type kickerFunc func(ctx context.Context) (int, bool, error)

func (f kickerFunc) Kick(ctx context.Context, _ ring.Tag, _ replica.KickTarget) (int, bool, error) {
	return f(ctx)
}

// TestKickQueue checks that kicks run a hundred at a time, that each ends within its time, and that all of them are run.
func TestKickQueue(t *testing.T) {
	for _, test := range []struct {
		name   string
		kick   func(ctx context.Context) (int, bool, error)
		takes  time.Duration // for 250 kicks
		failed float64       // reported as failed
	}{
		{"quick", func(context.Context) (int, bool, error) { return 1, true, nil }, 0, 0},
		{"slow", func(context.Context) (int, bool, error) { time.Sleep(time.Second); return 1, true, nil }, 3 * time.Second, 0},
		{"stuck", func(ctx context.Context) (int, bool, error) { <-ctx.Done(); return 0, true, ctx.Err() }, 30 * time.Second, 250},
		{"broken", func(context.Context) (int, bool, error) { return 0, false, errors.New("no such command") }, 0, 250},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var running, most, ran atomic.Int64
				n := simulated(t, netsim.New(1, netsim.Faults{}), func(cfg *Config) {
					cfg.Kicker = kickerFunc(func(ctx context.Context) (int, bool, error) {
						most.Store(max(most.Load(), running.Add(1)))
						defer running.Add(-1)
						ran.Add(1)
						return test.kick(ctx)
					})
				})
				start := time.Now()
				for i := range 250 {
					n.kicks.add(replica.Kick{ID: uint64(i)})
				}
				n.kicks.wg.Wait()
				if took := time.Since(start); took != test.takes {
					t.Errorf("took %s, want %s", took, test.takes)
				}
				if ran.Load() != 250 || most.Load() > maxKicks {
					t.Errorf("%d ran, %d at once; want 250, at most %d", ran.Load(), most.Load(), maxKicks)
				}
				if failed := counted(t, n.metrics.kicksFailed); failed != test.failed {
					t.Errorf("%g counted as failed, want %g", failed, test.failed)
				}
			})
		})
	}
}

// TestCloseCutsKicks checks that Close waits for a running kick, tells it to end, and runs no other.
func TestCloseCutsKicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended, ran atomic.Int64
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(cfg *Config) {
			cfg.Kicker = kickerFunc(func(ctx context.Context) (int, bool, error) {
				ran.Add(1)
				<-ctx.Done()
				time.Sleep(time.Second)
				ended.Add(1)
				return 0, false, ctx.Err()
			})
		})
		for i := range maxKicks + 50 {
			n.kicks.add(replica.Kick{ID: uint64(i)})
		}
		synctest.Wait()
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if ran.Load() != maxKicks || ended.Load() != maxKicks {
			t.Errorf("%d kicks ran and %d had ended when Close returned, want %d", ran.Load(), ended.Load(), maxKicks)
		}
	})
}
