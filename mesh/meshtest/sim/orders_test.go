package sim

import (
	"reflect"
	"testing"

	"directormesh/directory"
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
	// an action of its own, RingRemove
	delete(unknown, reflect.TypeFor[replica.SetDirectorRemoved]())
	delete(unknown, reflect.TypeFor[replica.IfTable]()) // a condition of others
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

// TestEachRegisterIsJudged wants every register of a backend in the table that the checker judges,
// beside the text in which it compares those of two directors.
func TestEachRegisterIsJudged(t *testing.T) {
	addr := backend(0)
	table := func(change func(row reflect.Value)) check.Row {
		row := directory.BackendRow{Addr: addr}
		row.Presence = directory.Register[directory.Presence]{
			Value: directory.Presence{Present: true}, Origin: "d1",
		}
		change(reflect.ValueOf(&row).Elem())
		return tableOf(directory.Change{Backends: []directory.BackendRow{row}})[addr]
	}
	before := table(func(reflect.Value) {})
	for i := range reflect.TypeFor[directory.BackendRow]().NumField() {
		name := reflect.TypeFor[directory.BackendRow]().Field(i).Name
		if name == "Addr" {
			continue
		}
		after := table(func(row reflect.Value) { flip(t, row.Field(i)) })
		if after == before {
			t.Errorf("the checker does not see the register %s", name)
		}
	}
}

// flip changes all that is in a register.
func flip(t *testing.T, v reflect.Value) {
	t.Helper()
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			flip(t, v.Field(i))
		}
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.Kind() == reflect.String:
		v.SetString("d2")
	case v.CanInt():
		v.SetInt(7)
	case v.CanUint():
		v.SetUint(7)
	default:
		t.Fatalf("this test does not know how to change a %s", v.Type())
	}
}
