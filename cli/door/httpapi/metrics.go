package httpapi

import (
	"fmt"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/door/latency"
)

// metrics counts what this door does. Labels come from closed sets, and all of them exist from the
// start.
type metrics struct {
	requests *prometheus.CounterVec
	lookups  *latency.Lookups
	paths    map[string]classes // does not change after the routes are made
}

// classes are the counters of a path, by the hundreds of the status.
type classes map[int]prometheus.Counter

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "director_http_requests_total",
			Help: "HTTP requests answered, by path and status class.",
		}, []string{"path", "status"}),
		lookups: latency.New("http"),
		paths:   make(map[string]classes),
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

// serves makes the counters of a path, before the first request.
func (m *metrics) serves(path string) {
	m.paths[path] = make(classes)
	for _, class := range []int{2, 4, 5} {
		m.paths[path][class] = m.requests.WithLabelValues(path, strconv.Itoa(class)+"xx")
	}
}

// served counts a request for one of the paths of routes.
func (m *metrics) served(path string, status int) { m.paths[path][status/100].Inc() }
