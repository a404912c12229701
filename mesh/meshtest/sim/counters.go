package sim

import (
	"reflect"

	"directormesh/mesh/replica"
)

// add sums two sets of counters.
func add(a, b replica.Counters) replica.Counters {
	sum, other := reflect.ValueOf(&a).Elem(), reflect.ValueOf(b)
	for i := range sum.NumField() {
		sum.Field(i).SetUint(sum.Field(i).Uint() + other.Field(i).Uint())
	}
	return a
}
