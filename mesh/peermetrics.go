package mesh

import (
	"github.com/prometheus/client_golang/prometheus"

	"directormesh/mesh/replica"
)

// peerDescs are the metrics of each peer that this director sees. A mesh has 1,000 directors at
// most.
type peerDescs struct {
	peers, state, reachable, roundTrip, skew, users, failed, offset *prometheus.Desc
}

func newPeerDescs() peerDescs {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return peerDescs{
		peers: desc("director_peers", "Peers by state.", "state"),
		state: desc("director_peer_state",
			"1 if this director sees a peer in this state, else 0.", "peer", "state"),
		reachable: desc("director_peer_reachable",
			"1 if messages flow both ways between this director and a peer, else 0.", "peer"),
		roundTrip: desc("director_peer_round_trip_seconds",
			"The last round trip to a peer; 0 if there was none yet.", "peer"),
		skew: desc("director_peer_skew_seconds",
			"Mesh time of a peer less that of this director.", "peer"),
		users: desc("director_peer_users",
			"Users with a mapping at a peer, as it last said.", "peer"),
		failed: desc("director_peer_last_failed_timestamp_seconds",
			"When a probe of a peer or its stream last failed, in Unix time; 0: never.", "peer"),
		offset: desc("director_mesh_time_offset_seconds",
			"Mesh time less the wall clock of this director."),
	}
}

func (d peerDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{
		d.peers, d.state, d.reachable, d.roundTrip, d.skew, d.users, d.failed, d.offset,
	}
}

func (d peerDescs) collect(ch chan<- prometheus.Metric, peers []replica.PeerStatus) {
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	states := make(map[replica.PeerState]int)
	shown := make(map[string]bool)
	for _, p := range peers {
		if p.Self {
			gauge(d.offset, p.Offset.Seconds())
		}
		if p.Self || p.Removed {
			continue
		}
		states[p.State]++
		if p.Name == "" || shown[p.Name] {
			continue // an address of which no name is known, or a second one of a name
		}
		shown[p.Name] = true
		for _, s := range replica.PeerStates() {
			gauge(d.state, boolValue(p.State == s), p.Name, s.String())
		}
		gauge(d.reachable, boolValue(p.Reachable), p.Name)
		gauge(d.roundTrip, p.RoundTrip.Seconds(), p.Name)
		gauge(d.skew, p.Skew.Seconds(), p.Name)
		gauge(d.users, float64(p.Users), p.Name)
		failed := 0.0
		if !p.LastFailed.IsZero() {
			failed = float64(p.LastFailed.UnixMilli()) / 1000
		}
		gauge(d.failed, failed, p.Name)
	}
	for _, s := range replica.PeerStates() {
		gauge(d.peers, float64(states[s]), s.String())
	}
}
