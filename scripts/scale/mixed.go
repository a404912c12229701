//go:build scale

package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"directormesh/cli/api"
)

// listers is how many clients list all mappings at once.
const listers = 4

// measureMixed measures lookups while a director joins, 100,000 users are flushed and clients list
// all mappings over HTTP, all at the same time.
func (b *bench) measureMixed(ctx context.Context) error {
	const strayed = 100_000
	p := population{
		users: max(b.users, strayed), expire: time.Hour, oldest: 15 * time.Minute,
		newest: 2 * time.Minute, strayed: strayed,
	}
	if err := b.populate(ctx, p, meshDirectors); err != nil {
		return err
	}
	mesh := slices.Clone(b.directors)
	idle, err := b.load(ctx, mesh, b.rate, false, nil)
	if err != nil {
		return err
	}
	b.note("lookups, nothing else", idle.String(), "%.0f/s over %d directors", b.rate, len(mesh))

	var j joining
	var lists, bytes int64
	var moved uint64
	used, began := cpuOf(mesh), time.Now()
	l, err := b.load(ctx, mesh, b.rate, true, func() error {
		outcome, err := mesh[0].client.Do(ctx, api.FlushUsers{})
		if err != nil {
			return err
		}
		listing, stop := context.WithCancel(ctx)
		listed := make(chan error, 1)
		go func() {
			var err error
			lists, bytes, err = list(listing, mesh)
			listed <- err
		}()
		err = b.profile("mixed", func() (err error) {
			j, err = b.joinDirector(ctx, meshDirectors+1, p, "--user-expire", p.expire.String())
			return err
		})
		select { // users who were seen lately take two seconds each, so the flush goes on for long
		case <-time.After(b.span - time.Since(began)):
		case <-ctx.Done():
		}
		stop()
		flushed, gone := mesh[0].endFlush(ctx, *outcome.Flush)
		moved = flushed.Moved
		return errors.Join(err, gone, <-listed)
	})
	if err != nil {
		return err
	}
	seconds := time.Since(began).Seconds()
	const what = "lookups while a fourth joins, a flush runs and clients list all mappings"
	b.note(what, l.String(), "p99.9 is %.1f times that, the median second's p99 %.1f times; "+
		"%d users moved, %d lists, %.0f MB a second; %.2f cores used by the mesh",
		float64(l.p999)/float64(idle.p999), float64(l.typical)/float64(idle.typical),
		moved, lists, float64(bytes)/seconds/1e6, (cpuOf(mesh)-used).Seconds()/seconds)
	b.note("join meanwhile", j.String(p.users), "%s", j.costs())
	return nil
}

// endFlush cancels a flush, and returns how far it has come.
func (d *director) endFlush(ctx context.Context, id api.FlushID) (api.Flush, error) {
	if _, err := d.client.Do(ctx, api.CancelFlush{}); err != nil && !isNothingToCancel(err) {
		return api.Flush{}, err
	}
	return d.awaitFlush(ctx, id)
}

// list lists all mappings again and again, at listers clients, until ctx ends. It returns how many
// lists and bytes they were.
func list(ctx context.Context, mesh []*director) (lists, bytes int64, err error) {
	var done sync.WaitGroup
	var count, size atomic.Int64
	errs := make([]error, listers)
	for i := range listers {
		d := mesh[i%len(mesh)]
		done.Go(func() {
			for ctx.Err() == nil && errs[i] == nil {
				body, err := d.get("director.sock", "/v1/mappings")
				if err != nil {
					errs[i] = err
					return
				}
				stop := context.AfterFunc(ctx, func() { _ = body.Close() })
				n, err := io.Copy(io.Discard, body)
				size.Add(n)
				if stop() {
					_ = body.Close()
					errs[i] = err
					count.Add(1)
				}
			}
		})
	}
	done.Wait()
	return count.Load(), size.Load(), errors.Join(errs...)
}
