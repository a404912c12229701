package kick

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// Those that wait get in in order, as many as the limit says at that time.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2)
		var mu sync.Mutex
		var entered []int
		enter := func(ctx context.Context, i int) {
			go func() {
				if g.enter(ctx) == nil {
					mu.Lock()
					defer mu.Unlock()
					entered = append(entered, i)
				}
			}()
			synctest.Wait()
		}
		expect := func(what string, n int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			slices.Sort(entered) // those let in together come in any order
			if len(entered) != n || n > 0 && entered[n-1] != n-1 {
				t.Fatalf("%s: %v entered, want the first %d", what, entered, n)
			}
		}
		for i := range 6 {
			enter(t.Context(), i)
		}
		expect("at first", 2)
		g.leave()
		expect("one has left", 3)
		g.resize(4)
		expect("more may enter", 5)
		g.resize(1)
		g.leave()
		g.leave()
		g.leave()
		expect("fewer may enter", 5)
		g.leave()
		expect("the last one has left", 6)
		g.leave()

		g.resize(0)
		cause := errors.New("too late")
		ctx, cancel := context.WithCancelCause(t.Context())
		failed := make(chan error, 1)
		go func() { failed <- g.enter(ctx) }()
		synctest.Wait()
		enter(t.Context(), 6)
		cancel(cause)
		if err := <-failed; err != cause {
			t.Errorf("who gave up waiting gets %v, want %v", err, cause)
		}
		g.resize(1)
		expect("the one behind it", 7)
		if g.in != 1 || g.waiting.Len() > 0 {
			t.Errorf("%d are in, %d wait", g.in, g.waiting.Len())
		}
	})
}
