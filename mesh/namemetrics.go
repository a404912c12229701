package mesh

import (
	"github.com/prometheus/client_golang/prometheus"

	"directormesh/mesh/replica"
)

// nameDescs are the metrics of what the directors see of the names of backends.
type nameDescs struct{ resolves, addresses, alarms *prometheus.Desc }

func newNameDescs() nameDescs {
	return nameDescs{
		resolves: prometheus.NewDesc("director_name_resolves",
			"1 if a name of backends that this director looks up resolves here, else 0.",
			[]string{"name", "tag"}, nil),
		addresses: prometheus.NewDesc("director_name_addresses",
			"Addresses of the names of backends, by how they stand to the table.",
			[]string{"state"}, nil),
		alarms: prometheus.NewDesc("director_name_alarms",
			"Tags in which too many backends are gone from their names for any to be drained.",
			nil, nil),
	}
}

func (d nameDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{d.resolves, d.addresses, d.alarms}
}

// collect sends what the director of this name has.
func (d nameDescs) collect(ch chan<- prometheus.Metric, self string, s replica.NamesStatus) {
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	counts := make(map[replica.NameState]int)
	for _, name := range s.Names {
		for _, seen := range name.Directors {
			if seen.Director == self {
				gauge(d.resolves, boolValue(seen.Resolves), name.Name, string(name.Tag))
			}
		}
		for _, a := range name.Addresses {
			counts[a.State]++
		}
	}
	for _, state := range replica.NameStates() {
		gauge(d.addresses, float64(counts[state]), state.String())
	}
	gauge(d.alarms, float64(len(s.Alarms)))
}
