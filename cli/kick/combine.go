package kick

import (
	"context"
	"errors"
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
		total.Left += r.Left
		total.Known = total.Known && r.Known && errs[i] == nil
	}
	return total, errors.Join(errs...)
}
