//go:build scale

package main

import (
	"context"
	"time"

	"directormesh/cli/api"
)

// measurePlan measures how long lookups take while a director makes one plan after the other. It is
// asked for lookups too.
func (b *bench) measurePlan(ctx context.Context) error {
	p := population{users: b.users, expire: time.Hour, oldest: 15 * time.Minute}
	if err := b.populate(ctx, p, meshDirectors); err != nil {
		return err
	}
	lone, err := b.best(func() (latency, error) {
		return b.load(ctx, b.directors, b.rate, false, nil)
	})
	if err != nil {
		return err
	}
	b.note("lookups without plans", lone.String(), "%d lookups", lone.lookups)
	var plans int
	var longest time.Duration
	planning, err := b.best(func() (latency, error) {
		plans, longest = 0, 0
		return b.load(ctx, b.directors, b.rate, false, func() error {
			for began := time.Now(); plans == 0 || time.Since(began) < b.span; plans++ {
				one := time.Now()
				if _, err := b.directors[0].client.Plan(ctx, api.FlushUsers{}); err != nil {
					return err
				}
				longest = max(longest, time.Since(one))
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	b.note("lookups while a director plans", planning.String(), "%d lookups, %d plans, %s at most",
		planning.lookups, plans, short(longest))
	return nil
}
