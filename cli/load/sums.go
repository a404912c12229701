package load

import (
	"maps"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept in nanoseconds, to more than three digits, from 0.1 µs. Longer ones count as
// maxLatency.
const (
	minLatency = int64(100)
	maxLatency = int64(2 * time.Minute)
	digits     = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(minLatency, maxLatency, digits)
}

// sums are the answers of one batch.
type sums struct {
	latencies []time.Duration
	last      time.Duration // when an answer came last, since the start
	failed    int64
	reasons   map[string]int64
}

func (s *sums) fail(reason string, n int64) {
	s.failed += n
	s.reasons[reason] += n
}

// director is what is known of one director. Safe for concurrent use.
type director struct {
	number int
	target Target

	mu      sync.Mutex // guards what follows
	lately  *hdrhistogram.Histogram
	earlier *hdrhistogram.Histogram // before lately
	sums    sums
}

func newDirector(number int, t Target) *director {
	return &director{
		number: number, target: t, lately: newHistogram(), earlier: newHistogram(),
		sums: sums{reasons: make(map[string]int64)},
	}
}

// add takes a batch, and empties it.
func (d *director) add(s *sums) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range s.latencies {
		_ = d.lately.RecordValue(min(max(int64(l), 0), maxLatency)) // it is within the limits
	}
	s.latencies = s.latencies[:0]
	d.sums.last = max(d.sums.last, s.last)
	if s.failed == 0 {
		return
	}
	for r, n := range s.reasons {
		d.sums.fail(r, n)
	}
	clear(s.reasons)
	s.failed = 0
}

// fail counts requests that got no answer.
func (d *director) fail(reason string, n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sums.fail(reason, n)
}

// turn moves the latencies since the last turn into a histogram, and returns how many there were
// and how many requests have failed so far.
func (d *director) turn(into *hdrhistogram.Histogram) (answered, failed int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	answered = d.lately.TotalCount()
	into.Merge(d.lately)
	d.earlier.Merge(d.lately)
	d.lately.Reset()
	return answered, d.sums.failed
}

// result returns what has become of all requests.
func (d *director) result() DirectorResult {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.earlier.Merge(d.lately)
	d.lately.Reset()
	return DirectorResult{
		Name: d.target.Name, Latency: d.earlier, Failed: d.sums.failed,
		Failures: maps.Clone(d.sums.reasons),
	}
}
