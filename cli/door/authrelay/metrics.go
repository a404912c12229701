package authrelay

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/door/latency"
)

// metrics counts what one door does. All label values exist from the start.
type metrics struct {
	open      prometheus.Gauge
	held      prometheus.Gauge
	replies   *prometheus.CounterVec
	completed prometheus.Counter
	unchanged prometheus.Counter
	failed    prometheus.Counter
	troubles  *prometheus.CounterVec
	lookups   *latency.Lookups
}

func newMetrics(r prometheus.Registerer, p Protocol) (*metrics, error) {
	door := prometheus.Labels{"door": p.String()}
	m := &metrics{
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name:        "director_auth_open_requests",
			Help:        "Requests that auth, or the lookup after it, has not answered yet.",
			ConstLabels: door,
		}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name:        "director_auth_held_replies",
			Help:        "Replies whose user's lookup waits.",
			ConstLabels: door,
		}),
		replies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name:        "director_auth_replies_total",
			Help:        "Reply lines of auth, by what the director did with them.",
			ConstLabels: door,
		}, []string{"result"}),
		troubles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name:        "director_auth_troubles_total",
			Help:        "Troubles at a door before Dovecot's auth, by cause.",
			ConstLabels: door,
		}, []string{"cause"}),
		lookups: latency.New(p.String()),
	}
	m.completed = m.replies.WithLabelValues("completed")
	m.unchanged = m.replies.WithLabelValues("unchanged")
	m.failed = m.replies.WithLabelValues("failed")
	for c := range texts {
		m.troubles.WithLabelValues(string(c))
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.open, m.held, m.replies, m.troubles, m.lookups} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics of the %s door: %w", p, err)
		}
	}
	return m, nil
}
