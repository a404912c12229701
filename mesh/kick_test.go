package mesh

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

type kickerFunc func(ctx context.Context, target replica.KickTarget) (replica.KickResult, error)

func (f kickerFunc) Kick(
	ctx context.Context, _ ring.Tag, target replica.KickTarget,
) (replica.KickResult, error) {
	return f(ctx, target)
}

// TestKickQueue checks that very many kicks run at the same time, that there is a bound, and that
// those beyond it are run later. What takes over 10 s has been reported as failed before.
func TestKickQueue(t *testing.T) {
	const most, kicks = 100, 250 // at once, and all
	for _, test := range []struct {
		name   string
		kick   func(ctx context.Context) (replica.KickResult, error)
		takes  time.Duration // for all of them
		failed float64       // reported as failed
	}{
		{"quick", func(context.Context) (replica.KickResult, error) {
			return replica.KickResult{Count: 1, Known: true}, nil
		}, 0, 0},
		{"slow", func(context.Context) (replica.KickResult, error) {
			time.Sleep(time.Second)
			return replica.KickResult{Count: 1, Known: true}, nil
		}, 3 * time.Second, 0},
		{"stuck", func(context.Context) (replica.KickResult, error) {
			time.Sleep(30 * time.Second)
			return replica.KickResult{Count: 1, Known: true}, nil
		}, 90 * time.Second, kicks},
		{"broken", func(context.Context) (replica.KickResult, error) {
			return replica.KickResult{}, errors.New("no such command")
		}, 0, kicks},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var running, busiest, ran atomic.Int64
				n := simulated(t, netsim.New(1, netsim.Faults{}), func(cfg *Config) {
					cfg.Kicker = kickerFunc(func(
						ctx context.Context, _ replica.KickTarget,
					) (replica.KickResult, error) {
						busiest.Store(max(busiest.Load(), running.Add(1)))
						defer running.Add(-1)
						ran.Add(1)
						return test.kick(ctx)
					})
				})
				if n.kicks.max != maxKicks {
					t.Errorf("%d run at once, want %d", n.kicks.max, maxKicks)
				}
				n.kicks.max = most
				start := time.Now()
				for i := range kicks {
					n.kicks.add(replica.Kick{
						ID: uint64(i), Target: replica.KickTarget{ByHash: true},
					})
				}
				n.kicks.wg.Wait()
				if took := time.Since(start); took != test.takes {
					t.Errorf("took %s, want %s", took, test.takes)
				}
				if ran.Load() != kicks || busiest.Load() > most ||
					test.takes > 0 && busiest.Load() != most {
					t.Errorf("%d ran, %d at once; want %d, %d",
						ran.Load(), busiest.Load(), kicks, most)
				}
				if failed := counted(t, n.metrics.kicksFailed); failed != test.failed {
					t.Errorf("%g counted as failed, want %g", failed, test.failed)
				}
			})
		})
	}
}

// TestUrgentKicks checks that kicks that an operator waits for do not wait for those of a flush,
// and that these keep their order.
func TestUrgentKicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var began []replica.KickTarget
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(cfg *Config) {
			cfg.Kicker = kickerFunc(
				func(_ context.Context, target replica.KickTarget) (replica.KickResult, error) {
					mu.Lock()
					began = append(began, target)
					mu.Unlock()
					// the worker that is free first is known
					time.Sleep(time.Minute + time.Duration(target.Hash))
					return replica.KickResult{Count: 1, Known: true}, nil
				})
		})
		const most = 100 // at once
		n.kicks.max = most
		byHash := func(h int) replica.KickTarget {
			return replica.KickTarget{ByHash: true, Hash: ring.UserHash(h)}
		}
		const waiting = 50
		for i := range most + waiting {
			n.kicks.add(replica.Kick{Target: byHash(i)})
		}
		synctest.Wait()
		byName := replica.KickTarget{Value: "alice"}
		for range spareKicks + 1 {
			n.kicks.add(replica.Kick{Target: byName})
		}
		synctest.Wait()
		if got, want := len(began), most+spareKicks; got != want || n.kicks.length() != waiting+1 {
			t.Fatalf("%d kicks run and %d wait, want %d and %d",
				got, n.kicks.length(), want, waiting+1)
		}
		var want []replica.KickTarget
		for range spareKicks {
			want = append(want, byName)
		}
		want = append(want, byName) // the first that is free again
		for i := range waiting {
			want = append(want, byHash(most+i))
		}
		n.kicks.wg.Wait()
		diff := cmp.Diff(want, began[most:], cmpopts.EquateComparable(netip.Addr{}))
		if diff != "" {
			t.Errorf("order of the kicks after the first %d (-want +got):\n%s", most, diff)
		}
	})
}

// TestCloseCutsKicks checks that Close waits for a running kick, tells it to end, and runs no
// other.
func TestCloseCutsKicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended, ran atomic.Int64
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(cfg *Config) {
			cfg.Kicker = kickerFunc(
				func(ctx context.Context, _ replica.KickTarget) (replica.KickResult, error) {
					ran.Add(1)
					<-ctx.Done()
					time.Sleep(time.Second)
					ended.Add(1)
					return replica.KickResult{}, ctx.Err()
				})
		})
		const most = 100 // at once
		n.kicks.max = most
		for i := range most + 50 {
			n.kicks.add(replica.Kick{ID: uint64(i), Target: replica.KickTarget{ByHash: true}})
		}
		synctest.Wait()
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if ran.Load() != most || ended.Load() != most {
			t.Errorf("%d kicks ran and %d had ended when Close returned, want %d",
				ran.Load(), ended.Load(), most)
		}
		time.Sleep(2 * kickTime)
		if got := counted(t, n.metrics.kicksFailed); got != most {
			t.Errorf("%g kicks count as failed, want those that ran", got)
		}
	})
}

// TestKicksOfUsersAreBounded checks how often a director lets others, or operators, run its kicker.
func TestKicksOfUsersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int64
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(cfg *Config) {
			cfg.Kicker = kickerFunc(
				func(context.Context, replica.KickTarget) (replica.KickResult, error) {
					ran.Add(1)
					return replica.KickResult{Known: true}, nil
				})
		})
		for _, test := range []struct {
			pause time.Duration
			want  int64
		}{{0, urgentBurst}, {0, 0}, {time.Second, urgentRate}, {20 * time.Second, urgentBurst}} {
			time.Sleep(test.pause)
			before, refused := ran.Load(), counted(t, n.metrics.drops[dropKick])
			const asked = 2 * urgentBurst
			for i := range asked {
				n.kicks.add(replica.Kick{ID: uint64(i), Target: replica.KickTarget{Value: "bob"}})
			}
			n.kicks.wg.Wait()
			refused = counted(t, n.metrics.drops[dropKick]) - refused
			if got := ran.Load() - before; got != test.want || refused != float64(asked-test.want) {
				t.Errorf("after %s: %d ran and %g were refused, want %d",
					test.pause, got, refused, test.want)
			}
		}
		before := ran.Load()
		n.kicks.add(replica.Kick{
			Target: replica.KickTarget{Backend: netip.MustParseAddr("192.0.2.1")},
		})
		n.kicks.wg.Wait()
		if ran.Load() != before+1 {
			t.Error("the sessions on a removed backend are not ended")
		}
	})
}
