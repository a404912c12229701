package sim

import (
	"reflect"
	"testing"

	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
)

// TestEveryOperationIsOrdered wants schedules with each kind of operation that the checker knows,
// and such a kind for each operation of the core.
func TestEveryOperationIsOrdered(t *testing.T) {
	unknown := make(map[reflect.Type]bool)
	for _, op := range replica.Operations() {
		unknown[reflect.TypeOf(op)] = true
	}
	delete(unknown, reflect.TypeFor[replica.SetDirectorRemoved]()) // an action of its own, RingRemove
	never := make(map[check.OpKind]bool)
	for kind := range check.OpKinds {
		never[kind] = true
		delete(unknown, reflect.TypeOf(operation(check.Op{Kind: kind}, 0)))
	}
	for op := range unknown {
		t.Errorf("no kind of operation becomes %v", op)
	}
	for _, kind := range Kinds() {
		for seed := range uint64(10) {
			for _, a := range kind.Generate(seed + 1).Actions {
				if a.Kind == Order {
					delete(never, a.Op.Kind)
				}
			}
		}
	}
	for kind := range never {
		t.Errorf("no schedule has the operation %v", kind)
	}
}
