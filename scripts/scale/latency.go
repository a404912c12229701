//go:build scale

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"directormesh/cli/load"
)

// latency is how long lookups took.
type latency struct {
	lookups, failed, wrong int64
	p50, p99, p999, most   time.Duration
	// the median of all seconds' p99: other work on the machine spoils some seconds only
	typical time.Duration
	reasons map[string]int64
}

func (l latency) String() string {
	text := fmt.Sprintf("p50 %s p99 %s p99.9 %s max %s, p99 of the median second %s",
		short(l.p50), short(l.p99), short(l.p999), short(l.most), short(l.typical))
	if l.failed > 0 || l.wrong > 0 {
		text += fmt.Sprintf(", %d FAILED %v, %d WRONG", l.failed, l.reasons, l.wrong)
	}
	return text
}

func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// load puts logins on these directors for at least b.span and until during has ended, and tells how
// long they took.
func (b *bench) load(
	ctx context.Context, directors []*director, rate float64, moves bool, during func() error,
) (latency, error) {
	names, err := load.ParseNames(userNames)
	if err != nil {
		return latency{}, err
	}
	cfg := load.Config{
		Door: load.DoorAuthreply, Users: load.Users{Names: names, Count: b.users}, Connections: 4,
		Rate:     rate,
		Duration: time.Hour, Patience: 35 * time.Second, Moves: moves, Seed: rand.Uint64(),
	}
	var seconds []time.Duration
	cfg.Progress = func(p load.Progress) { seconds = append(seconds, p.P99) }
	for _, d := range directors {
		cfg.Directors = append(cfg.Directors, load.Target{
			Name: d.name, Network: "unix", Address: d.socket(load.DoorAuthreply.Socket()),
		})
	}
	loading, stop := context.WithCancel(ctx)
	defer stop()
	result := make(chan *load.Result, 1)
	failed := make(chan error, 1)
	go func() {
		r, err := load.Run(loading, cfg)
		result <- r
		failed <- err
	}()
	began := time.Now()
	var duringErr error
	if during != nil {
		duringErr = during()
	}
	select {
	case <-time.After(b.span - time.Since(began)):
	case <-ctx.Done():
	}
	stop()
	r := <-result
	if err := <-failed; err != nil {
		return latency{}, err
	}
	if duringErr != nil {
		return latency{}, duringErr
	}
	h := r.Latency()
	l := latency{
		lookups: h.TotalCount(), wrong: r.Wrong, p50: time.Duration(h.ValueAtPercentile(50)),
		p99: time.Duration(h.ValueAtPercentile(99)), p999: time.Duration(h.ValueAtPercentile(99.9)),
		most: time.Duration(h.Max()),
	}
	l.failed, l.reasons = r.Failed()
	if slices.Sort(seconds); len(seconds) > 0 {
		l.typical = seconds[len(seconds)/2]
	}
	return l, nil
}

// best repeats a load and returns the best by p99.9.
func (b *bench) best(f func() (latency, error)) (latency, error) {
	var best latency
	for i := range b.times {
		l, err := f()
		if err != nil {
			return l, err
		}
		if i == 0 || l.p999 < best.p999 {
			l.failed += best.failed
			l.wrong += best.wrong
			best = l
		} else {
			best.failed += l.failed
			best.wrong += l.wrong
		}
	}
	return best, nil
}
