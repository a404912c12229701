//go:build scale

package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"directormesh/cli/api"
)

// measureStart measures how soon a director answers whose only peer does not.
func (b *bench) measureStart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	began := time.Now()
	d, err := b.startDirector(1, []netip.AddrPort{addrOf(99)})
	if err != nil {
		return err
	}
	for {
		if _, err := d.client.Lookup(ctx,
			api.LookupRequest{User: "user1@example.org"}); err == nil {
			break
		} else if ctx.Err() != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.note("start without the other director", short(time.Since(began)),
		"until the first lookup is answered; asked at once")
	return nil
}

// measureExpiry measures lookups while one in a hundred mappings expires each second.
func (b *bench) measureExpiry(ctx context.Context) error {
	// In two minutes the first ones end, in 220 seconds the last ones.
	const expire, share = time.Hour, 45 * time.Second
	p := population{
		users: b.users, expire: expire, oldest: expire + share - 2*time.Minute,
		newest: expire + share - 220*time.Second,
	}
	began := time.Now()
	if err := b.populate(ctx, p, meshDirectors); err != nil {
		return err
	}
	mesh := slices.Clone(b.directors)
	// Users who log in live on; these few make room for the load itself.
	idle, err := b.load(ctx, mesh, b.rate, false, nil)
	if err != nil {
		return err
	}
	b.note("lookups before mappings expire", idle.String(), "")
	if wait := 2*time.Minute - time.Since(began); wait < 0 {
		b.note("lookups while 1 % of the mappings expire each second", "too late",
			"filling took too long by %v", -wait)
	} else {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	used := cpuOf(mesh)
	l, err := b.load(ctx, mesh, b.rate, false, func() error {
		return b.profile("expiry", func() error {
			time.Sleep(60 * time.Second)
			return nil
		})
	})
	if err != nil {
		return err
	}
	b.note("lookups while 1 % of the mappings expire each second", l.String(), "p99.9 is %.1f "+
		"times that, the median second's p99 %.1f times; processor time per director and second %s",
		float64(l.p999)/float64(idle.p999), float64(l.typical)/float64(idle.typical),
		short((cpuOf(mesh)-used)/60/meshDirectors))
	return nil
}

// measureActivity measures what logins cost that all have to be sent to the mesh.
func (b *bench) measureActivity(ctx context.Context) error {
	p := population{
		users: b.users, expire: time.Hour, oldest: 15 * time.Minute, newest: time.Minute,
	}
	if err := b.populate(ctx, p, meshDirectors); err != nil {
		return err
	}
	mesh := slices.Clone(b.directors)
	for _, rate := range []float64{b.rate, 3 * b.rate} {
		used, sent, received := cpuOf(mesh), mesh[0].sent(), mesh[0].received()
		began := time.Now()
		l, err := b.load(ctx, mesh, rate, false, func() error {
			return b.profile("activity", func() error { time.Sleep(b.span); return nil })
		})
		if err != nil {
			return err
		}
		seconds := time.Since(began).Seconds()
		b.note(fmt.Sprintf("%.0f logins/s", float64(l.lookups)/seconds),
			fmt.Sprintf("%.0f kB/s out, %.0f kB/s in",
				(mesh[0].sent()-sent)/seconds/1e3, (mesh[0].received()-received)/seconds/1e3),
			"per director of %d; %.2f cores per director; %s", len(mesh),
			(cpuOf(mesh)-used).Seconds()/seconds/float64(len(mesh)), l)
	}
	return b.noteMemory(ctx) // with what collections have cost
}
