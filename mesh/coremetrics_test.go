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
	type key struct{ name, reason string }
	seen := make(map[key]bool)
	help := make(map[string]string)
	for _, k := range coreCounters() {
		if !strings.HasPrefix(k.name, "director_") || !strings.HasSuffix(k.name, "_total") {
			t.Errorf("%s: a counter is called director_…_total", k.name)
		}
		if seen[key{k.name, k.reason}] || k.reason != "" && seen[key{k.name, ""}] {
			t.Errorf("%s, reason %q, is there twice", k.name, k.reason)
		}
		seen[key{k.name, k.reason}] = true
		if other, ok := help[k.name]; ok && other != k.help || !strings.HasSuffix(k.help, ".") {
			t.Errorf("%s: help %q; want one sentence, the same for all reasons", k.name, k.help)
		}
		help[k.name] = k.help
		n := k.read(&counters)
		if names[n] == "" {
			t.Errorf("%s, reason %q, reads a field that another one reads, or none", k.name, k.reason)
		}
		delete(names, n)
	}
	for _, name := range names {
		t.Errorf("Counters.%s is no metric", name)
	}
}
