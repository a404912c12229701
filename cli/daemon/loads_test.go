package daemon

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// loadsFake is a mesh that wants loads.
type loadsFake struct {
	wants []netip.Addr
	got   []wire.Load
	known []bool
}

func (f *loadsFake) LoadsWanted() []netip.Addr { return f.wants }
func (f *loadsFake) ReportLoads(loads []wire.Load, known bool) {
	f.got, f.known = loads, append(f.known, known)
}

func TestLoads(t *testing.T) {
	var log bytes.Buffer
	node := &loadsFake{wants: []netip.Addr{addr1, addr2}}
	answers := map[netip.Addr]uint64{addr1: 12}
	l := &loads{
		node: node, log: zerolog.New(&log), told: make(map[netip.Addr]time.Time),
		ask: func(_ context.Context, backend netip.Addr) (uint64, error) {
			if n, ok := answers[backend]; ok {
				return n, nil
			}
			return 0, errors.New("refused")
		},
	}
	for range 3 {
		l.report(t.Context())
	}
	want := []wire.Load{{Backend: addr1, Load: 12}}
	if diff := cmp.Diff(want, node.got, equalAddr); diff != "" || !node.known[0] {
		t.Errorf("known %v, (-want +got):\n%s", node.known, diff)
	}
	if n := strings.Count(log.String(), addr2.String()); n != 1 {
		t.Errorf("%d lines about the backend that does not answer:\n%s", n, &log)
	}
	node.known, node.wants = nil, nil
	if l.report(t.Context()); len(node.known) > 0 {
		t.Error("a director that is not to ask reports loads")
	}

	l.own = func(context.Context) (map[netip.Addr]uint64, error) {
		return map[netip.Addr]uint64{addr2: 3}, nil
	}
	l.report(t.Context())
	l.own = func(context.Context) (map[netip.Addr]uint64, error) {
		return nil, errors.New("no answer")
	}
	l.report(t.Context())
	if !slices.Equal(node.known, []bool{true, false}) || len(node.got) != 0 {
		t.Errorf("known %v, at last %v", node.known, node.got)
	}
}

var equalAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestShowBalance(t *testing.T) {
	d := testDirector(t, &fakeNode{balancing: replica.BalanceStatus{
		Balance:  replica.Balance{Mode: wire.BalanceOff, Source: wire.BusyPercent},
		InCharge: "d2", Dry: true, OutOfContact: true,
		Tags: []replica.TagBalance{
			{Tag: "a", Frozen: "x", Backends: []replica.BackendBalance{
				{Backend: ring.Backend{Addr: addr1, VHosts: 5, Factor: 75}, Load: 7, Known: true,
					Wanted: 90, Due: true},
			}},
			{Tag: "b", Next: at, Backends: []replica.BackendBalance{
				{Backend: ring.Backend{Addr: addr2, VHosts: 100}},
			}},
		},
	}})
	want := api.Balance{
		Mode: api.BalanceDryRun, InCharge: "d2", Source: api.LoadAgent, OutOfContact: true,
		Tags: []api.TagBalance{
			{Tag: "a", Frozen: "x", Backends: []api.BackendBalance{
				{IP: api.IP{Addr: addr1}, VHosts: 5, Factor: 75, Load: new(7.0), Wanted: new(90),
					Due: true},
			}},
			{Tag: "b", NextAt: timeAt(at),
				Backends: []api.BackendBalance{
					{IP: api.IP{Addr: addr2}, VHosts: 100, Factor: 100},
				}},
		},
	}
	if diff := cmp.Diff(want, d.Balance(), equalIP); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for mode, want := range map[wire.Balancing]string{
		wire.BalanceOff: api.BalanceOff, wire.BalanceOn: api.BalanceOn, 77: api.BalanceOff,
	} {
		d := testDirector(t, &fakeNode{balancing: replica.BalanceStatus{
			Balance: replica.Balance{Mode: mode, Source: wire.ProxySessions},
		}})
		if got := d.Balance(); got.Mode != want || got.Source != api.LoadSessions {
			t.Errorf("mode %d: %+v", mode, got)
		}
	}
}
