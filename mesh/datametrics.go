package mesh

import "github.com/prometheus/client_golang/prometheus"

// dataDescs are the metrics of the data directory. Without one all are zero.
type dataDescs struct {
	failing *prometheus.Desc
	bytes   *prometheus.Desc
	dropped *prometheus.Desc
	gaps    *prometheus.Desc
}

func newDataDescs() dataDescs {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, nil, nil)
	}
	return dataDescs{
		failing: desc("director_data_dir_failing",
			"1 if the data directory keeps nothing at present, else 0."),
		bytes: desc("director_data_dir_bytes", "Bytes of the files in the data directory."),
		dropped: desc("director_data_dir_dropped_total",
			"Messages that the data directory did not take; a snapshot makes up for them."),
		gaps: desc("director_data_dir_gaps_total",
			"Times that the data directory ceased to keep what it was given."),
	}
}

func (d dataDescs) collect(ch chan<- prometheus.Metric, s DataStatus) {
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	ch <- prometheus.MustNewConstMetric(d.failing, gauge, boolValue(s.Problem != nil))
	ch <- prometheus.MustNewConstMetric(d.bytes, gauge, float64(s.Bytes))
	ch <- prometheus.MustNewConstMetric(d.dropped, counter, float64(s.Dropped))
	ch <- prometheus.MustNewConstMetric(d.gaps, counter, float64(s.Gaps))
}
