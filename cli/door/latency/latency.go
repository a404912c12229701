// Package latency counts the lookups of a door, by result, and how long each took. It is made for
// doors that answer a million lookups a second: counting a batch costs two atomic additions on
// memory that hardly any other processor uses.
package latency

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// bounds are the upper bounds of the buckets. Most lookups take microseconds; one that waits takes
// 30 s at most.
var bounds = [...]time.Duration{
	5 * time.Microsecond, 20 * time.Microsecond, 100 * time.Microsecond, 500 * time.Microsecond,
	2500 * time.Microsecond, 10 * time.Millisecond, 50 * time.Millisecond, 250 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// Lookups counts the lookups of one door. It is a collector of metrics.
type Lookups struct {
	shards   []Shard
	next     atomic.Uint32 // counts the calls of Shard
	answers  *prometheus.Desc
	duration *prometheus.Desc
}

// Shard is a part of the counters. Any number of goroutines may count in one; it is fast where few
// do so at once.
type Shard struct {
	buckets [len(bounds) + 1]atomic.Uint64 // the last one: beyond all bounds
	nanos   atomic.Uint64                  // of all
	failed  atomic.Uint64
	_       [64]byte // the neighbour is on another cache line
}

// New returns the counters of a door of this name.
func New(door string) *Lookups {
	labels := prometheus.Labels{"door": door}
	return &Lookups{
		shards: make([]Shard, min(runtime.GOMAXPROCS(0), 64)),
		answers: prometheus.NewDesc("director_lookups_total",
			"Lookups of users that a door has answered, and those that failed, by result.",
			[]string{"result"}, labels),
		duration: prometheus.NewDesc("director_lookup_duration_seconds",
			"How long lookups took, waits included, from the question, or auth's reply, on.",
			nil, labels),
	}
}

// Shard returns a part to count in. Each goroutine, or whatever counts one thing at a time, is
// given one when it begins.
func (l *Lookups) Shard() *Shard {
	return &l.shards[int(l.next.Add(1))%len(l.shards)]
}

// Answered counts lookups that were answered after this time.
func (s *Shard) Answered(lookups int, took time.Duration) {
	if lookups > 0 {
		s.buckets[bucketOf(took)].Add(uint64(lookups))
		s.nanos.Add(uint64(lookups) * uint64(max(took, 0)))
	}
}

// Failed counts a lookup that failed after this time.
func (s *Shard) Failed(took time.Duration) {
	s.Answered(1, took)
	s.failed.Add(1)
}

// bucketOf returns the bucket of a duration. The first few are looked at one by one, which is
// faster than a search.
func bucketOf(d time.Duration) int {
	for i, bound := range bounds {
		if d <= bound {
			return i
		}
	}
	return len(bounds)
}

// Describe implements prometheus.Collector.
func (l *Lookups) Describe(ch chan<- *prometheus.Desc) {
	ch <- l.answers
	ch <- l.duration
}

// Collect implements prometheus.Collector.
func (l *Lookups) Collect(ch chan<- prometheus.Metric) {
	var buckets [len(bounds) + 1]uint64
	var nanos, failed uint64
	for i := range l.shards {
		s := &l.shards[i]
		failed += s.failed.Load() // before the buckets: each failed one is in there
		for b := range buckets {
			buckets[b] += s.buckets[b].Load()
		}
		nanos += s.nanos.Load()
	}
	cumulative, count := make(map[float64]uint64, len(bounds)), uint64(0)
	for b, bound := range bounds {
		count += buckets[b]
		cumulative[bound.Seconds()] = count
	}
	count += buckets[len(bounds)]
	ch <- prometheus.MustNewConstHistogram(l.duration, count, float64(nanos)/1e9, cumulative)
	for result, lookups := range map[string]uint64{"answered": count - failed, "failed": failed} {
		ch <- prometheus.MustNewConstMetric(
			l.answers, prometheus.CounterValue, float64(lookups), result)
	}
}
