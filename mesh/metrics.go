package mesh

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/mesh/replica"
)

// dropReason is why a message, packet or connection was dropped.
type dropReason int

const (
	dropNothing       dropReason = iota
	dropNoStream                 // no stream to the peer
	dropOverflow                 // the peer does not keep up
	dropOversize                 // longer than allowed
	dropOversizeDelta            // too long for gossip, the streams have it
	dropUndecodable
	dropUnencodable
	dropUnknownKind
	dropDeltaQueue // gossip comes faster than it is handled
	dropPruned     // the gossip queue was too long
	dropContact    // a director that somebody named was not dialled: there were too many
	dropMember     // a director of which memberlist was told cannot be one, or is one too many
	dropEvicted    // a connection that had not authenticated itself made room
	dropTooMuch    // a connection of memberlist's sent too much
	dropSilent     // a connection said nothing, or not all that it had begun
	dropNonsense   // not of a director, as far as one can see
	dropOtherMesh
	dropPlain      // not encrypted, and we have a key
	dropEncrypted  // encrypted, and we have no key
	dropPayload    // encrypted in a way that no director uses
	dropKey        // encrypted with another key
	dropCompressed // compressed, which no director does
	dropQueue      // memberlist's queue of packets was full
	dropTooMany    // lists more than any mesh has
	dropKick       // more kicks of users than may be asked for
	dropReasons
)

func (d dropReason) String() string {
	return [...]string{
		"", "no_stream", "overflow", "oversize", "oversize_delta", "undecodable", "unencodable",
		"unknown_kind", "delta_queue", "pruned", "contact", "member", "evicted", "too_much", "silent", "nonsense",
		"other_mesh", "plain", "encrypted", "payload", "key", "compressed", "queue",
		"too_many", "kick",
	}[d]
}

// metrics counts what the shell does and, when asked, what the core has counted. A nil *metrics counts nothing.
type metrics struct {
	registry   prometheus.Registerer
	collectors []prometheus.Collector

	drops        [dropReasons]prometheus.Counter
	handshakes   [reasons]prometheus.Counter
	messages     [2]prometheus.Counter // sent, received
	bytes        [2]prometheus.Counter
	streamsIn    prometheus.Gauge
	streamsOut   prometheus.Gauge
	kicksFailed  prometheus.Counter
	sessionsLeft prometheus.Counter
	hooksFailed  prometheus.Counter
}

// newMetrics registers everything with registry, which may be nil. Label values are all there from the start.
func newMetrics(registry prometheus.Registerer, n *Node) (*metrics, error) {
	m := &metrics{registry: registry}
	drops := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "director_mesh_dropped_total", Help: "Messages, packets and connections of the mesh that were dropped, by reason."}, []string{"reason"})
	for d := dropNothing + 1; d < dropReasons; d++ {
		m.drops[d] = drops.WithLabelValues(d.String())
	}
	handshakes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "director_mesh_handshake_failures_total", Help: "Streams between directors that could not be opened, by reason."}, []string{"reason"})
	for r := range reasons {
		m.handshakes[r] = handshakes.WithLabelValues(r.label())
	}
	messages := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "director_mesh_stream_messages_total", Help: "Messages on the streams between directors."}, []string{"direction"})
	bytes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "director_mesh_stream_bytes_total", Help: "Bytes on the streams between directors, before encryption."}, []string{"direction"})
	for i, direction := range [...]string{"sent", "received"} {
		m.messages[i], m.bytes[i] = messages.WithLabelValues(direction), bytes.WithLabelValues(direction)
	}
	streams := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "director_mesh_streams", Help: "Open streams between directors."}, []string{"direction"})
	m.streamsIn, m.streamsOut = streams.WithLabelValues("in"), streams.WithLabelValues("out")
	m.kicksFailed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "director_kicks_failed_total", Help: "Kicks that failed or were not answered in time."})
	m.sessionsLeft = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "director_sessions_left_total", Help: "Sessions that a kick found and could not end."})
	m.hooksFailed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "director_flush_hooks_failed_total", Help: "Flush hooks that failed or were cut off."})
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{drops, handshakes, messages, bytes, streams, m.kicksFailed, m.sessionsLeft, m.hooksFailed, newCoreCollector(n)} {
		if err := registry.Register(c); err != nil {
			m.unregister()
			return nil, fmt.Errorf("register metrics: %w", err)
		}
		m.collectors = append(m.collectors, c)
	}
	return m, nil
}

func (m *metrics) unregister() {
	if m == nil {
		return
	}
	for _, c := range m.collectors {
		m.registry.Unregister(c)
	}
	m.collectors = nil
}

func (m *metrics) drop(d dropReason) {
	if m != nil {
		m.drops[d].Inc()
	}
}

func (m *metrics) pruned(count int) { m.drops[dropPruned].Add(float64(count)) }

func (m *metrics) handshakeFailed(r reason) { m.handshakes[r].Inc() }

func (m *metrics) sent(messages, bytes int) {
	m.messages[0].Add(float64(messages))
	m.bytes[0].Add(float64(bytes))
}

func (m *metrics) received(bytes int) {
	m.messages[1].Inc()
	m.bytes[1].Add(float64(bytes))
}

// coreCollector reads the core's state at each scrape.
type coreCollector struct {
	n        *Node
	synced   *prometheus.Desc
	users    *prometheus.Desc
	waiting  *prometheus.Desc
	rings    *prometheus.Desc
	peers    *prometheus.Desc
	queue    *prometheus.Desc
	halfOpen *prometheus.Desc
	counters []*prometheus.Desc // in the order of the fields of replica.Counters
}

func newCoreCollector(n *Node) *coreCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	c := &coreCollector{
		n:        n,
		synced:   desc("director_synced", "Whether this director answers lookups by itself."),
		users:    desc("director_users", "User mappings held."),
		waiting:  desc("director_lookups_waiting", "Lookups that wait for an answer."),
		rings:    desc("director_rings", "Rings kept; more than one while a table change is not confirmed by all."),
		peers:    desc("director_peers", "Peers by state.", "state"),
		queue:    desc("director_mesh_queue_length", "Length of the queues of the mesh: bytes for streams, else entries.", "queue"),
		halfOpen: desc("director_mesh_half_open", "Incoming connections that have not authenticated themselves."),
	}
	for f := range reflect.TypeFor[replica.Counters]().Fields() {
		c.counters = append(c.counters, desc("director_core_"+snakeCase(f.Name)+"_total", "Events counted by the protocol: "+strings.ReplaceAll(snakeCase(f.Name), "_", " ")+"."))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *coreCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range append([]*prometheus.Desc{c.synced, c.users, c.waiting, c.rings, c.peers, c.queue, c.halfOpen}, c.counters...) {
		ch <- d
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
	streams := 0
	for _, o := range n.out {
		streams += o.size()
	}
	n.coreMu.Unlock()

	gauge(c.synced, boolValue(self.Synced))
	gauge(c.users, float64(self.Users))
	gauge(c.waiting, float64(self.Waiting))
	gauge(c.rings, float64(self.Rings))
	states := map[string]float64{"handshaking": 0, "syncing": 0, "synced": 0}
	for _, p := range peers {
		if !p.Self && !p.Removed {
			states[p.State.String()]++
		}
	}
	for state, count := range states {
		gauge(c.peers, count, state)
	}
	gauge(c.queue, float64(streams), "streams")
	gauge(c.queue, float64(len(n.deltas)), "deltas")
	gauge(c.queue, float64(n.events.length()), "events")
	gauge(c.queue, float64(n.gossip.own.NumQueued()), "gossip_own")
	gauge(c.queue, float64(n.gossip.relayed.NumQueued()), "gossip_relayed")
	gauge(c.queue, float64(n.kicks.length()), "kicks")
	gauge(c.halfOpen, float64(n.transport.opening.count()))
	values := reflect.ValueOf(counters)
	for i, d := range c.counters {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(values.Field(i).Uint()))
	}
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// snakeCase turns the name of a field into that of a metric.
func snakeCase(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
