package mesh

import (
	"github.com/prometheus/client_golang/prometheus"

	"directormesh/mesh/replica"
)

// counters are those of the core.
type counters = replica.Counters

// coreCounter is one metric that the core counts.
type coreCounter struct {
	name, help string
	counts     []coreCount
}

// coreCount is one value of a coreCounter.
type coreCount struct {
	reason string // value of the label "reason"; "": the metric has no label, and no other value
	read   func(c *counters) uint64
}

// one is the value of a metric without a label.
func one(read func(c *counters) uint64) []coreCount { return []coreCount{{"", read}} }

// coreCounters are all counts of the core.
func coreCounters() []coreCounter {
	return []coreCounter{
		{"director_lookup_waits_total",
			"Lookups that had to wait, by reason.", []coreCount{
				{"moving", func(c *counters) uint64 { return c.HeldLookups }},
				{"end_of_life", func(c *counters) uint64 { return c.EndOfLifeWaits }},
				{"barrier", func(c *counters) uint64 { return c.BarrierWaits }},
				{"unsynced", func(c *counters) uint64 { return c.UnsyncedWaits }},
				{"no_backend", func(c *counters) uint64 { return c.NoBackendWaits }},
				{"backend_failed", func(c *counters) uint64 { return c.FailedBackendWaits }},
			}},
		{"director_lookup_failures_total",
			"Lookups that ended in a temporary failure.",
			one(func(c *counters) uint64 { return c.FailedLookups })},
		{"director_lookups_relayed_total",
			"Lookups that this director relayed to a synced peer.",
			one(func(c *counters) uint64 { return c.Relayed })},

		{"director_kicks_total",
			"Users whose sessions this director was to end.",
			one(func(c *counters) uint64 { return c.Kicks })},
		{"director_moves_taken_over_total",
			"Moves of failed or stopped directors that this director finished.",
			one(func(c *counters) uint64 { return c.MovesTaken })},
		{"director_moves_vacated_total",
			"Moved users whose old backend was asked for their sessions, by answer.",
			[]coreCount{
				{"vacant", func(c *counters) uint64 { return c.VacatedMoves }},
				{"unknown", func(c *counters) uint64 { return c.UnansweredMoves }},
			}},
		{"director_flushes_taken_over_total",
			"Flushes of failed or stopped directors that this director went on with.",
			one(func(c *counters) uint64 { return c.FlushesTaken })},
		{"director_task_moves_total",
			"Users that this director began to move for a drain or a rebalance.",
			one(func(c *counters) uint64 { return c.TaskMoves })},
		{"director_factor_changes_total", "Factors of backends that this director changed.",
			one(func(c *counters) uint64 { return c.FactorChanges })},
		{"director_name_changes_total",
			"Backends that this director added, drained or used again for their names.",
			one(func(c *counters) uint64 { return c.NameChanges })},
		{"director_holds_timed_out_total",
			"Held users that this director released because no release came in time.",
			one(func(c *counters) uint64 { return c.ForgottenHolds })},
		{"director_mapping_conflicts_total",
			"Conflicts: two mappings of a user with different backends and one generation.",
			one(func(c *counters) uint64 { return c.Conflicts })},

		{"director_mesh_values_dropped_total",
			"Mappings and changes of the table from peers that were dropped, by reason.",
			[]coreCount{
				{"forgotten", func(c *counters) uint64 { return c.LateRows }},
				{"unknown_backend", func(c *counters) uint64 { return c.UnknownBackendRows }},
				{"ahead_of_time", func(c *counters) uint64 { return c.ValuesAhead }},
				{"table_full", func(c *counters) uint64 { return c.RefusedTableRows }},
			}},
		{"director_mesh_messages_ignored_total",
			"Messages of peers that were ignored, by reason.", []coreCount{
				{"other_time", func(c *counters) uint64 { return c.OtherTime }},
				{"unexpected", func(c *counters) uint64 { return c.Unexpected }},
				{"unknown_kind", func(c *counters) uint64 { return c.UnknownKinds }},
				{"repeated_delta", func(c *counters) uint64 { return c.RepeatedDeltas }},
				{"unknown_delta", func(c *counters) uint64 { return c.UnknownDeltas }},
				{"unproven_push_pull", func(c *counters) uint64 { return c.UnprovenPushPulls }},
				{"hint", func(c *counters) uint64 { return c.IgnoredHints }},
			}},
		{"director_mesh_refusals_total",
			"Greetings and states of directors that were refused, here or by a peer.",
			one(func(c *counters) uint64 { return c.Refused })},

		{"director_mesh_gaps_total",
			"Gaps found in the logs of live peers.",
			one(func(c *counters) uint64 { return c.Gaps })},
		{"director_mesh_gaps_repaired_total",
			"Gaps repaired.",
			one(func(c *counters) uint64 { return c.GapsRepaired })},
		{"director_mesh_dead_logs_behind_total",
			"Logs of failed or stopped directors of which a peer had more.",
			one(func(c *counters) uint64 { return c.RestsWanted })},
		{"director_mesh_dead_log_messages_total",
			"Messages of the logs of failed or stopped directors, supplied by peers.",
			one(func(c *counters) uint64 { return c.RestMessages })},
		{"director_mesh_peers_ahead_total",
			"Times that a peer held mappings that its log did not bring; a snapshot does.",
			one(func(c *counters) uint64 { return c.Lacks })},
		{"director_mesh_digest_comparisons_total",
			"Comparisons of digests with a peer.",
			one(func(c *counters) uint64 { return c.DigestRounds })},
		{"director_mesh_digest_leaves_repaired_total",
			"Leaves of the directory that differed from a peer's.",
			one(func(c *counters) uint64 { return c.LeavesRepaired })},

		{"director_mesh_peer_failures_total",
			"Times that a peer failed.",
			one(func(c *counters) uint64 { return c.PeerFailures })},
		{"director_mesh_peers_excluded_total",
			"Times that this director excluded a live peer.",
			one(func(c *counters) uint64 { return c.Exclusions })},
		{"director_mesh_excluded_total",
			"Times that a peer excluded this director.",
			one(func(c *counters) uint64 { return c.Excluded })},
		{"director_mesh_stepped_out_total",
			"Times that this director stopped answering because most peers did not answer it.",
			one(func(c *counters) uint64 { return c.StepsOut })},
		{"director_mesh_pauses_total",
			"Pauses of this process that it detected.",
			one(func(c *counters) uint64 { return c.Pauses })},
		{"director_mesh_clock_steps_total",
			"Steps of this director's mesh time.",
			one(func(c *counters) uint64 { return c.ClockSteps })},
		{"director_mesh_served_alone_total",
			"Times that this director began to serve without a peer.",
			one(func(c *counters) uint64 { return c.ServedAlone })},
		{"director_mesh_higher_meshes_met_total",
			"Meshes met that rank above this director's.",
			one(func(c *counters) uint64 { return c.MeshesMet })},
		{"director_mesh_strangers_refused_total",
			"Directors refused because their mesh has no backend in common.",
			one(func(c *counters) uint64 { return c.MeshesRefused })},
	}
}

// coreCollector reads the core's state at each scrape.
type coreCollector struct {
	n        *Node
	synced   *prometheus.Desc
	users    *prometheus.Desc
	waiting  *prometheus.Desc
	rings    *prometheus.Desc
	moving   *prometheus.Desc
	flushes  *prometheus.Desc
	toFlush  *prometheus.Desc
	streams  *prometheus.Desc
	queue    *prometheus.Desc
	halfOpen *prometheus.Desc
	keyUsed  *prometheus.Desc
	rotating *prometheus.Desc
	keys     *prometheus.Desc
	lacking  *prometheus.Desc
	peers    peerDescs
	backends backendDescs
	data     dataDescs
	health   healthDescs
	names    nameDescs
	counters []coreCounter
	counts   []*prometheus.Desc // one for each of counters
}

func newCoreCollector(n *Node) *coreCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	c := &coreCollector{
		n:      n,
		synced: desc("director_synced", "1 if this director answers lookups by itself, else 0."),
		users:  desc("director_users", "Users with a mapping."),
		waiting: desc("director_lookups_waiting", "Lookups that wait for an answer, by reason.",
			"reason"),
		rings: desc("director_rings",
			"Rings kept; more than one while a table change is not confirmed by all."),
		moving: desc("director_moves_running", "Users that this director is moving."),
		flushes: desc("director_flushes_running",
			"Flushes under way in the mesh, as this director last heard."),
		toFlush: desc("director_flush_users_remaining",
			"Users whom the flushes under way in the mesh have not moved yet."),
		streams: desc("director_mesh_stream_queue_bytes",
			"Bytes that wait to be sent on the streams to all peers."),
		queue: desc("director_mesh_queue_entries", "Entries in this queue of the mesh.", "queue"),
		halfOpen: desc("director_mesh_half_open",
			"Incoming connections that have not authenticated themselves."),
		keyUsed: desc("director_mesh_key_packets",
			"Packets that all directors have encrypted with the key in use, about."),
		rotating: desc("director_mesh_key_rotation",
			"1 while a rotation of keys is under way, else 0."),
		keys: desc("director_mesh_keys",
			"Keys of the mesh; 0: what directors say to each other is not encrypted."),
		lacking: desc("director_mesh_key_directors_lacking",
			"Directors that have not reported that they have the key in use."),
		peers:    newPeerDescs(),
		backends: newBackendDescs(),
		data:     newDataDescs(),
		health:   newHealthDescs(),
		names:    newNameDescs(),
		counters: coreCounters(),
	}
	for _, k := range c.counters {
		var labels []string
		if k.counts[0].reason != "" {
			labels = []string{"reason"}
		}
		c.counts = append(c.counts, desc(k.name, k.help, labels...))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *coreCollector) Describe(ch chan<- *prometheus.Desc) {
	own := []*prometheus.Desc{
		c.synced, c.users, c.waiting, c.rings, c.moving, c.flushes, c.toFlush,
		c.streams, c.queue, c.halfOpen, c.keyUsed, c.rotating, c.keys, c.lacking,
		c.data.failing, c.data.bytes, c.data.dropped, c.data.gaps,
		c.health.backends, c.health.alarms, c.health.outOfContact,
		c.data.historyFailing, c.data.historyBytes, c.data.historyLost,
	}
	for _, descs := range [][]*prometheus.Desc{
		own, c.counts, c.peers.all(), c.backends.all(), c.names.all(),
	} {
		for _, d := range descs {
			ch <- d
		}
	}
}

// Collect implements prometheus.Collector.
func (c *coreCollector) Collect(ch chan<- prometheus.Metric) {
	n := c.n
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	n.coreMu.Lock()
	if n.core == nil {
		n.coreMu.Unlock()
		return
	}
	n.last = max(n.last, n.clock())
	self, peers, counters := n.core.Self(n.last), n.core.Peers(n.last), n.core.Counters()
	health, waiting := n.core.Health(), n.core.Waiting()
	names := n.core.NamesStatus()
	backends, flushes, moves := n.core.Backends(), n.core.Flushes(), n.core.Moves()
	streams := 0
	for _, o := range n.out {
		streams += o.size()
	}
	n.coreMu.Unlock()

	gauge(c.synced, boolValue(self.Synced))
	gauge(c.users, float64(self.Users))
	for reason, count := range waiting {
		gauge(c.waiting, float64(count), reason)
	}
	gauge(c.rings, float64(self.Rings))
	gauge(c.moving, float64(moves))
	running, left := flushesLeft(flushes)
	gauge(c.flushes, float64(running))
	gauge(c.toFlush, float64(left))
	c.peers.collect(ch, peers)
	c.backends.collect(ch, backends, n.metrics.moves)
	gauge(c.streams, float64(streams))
	gauge(c.queue, float64(len(n.deltas)), "deltas")
	gauge(c.queue, float64(n.events.length()), "events")
	gauge(c.queue, float64(n.gossip.own.NumQueued()), "gossip_own")
	gauge(c.queue, float64(n.gossip.forwarded.NumQueued()), "gossip_forwarded")
	gauge(c.queue, float64(n.kicks.length()), "kicks")
	gauge(c.halfOpen, float64(n.transport.opening.count()))
	packets, rotating := n.keys.wear()
	gauge(c.keyUsed, float64(packets))
	gauge(c.rotating, boolValue(rotating))
	keys, lacking := n.keysLacking()
	gauge(c.keys, float64(keys))
	gauge(c.lacking, float64(lacking))
	c.health.collect(ch, health)
	c.names.collect(ch, n.cfg.Name, names)
	c.data.collect(ch, n.Data(), n.History())
	c.collectCounts(ch, counters)
}

func (c *coreCollector) collectCounts(ch chan<- prometheus.Metric, all counters) {
	for i, metric := range c.counters {
		for _, k := range metric.counts {
			var labels []string
			if k.reason != "" {
				labels = []string{k.reason}
			}
			ch <- prometheus.MustNewConstMetric(
				c.counts[i], prometheus.CounterValue, float64(k.read(&all)), labels...)
		}
	}
}

// flushesLeft is how many flushes run in the mesh, and how many users they have not moved yet.
func flushesLeft(flushes []replica.FlushStatus) (running int, left uint64) {
	for _, f := range flushes {
		if f.Ended == 0 && !f.Lost {
			running++
			left += f.Total - min(f.Total, f.Moved+f.Failed)
		}
	}
	return running, left
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
