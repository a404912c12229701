package mesh

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// noMetrics is a registry that takes none, which ends the start of a director after its sockets are
// there.
type noMetrics struct{ prometheus.Registerer }

func (noMetrics) Register(prometheus.Collector) error { return errBroken }

// Who the peers are is found out before the start only where that decides the own address.
func TestPeersBeforeTheStart(t *testing.T) {
	for _, test := range []struct {
		bind, advertise string
		want            int64
	}{
		{"0.0.0.0:0", "", 1}, {"0.0.0.0:0", "127.0.0.1:9090", 0}, {"127.0.0.1:0", "", 0},
	} {
		var asked atomic.Int64
		cfg, _ := socketConfig("d1")
		cfg.Bind, cfg.Registerer = netip.MustParseAddrPort(test.bind), noMetrics{}
		if test.advertise != "" {
			cfg.Advertise = netip.MustParseAddrPort(test.advertise)
		}
		cfg.Join = []string{"directors.example.org"}
		cfg.Resolve = func(context.Context, string) ([]netip.Addr, error) {
			asked.Add(1)
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		if _, err := New(cfg); err == nil {
			t.Fatalf("%+v: started", test)
		}
		if got := asked.Load(); got != test.want {
			t.Errorf("%+v: %d names resolved, want %d", test, got, test.want)
		}
	}
}

// oddSockets are a network whose listeners are at an address that is none, or fail to close.
type oddSockets struct {
	Network
	addr   net.Addr
	err    error
	closed int
}

type oddListener struct {
	net.Listener
	n *oddSockets
}

func (l oddListener) Addr() net.Addr {
	if l.n.addr != nil {
		return l.n.addr
	}
	return l.Listener.Addr()
}

func (l oddListener) Close() error {
	l.n.closed++
	if err := l.Listener.Close(); l.n.err == nil {
		return err
	}
	return l.n.err
}

func (n *oddSockets) Listen(addr netip.AddrPort) (net.Listener, net.PacketConn, error) {
	l, p, err := n.Network.Listen(addr)
	return oddListener{l, n}, p, err
}

// A director that cannot tell its address does not start, and one whose sockets do not close says
// so, each time.
func TestOddSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &oddSockets{
			Network: netsim.New(1, netsim.Faults{}), addr: &net.UnixAddr{Name: "x"},
		}
		cfg := Config{
			Name: "d1", Mesh: "test", Bind: testAddr(1), HashFormat: "%Lu", Expire: time.Minute,
			Network: network, Log: zerolog.Nop(),
		}
		if n, err := New(cfg); n != nil || err == nil || network.closed != 1 {
			t.Errorf("%v, %v, closed %d times", n, err, network.closed)
		}
		network.addr, network.err = nil, errBroken
		n, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := n.Close(); !errors.Is(err, errBroken) {
				t.Errorf("closed with %v", err)
			}
		}
		time.Sleep(20 * time.Second) // for what memberlist leaves running
	})
}

// A setting that the check of the configuration would have found keeps a director from starting
// all the same, wherever it is used first.
func TestStartsThatFail(t *testing.T) {
	cfg, _ := socketConfig("d1")
	cfg.Join = []string{"d1", "d2:port"}
	if n, err := prepare(cfg); n != nil || err == nil || !strings.HasPrefix(err.Error(), "join: ") {
		t.Errorf("a peer that is none: %v, %v", n, err)
	}
	synctest.Test(t, func(t *testing.T) {
		start := func(label string) error {
			n, err := prepare(Config{
				Name: "d1", Mesh: "test", Bind: testAddr(1), HashFormat: "%Lu", Expire: time.Minute,
				Network: netsim.New(1, netsim.Faults{}), Log: zerolog.Nop(),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			if err := n.open(); err != nil {
				return err
			}
			c, err := n.memberlistConfig()
			if err != nil {
				return err
			}
			defer func(running *Node) {
				_ = running.memberlist.Shutdown()
			}(&Node{memberlist: n.memberlist})
			c.Label = label
			return n.startMemberlist(c)
		}
		for want, err := range map[string]error{
			"start memberlist: ": start(strings.Repeat("x", 300)),
		} {
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
		time.Sleep(20 * time.Second) // for what memberlist leaves running
	})
}

// A director's time begins when it starts, whatever its clock says then.
func TestTimeBeginsWithTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(cfg *Config) {
			cfg.Clock = func() mono.Time { return mono.Time(time.Hour).Add(time.Since(began)) }
		})
		if n.up() != 0 {
			t.Errorf("up for %v at the start", n.up())
		}
		time.Sleep(time.Second)
		n.input(func(c *replica.Core, _ mono.Time) {
			if got := c.Counters().Pauses; got > 0 || n.up() != time.Second {
				t.Errorf("%d pauses, up for %v after a second", got, n.up())
			}
		})
	})
}

// A director that listens on all addresses sends its packets from the one that peers are to use.
func TestPacketsLeaveFromTheAdvertisedAddress(t *testing.T) {
	cfg, _ := socketConfig("d1")
	cfg.Bind = netip.MustParseAddrPort("0.0.0.0:0")
	cfg.Advertise = netip.MustParseAddrPort("127.0.0.77:0")
	n := start(t, cfg)
	p, ok := n.transport.packets.(*sourcedConn)
	if !ok || p.source != cfg.Advertise.Addr() {
		t.Errorf("packets leave from %v", n.transport.packets)
	}
}

// Each second the gossip queues are cut to their length, and trouble that is over is forgotten.
func TestHousekeeping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		for range maxGossip + 7 {
			n.gossip.local([]byte("x"))
		}
		trouble := 0
		for ; ; trouble++ {
			if _, ok := n.limits.Allow(strings.Repeat("x", trouble), time.Now()); !ok {
				break // no more are told apart
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := counted(t, n.metrics.drops[dropPruned]); got != 7 {
			t.Errorf("%g messages were pruned, want 7", got)
		}
		time.Sleep(time.Minute)
		if _, ok := n.limits.Allow("another", time.Now()); !ok || trouble == 0 {
			t.Errorf("%d troubles are remembered for a minute", trouble)
		}
	})
}

// The core goes on seeing the wall clock: mesh time goes after it, slowly, when it is set.
func TestWallClockReachesTheCore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var step atomic.Int64
		began := time.Now()
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(cfg *Config) {
			cfg.Wall = func() time.Time {
				return testStart.Add(time.Since(began) + time.Duration(step.Load()))
			}
		})
		time.Sleep(10 * time.Second)
		before := n.MeshTime()
		step.Store(int64(time.Hour))
		time.Sleep(10 * time.Minute)
		if got := n.MeshTime() - before; got < 602_000 || got > 604_000 {
			t.Errorf("mesh time went on by %v ms in ten minutes", got)
		}
	})
}

// What a director that is closed would have done any more is not done.
func TestNoEffectsAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := named(t, netsim.New(1, netsim.Faults{}), "d1", 1)
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		done := make(chan replica.AdminDone, 1)
		n.input(func(c *replica.Core, now mono.Time) {
			n.admin[77] = done
			c.Do(now, 77, replica.Forget{})
		})
		if len(done) > 0 {
			t.Error("an operation ends after the director")
		}
	})
}

// A hook is run for a user who is moved, if there is one.
func TestMovesRunTheHook(t *testing.T) {
	for _, hooked := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			ran := 0
			n, _ := named(t, netsim.New(1, netsim.Faults{}), "d1", 1, func(cfg *Config) {
				cfg.Backends = append(cfg.Backends,
					ring.Backend{Addr: netip.MustParseAddr("192.0.2.2"), VHosts: 100})
				if hooked {
					cfg.Hook = hookFunc(func(_ context.Context, run replica.RunHook) (bool, error) {
						ran++
						return run.Hash == 7, nil
					})
				}
			})
			from, err := n.Lookup(t.Context(), "", 7)
			if err != nil {
				t.Fatal(err)
			}
			to := netip.MustParseAddr("192.0.2.2")
			if from == to {
				to = netip.MustParseAddr("192.0.2.1")
			}
			if _, err := n.Do(t.Context(),
				replica.Move{Hash: 7, Backend: to, Wait: true}); err != nil {
				t.Fatal(err)
			}
			if got, err := n.Lookup(t.Context(), "", 7); got != to || (ran == 1) != hooked {
				t.Errorf("hooked %v: it ran %d times, the user is on %v, %v", hooked, ran, got, err)
			}
		})
	}
}
