package kick

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// All kicks with several kickers at the same time. It knows what all of them know.
type All []Kicker

// Kick implements Kicker.
func (a All) Kick(ctx context.Context, t Target) (Result, error) {
	results, errs := make([]Result, len(a)), make([]error, len(a))
	var kicking sync.WaitGroup
	for i, k := range a {
		kicking.Go(func() { results[i], errs[i] = k.Kick(ctx, t) })
	}
	kicking.Wait()
	total := Result{Known: true}
	for i, r := range results {
		total.Count += r.Count
		total.Known = total.Known && r.Known && errs[i] == nil
	}
	return total, errors.Join(errs...)
}

// Limited lets a kicker run a bounded number of kicks at a time.
type Limited struct {
	kicker Kicker
	slots  chan struct{}
}

// NewLimited returns a kicker that runs at most parallel kicks of k at a time; it must be at least 1.
func NewLimited(k Kicker, parallel int) Limited {
	return Limited{kicker: k, slots: make(chan struct{}, parallel)}
}

// Kick implements Kicker. It waits for its turn as long as ctx lasts.
func (l Limited) Kick(ctx context.Context, t Target) (Result, error) {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return Result{}, fmt.Errorf("%d kicks are running already: %w", cap(l.slots), context.Cause(ctx))
	}
	defer func() { <-l.slots }()
	return l.kicker.Kick(ctx, t)
}
