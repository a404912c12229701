package mesh

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"directormesh/mesh/meshtest/metrictest"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// The metrics show what a director's mesh and its queues are like.
func TestMetricsOfAMesh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		one, _ := named(t, network, "d1", 1, func(cfg *Config) { cfg.Registerer = registry })
		_, _ = named(t, network, "d2", 2)
		_, _ = named(t, network, "d3", 3)
		for hash := range ring.UserHash(5) {
			if _, err := one.Lookup(t.Context(), "", hash); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(20 * time.Second)
		want := map[string]float64{
			"director_synced": 1, "director_users": 5, "director_rings": 1,
			"director_lookups_waiting moving": 0, "director_lookups_waiting unsynced": 0,
			"director_moves_running": 0, "director_flushes_running": 0,
			"director_mesh_keys": 0, "director_mesh_key_directors_lacking": 0,
			"director_peer_state d2 synced": 1, "director_peer_state d2 syncing": 0,
			"director_peer_reachable d3": 1, "director_peer_users d3": 5,
			"director_peer_last_failed_timestamp_seconds d2": 0,
			"director_peers handshaking":                     0, "director_peers syncing": 0,
			"director_peers synced":    2,
			"director_mesh_streams in": 2, "director_mesh_streams out": 2,
			"director_mesh_stream_queue_bytes":             0,
			"director_mesh_half_open":                      0,
			"director_mesh_queue_entries deltas":           0,
			"director_mesh_queue_entries events":           0,
			"director_mesh_queue_entries kicks":            0,
			"director_mesh_queue_entries gossip_own":       0,
			"director_mesh_queue_entries gossip_forwarded": 0,
		}
		all, got := metrictest.Values(t, registry), make(map[string]float64)
		// memberlist may be exchanging states just now, at a moment that it draws itself.
		for range 10 {
			if all["director_mesh_half_open"] == 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
			all = metrictest.Values(t, registry)
		}
		for name := range want {
			value, ok := all[name]
			if !ok {
				t.Errorf("%s is not there", name)
			}
			got[name] = value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		sent, bytes := all["director_mesh_stream_messages_total sent beat"],
			all["director_mesh_stream_bytes_total sent beat"]
		received := all["director_mesh_stream_messages_total received beat"]
		if sent < 100 || bytes < 10*sent || received < 100 ||
			all["director_mesh_stream_bytes_total received beat"] < 10*received {
			t.Errorf("%g beats of %g bytes were sent, and %g received", sent, bytes, received)
		}
		if all["director_peer_round_trip_seconds d2"] < 0.002 ||
			all["director_mesh_packets_total sent"] < 10 ||
			all["director_mesh_packet_bytes_total received"] < 100 {
			t.Errorf("round trips and packets: %v", all)
		}
	})
}

// A director that is not synced, whose peers are away, says so.
func TestMetricsOfALonelyDirector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		simulated(t, netsim.New(1, netsim.Faults{}), func(cfg *Config) {
			cfg.Join, cfg.Registerer = []string{testAddr(2).String()}, registry
		})
		got := metrictest.Values(t, registry)
		if got["director_synced"] != 0 || got["director_peers synced"] != 0 ||
			got["director_mesh_streams out"] != 0 {
			t.Errorf("%v", got)
		}
	})
}

// The metrics of a director are its registry's until it is closed; those of two are not in one.
func TestMetricsAreRegisteredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		network := netsim.New(1, netsim.Faults{})
		one := simulated(t, network, func(cfg *Config) { cfg.Registerer = registry })
		before := len(metrictest.Values(t, registry))
		_, err := New(Config{
			Name: "d2", Mesh: "test", Bind: testAddr(2), HashFormat: "%Lu", Expire: time.Minute,
			Network: network, Registerer: registry,
		})
		if err == nil || !strings.HasPrefix(err.Error(), "register metrics: ") {
			t.Errorf("a second director: %v", err)
		}
		if got := len(metrictest.Values(t, registry)); got != before || before < 20 {
			t.Errorf("%d metrics, %d before the second director came", got, before)
		}
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		if got := metrictest.Values(t, registry); len(got) > 0 {
			t.Errorf("after its end a director has %d metrics", len(got))
		}
		again := simulated(t, network, func(cfg *Config) {
			cfg.Registerer, cfg.Bind = registry, testAddr(2)
		})
		if got := len(metrictest.Values(t, registry)); got != before || again.Self().Users > 0 {
			t.Errorf("another director in its place has %d metrics, want %d", got, before)
		}
	})
}

// What is counted goes where it belongs.
func TestWhatIsCounted(t *testing.T) {
	m, err := newMetrics(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	beat := []byte{byte(wire.KindBeat), 1, 0x90}
	held, later := []byte{byte(wire.KindHeld), 1, 0x90}, []byte{99}
	m.sent([]messageSize{sizeOf(beat), sizeOf(held), sizeOf(beat)})
	m.received(later)
	m.packet(0, 20)
	m.packet(1, 30)
	m.packet(1, 30)
	m.pruned(7)
	var none *metrics
	none.drop(dropKey)
	none.unregister()
	m.unregister()
	got := []float64{
		counted(t, m.traffic[0][wire.KindBeat].messages),
		counted(t, m.traffic[0][wire.KindBeat].bytes),
		counted(t, m.traffic[0][wire.KindHeld].messages),
		counted(t, m.traffic[1][wire.KindBeat].messages),
		counted(t, m.traffic[1][98].messages), counted(t, m.traffic[1][99].bytes),
		counted(t, m.packets[0]), counted(t, m.packetBytes[0]),
		counted(t, m.packets[1]), counted(t, m.packetBytes[1]),
		counted(t, m.drops[dropPruned]),
	}
	if diff := cmp.Diff([]float64{2, 14, 1, 0, 1, 5, 1, 20, 2, 60, 7}, got); diff != "" {
		t.Errorf("beats, held, unknown, packets, pruned (-want +got):\n%s", diff)
	}
}

func gaugeOf(t *testing.T, g prometheus.Gauge) float64 {
	t.Helper()
	var m dto.Metric
	if err := g.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}
