//go:build scale

package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"directormesh/cli/api"
)

// measureMesh measures lookups on a mesh of three at rest, while a fourth joins, while a vhost
// count changes and during a flush; the joins themselves; and the memory of four.
func (b *bench) measureMesh(ctx context.Context) error {
	// They live long, so that none of them expires while this goes on.
	p := population{users: b.users, expire: time.Hour, oldest: 15 * time.Minute}
	flags := []string{"--user-expire", p.expire.String()}
	if err := b.populate(ctx, p, meshDirectors); err != nil {
		return err
	}
	mesh := slices.Clone(b.directors)

	before := cpuOf(mesh)
	idle, err := b.best(func() (latency, error) { return b.load(ctx, mesh, b.rate, false, nil) })
	if err != nil {
		return err
	}
	perLookup := func(l latency, cpu time.Duration, times int) time.Duration {
		return cpu / time.Duration(max(l.lookups*int64(times), 1))
	}
	b.note("lookups, nothing else", idle.String(),
		"%.0f/s over %d directors, %v of processor time each", b.rate, len(mesh),
		perLookup(idle, cpuOf(mesh)-before, b.times))
	compare := func(what string, l latency) {
		b.note(what, l.String(), "p99.9 is %.1f times that, the median second's p99 %.1f times",
			float64(l.p999)/float64(idle.p999), float64(l.typical)/float64(idle.typical))
	}

	var j joining
	l, err := b.best(func() (latency, error) {
		if j.director != nil {
			b.stop(j.director, syscall.SIGTERM)
		}
		return b.load(ctx, mesh, b.rate, false, func() error {
			return b.profile("join", func() (err error) {
				j, err = b.joinDirector(ctx, meshDirectors+1, p, flags...)
				return err
			})
		})
	})
	if err != nil {
		return err
	}
	compare("lookups while a fourth joins", l)
	b.note("join under that load", j.String(p.users), "%s", j.costs())

	b.stop(j.director, syscall.SIGTERM)
	if j, err = b.joinDirector(ctx, meshDirectors+1, p, flags...); err != nil {
		return err
	}
	b.note("join at rest", j.String(p.users), "%s", j.costs())

	l, err = b.best(func() (latency, error) {
		return b.load(
			ctx, mesh, b.rate, false, func() error { return b.changeVHosts(ctx, mesh[0]) })
	})
	if err != nil {
		return err
	}
	compare("lookups while vhost counts change", l)

	l, err = b.best(func() (latency, error) {
		return b.load(ctx, mesh, b.rate, true, func() error {
			return b.profile("flush", func() error { return b.flushWhile(ctx, mesh[0]) })
		})
	})
	if err != nil {
		return err
	}
	compare("lookups during a flush", l)
	return nil
}

func (j joining) String(users int) string {
	return fmt.Sprintf("%s, %.2f bytes a user", short(j.took), j.bytes/float64(users))
}

func (j joining) costs() string {
	return fmt.Sprintf("processor time: joiner %s, all others %s", short(j.cpu), short(j.others))
}

// measureMemory measures a mesh of four at rest.
func (b *bench) measureMemory(ctx context.Context) error {
	p := population{users: b.users, expire: time.Hour, oldest: 15 * time.Minute}
	if err := b.populate(ctx, p, meshDirectors+1); err != nil {
		return err
	}
	// What is kept for replays, about a minute's worth, belongs to logins, not to users.
	select {
	case <-time.After(time.Minute):
	case <-ctx.Done():
		return ctx.Err()
	}
	return b.noteMemory(ctx)
}

// noteMemory notes what all directors use, the one that uses most.
func (b *bench) noteMemory(ctx context.Context) error {
	for _, d := range b.directors {
		self, err := d.client.Self(ctx)
		if err != nil {
			return err
		}
		u, err := d.memory()
		if err != nil {
			return err
		}
		each := func(bytes int64) float64 { return float64(bytes) / float64(self.Users) }
		b.note("memory of "+d.name, fmt.Sprintf("%.1f bytes a mapping", each(u.Resident)),
			"resident after a collection, %.1f without the program's file; %.1f before it, "+
				"heap %.1f, stacks %d kB, runtime %d kB; %d collections paused for %s, "+
				"one for %s at most, %.2f %% of the processor time",
			each(u.Anonymous), each(u.Before), each(int64(u.Heap)), u.Stack>>10, u.System>>10,
			u.Cycles, short(u.Paused), short(u.Longest), 100*u.GCPart)
	}
	return nil
}

// changeVHosts sets the vhost count of a backend back and forth.
func (b *bench) changeVHosts(ctx context.Context, d *director) error {
	for i := range 10 {
		began := time.Now()
		_, err := d.client.Do(ctx, api.UpdateBackend{
			IP: api.IP{Addr: netip.MustParseAddr("10.0.0.7")}, VHosts: 100 - i%2*50,
		})
		if err != nil {
			return err
		}
		if i == 0 {
			b.note("a vhost count on all directors", short(time.Since(began)), "")
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// flushWhile empties a backend, and cancels that when the time is up.
func (b *bench) flushWhile(ctx context.Context, d *director) error {
	host := api.IP{Addr: netip.MustParseAddr("10.0.0.9")}
	if _, err := d.client.Do(ctx, api.UpdateBackend{IP: host, VHosts: 0}); err != nil {
		return err
	}
	if _, err := d.client.Do(ctx, api.FlushUsers{Backend: host}); err != nil {
		return err
	}
	select {
	case <-time.After(b.span - time.Second):
	case <-ctx.Done():
	}
	if _, err := d.client.Do(ctx, api.CancelFlush{Backend: host}); err != nil &&
		!isNothingToCancel(err) {
		return err
	}
	_, err := d.client.Do(ctx, api.UpdateBackend{IP: host, VHosts: 100})
	return err
}
