package mesh

import (
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/mesh/wire"
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
	dropMember     // a director that memberlist reported cannot be one, or is one too many
	dropEvicted    // a connection that had not authenticated itself made room
	dropTooMuch    // a connection of memberlist's sent too much
	dropSilent     // a connection said nothing, or not all that it had begun
	dropProtocol   // not of a director, as far as one can see
	dropOtherMesh
	dropPlain      // not encrypted, and we have a key
	dropEncrypted  // encrypted, and we have no key
	dropPayload    // encrypted in a way that no director uses
	dropKey        // encrypted with another key
	dropCompressed // compressed, which no director does
	dropQueue      // memberlist's queue of packets was full
	dropTooMany    // lists more than any mesh has
	dropKick       // more kicks of users than may be asked for
	dropKeyring    // a keyring came while many waited
	dropReasons
)

func (d dropReason) String() string {
	return [...]string{
		"", "no_stream", "overflow", "oversize", "oversize_delta", "undecodable", "unencodable",
		"unknown_kind", "delta_queue", "pruned", "contact", "member", "evicted", "too_much",
		"silent", "protocol",
		"other_mesh", "plain", "encrypted", "payload", "key", "compressed", "queue",
		"too_many", "kick", "keyring",
	}[d]
}

// metrics counts what the shell does and, when asked, what the core has counted. A nil *metrics
// counts nothing.
type metrics struct {
	registry   prometheus.Registerer
	collectors []prometheus.Collector

	drops        [dropReasons]prometheus.Counter
	handshakes   [reasons]prometheus.Counter
	traffic      [2]traffic // sent, received
	packets      [2]prometheus.Counter
	packetBytes  [2]prometheus.Counter
	moves        *moveCounts
	streamsIn    prometheus.Gauge
	streamsOut   prometheus.Gauge
	kicksFailed  prometheus.Counter
	sessionsLeft prometheus.Counter
	hooksFailed  prometheus.Counter
}

// newMetrics registers everything with registry, which may be nil. Label values are all there from
// the start.
func newMetrics(registry prometheus.Registerer, n *Node) (*metrics, error) {
	m := &metrics{registry: registry}
	drops := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "director_mesh_dropped_total",
		Help: "Messages, packets and connections of the mesh that were dropped, by reason.",
	}, []string{"reason"})
	for d := dropNothing + 1; d < dropReasons; d++ {
		m.drops[d] = drops.WithLabelValues(d.String())
	}
	handshakes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "director_mesh_handshake_failures_total",
		Help: "Streams between directors that could not be opened, by reason.",
	}, []string{"reason"})
	for r := range reasons {
		m.handshakes[r] = handshakes.WithLabelValues(r.label())
	}
	messages := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "director_mesh_stream_messages_total",
		Help: "Messages on the streams between directors, by kind.",
	}, []string{"direction", "kind"})
	bytes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "director_mesh_stream_bytes_total",
		Help: "Bytes on the streams between directors, before encryption, by kind of message.",
	}, []string{"direction", "kind"})
	packets := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "director_mesh_packets_total",
		Help: "Packets of the failure detector and of gossip between directors.",
	}, []string{"direction"})
	packetBytes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "director_mesh_packet_bytes_total",
		Help: "Bytes of the packets between directors, as they are sent.",
	}, []string{"direction"})
	for i, direction := range [...]string{"sent", "received"} {
		m.traffic[i] = newTraffic(direction, messages, bytes)
		m.packets[i] = packets.WithLabelValues(direction)
		m.packetBytes[i] = packetBytes.WithLabelValues(direction)
	}
	moves := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "director_moves_total",
		Help: "Users that this director began to move to another backend, by cause.",
	}, []string{"cause"})
	m.moves = newMoveCounts(moves)
	streams := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "director_mesh_streams", Help: "Open streams between directors.",
	}, []string{"direction"})
	m.streamsIn, m.streamsOut = streams.WithLabelValues("in"), streams.WithLabelValues("out")
	m.kicksFailed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "director_kicks_failed_total",
		Help: "Kicks that failed or were not answered in time.",
	})
	m.sessionsLeft = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "director_sessions_left_total",
		Help: "Sessions that a kick found and could not end.",
	})
	m.hooksFailed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "director_flush_hooks_failed_total",
		Help: "Flush hooks that failed or were cut off.",
	})
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		drops, handshakes, messages, bytes, packets, packetBytes, streams, moves,
		m.kicksFailed, m.sessionsLeft, m.hooksFailed,
		newCoreCollector(n),
	} {
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

func (m *metrics) sent(written []messageSize) {
	for _, size := range written {
		m.traffic[0].count(size)
	}
}

func (m *metrics) received(message []byte) { m.traffic[1].count(sizeOf(message)) }

// packet counts a packet that was sent (0) or received (1).
func (m *metrics) packet(direction, bytes int) {
	if m != nil {
		m.packets[direction].Inc()
		m.packetBytes[direction].Add(float64(bytes))
	}
}

// otherKind is the label of the messages that only a later release understands, and of those that
// do not belong on a stream.
const otherKind = "other"

// streamKinds are the kinds of messages on open streams. The others open streams, or are on disk,
// in gossip, or in the bodies of answers.
func streamKinds() []wire.Kind {
	return slices.DeleteFunc(wire.Kinds(), func(k wire.Kind) bool {
		switch k {
		case wire.KindHello, wire.KindRefuse, wire.KindDelta, wire.KindPushPull, wire.KindMark,
			wire.KindHistoryQuery, wire.KindHistoryFound, wire.KindAdminNote, wire.KindUserNote,
			wire.KindLoginsNote, wire.KindTableNote, wire.KindLapseNote:
			return true
		}
		return false
	})
}

// traffic counts the messages of one direction, by their first byte.
type traffic [1 << 8]*struct{ messages, bytes prometheus.Counter }

func newTraffic(direction string, messages, bytes *prometheus.CounterVec) (t traffic) {
	count := func(kind string) *struct{ messages, bytes prometheus.Counter } {
		return &struct{ messages, bytes prometheus.Counter }{
			messages.WithLabelValues(direction, kind), bytes.WithLabelValues(direction, kind),
		}
	}
	other := count(otherKind)
	for i := range t {
		t[i] = other
	}
	for _, kind := range streamKinds() {
		t[kind] = count(kind.String())
	}
	return t
}

func (t *traffic) count(m messageSize) {
	k := t[m.kind]
	k.messages.Inc()
	k.bytes.Add(float64(m.bytes))
}
