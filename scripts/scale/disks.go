//go:build scale

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"directormesh/cli/api"
)

// measureDisks measures what data directories cost, and a start of all from them: logins and
// commands without and with them, and how soon directors that were all killed at once are synced.
func (b *bench) measureDisks(ctx context.Context) error {
	p := population{users: b.users, expire: time.Hour, oldest: 15 * time.Minute}
	var without time.Duration
	for _, on := range []bool{false, true} {
		flags := func(n int) []string { return []string{"--user-expire", p.expire.String()} }
		what := "without data directories"
		if on {
			what = "with data directories"
			flags = func(n int) []string {
				return []string{
					"--user-expire", p.expire.String(),
					"--data-dir", filepath.Join(b.dir, fmt.Sprintf("data%d", n)),
				}
			}
		}
		if err := b.populateEach(ctx, p, meshDirectors, flags); err != nil {
			return err
		}
		mesh := slices.Clone(b.directors)
		if on {
			if err := b.awaitKept(ctx); err != nil {
				return err
			}
		}
		if err := b.measureChanges(ctx, mesh, what); err != nil {
			return err
		}
		used, began := cpuOf(mesh), time.Now()
		l, err := b.load(ctx, mesh, 3*b.rate, false, nil)
		if err != nil {
			return err
		}
		each := time.Duration(
			float64(cpuOf(mesh)-used) / time.Since(began).Seconds() / meshDirectors)
		remark := ""
		if on {
			remark = fmt.Sprintf("; %.1f %% of a core more than without",
				100*(each-without).Seconds())
		}
		without = each
		rate := float64(l.lookups) / time.Since(began).Seconds()
		b.note(fmt.Sprintf("%.0f logins/s %s", rate, what), short(each),
			"of a core for each director and second%s; %s", remark, l)
		if on {
			if err := b.measureStarts(ctx, p, flags); err != nil {
				return err
			}
		}
		for _, d := range slices.Clone(b.directors) {
			b.stop(d, killSignal)
		}
	}
	return nil
}

// awaitKept waits until a command finds all that is held on the disks.
func (b *bench) awaitKept(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		outcome, err := b.directors[0].client.Do(ctx, api.UpdateBackend{
			IP: api.IP{Addr: netip.MustParseAddr("10.0.0.7")}, VHosts: 100,
		})
		if err != nil || len(outcome.NotKept) == 0 {
			return err
		}
	}
}

// measureChanges gives commands one after the other, and many at once.
func (b *bench) measureChanges(ctx context.Context, mesh []*director, what string) error {
	for _, atOnce := range []int{1, 50} {
		var mu sync.Mutex
		var took []time.Duration
		var errs []error
		var all sync.WaitGroup
		until := time.Now().Add(5 * time.Second)
		for i := range atOnce {
			all.Go(func() {
				ip := api.IP{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})}
				for n := 0; time.Now().Before(until); n++ {
					began := time.Now()
					_, err := mesh[i%len(mesh)].client.Do(ctx,
						api.UpdateBackend{IP: ip, VHosts: 99 + n%2})
					mu.Lock()
					took, errs = append(took, time.Since(began)), append(errs, err)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		slices.SortFunc(took, cmp.Compare)
		b.note(fmt.Sprintf("changes %s, %d at a time", what, atOnce),
			fmt.Sprintf("%.0f/s", float64(len(took))/5), "median %s, 99 %% within %s",
			short(took[len(took)/2]), short(took[len(took)*99/100]))
	}
	return nil
}

// measureStarts kills all directors at one moment and starts them again together.
func (b *bench) measureStarts(
	ctx context.Context, p population, flags func(n int) []string,
) error {
	for round := range 3 {
		select { // so that the last snapshot is complete
		case <-time.After(10 * time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		for _, d := range slices.Clone(b.directors) {
			b.stop(d, killSignal)
		}
		join := make([]netip.AddrPort, meshDirectors)
		for n := range join {
			join[n] = addrOf(n + 1)
		}
		began := time.Now()
		for n := range meshDirectors {
			if _, err := b.startDirector(n+1, join, flags(n+1)...); err != nil {
				return err
			}
		}
		var last time.Time
		var bytes float64
		for _, d := range b.directors {
			synced, err := d.awaitSynced(ctx)
			if err != nil {
				return err
			}
			if synced.After(last) {
				last = synced
			}
		}
		for _, d := range b.directors {
			bytes += d.sent()
			self, err := d.client.Self(ctx)
			if err == nil && self.Users < p.users*98/100 {
				err = fmt.Errorf("%s has %d of %d users", d.name, self.Users, p.users)
			}
			if err != nil {
				return err
			}
		}
		b.note(fmt.Sprintf("start of all from disk, %d", round+1), short(last.Sub(began)),
			"until all are synced; %.0f kB sent by all, %.3f bytes a user", bytes/1e3,
			bytes/float64(p.users))
	}
	return nil
}
