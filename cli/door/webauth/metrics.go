package webauth

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// reason says why a request was refused: a value of a label and of a field of the log.
type reason string

const (
	refusedNobody   reason = "nobody"             // no password, no certificate that counts
	refusedPassword reason = "password"           // a wrong one
	refusedTooMany  reason = "too_many_passwords" // from this address, or at the same time
	refusedRole     reason = "role"               // none that is enough
	refusedHost     reason = "host"
	refusedSite     reason = "foreign_site"
)

// metrics count what a gate does.
type metrics struct {
	refused                  map[reason]prometheus.Counter
	good, notAfter           prometheus.Gauge
	takenEdits, refusedEdits prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "director_http_refused_total",
		Help: "Requests over the network that were refused for who made them, or from where.",
	}, []string{"reason"})
	edits := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "director_web_config_edits_total",
		Help: "Edits of the web configuration file that were seen, by result.",
	}, []string{"result"})
	m := &metrics{
		refused: make(map[reason]prometheus.Counter),
		good: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "director_web_config_good",
			Help: "1 if the web configuration file is good now, 0 if the last good one is in use.",
		}),
		notAfter: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "director_web_certificate_expiry_timestamp_seconds",
			Help: "When the certificate of this director for HTTPS expires.",
		}),
		takenEdits: edits.WithLabelValues("taken"), refusedEdits: edits.WithLabelValues("refused"),
	}
	for _, why := range []reason{
		refusedNobody, refusedPassword, refusedTooMany, refusedRole, refusedHost, refusedSite,
	} {
		m.refused[why] = refused.WithLabelValues(string(why))
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{refused, edits, m.good, m.notAfter} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics of the web configuration: %w", err)
		}
	}
	return m, nil
}

// uses shows a policy that has come into use.
func (m *metrics) uses(p *Policy) {
	m.good.Set(1)
	m.notAfter.Set(float64(p.leaf.NotAfter.Unix()))
}
