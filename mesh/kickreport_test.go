package mesh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// What came of a kick reaches its operator: how many sessions, and whether that is known.
func TestKicksReachTheirOperator(t *testing.T) {
	for _, test := range []struct {
		name   string
		result replica.KickResult
		err    error
		count  int
		known  bool
	}{
		{"known", replica.KickResult{Count: 3, Known: true}, nil, 3, true},
		{"not known", replica.KickResult{Count: 3}, nil, 3, false},
		{"failed", replica.KickResult{Count: 3, Known: true}, errors.New("no kicker"), 3, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			n, _ := named(t, netsim.New(1, netsim.Faults{}), "d1", 1, func(cfg *Config) {
				cfg.Kicker = kickerFunc(
					func(_ context.Context, target replica.KickTarget) (replica.KickResult, error) {
						if target.Value != "bob" || target.ByHash {
							t.Errorf("the target is %+v", target)
						}
						return test.result, test.err
					})
			})
			got, err := n.Do(t.Context(), replica.KickUser{Value: "bob"})
			if (err == nil) != (test.err == nil) || got.Count != test.count ||
				got.Known != test.known {
				t.Errorf("%s: %+v, %v; want %d, %v", test.name, got, err, test.count, test.known)
			}
		})
	}
}

// Without a kicker a kick ends at once, and it is said that nobody looked.
func TestKickWithoutAKicker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := named(t, netsim.New(1, netsim.Faults{}), "d1", 1)
		began := time.Now()
		got, err := n.Do(t.Context(), replica.KickUser{Value: "bob"})
		if time.Since(began) > 0 || err == nil && got.Known {
			t.Errorf("%+v, %v after %s", got, err, time.Since(began))
		}
	})
}

// A hook whose turn does not come within its time counts as failed; of a director that is closed
// nothing is said.
func TestHooksThatDoNotRun(t *testing.T) {
	for _, closed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, log := named(t, netsim.New(1, netsim.Faults{}), "d1", 1, func(cfg *Config) {
				cfg.Hook = hookFunc(func(context.Context, replica.RunHook) (bool, error) {
					t.Error("it runs")
					return false, nil
				})
			})
			for range maxHooks {
				n.hooks <- struct{}{} // others run
			}
			n.runHook(replica.RunHook{ID: 1, Cutoff: 3 * time.Second})
			want := 1.0
			if closed {
				want = 0
				_ = n.Close()
			} else {
				time.Sleep(3*time.Second - 1)
				if got := counted(t, n.metrics.hooksFailed); got > 0 {
					t.Error("it failed before its time")
				}
				time.Sleep(time.Nanosecond)
			}
			synctest.Wait()
			if got := counted(t, n.metrics.hooksFailed); got != want {
				t.Errorf("closed %v: %g hooks failed, want %g", closed, got, want)
			}
			if got := strings.Contains(log.String(), "flush hook failed"); got == closed {
				t.Errorf("closed %v: the log has\n%s", closed, log)
			}
		})
	}
}

// Hooks that fail are said once in a while, in plain words, however their scripts word it.
func TestFailedHooksAreSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, log := named(t, netsim.New(1, netsim.Faults{}), "d1", 1, func(cfg *Config) {
			cfg.Hook = hookFunc(func(_ context.Context, run replica.RunHook) (bool, error) {
				return false, fmt.Errorf("user %d: %w", run.Hash, context.DeadlineExceeded)
			})
		})
		for user := range ring.UserHash(20) {
			n.runHook(replica.RunHook{ID: uint64(user), Hash: user, Cutoff: time.Second})
			synctest.Wait()
		}
		got := log.String()
		if strings.Count(got, "flush hook failed") != 1 ||
			!strings.Contains(got, `"error":"user 0: no answer in time"`) {
			t.Errorf("the log has\n%s", got)
		}
		if failed := counted(t, n.metrics.hooksFailed); failed != 20 {
			t.Errorf("%g hooks failed, want 20", failed)
		}
	})
}

// Kicks that an operator waits for are counted by seconds, whatever parts they come in.
func TestHowManyKicksAreAfforded(t *testing.T) {
	var q kickQueue
	at := time.Unix(1000, 0)
	afforded := func(asked int) (n int) {
		for range asked {
			if q.affordLocked(at) {
				n++
			}
		}
		return n
	}
	if got := afforded(urgentBurst + 5); got != urgentBurst {
		t.Errorf("%d at once, want %d", got, urgentBurst)
	}
	for _, test := range []struct {
		pause time.Duration
		want  int
	}{
		{time.Second/urgentRate - 1, 0}, {1, 1}, {time.Second / 2, urgentRate / 2},
		{time.Minute, urgentBurst},
	} {
		at = at.Add(test.pause)
		if got := afforded(2 * urgentBurst); got != test.want {
			t.Errorf("%d after another %s, want %d", got, test.pause, test.want)
		}
	}
}
