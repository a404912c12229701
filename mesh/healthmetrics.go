package mesh

import (
	"github.com/prometheus/client_golang/prometheus"

	"directormesh/mesh/replica"
)

// healthDescs are the metrics of what the directors see of the backends.
type healthDescs struct{ backends, alarms, outOfContact *prometheus.Desc }

func newHealthDescs() healthDescs {
	return healthDescs{
		backends: prometheus.NewDesc("director_backends",
			"Backends by what most of the directors that check them see.",
			[]string{"health"}, nil),
		alarms: prometheus.NewDesc("director_health_alarms",
			"Tags in which too many backends fail at once for any to be taken out of use.",
			nil, nil),
		outOfContact: prometheus.NewDesc("director_health_out_of_contact",
			"1 if this director checks backends and is in contact with fewer than half of the "+
				"directors, so that it takes none out of use, else 0.",
			nil, nil),
	}
}

func (d healthDescs) collect(ch chan<- prometheus.Metric, s replica.HealthStatus) {
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	counts := make(map[replica.Health]int)
	for _, b := range s.Backends {
		counts[b.Health()]++
	}
	for _, h := range replica.Healths() {
		gauge(d.backends, float64(counts[h]), h.String())
	}
	gauge(d.alarms, float64(len(s.Alarms)))
	gauge(d.outOfContact, boolValue(s.OutOfContact))
}
