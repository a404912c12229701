package kick

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The bound holds; who waits has a turn in order, operators before the crowd; who gives up while
// waiting costs nobody a turn.
func TestTurns(t *testing.T) {
	for _, parallel := range []int{1, 2, 100} {
		synctest.Test(t, func(t *testing.T) {
			turns := NewTurns(parallel)
			var mu sync.Mutex
			running, most := 0, 0
			var order []int
			var all sync.WaitGroup
			take := func(ctx context.Context, number int, target Target) {
				all.Go(func() {
					free, err := turns.take(ctx, target)
					if err != nil {
						return
					}
					defer free()
					mu.Lock()
					running++
					most = max(most, running)
					order = append(order, number)
					mu.Unlock()
					time.Sleep(time.Second)
					mu.Lock()
					running--
					mu.Unlock()
				})
				synctest.Wait() // it runs, or waits behind those before it
			}
			byHash, byName := Target{ByHash: true}, Target{Value: "alice"}
			impatient, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			const crowd, operator = 1000, -1
			for i := range crowd {
				take(t.Context(), i, byHash)
				take(impatient, i, byHash)
			}
			take(impatient, operator, byName)
			take(t.Context(), operator, byName)
			all.Wait()

			if most != parallel {
				t.Errorf("%d at a time, want %d", most, parallel)
			}
			next, position := 0, -1
			for i, number := range order {
				switch {
				case number == operator:
					position = i
				case number < next && parallel == 1:
					t.Fatalf("%d had its turn after %d", number, next)
				default:
					next = number
				}
			}
			if position < 0 || position > 2*parallel {
				t.Errorf("the operator's turn was number %d of %d, want one of the first %d",
					position+1, len(order), 2*parallel+1)
			}
			before := time.Now()
			for range parallel {
				take(t.Context(), 0, byHash)
			}
			if all.Wait(); time.Since(before) != time.Second {
				t.Errorf("%d turns took %v: one was not given back", parallel, time.Since(before))
			}
		})
	}
}

// What hangs in its turn gives it back to the others; the end of the context ends all.
func TestTurnsOfHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users, turns = 250, 100
		d := newBusyDovecot(users)
		d.endTime = time.Hour
		k, stop := d.kicker(turns)
		defer stop()
		began := time.Now()
		_, errs := kickMany(t.Context(), k, users)
		if took := time.Since(began); took != kickTime {
			t.Errorf("took %v, want %v", took, kickTime)
		}
		hung, cut := 0, 0
		for i := range users {
			switch {
			case errors.Is(errs[i], errKick):
				cut++
			case errs[i] != nil:
				hung++
			}
		}
		// One second is the list's; what begins its turn after six is cut off at ten.
		if hung != turns || cut != users-turns || d.most != turns {
			t.Errorf("%d hung, %d had no time, %d at once; want %d, %d, %d",
				hung, cut, d.most, turns, users-turns, turns)
		}

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(2*time.Second, cancel)
		began = time.Now()
		if kickMany(ctx, k, users); time.Since(began) > 2*time.Second {
			t.Errorf("ended %v after the beginning, and not with the context", time.Since(began))
		}
	})
}
