package mesh

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// abyss is a network on which addresses of a test network answer nothing: who dials them waits.
type abyss struct {
	Network

	mu         sync.Mutex
	open, most int
	dials      int
}

var nowhere = netip.MustParsePrefix("198.51.0.0/16")

func (a *abyss) Dial(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	if !nowhere.Contains(to.Addr()) {
		return a.Network.Dial(ctx, from, to)
	}
	a.count(1)
	defer a.count(-1)
	<-ctx.Done()
	return nil, ctx.Err()
}

// dialled is how often addresses that answer nothing were dialled.
func (a *abyss) dialled() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dials
}

func (a *abyss) count(by int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open += by
	a.most = max(a.most, a.open)
	if by > 0 {
		a.dials++
	}
}

// TestInventedNames has memberlist believe in a thousand directors that are not there: few of them
// are dialled at a time, and a director that is joins meanwhile.
func TestInventedNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &abyss{Network: netsim.New(1, netsim.Faults{Delay: time.Millisecond})}
		n := simulated(t, nil, func(cfg *Config) { cfg.Network = network })
		time.Sleep(5 * time.Second)
		before := runtime.NumGoroutine()
		for i := range 1000 {
			addr := netip.AddrPortFrom(
				netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), 9090)
			n.events.put(memberEvent{
				kind: memberJoined, name: fmt.Sprintf("x%d", i), addr: addr, boot: uint64(i + 1),
			})
		}
		time.Sleep(time.Second)
		if more := runtime.NumGoroutine() - before; more > 3*maxContacts {
			t.Errorf("%d goroutines more for directors that are not there", more)
		}
		two := simulated(t, nil, func(cfg *Config) {
			cfg.Network, cfg.Name, cfg.Bind, cfg.Seed = network, "d2", testAddr(2), 2
			cfg.Join = []string{testAddr(1).String()}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := two.WaitSynced(ctx); err != nil {
			t.Errorf("a director cannot join meanwhile: %v: %+v", err, two.Self())
		}
		time.Sleep(time.Minute)
		network.mu.Lock()
		defer network.mu.Unlock()
		if network.most > maxHeard {
			t.Errorf("%d are dialled at once, at most %d are allowed", network.most, maxHeard)
		}
		if network.dials < 100 {
			t.Errorf("%d dials only: those behind them in the queue never have their turn",
				network.dials)
		}
		if got := len(n.Peers()); got < 2 {
			t.Errorf("%d directors known", got)
		}
	})
}

// named starts a director that joins the first one.
func named(
	t *testing.T, network *netsim.Network, name string, i byte, change ...func(*Config),
) (*Node, *logBuffer) {
	t.Helper()
	log := new(logBuffer)
	n := simulated(t, network, func(cfg *Config) {
		cfg.Name = name
		cfg.Bind = testAddr(i)
		cfg.Seed = uint64(i)<<8 + uint64(len(name))
		cfg.Log = zerolog.New(log)
		cfg.Backends = []ring.Backend{{Addr: netip.MustParseAddr("192.0.2.1"), VHosts: 100}}
		if name != "d1" {
			cfg.Join = []string{testAddr(1).String()}
		}
		for _, f := range change {
			f(cfg)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_ = n.WaitSynced(ctx) // whether it may be synced is for the test to say
	return n, log
}

// TestRenamed starts a director again under another name at its address. Within moments nobody
// speaks of the one before.
func TestRenamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		one, _ := named(t, network, "d1", 1)
		two, _ := named(t, network, "d2", 2)
		three, _ := named(t, network, "d3", 3)
		time.Sleep(5 * time.Second)
		if err := three.Close(); err != nil {
			t.Fatal(err)
		}
		renamed, log := named(t, network, "renamed", 3)
		time.Sleep(2 * time.Second)
		outcome, err := one.Do(t.Context(), replica.UpdateBackend{
			Addr: netip.MustParseAddr("192.0.2.1"), VHosts: 50,
		})
		if err != nil || len(outcome.FailedPeers) > 0 {
			t.Errorf("an update names %v as failed, %v", outcome.FailedPeers, err)
		}
		time.Sleep(time.Minute)
		for _, n := range []*Node{one, two, renamed} {
			peers := n.Peers()
			if len(peers) != 3 || !n.Self().Synced {
				t.Errorf("%s sees %+v", n.cfg.Name, peers)
			}
			for _, p := range peers {
				if p.Name == "d3" || p.State != replica.Synced {
					t.Errorf("%s sees %+v", n.cfg.Name, p)
				}
			}
			n.linksMu.Lock()
			if n.links["d3"] != nil {
				t.Errorf("%s still dials d3", n.cfg.Name)
			}
			n.linksMu.Unlock()
		}
		if got := strings.Count(log.String(), "known under another name"); got != 1 {
			t.Errorf("the renamed one says %d times that its address has two names", got)
		}
	})
}

// TestCopiedAdvertise starts a director with the advertised address of another, healthy one.
func TestCopiedAdvertise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		one, oneLog := named(t, network, "d1", 1)
		two, twoLog := named(t, network, "d2", 2)
		time.Sleep(5 * time.Second)
		_, copiedLog := named(t, network, "copied", 3,
			func(cfg *Config) { cfg.Advertise = testAddr(2) })
		time.Sleep(2 * time.Minute)
		for _, n := range []*Node{one, two} {
			peers := 0
			for _, p := range n.Peers() {
				if p.Reachable {
					peers++
				}
			}
			if peers != 2 || !n.Self().Synced {
				t.Errorf("%s sees %+v", n.cfg.Name, n.Peers())
			}
		}
		for _, log := range []*logBuffer{oneLog, twoLog} {
			if strings.Contains(log.String(), "peer failed") {
				t.Error("a healthy director was called failed")
			}
		}
		if !strings.Contains(copiedLog.String(), "--advertise") {
			t.Error("the copied one is not told why it is refused")
		}
		if !strings.Contains(twoLog.String(), "known under another name") {
			t.Error("d2 does not say that its address is claimed")
		}
	})
}

// TestTwoClusters has a director of one cluster join another by mistake.
func TestTwoClusters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		one, oneLog := named(t, network, "d1", 1)
		other, otherLog := named(t, network, "e1", 2, func(cfg *Config) {
			cfg.Join = nil
			cfg.Backends = []ring.Backend{{Addr: netip.MustParseAddr("198.51.100.1"), VHosts: 100}}
		})
		time.Sleep(time.Minute)
		if err := other.join(testAddr(1)); err != nil { // as if --join had said so
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		for _, n := range []*Node{one, other} {
			if b := n.Backends(); len(b) != 1 || !n.Self().Synced {
				t.Errorf("%s has the backends %+v and is %+v", n.cfg.Name, b, n.Self())
			}
		}
		if one.Self().Mesh.ID == other.Self().Mesh.ID {
			t.Error("the clusters have become one")
		}
		for _, log := range []*logBuffer{oneLog, otherLog} {
			if !strings.Contains(log.String(), "no backend in common") {
				t.Errorf("a log does not say why the other cluster is refused:\n%s", log)
			}
		}
		_, err := one.Do(t.Context(), replica.SetDirectorRemoved{Addr: testAddr(2)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		if one.Self().Mesh.ID != other.Self().Mesh.ID || !other.Self().Synced ||
			len(other.Backends()) != 1 {
			t.Errorf("after ring add: %+v and %+v with %+v",
				one.Self(), other.Self(), other.Backends())
		}
		if got := other.Backends()[0].Backend.Addr.String(); got != "192.0.2.1" {
			t.Errorf("the one that was taken in has the backend %s", got)
		}
	})
}
