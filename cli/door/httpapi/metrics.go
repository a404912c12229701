package httpapi

import (
	"fmt"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what this door does. Labels come from closed sets, and all of them exist from the start.
type metrics struct {
	requests *prometheus.CounterVec
	lookups  *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "director_http_requests_total",
			Help: "HTTP requests answered, by path and status class.",
		}, []string{"path", "status"}),
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "director_http_lookups_total",
			Help: "User lookups over HTTP, by result.",
		}, []string{"result"}),
	}
	for _, result := range []string{"answered", "failed"} {
		m.lookups.WithLabelValues(result)
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.lookups} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics of the HTTP door: %w", err)
		}
	}
	return m, nil
}

// serves makes the counters of a path exist before the first request.
func (m *metrics) serves(path string) {
	for _, class := range []string{"2xx", "4xx", "5xx"} {
		m.requests.WithLabelValues(path, class)
	}
}

// served counts a request for one of the paths of routes.
func (m *metrics) served(path string, status int) {
	m.requests.WithLabelValues(path, strconv.Itoa(status/100)+"xx").Inc()
}

func (m *metrics) lookedUp(err error) {
	result := "answered"
	if err != nil {
		result = "failed"
	}
	m.lookups.WithLabelValues(result).Inc()
}
