package nodes

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/mesh"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// peer returns how d sees the director of this name.
func peer(d *Director, name string) (replica.PeerStatus, bool) {
	for _, p := range d.Peers() {
		if p.Name == name {
			return p, true
		}
	}
	return replica.PeerStatus{}, false
}

// TestFailedProbe loses the packets between two directors, while their streams go on: both are
// stamped, neither counts as failed.
func TestFailedProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Start(t, Options{Directors: 3, Seed: 5, Faults: lan, Trace: testing.Verbose()})
		c.WaitSynced(5 * time.Second)
		for _, p := range c.Directors[0].Peers() {
			if !p.LastFailed.IsZero() {
				t.Errorf("%s failed at %s, before anything happened", p.Name, p.LastFailed)
			}
		}
		lossy := lan
		lossy.Loss = 1
		c.Network.SetFaults(lossy)
		time.Sleep(10 * time.Second)
		c.Network.SetFaults(lan)
		for _, d := range c.Live() {
			for _, p := range d.Peers() {
				if !p.Self && (p.LastFailed.IsZero() || !p.Reachable || p.State != replica.Synced) {
					t.Errorf("%s sees %+v, want a stamp on a synced peer", d.Name, p)
				}
			}
		}
	})
}

// TestKillAndRestart kills one director of three and starts it again: the others go on at once, and
// the new life gets everything.
func TestKillAndRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Start(t, Options{Directors: 3, Seed: 6, Faults: lan, Trace: testing.Verbose()})
		c.WaitSynced(5 * time.Second)
		load := c.Login(100, 10*time.Millisecond)
		time.Sleep(5 * time.Second)
		load.Stop()
		time.Sleep(time.Second)
		c.Kill(1)
		load = c.Login(200, 10*time.Millisecond)

		start := time.Now()
		outcome, err := c.Directors[0].Do(t.Context(),
			replica.UpdateBackend{Addr: c.options.Backends[0].Addr, VHosts: 10})
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		if took > 7*time.Second || len(outcome.FailedPeers) != 1 || outcome.FailedPeers[0] != "d2" {
			t.Errorf("the update took %s and named %v, want d2 within 7s",
				took, outcome.FailedPeers)
		}
		p, ok := peer(c.Directors[0], "d2")
		if !ok || p.Reachable || p.LastFailed.IsZero() {
			t.Errorf("d1 sees the dead director as %+v", p)
		}
		c.Restart(1)
		t.Logf("whole after %s", c.WaitSynced(10*time.Second))
		load.Stop()
		if load.Failed > 0 {
			t.Errorf("%d lookups failed", load.Failed)
		}
		time.Sleep(2 * time.Second)
		if err := c.CheckEqual(200); err != nil {
			t.Error(err)
		}
	})
}

// TestLeave lets a director leave: nobody waits for it or calls it failed, and it may come back.
func TestLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Start(t, Options{Directors: 3, Seed: 7, Faults: lan, Trace: testing.Verbose()})
		c.WaitSynced(5 * time.Second)
		c.Leave(2)
		for _, d := range c.Live() {
			if p, ok := peer(d, "d3"); ok {
				t.Errorf("%s still lists the director that left: %+v", d.Name, p)
			}
		}
		start := time.Now()
		outcome, err := c.Directors[0].Do(t.Context(),
			replica.SetDown{Addr: c.options.Backends[0].Addr, Down: true})
		if err != nil || len(outcome.FailedPeers) > 0 {
			t.Errorf("a change after the farewell: %+v, %v", outcome, err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("a change waited %s for a director that left", took)
		}
		time.Sleep(time.Minute)
		for _, d := range c.Live() {
			if p, ok := peer(d, "d3"); ok {
				t.Errorf("%s lists the director that left a minute ago: %+v", d.Name, p)
			}
		}
		c.Restart(2)
		c.WaitSynced(10 * time.Second)
	})
}

// TestStartWithoutPeers starts a director whose peers do not answer: it serves alone after a short
// while, and finds them later.
func TestStartWithoutPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Start(t, Options{Seed: 8, Faults: lan, Trace: testing.Verbose()})
		c.options.Directors = 3 // so that all three addresses are joined
		c.Network.Block(func(from, to netip.Addr) bool { return from != to })
		for range 3 {
			c.Add()
		}
		answered := time.Now()
		for _, d := range c.Live() {
			if _, err := d.Lookup(t.Context(), "", User(1)); err != nil {
				t.Errorf("lookup at %s: %v", d.Name, err)
			}
		}
		if took := time.Since(answered); took > 4*time.Second {
			t.Errorf("lookups were answered after %s, want 3s", took)
		}
		time.Sleep(5 * time.Minute)
		for _, d := range c.Live() {
			if self := d.Self(); !self.Synced || !self.Alone {
				t.Errorf("%s is not serving alone: %+v", d.Name, self)
			}
		}
		c.Heal()
		t.Logf("whole after %s", c.WaitWhole(20*time.Second))
		if err := c.CheckEqual(100); err != nil {
			t.Error(err)
		}
	})
}

// kicks records what the kickers of a mesh were asked.
type kicks struct {
	mu   sync.Mutex
	seen map[string][]replica.KickTarget // by director
}

type kicker struct {
	k    *kicks
	name string
}

func (k kicker) Kick(
	_ context.Context, _ ring.Tag, target replica.KickTarget,
) (replica.KickResult, error) {
	k.k.mu.Lock()
	defer k.k.mu.Unlock()
	if k.k.seen == nil {
		k.k.seen = make(map[string][]replica.KickTarget)
	}
	k.k.seen[k.name] = append(k.k.seen[k.name], target)
	return replica.KickResult{Count: 1, Known: true}, nil
}

// TestMove moves one user: every director is asked to kick, and the user is on the new backend
// everywhere.
func TestMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := new(kicks)
		c := Start(t, Options{Directors: 3, Seed: 9, Faults: lan, Trace: testing.Verbose(),
			Kicker: func(name string) mesh.Kicker { return kicker{k, name} }})
		c.WaitSynced(5 * time.Second)
		old, err := c.Directors[0].Lookup(t.Context(), "", User(1))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // until all know
		to := c.options.Backends[0].Addr
		if to == old {
			to = c.options.Backends[1].Addr
		}
		if _, err := c.Directors[1].Do(t.Context(),
			replica.Move{Hash: User(1), Backend: to, Wait: true}); err != nil {
			t.Fatal(err)
		}
		for _, d := range c.Live() {
			if got, err := d.Lookup(t.Context(), "", User(1)); err != nil || got != to {
				t.Errorf("at %s the user is on %s, %v; want %s", d.Name, got, err, to)
			}
			seen := k.seen[d.Name]
			if len(seen) != 1 || !seen[0].ByHash || seen[0].Hash != User(1) || seen[0].Keep != to {
				t.Errorf("%s was asked to kick %+v, want the user, but not on %s", d.Name, seen, to)
			}
		}
	})
}

// stuckKicker never answers by itself.
type stuckKicker struct{}

func (stuckKicker) Kick(
	ctx context.Context, _ ring.Tag, _ replica.KickTarget,
) (replica.KickResult, error) {
	<-ctx.Done()
	return replica.KickResult{}, ctx.Err()
}

// TestStuckKicker moves more users than there are kicks at once, with kickers that hang: each move
// is released all the same.
func TestStuckKicker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Start(t, Options{Directors: 3, Seed: 10, Faults: lan, Trace: testing.Verbose(),
			Kicker: func(string) mesh.Kicker { return stuckKicker{} }})
		c.WaitSynced(5 * time.Second)
		for i := range 150 {
			if _, err := c.Directors[0].Lookup(t.Context(), "", User(i)); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 150 {
			wg.Go(func() {
				_, err := c.Directors[i%3].Do(t.Context(),
					replica.Move{Hash: User(i), Backend: c.options.Backends[0].Addr, Wait: true})
				if err != nil {
					t.Errorf("move %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took > 26*time.Second {
			t.Errorf("the moves took %s", took)
		}
	})
}

// TestRemovedDirector removes a live director: the mesh refuses it until it is added again.
func TestRemovedDirector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Start(t, Options{Directors: 3, Seed: 11, Faults: lan, Trace: testing.Verbose()})
		c.WaitSynced(5 * time.Second)
		out := c.Directors[2]
		_, err := c.Directors[0].Do(t.Context(), replica.SetDirectorRemoved{
			Addr: out.Addr, Removed: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		for _, d := range c.Directors[:2] {
			if p, ok := peer(d, out.Name); ok && (p.Reachable || !p.Removed) {
				t.Errorf("%s sees the removed director as %+v", d.Name, p)
			}
			if !d.Self().Synced {
				t.Errorf("%s is not synced: %+v", d.Name, d.Self())
			}
		}
		if out.Self().Synced {
			t.Error("the removed director still answers")
		}
		if _, err := c.Directors[1].Do(t.Context(),
			replica.SetDirectorRemoved{Addr: out.Addr, Removed: false}); err != nil {
			t.Fatal(err)
		}
		t.Logf("back after %s", c.WaitSynced(30*time.Second))
	})
}

// TestOneWay blocks the ways in one direction only: the two ends count each other as failed, and
// find each other again.
func TestOneWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Start(t, Options{Directors: 3, Seed: 12, Faults: lan, Trace: testing.Verbose()})
		c.WaitSynced(5 * time.Second)
		mute := c.Directors[1].Addr.Addr()
		c.Network.Block(func(from, to netip.Addr) bool { return from == mute && to != mute })
		time.Sleep(8 * time.Second)
		for _, d := range c.Live() {
			for _, p := range d.Peers() {
				across := (d.Name == "d2") != (p.Name == "d2")
				if !p.Self && p.Reachable == across {
					t.Errorf("%s sees %s as reachable: %v", d.Name, p.Name, p.Reachable)
				}
			}
		}
		time.Sleep(time.Minute)
		c.Heal()
		t.Logf("whole after %s", c.WaitWhole(20*time.Second))
	})
}

// TestCancelledCalls checks that a caller who goes away leaves nothing behind.
func TestCancelledCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Start(t, Options{
			Directors: 1, Seed: 13, Backends: []ring.Backend{}, Faults: netsim.Faults{},
			Trace: testing.Verbose(),
		})
		c.WaitSynced(5 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Directors[0].Lookup(ctx, "", User(1))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a lookup without backends: %v", err)
		}
		if waiting := c.Directors[0].Self().Waiting; waiting != 0 {
			time.Sleep(time.Second)
			if waiting = c.Directors[0].Self().Waiting; waiting != 0 {
				t.Errorf("%d lookups still wait", waiting)
			}
		}
		start := time.Now()
		_, err = c.Directors[0].Lookup(t.Context(), "", User(1))
		var temporary *replica.TemporaryError
		if !errors.As(err, &temporary) || time.Since(start) > 31*time.Second {
			t.Errorf("a lookup without backends: %v after %s", err, time.Since(start))
		}
	})
}
