package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is how a run went.
type Result struct {
	Took      time.Duration // from the first request to the last answer
	CPU       time.Duration // of this process meanwhile
	Directors []DirectorResult
	Users     int   // that have got a backend
	Moved     int64 // changes of a user's backend, with Config.Moves
	Wrong     int64 // answers that contradict another
	Examples  []string
}

// DirectorResult is how one director answered.
type DirectorResult struct {
	Name     string
	Latency  *hdrhistogram.Histogram // of all answers, in nanoseconds
	Failed   int64
	Failures map[string]int64 // the same by reason
}

// Latency returns the latencies of all directors, in nanoseconds.
func (r *Result) Latency() *hdrhistogram.Histogram {
	all := newHistogram()
	for _, d := range r.Directors {
		all.Merge(d.Latency)
	}
	return all
}

// Failed returns how many requests got no backend, and why.
func (r *Result) Failed() (failed int64, reasons map[string]int64) {
	reasons = make(map[string]int64)
	for _, d := range r.Directors {
		failed += d.Failed
		for reason, n := range d.Failures {
			reasons[reason] += n
		}
	}
	return failed, reasons
}
