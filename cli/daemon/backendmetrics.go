package daemon

import (
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/probe"
	"directormesh/cli/session"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// sessionCounts shows how many sessions each backend of the table has, by the latest lists of
// Dovecot beside this director.
type sessionCounts struct {
	sources  []*session.Source
	backends func() []replica.BackendStatus
	sessions *prometheus.Desc
	listed   *prometheus.Desc
}

func newSessionCounts(
	sources []*session.Source, backends func() []replica.BackendStatus,
) *sessionCounts {
	return &sessionCounts{
		sources: sources, backends: backends,
		sessions: prometheus.NewDesc("director_backend_sessions",
			"Sessions on a backend through the login processes beside this director, as last "+
				"listed.",
			[]string{"backend", "tag"}, nil),
		listed: prometheus.NewDesc("director_sessions_listed_timestamp_seconds",
			"When Dovecot beside this director was last asked for its sessions and told them, in "+
				"Unix time; 0: never.",
			nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *sessionCounts) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.sessions
	ch <- c.listed
}

// Collect implements prometheus.Collector.
func (c *sessionCounts) Collect(ch chan<- prometheus.Metric) {
	counts, listed := make(map[netip.Addr]int), 0.0
	for _, source := range c.sources {
		list := source.Newest()
		if list == nil {
			continue
		}
		listed = float64(list.Asked().UnixMilli()) / 1000
		for backend, n := range list.OnBackends() {
			counts[backend] += n
		}
	}
	ch <- prometheus.MustNewConstMetric(c.listed, prometheus.GaugeValue, listed)
	for _, b := range c.backends() {
		ch <- prometheus.MustNewConstMetric(
			c.sessions, prometheus.GaugeValue, float64(counts[b.Backend.Addr]),
			ring.AddrText(b.Backend.Addr), string(b.Backend.Tag))
	}
}

// checkCounts counts the checks of each backend that this director made.
type checkCounts struct {
	backends func() []replica.BackendStatus
	checks   *prometheus.Desc

	mu     sync.Mutex
	counts map[netip.Addr]checked // of backends that are or were in the table
}

// checked is how many checks of a backend were good, and how many not.
type checked struct{ good, failed uint64 }

func newCheckCounts(backends func() []replica.BackendStatus) *checkCounts {
	return &checkCounts{
		backends: backends, counts: make(map[netip.Addr]checked),
		checks: prometheus.NewDesc("director_backend_health_checks_total",
			"Checks of a backend that this director made, by result.",
			[]string{"backend", "tag", "result"}, nil),
	}
}

// count counts a check; the word is "" for a good one.
func (c *checkCounts) count(backend netip.Addr, word probe.Word) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.counts[backend]
	if word == "" {
		n.good++
	} else {
		n.failed++
	}
	c.counts[backend] = n
}

// Describe implements prometheus.Collector.
func (c *checkCounts) Describe(ch chan<- *prometheus.Desc) { ch <- c.checks }

// Collect implements prometheus.Collector. What is not in the table any more is forgotten.
func (c *checkCounts) Collect(ch chan<- prometheus.Metric) {
	backends := c.backends()
	c.mu.Lock()
	defer c.mu.Unlock()
	present := make(map[netip.Addr]checked, len(backends))
	for _, b := range backends {
		n := c.counts[b.Backend.Addr]
		if n != (checked{}) {
			present[b.Backend.Addr] = n
		}
		addr, tag := ring.AddrText(b.Backend.Addr), string(b.Backend.Tag)
		ch <- prometheus.MustNewConstMetric(
			c.checks, prometheus.CounterValue, float64(n.good), addr, tag, "good")
		ch <- prometheus.MustNewConstMetric(
			c.checks, prometheus.CounterValue, float64(n.failed), addr, tag, "failed")
	}
	c.counts = present
}
