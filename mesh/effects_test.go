package mesh

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/mesh/meshtest/metrictest"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// What a peer's queue holds is a metric, and peers that are removed are not counted.
func TestMetricsOfStreamsAndPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		one, _ := named(t, network, "d1", 1, func(cfg *Config) { cfg.Registerer = registry })
		_, _ = named(t, network, "d2", 2)
		time.Sleep(5 * time.Second)
		op := replica.SetDirectorRemoved{Addr: testAddr(2), Removed: true}
		if _, err := one.Do(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		for _, peer := range []string{"d7", "d8"} {
			o, _ := pushed(&catching{})
			if err := o.add(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			one.input(func(*replica.Core, mono.Time) { one.out[peer] = o })
		}
		got := metrictest.Values(t, registry)
		if queued := got["director_mesh_stream_queue_bytes"]; queued != 2*(100+frameHeader) {
			t.Errorf("%g bytes are queued", queued)
		}
		if all := got["director_peers synced"] + got["director_peers syncing"] +
			got["director_peers handshaking"]; all != 0 {
			t.Errorf("%g peers, the removed one among them", all)
		}
	})
}

// That a probe failed, and that a message could not be queued, is stamped as a failure of the peer.
func TestFailuresAreStamped(t *testing.T) {
	for name, fail := range map[string]func(n *Node){
		"probe": func(n *Node) { n.handleEvent(memberEvent{kind: probeFailed, name: "d2"}) },
		"queue": func(n *Node) {
			n.input(func(*replica.Core, mono.Time) {
				o := n.out["d2"]
				o.mu.Lock()
				defer o.mu.Unlock()
				o.closed = errBroken
			})
			r := carryOut(n, replica.Send{To: []string{"d2"}, Message: &wire.Beat{}})
			for _, next := range r.inputs {
				n.input(next)
			}
		},
		"close": func(n *Node) {
			for _, next := range carryOut(n, replica.CloseStream{Peer: "d2"}).inputs {
				n.input(next)
			}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
			n, _ := named(t, network, "d1", 1)
			_, _ = named(t, network, "d2", 2)
			time.Sleep(5 * time.Second)
			failed := func() (at time.Time) {
				for _, p := range n.Peers() {
					if p.Name == "d2" {
						at = p.LastFailed
					}
				}
				return at
			}
			if !failed().IsZero() {
				t.Fatalf("%s: d2 failed before", name)
			}
			fail(n)
			if failed().IsZero() {
				t.Errorf("%s: it is not stamped", name)
			}
		})
	}
}

// A dial that the core asks for of a proven peer hurries its link, and tells nothing of its life.
func TestDialsOfTheCore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		l := newLink("d2", testAddr(2), 7)
		n.links["d2"] = l
		dial := replica.Dial{Name: "d2", Addr: testAddr(2), Trust: replica.Proven}
		carryOut(n, dial)
		if l.boot != 7 || len(l.hurry) != 1 {
			t.Errorf("life %d, %d in a hurry", l.boot, len(l.hurry))
		}
		delete(n.links, "d2")
	})
}

// Of the streams with a peer only the one that is meant is closed.
func TestOneStreamAloneIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		n := simulated(t, network, func(*Config) {})
		_, _ = visitor(t, network, func(*wire.Hello) {})
		out, _ := connected(t, n, "d9")
		carryOut(n, replica.CloseStream{Peer: "d8", Only: replica.TheirStream})
		carryOut(n, replica.CloseStream{Peer: "d9", Only: replica.OurStream})
		if len(n.in) != 1 || n.out["d9"] != nil || out.cause() == nil {
			t.Errorf("%d streams came in, ours is closed because of %v", len(n.in), out.cause())
		}
		carryOut(n, replica.CloseStream{Peer: "d8"})
		if len(n.in) != 1 {
			t.Error("the stream of another peer is closed")
		}
		again, _ := connected(t, n, "d9")
		carryOut(n, replica.CloseStream{Peer: "d9", Only: replica.TheirStream})
		if len(n.in) != 0 || n.out["d9"] == nil || again.cause() != nil {
			t.Errorf("%d streams came in, ours is closed because of %v", len(n.in), again.cause())
		}
	})
}
