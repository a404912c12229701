package mesh

import (
	"reflect"
	"strings"
	"testing"

	"directormesh/mesh/replica"
)

// TestCoreCounters checks that each count of the core is one metric, once, with a name by
// Prometheus' conventions.
func TestCoreCounters(t *testing.T) {
	var counters replica.Counters
	fields := reflect.ValueOf(&counters).Elem()
	names := make(map[uint64]string)
	for i := range fields.NumField() {
		fields.Field(i).SetUint(uint64(i + 1))
		names[uint64(i+1)] = fields.Type().Field(i).Name
	}
	metrics := make(map[string]bool)
	for _, metric := range coreCounters() {
		name := metric.name
		if !strings.HasPrefix(name, "director_") || !strings.HasSuffix(name, "_total") {
			t.Errorf("%s: a counter is called director_…_total", name)
		}
		if metrics[name] {
			t.Errorf("%s is there twice", name)
		}
		metrics[name] = true
		if !strings.HasSuffix(metric.help, ".") {
			t.Errorf("%s: help %q; want one sentence", name, metric.help)
		}
		reasons := make(map[string]bool)
		for _, k := range metric.counts {
			if reasons[k.reason] || k.reason == "" && len(metric.counts) > 1 {
				t.Errorf("%s, reason %q, is there twice", name, k.reason)
			}
			reasons[k.reason] = true
			n := k.read(&counters)
			if names[n] == "" {
				t.Errorf("%s, reason %q, reads what another one reads, or nothing", name, k.reason)
			}
			delete(names, n)
		}
	}
	for _, name := range names {
		t.Errorf("Counters.%s is no metric", name)
	}
}
