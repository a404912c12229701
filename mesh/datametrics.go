package mesh

import (
	"github.com/prometheus/client_golang/prometheus"

	"directormesh/mesh/history"
)

// dataDescs are the metrics of the data directory and of the history. Without a directory all are
// zero.
type dataDescs struct {
	failing *prometheus.Desc
	bytes   *prometheus.Desc
	dropped *prometheus.Desc
	gaps    *prometheus.Desc

	historyFailing *prometheus.Desc
	historyBytes   *prometheus.Desc
	historyLost    *prometheus.Desc
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
		historyFailing: desc("director_history_failing",
			"1 if the history in the data directory is not written at present, else 0."),
		historyBytes: desc("director_history_bytes",
			"Bytes of the files of the history, and 0 if it is in memory."),
		historyLost: desc("director_history_lost_total",
			"Notes of the history that could not be written and found no more room in memory."),
	}
}

func (d dataDescs) collect(ch chan<- prometheus.Metric, s DataStatus, h history.Status) {
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	ch <- prometheus.MustNewConstMetric(d.failing, gauge, boolValue(s.Problem != nil))
	ch <- prometheus.MustNewConstMetric(d.bytes, gauge, float64(s.Bytes))
	ch <- prometheus.MustNewConstMetric(d.dropped, counter, float64(s.Dropped))
	ch <- prometheus.MustNewConstMetric(d.gaps, counter, float64(s.Gaps))
	failing := boolValue(h.Problem != nil)
	ch <- prometheus.MustNewConstMetric(d.historyFailing, gauge, failing)
	ch <- prometheus.MustNewConstMetric(d.historyBytes, gauge, float64(h.Bytes))
	ch <- prometheus.MustNewConstMetric(d.historyLost, counter, float64(h.Lost))
}
