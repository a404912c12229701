package nodes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"directormesh/ring"
)

// Load logs users in at random directors while faults happen around it.
type Load struct {
	m    *Mesh
	rand *rand.Rand
	stop context.CancelFunc
	ctx  context.Context
	wg   sync.WaitGroup

	mu       sync.Mutex
	Answered int
	Failed   int
}

// Login starts a load of one lookup each interval, of as many users. It ends with Stop, or with the
// test.
func (m *Mesh) Login(users int, interval time.Duration) *Load {
	l := &Load{m: m, rand: rand.New(rand.NewPCG(m.options.Seed, 0x6c6f6164))}
	l.ctx, l.stop = context.WithCancel(context.Background())
	m.t.Cleanup(l.Stop)
	l.wg.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-l.ctx.Done():
				return
			}
			live := m.Live()
			d, hash := live[l.rand.IntN(len(live))], User(l.rand.IntN(users))
			l.wg.Go(func() { l.login(d, hash) })
		}
	})
	return l
}

func (l *Load) login(d *Director, hash ring.UserHash) {
	_, err := d.Lookup(context.Background(), "", hash)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.Failed++
	} else {
		l.Answered++
	}
}

// Stop ends the load when every lookup has ended.
func (l *Load) Stop() {
	l.stop()
	l.wg.Wait()
}

// User returns the hash of user i, spread over the whole range.
func User(i int) ring.UserHash { return ring.UserHash(uint32(i+1) * 2654435761) }

// CheckEqual reports how the live directors differ in table, mappings, and what they answer for the
// first users.
func (m *Mesh) CheckEqual(users int) error {
	live := m.Live()
	first := live[0]
	table, mappings := fmt.Sprint(first.Table()), Mappings(first)
	for _, d := range live[1:] {
		if got := fmt.Sprint(d.Table()); got != table {
			return fmt.Errorf("tables differ:\n%s: %s\n%s: %s", first.Name, table, d.Name, got)
		}
		got := Mappings(d)
		if len(got) != len(mappings) {
			return fmt.Errorf("%s has %d mappings, %s %d",
				first.Name, len(mappings), d.Name, len(got))
		}
		for hash, want := range mappings {
			if got[hash] != want {
				return fmt.Errorf("user %s differs:\n%s: %+v\n%s: %+v",
					hash, first.Name, want, d.Name, got[hash])
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for i := range users {
		var want netip.Addr
		for _, d := range live {
			got, err := d.Lookup(ctx, "", User(i))
			if err != nil {
				return fmt.Errorf("lookup of user %s at %s: %w", User(i), d.Name, err)
			}
			if want.IsValid() && got != want {
				return fmt.Errorf("user %s is on %s at %s and on %s at %s",
					User(i), want, first.Name, got, d.Name)
			}
			want = got
		}
	}
	return nil
}
