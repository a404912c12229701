package latency

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// gathered returns the metrics of some counters by name, each by the value of its label result.
func gathered(t *testing.T, l *Lookups) map[string]map[string]*dto.Metric {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(l)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]map[string]*dto.Metric)
	for _, f := range families {
		all[f.GetName()] = make(map[string]*dto.Metric)
		for _, m := range f.GetMetric() {
			result := ""
			for _, label := range m.GetLabel() {
				if label.GetName() == "result" {
					result = label.GetValue()
				}
			}
			all[f.GetName()][result] = m
		}
	}
	return all
}

// Each lookup is in the bucket of its time, whoever counted it, and in the number of its result.
func TestLookups(t *testing.T) {
	l := New("login")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s := l.Shard()
			s.Answered(32, 3*time.Microsecond)
			s.Answered(0, time.Hour)
			s.Answered(1, 5*time.Microsecond) // a bound belongs to its bucket
			s.Answered(1, 6*time.Microsecond)
			s.Failed(31 * time.Second)
		})
	}
	all.Wait()
	metrics := gathered(t, l)
	results := map[string]float64{}
	for result, m := range metrics["director_lookups_total"] {
		results[result] = m.GetCounter().GetValue()
	}
	if diff := cmp.Diff(map[string]float64{"answered": 8 * 34, "failed": 8}, results); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	h := metrics["director_lookup_duration_seconds"][""].GetHistogram()
	buckets := map[float64]uint64{}
	for _, b := range h.GetBucket() {
		buckets[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	for bound, want := range map[float64]uint64{5e-6: 8 * 33, 2e-5: 8 * 34, 1: 8 * 34, 30: 8 * 34} {
		if buckets[bound] != want {
			t.Errorf("%d lookups took %g s at most, want %d: %v",
				buckets[bound], bound, want, buckets)
		}
	}
	sum := 8 * (32*3e-6 + 5e-6 + 6e-6 + 31)
	if h.GetSampleCount() != 8*35 || math.Abs(h.GetSampleSum()-sum) > 1e-6 {
		t.Errorf("%d lookups took %g s, want %g", h.GetSampleCount(), h.GetSampleSum(), sum)
	}
}

// A clock that goes back takes nothing away.
func TestTimeBeforeTheBeginning(t *testing.T) {
	l := New("login")
	l.Shard().Answered(1, -time.Hour)
	h := gathered(t, l)["director_lookup_duration_seconds"][""].GetHistogram()
	if h.GetSampleSum() != 0 || h.GetBucket()[0].GetCumulativeCount() != 1 {
		t.Errorf("%v", h)
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	s := New("login").Shard()
	if n := testing.AllocsPerRun(100, func() { s.Answered(32, time.Microsecond) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkAnswered(b *testing.B) {
	l := New("login")
	b.RunParallel(func(pb *testing.PB) {
		s := l.Shard()
		for pb.Next() {
			s.Answered(32, 10*time.Microsecond)
		}
	})
}
