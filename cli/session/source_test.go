package session

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/cli/dovecot"
)

// Whoever asks while a list is under way gets the next one, all of them the same.
func TestSourceShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		s := NewSource(func(context.Context) ([]dovecot.Connection, error) {
			time.Sleep(time.Second)
			return make([]dovecot.Connection, asked.Add(1)), nil
		}, shortHash, time.Now)
		defer s.Close()
		if _, ok := s.Latest(time.Hour); ok {
			t.Error("there is a list before one was asked for")
		}
		var waiting sync.WaitGroup
		get := func(want int) {
			waiting.Go(func() {
				list, err := s.Fresh(t.Context())
				if err != nil || list.Len() != want {
					t.Errorf("got list %v, %v; want number %d", list, err, want)
				}
			})
		}
		get(1)
		synctest.Wait()
		for range 100 {
			get(2)
		}
		waiting.Wait()
		if n := asked.Load(); n != 2 {
			t.Errorf("Dovecot was asked %d times", n)
		}
		if list, ok := s.Latest(time.Second); !ok || list.Len() != 2 {
			t.Errorf("latest list %v, %v", list, ok)
		}
		time.Sleep(time.Second)
		if _, ok := s.Latest(time.Second); ok {
			t.Error("a list of 2 s ago counts as one of at most 1 s ago")
		}
	})
}

// Where lists take long, the first of a crowd does not get one to itself.
func TestSourceGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = 400 * time.Millisecond
		var asked atomic.Int32
		s := NewSource(func(context.Context) ([]dovecot.Connection, error) {
			asked.Add(1)
			time.Sleep(takes)
			return nil, nil
		}, shortHash, time.Now)
		began := time.Now()
		if _, err := s.Fresh(t.Context()); err != nil || time.Since(began) != takes {
			t.Fatalf("the first list: %v after %v, want one after %v",
				err, time.Since(began), takes)
		}
		time.Sleep(time.Minute)
		began = time.Now()
		var crowd sync.WaitGroup
		for i := range 100 {
			crowd.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if _, err := s.Fresh(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		crowd.Wait()
		took, want := time.Since(began), takes+takes/pausePart
		if asked.Load() != 2 || took != want {
			t.Errorf("a crowd cost %d lists and %v, want one and %v", asked.Load()-1, took, want)
		}
		began = time.Now()
		go s.Fresh(t.Context())
		synctest.Wait()
		if s.Close(); time.Since(began) > takes {
			t.Errorf("it took %v to end a pause", time.Since(began))
		}
	})
}

func TestSourceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		var hang atomic.Bool
		s := NewSource(func(ctx context.Context) ([]dovecot.Connection, error) {
			if hang.Load() {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
			return nil, broken
		}, shortHash, time.Now)
		if _, err := s.Fresh(t.Context()); !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
		if _, ok := s.Latest(time.Hour); ok {
			t.Error("a failure left a list")
		}

		hang.Store(true)
		began := time.Now()
		_, err := s.Fresh(t.Context())
		if err == nil || !strings.Contains(err.Error(), "no answer within") {
			t.Errorf("error %v from a Dovecot that hangs", err)
		}
		if took := time.Since(began); took != listTime {
			t.Errorf("a Dovecot that hangs was given %v, want %v", took, listTime)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Fresh(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v to one who cannot wait", err)
		}
		s.Close() // ends the request that nobody waits for any more
		if _, err := s.Fresh(t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v of a closed source", err)
		}
	})
}
