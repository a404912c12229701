package mesh

import (
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/directory"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// backendDescs are the metrics of each backend of the table. A mesh has 10,000 backends at most.
type backendDescs struct {
	users, vhosts, weight, factor, state, since, moves *prometheus.Desc
}

func newBackendDescs() backendDescs {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"backend", "tag"}, labels...), nil)
	}
	return backendDescs{
		users: desc("director_backend_users", "Users mapped to a backend."),
		vhosts: desc("director_backend_vhosts",
			"The vhost count of a backend, as operators gave it."),
		weight: desc("director_backend_weight",
			"The weight of a backend among new users: its vhost count, as balancing and a slow "+
				"start change it."),
		factor: desc("director_backend_factor",
			"By what balancing multiplies the weight of a backend, 0.5 to 1.5; 1: by nothing."),
		state: desc("director_backend_state",
			"1 if a backend is so, else 0; several may hold at once.", "state"),
		since: desc("director_backend_failed_timestamp_seconds",
			"Since when a backend has failed, in Unix time; 0: it has not."),
		moves: desc("director_backend_moves_total",
			"Users that this director began to move to a backend or away from it.", "direction"),
	}
}

func (d backendDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{d.users, d.vhosts, d.weight, d.factor, d.state, d.since, d.moves}
}

// backendStates are the values of the label state.
func backendStates(b ring.Backend) map[string]bool {
	return map[string]bool{
		"usable":      b.Usable(), // it gets new users
		"down":        b.Down,
		"drained":     b.Drained,
		"gone":        b.Gone, // from its name
		"rebalancing": b.Rebalanced,
		"starting":    b.Start != 0,       // slowly
		"failed":      b.Out,              // and out of use
		"kept":        b.Failed && !b.Out, // failed, and in use all the same
	}
}

func (d backendDescs) collect(
	ch chan<- prometheus.Metric, backends []replica.BackendStatus, moves *moveCounts,
) {
	moved := moves.of(backends)
	for _, b := range backends {
		addr, tag := ring.AddrText(b.Backend.Addr), string(b.Backend.Tag)
		send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, more ...string) {
			labels := append([]string{addr, tag}, more...)
			ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
		}
		send(d.users, prometheus.GaugeValue, float64(b.Users))
		send(d.vhosts, prometheus.GaugeValue, float64(b.Backend.VHosts))
		send(d.weight, prometheus.GaugeValue, float64(b.Backend.Weight()))
		send(d.factor, prometheus.GaugeValue,
			float64(directory.Factor(b.Backend.Factor).Percent())/ring.NoFactor)
		for state, is := range backendStates(b.Backend) {
			send(d.state, prometheus.GaugeValue, boolValue(is), state)
		}
		send(d.since, prometheus.GaugeValue, float64(b.FailedAt)/1000)
		send(d.moves, prometheus.CounterValue, float64(moved[b.Backend.Addr].in), "in")
		send(d.moves, prometheus.CounterValue, float64(moved[b.Backend.Addr].out), "out")
	}
}

// moveCounts counts the users that this director began to move, as its notes tell it. The directors
// count what each has begun, so the sum of all is the mesh's.
type moveCounts struct {
	causes map[wire.Cause]prometheus.Counter // of moves; does not change

	mu       sync.Mutex
	backends map[netip.Addr]moved // only of backends that are or were in the table
}

// moved is how many users were moved to a backend, and away from it.
type moved struct{ in, out uint64 }

// moveCauses are the causes of moves, and the values of their label. Another cause is no move: the
// user's mapping had ended, or two directors had answered at once.
var moveCauses = map[wire.Cause]string{
	wire.CauseMove: "move", wire.CauseFlush: "flush", wire.CauseFailed: "failed",
	wire.CauseDrain: "drain", wire.CauseRebalance: "rebalance",
}

func newMoveCounts(counters *prometheus.CounterVec) *moveCounts {
	m := &moveCounts{
		causes: make(map[wire.Cause]prometheus.Counter), backends: make(map[netip.Addr]moved),
	}
	for cause, label := range moveCauses {
		m.causes[cause] = counters.WithLabelValues(label)
	}
	return m
}

// note counts what a note of this director tells of a move that it began.
func (m *moveCounts) note(own string, note wire.Note) {
	n, ok := note.(*wire.UserNote)
	if !ok || n.By != own {
		return
	}
	counter := m.causes[n.Cause]
	if counter == nil {
		return
	}
	counter.Inc()
	m.mu.Lock()
	defer m.mu.Unlock()
	if n.To.IsValid() {
		to := m.backends[n.To]
		to.in++
		m.backends[n.To] = to
	}
	if n.From.IsValid() {
		from := m.backends[n.From]
		from.out++
		m.backends[n.From] = from
	}
}

// of returns the numbers of these backends, and forgets those of others: they are not in the table
// any more.
func (m *moveCounts) of(backends []replica.BackendStatus) map[netip.Addr]moved {
	m.mu.Lock()
	defer m.mu.Unlock()
	numbers := make(map[netip.Addr]moved, len(m.backends))
	for _, b := range backends {
		if n, ok := m.backends[b.Backend.Addr]; ok {
			numbers[b.Backend.Addr] = n
		}
	}
	m.backends = make(map[netip.Addr]moved, len(numbers))
	for addr, n := range numbers {
		m.backends[addr] = n
	}
	return numbers
}
