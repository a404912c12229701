package kick

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// kickerFunc is a kicker made of a function.
type kickerFunc func(ctx context.Context, t Target) (Result, error)

func (f kickerFunc) Kick(ctx context.Context, t Target) (Result, error) { return f(ctx, t) }

func gives(count int, known bool, err error) Kicker {
	return kickerFunc(func(context.Context, Target) (Result, error) { return Result{count, known}, err })
}

func TestAll(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name    string
		kickers All
		want    Result
		err     error
	}{
		{"one", All{gives(2, true, nil)}, Result{2, true}, nil},
		{"all know", All{gives(2, true, nil), gives(3, true, nil)}, Result{5, true}, nil},
		{"one does not know", All{gives(2, true, nil), gives(3, false, nil)}, Result{5, false}, nil},
		{"one fails", All{gives(2, true, nil), gives(1, true, broken)}, Result{3, false}, broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.kickers.Kick(t.Context(), Target{})
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// The bound holds, kicks that fail or are given up free their place, and those that wait get their turn.
func TestLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const parallel = 3
		var mu sync.Mutex
		running, most, done := 0, 0, 0
		k := NewLimited(kickerFunc(func(ctx context.Context, _ Target) (Result, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			defer func() {
				mu.Lock()
				running--
				done++
				mu.Unlock()
			}()
			select {
			case <-time.After(time.Second):
				return Result{1, true}, nil
			case <-ctx.Done():
				return Result{}, ctx.Err()
			}
		}), parallel)

		var kicking sync.WaitGroup
		for i := range 30 {
			kicking.Go(func() {
				ctx := t.Context()
				if i%2 == 1 { // these are given up while they run, or before
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, time.Duration(i)*100*time.Millisecond+time.Millisecond)
					defer cancel()
				}
				k.Kick(ctx, Target{})
			})
		}
		kicking.Wait()
		if most != parallel {
			t.Errorf("%d kicks ran at a time, want %d", most, parallel)
		}
		if done < 15 {
			t.Errorf("only %d kicks had their turn", done)
		}
		before := time.Now()
		for range parallel {
			kicking.Go(func() {
				if got, err := k.Kick(t.Context(), Target{}); err != nil || got.Count != 1 {
					t.Errorf("%+v, %v", got, err)
				}
			})
		}
		kicking.Wait()
		if took := time.Since(before); took != time.Second {
			t.Errorf("%d kicks took %v: a place was not freed", parallel, took)
		}
	})
}
