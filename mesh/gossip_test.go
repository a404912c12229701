package mesh

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/wire"
)

func counted(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// TestGossipLimit checks our arithmetic against memberlist's: a message of the limit's size gets
// through to a peer (who cannot decode it, and counts that), one byte more would stay in the queue
// for ever.
func TestGossipLimit(t *testing.T) {
	for _, keys := range [][][]byte{nil, {testKey(1)}} {
		synctest.Test(t, func(t *testing.T) {
			network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
			one := simulated(t, network, func(cfg *Config) { cfg.Keys = keys })
			two := simulated(t, network, func(cfg *Config) {
				cfg.Name = "d2"
				cfg.Bind = testAddr(2)
				cfg.Keys = keys
				cfg.Join = []string{testAddr(1).String()}
			})
			if err := two.WaitSynced(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second) // memberlist's own gossip goes first
			for excess, want := range []bool{true, false} {
				before := counted(t, two.metrics.drops[dropUndecodable])
				undecodable := make([]byte, one.gossip.limit+excess)
				undecodable[0] = byte(wire.KindDelta)
				one.gossip.own.QueueBroadcast(broadcast(undecodable))
				time.Sleep(10 * time.Second)
				if got := counted(t, two.metrics.drops[dropUndecodable]) > before; got != want {
					t.Errorf("with %d keys, %d bytes over the limit: arrived %v, want %v",
						len(keys), excess, got, want)
				}
				if left := one.gossip.own.NumQueued() > 0; left == want {
					t.Errorf("with %d keys, %d bytes over the limit: still queued %v",
						len(keys), excess, left)
				}
			}
		})
	}
}

// TestNamesAreResolvedAnew joins by a name that means nothing at first, then a wrong address, then
// the right one.
func TestNamesAreResolvedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		var answer atomic.Pointer[[]netip.Addr]
		simulated(t, network, func(*Config) {})
		two := simulated(t, network, func(cfg *Config) {
			cfg.Name, cfg.Bind, cfg.Join = "d2", testAddr(2), []string{"directors.example.org"}
			cfg.Resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
				if host != "directors.example.org" {
					t.Errorf("asked for %q", host)
				}
				if a := answer.Load(); a != nil {
					return *a, nil
				}
				return nil, errors.New("no such host")
			}
		})
		time.Sleep(time.Minute)
		answer.Store(&[]netip.Addr{testAddr(7).Addr()})
		time.Sleep(time.Minute)
		if self := two.Self(); !self.Alone {
			t.Errorf("without any peer: %+v, want it to serve alone", self)
		}
		answer.Store(&[]netip.Addr{testAddr(7).Addr(), testAddr(1).Addr()})
		time.Sleep(15 * time.Second)
		if peers := two.Peers(); len(peers) != 2 || !peers[0].Reachable {
			t.Errorf("after the name was right: %+v", peers)
		}
	})
}
