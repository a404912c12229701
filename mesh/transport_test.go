package mesh

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"directormesh/mesh/meshtest/netsim"
)

// Packets leave from an address of their own only where the socket is bound to all of them.
func TestSendFrom(t *testing.T) {
	for _, test := range []struct {
		bound  string
		source netip.Addr
		own    bool
	}{
		{"0.0.0.0:0", netip.MustParseAddr("127.0.0.77"), true},
		{"0.0.0.0:0", netip.Addr{}, false},
		{"127.0.0.1:0", netip.MustParseAddr("127.0.0.77"), false},
	} {
		p, err := net.ListenPacket("udp4", test.bound)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if got := sendFrom(p, test.source); (got != p) != test.own {
			t.Errorf("bound to %s, from %v: %T", test.bound, test.source, got)
		}
	}
}

// A connection that comes up while its transport is shut down is closed.
func TestDialDuringShutdown(t *testing.T) {
	var network sockets
	l, p, err := network.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	to := listener.Addr().(*net.TCPAddr).AddrPort()
	tr := newTransport(network, l, p, to, netip.AddrPort{}, gate{}, transportEvents{}, nil)
	before, err := tr.dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if _, err := before.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing after the shutdown: %v", err)
	}
	if conn, err := tr.dial(t.Context(), to); conn != nil || !errors.Is(err, net.ErrClosed) {
		t.Errorf("dialling after the shutdown: %v, %v", conn, err)
	}
	if err := tr.Shutdown(); err != nil {
		t.Errorf("shut down again: %v", err)
	}
}

// stuckDials are a network on which nobody answers until it is released.
type stuckDials struct {
	Network
	dials    atomic.Int64
	released chan struct{}
}

func (s *stuckDials) Dial(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	s.dials.Add(1)
	select {
	case <-s.released:
		return nil, errors.New("refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// An address is joined by one attempt at a time, and again once that is over.
func TestOneJoinAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &stuckDials{
			Network: netsim.New(1, netsim.Faults{}), released: make(chan struct{}),
		}
		n := simulated(t, nil, func(cfg *Config) { cfg.Network = network })
		h := newHealer(n)
		join := func(times int) int64 {
			for range times {
				h.join(testAddr(9))
				synctest.Wait()
			}
			return network.dials.Load()
		}
		if first := join(1); first == 0 || join(2) != first {
			t.Errorf("%d dials by the first attempt, %d by three", first, network.dials.Load())
		}
		close(network.released)
		synctest.Wait()
		if before := network.dials.Load(); join(1) == before {
			t.Error("it is not joined again after the first attempt has failed")
		}
		if !h.silent[testAddr(9)] || h.busy[testAddr(9)] {
			t.Errorf("silent %v, busy %v", h.silent, h.busy)
		}
	})
}
