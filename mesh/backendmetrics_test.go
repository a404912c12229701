package mesh

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"directormesh/mesh/meshtest/metrictest"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// The metrics of backends say how they are, and each move is counted once: at the director that
// began it.
func TestMetricsOfBackends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		registries := []*prometheus.Registry{prometheus.NewRegistry(), prometheus.NewRegistry()}
		change := func(registry *prometheus.Registry) func(*Config) {
			return func(cfg *Config) {
				cfg.Registerer, cfg.KickDelay = registry, 2*time.Second
				cfg.Backends = []ring.Backend{{Addr: one, VHosts: 100}, {Addr: other, Down: true}}
			}
		}
		d1, _ := named(t, network, "d1", 1, change(registries[0]))
		_, _ = named(t, network, "d2", 2, change(registries[1]))
		for hash := range ring.UserHash(5) {
			if _, err := d1.Lookup(t.Context(), "", hash); err != nil {
				t.Fatal(err)
			}
		}
		for _, op := range []replica.Operation{
			replica.SetDown{Addr: other}, replica.UpdateBackend{Addr: other, VHosts: 50},
			replica.Move{Hash: 3, Backend: other, Wait: true},
			replica.SetDown{Addr: one, Down: true},
		} {
			if _, err := d1.Do(t.Context(), op); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := d1.Do(t.Context(), replica.Flush{Addr: one}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		running := metrictest.Values(t, registries[1])
		if running["director_flushes_running"] != 1 ||
			running["director_flush_users_remaining"] != 4 {
			t.Errorf("during the flush %g run, and %g users are left",
				running["director_flushes_running"], running["director_flush_users_remaining"])
		}
		time.Sleep(20 * time.Second)
		all := metrictest.Values(t, registries[0])
		want := map[string]float64{
			"director_backend_users 192.0.2.1 ": 0, "director_backend_users 192.0.2.2 ": 5,
			"director_backend_vhosts 192.0.2.1 ": 100, "director_backend_vhosts 192.0.2.2 ": 50,
			"director_backend_factor 192.0.2.1 ":                   1,
			"director_backend_weight 192.0.2.2 ":                   50,
			"director_backend_state 192.0.2.1 down ":               1,
			"director_backend_state 192.0.2.1 usable ":             0,
			"director_backend_state 192.0.2.2 down ":               0,
			"director_backend_state 192.0.2.2 usable ":             1,
			"director_backend_state 192.0.2.1 failed ":             0,
			"director_backend_failed_timestamp_seconds 192.0.2.1 ": 0,
			"director_backend_moves_total 192.0.2.1 out ":          5,
			"director_backend_moves_total 192.0.2.1 in ":           0,
			"director_backend_moves_total 192.0.2.2 in ":           5,
			"director_moves_total move":                            1,
			"director_moves_total flush":                           4,
			"director_moves_total drain":                           0,
			"director_flushes_running":                             0,
			"director_flush_users_remaining":                       0,
		}
		got := make(map[string]float64)
		for name := range want {
			if value, ok := all[name]; ok {
				got[name] = value
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for name, value := range metrictest.Values(t, registries[1]) {
			if strings.Contains(name, "moves_total") && value != 0 {
				t.Errorf("d2, which began no move, counts %s %g", name, value)
			}
		}
	})
}

// What is no move of this director's is not counted, and what is not in the table is forgotten.
func TestMovesThatAreNotCounted(t *testing.T) {
	one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	m := newMoveCounts(prometheus.NewCounterVec(prometheus.CounterOpts{}, []string{"cause"}))
	for _, note := range []wire.Note{
		&wire.UserNote{From: one, To: other, Cause: wire.CauseMove, By: "d1"},
		&wire.UserNote{From: one, To: other, Cause: wire.CauseMove, By: "d2"},
		&wire.UserNote{From: one, To: other, Cause: wire.CauseExpired, By: "d1"},
		&wire.UserNote{From: one, Cause: wire.CauseFlush, By: "d1"},
		&wire.LoginsNote{Director: "d1"},
	} {
		m.note("d1", note)
	}
	backends := []replica.BackendStatus{{Backend: ring.Backend{Addr: one}}}
	got := m.of(backends)
	if want := (moved{out: 2}); got[one] != want || len(got) != 1 || len(m.backends) != 1 {
		t.Errorf("%v of the table, and %d are kept", got, len(m.backends))
	}
}

// Lookups that wait and those that had to wait have the same reasons.
func TestReasonsOfWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		var counted []string
		for _, c := range coreCounters() {
			if c.name == "director_lookup_waits_total" {
				for _, k := range c.counts {
					counted = append(counted, k.reason)
				}
			}
		}
		slices.Sort(counted)
		n.coreMu.Lock()
		waiting := slices.Sorted(maps.Keys(n.core.Waiting()))
		n.coreMu.Unlock()
		if diff := cmp.Diff(counted, waiting); diff != "" {
			t.Errorf("reasons in director_lookup_waits_total and director_lookups_waiting "+
				"(-counted +waiting):\n%s", diff)
		}
	})
}
