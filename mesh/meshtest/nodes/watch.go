package nodes

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"directormesh/mesh/replica"
)

// Checks are checks of backends by all directors of a mesh with Options.Watches.
type Checks struct {
	m    *Mesh
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu   sync.Mutex
	sees func(director, backend int) string
}

// Watch has the live directors check their backends, each at its own moments, until Stop or the end
// of the test. All are good until See says otherwise.
func (m *Mesh) Watch() *Checks {
	c := &Checks{m: m, sees: func(int, int) string { return "" }}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	m.t.Cleanup(c.Stop)
	for i := range m.options.Directors {
		c.wg.Go(func() { c.check(ctx, i) })
	}
	return c
}

// See sets what checks show: what is wrong with a backend, from 1 on, as director i sees it, from 0
// on; "" if nothing is.
func (c *Checks) See(sees func(director, backend int) string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sees = sees
}

// Stopped has checks of these backends fail, for all directors.
func (c *Checks) Stopped(backends ...int) {
	c.See(func(_, backend int) string {
		for _, b := range backends {
			if b == backend {
				return "imap:143: connection refused"
			}
		}
		return ""
	})
}

func (c *Checks) check(ctx context.Context, i int) {
	moment := time.Duration(i+1) * 777 * time.Millisecond % replica.HealthRound
	for {
		select {
		case <-time.After(moment):
		case <-ctx.Done():
			return
		}
		moment = replica.HealthRound
		name := c.m.Directors[i].Name
		for _, d := range c.m.Live() {
			if d.Name != name {
				continue
			}
			for _, backend := range d.Watched() {
				d.Observe(backend, c.seen(i, backend))
			}
		}
	}
}

func (c *Checks) seen(director int, backend netip.Addr) string {
	c.mu.Lock()
	sees := c.sees
	c.mu.Unlock()
	for i, b := range c.m.options.Backends {
		if b.Addr == backend {
			return sees(director, i+1)
		}
	}
	return ""
}

// Stop ends the checks.
func (c *Checks) Stop() {
	c.stop()
	c.wg.Wait()
}
