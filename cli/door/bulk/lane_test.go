package bulk

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// numbers are the rows 0 to n-1.
func numbers(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func never(int) bool { return false }

// TestPlaces demands that half of the processors work on lists at a time, and no more.
func TestPlaces(t *testing.T) {
	for processors, want := range map[int]int64{0: 1, 1: 1, 2: 1, 3: 1, 4: 2, 16: 8} {
		synctest.Test(t, func(t *testing.T) {
			lane := NewLane(processors)
			var inside, most atomic.Int64
			work := func(row int) bool {
				n := inside.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				time.Sleep(time.Millisecond)
				inside.Add(-1)
				return row%10 == 9
			}
			var lists sync.WaitGroup
			for range 20 {
				lists.Go(func() {
					err := Walk(t.Context(), lane, numbers(25), work, func() error { return nil })
					if err != nil {
						t.Error(err)
					}
				})
			}
			lists.Wait()
			if got := most.Load(); got != want {
				t.Errorf("%d processors: %d at a time, want %d", processors, got, want)
			}
		})
	}
}

// TestTurns demands that all rows come, in order, and are written when they should be.
func TestTurns(t *testing.T) {
	var got, written []int
	each := func(row int) bool {
		got = append(got, row)
		return row == 10
	}
	write := func() error {
		written = append(written, len(got))
		return nil
	}
	const rows = 2*Turn + 5
	if err := Walk(t.Context(), NewLane(2), numbers(rows), each, write); err != nil {
		t.Fatal(err)
	}
	if want := slices.Collect(numbers(rows)); !slices.Equal(got, want) {
		t.Errorf("%d rows came, or in another order; want %d", len(got), rows)
	}
	if want := []int{11, Turn, 2 * Turn, rows}; !slices.Equal(written, want) {
		t.Errorf("written after %d rows, want %d", written, want)
	}
}

// A list whose client does not read has no place meanwhile, and waits for one afterwards.
func TestSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lane := NewLane(2)
		read := make(chan struct{})
		slow, other := 0, 0
		count := func(n *int) func(int) bool {
			return func(int) bool { *n++; return *n == 1 }
		}
		var walks sync.WaitGroup
		walk := func(rows iter.Seq[int], each func(int) bool, write func() error) {
			walks.Go(func() {
				if err := Walk(t.Context(), lane, rows, each, write); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		walk(numbers(3), count(&slow), func() error { <-read; return nil })
		resume := make(chan struct{})
		held := func(yield func(int) bool) { <-resume; yield(0) }
		walk(held, count(&other), func() error { return nil })
		close(read)
		synctest.Wait()
		if slow != 1 {
			t.Errorf("it has made %d rows beside another list", slow)
		}
		close(resume)
		walks.Wait()
		if slow != 3 || other != 1 {
			t.Errorf("%d and %d rows, want 3 and 1", slow, other)
		}
	})
}

// After an error the place is free.
func TestErrors(t *testing.T) {
	gone := errors.New("the client is gone")
	ended, cancel := context.WithCancel(t.Context())
	nothing := func() error { return nil }
	for _, test := range []struct {
		name  string
		ctx   context.Context
		write func() error
		want  error
	}{
		{"a write that fails", t.Context(), func() error { return gone }, gone},
		{"an end meanwhile", ended, func() error { cancel(); return nil }, context.Canceled},
		{"an end before", ended, nothing, context.Canceled},
	} {
		lane := NewLane(1)
		got := 0
		each := func(int) bool { got++; return true }
		if err := Walk(test.ctx, lane, numbers(5), each, test.write); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if got > 1 {
			t.Errorf("%s: the walk went on for %d rows", test.name, got)
		}
		if err := Walk(t.Context(), lane, numbers(1), never, nothing); err != nil {
			t.Errorf("%s: the next walk: %v", test.name, err)
		}
		if len(lane.places) != 0 {
			t.Errorf("%s: a place was kept", test.name)
		}
	}
}

// A walk that waits for a place gives up when ctx ends.
func TestWaitingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lane := NewLane(1)
		lane.places <- struct{}{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := Walk(ctx, lane, numbers(1), never, func() error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
	})
}

// With one processor, lookups get it between two turns.
func TestBreath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for processors, want := range map[int]time.Duration{1: 2 * breath, 2: 0} {
			began := time.Now()
			err := Walk(t.Context(), NewLane(processors), numbers(2*Turn+1), never,
				func() error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			if got := time.Since(began); got != want {
				t.Errorf("%d processors are free for %v, want %v", processors, got, want)
			}
		}
	})
}
