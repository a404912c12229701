package nodes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
)

// TestSplit lets a mesh fall apart while users log in and operators change things on both sides.
// After it has healed, all directors must hold the same table and mappings by themselves, and give
// each user one backend.
func TestSplit(t *testing.T) {
	type split struct {
		directors int
		left      int // how many are cut off from the rest
		lasts     time.Duration
		faults    netsim.Faults
	}
	tests := []split{
		{5, 2, 5 * time.Second, lan},
		{5, 1, 20 * time.Second, lan},
		{5, 2, 5 * time.Minute, netsim.Faults{
			Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.05,
			Duplicate: 0.05,
		}},
		{12, 5, time.Minute, lan},
	}
	switch {
	case testing.Short():
		tests = tests[:2] // the others take longer, and no other path
	case full():
		tests = append(tests, split{50, 20, 10 * time.Second, lan},
			split{50, 25, 2 * time.Minute, lan}, split{50, 1, time.Minute, lan})
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%d of %d for %s",
			test.left, test.directors, test.lasts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := Start(t, Options{
					Directors: test.directors, Seed: uint64(test.lasts), Faults: test.faults,
					Trace: testing.Verbose(),
				})
				t.Logf("synced after %s", c.WaitSynced(20*time.Second))
				const users = 400
				load := c.Login(users, 20*time.Millisecond)
				time.Sleep(10 * time.Second)

				var left, right []int
				for i := range test.directors {
					if i < test.left {
						left = append(left, i)
					} else {
						right = append(right, i)
					}
				}
				c.Split(left, right)
				time.Sleep(time.Second)
				here, there := c.Directors[0], c.Directors[test.directors-1]
				backend := func(i int) netip.Addr { return c.options.Backends[i].Addr }
				done := make(chan struct{})
				go func() {
					defer close(done)
					for i, op := range []struct {
						at *Director
						op replica.Operation
					}{
						{here, replica.UpdateBackend{Addr: backend(0), VHosts: 30}},
						{there, replica.SetDown{Addr: backend(1), Down: true}},
						{here, replica.Move{Hash: User(7), Backend: backend(2)}},
						{there, replica.Move{Hash: User(7), Backend: backend(3)}},
						{there, replica.UpdateBackend{Addr: backend(0), VHosts: 70}},
					} {
						ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
						_, err := op.at.Do(ctx, op.op)
						if err != nil && !errors.Is(err, replica.ErrTryAgain) {
							t.Errorf("operation %d at %s: %v", i, op.at.Name, err)
						}
						cancel()
					}
				}()
				time.Sleep(test.lasts - time.Second)

				c.Heal()
				<-done
				t.Logf("whole after %s", c.WaitWhole(30*time.Second))
				load.Stop()
				if load.Answered == 0 {
					t.Error("no lookup was answered")
				}
				t.Logf("%d lookups answered, %d failed", load.Answered, load.Failed)
				time.Sleep(5 * time.Second) // batches, kicks, releases
				if err := c.CheckEqual(users); err != nil {
					t.Error(err)
				}
				for _, b := range here.Backends() {
					if b.Backend.Addr == backend(0) && b.Backend.VHosts != 70 {
						t.Errorf("the later update lost: vhosts %d, want 70", b.Backend.VHosts)
					}
					if b.Backend.Addr == backend(1) && !b.Backend.Down {
						t.Error("the down of the other side was lost")
					}
				}
			})
		})
	}
}
