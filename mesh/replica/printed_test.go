package replica

import (
	"net/netip"
	"reflect"
	"testing"

	"directormesh/directory"
	"directormesh/ring"
)

// commandedField sets all that is in a field to something that a command may have written.
func commandedField(t *testing.T, v reflect.Value) {
	t.Helper()
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			commandedField(t, v.Field(i))
		}
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.String:
		v.SetString("d2")
	case v.CanInt():
		v.SetInt(7)
	case v.CanUint():
		v.SetUint(7 << 16)
	default:
		t.Fatalf("this test does not know how to fill a %s", v.Type())
	}
}

// TestEachRegisterIsPrinted writes one register of a backend at a time: stories and transcripts
// show each.
func TestEachRegisterIsPrinted(t *testing.T) {
	none := directory.BackendRow{Addr: netip.MustParseAddr("192.0.2.1")}
	print := new(printer)
	for i := range reflect.TypeFor[directory.BackendRow]().NumField() {
		name := reflect.TypeFor[directory.BackendRow]().Field(i).Name
		if name == "Addr" {
			continue
		}
		row := none
		commandedField(t, reflect.ValueOf(&row).Elem().Field(i))
		if registersText(row) == registersText(none) {
			t.Errorf("stories do not show the register %s", name)
		}
		if print.backendRow(row) == print.backendRow(none) {
			t.Errorf("transcripts do not show the register %s", name)
		}
	}
}

// TestEachDifferenceOfABackendIsLogged changes one field of a backend at a time: a table that
// differs in it from the configuration is told apart, but for the host name, which changes nothing.
func TestEachDifferenceOfABackendIsLogged(t *testing.T) {
	was := ring.Backend{Addr: netip.MustParseAddr("192.0.2.1"), VHosts: ring.DefaultVHosts}
	for i := range reflect.TypeFor[ring.Backend]().NumField() {
		name, is := reflect.TypeFor[ring.Backend]().Field(i).Name, was
		if name == "Addr" {
			is.Addr = netip.MustParseAddr("192.0.2.2")
		} else {
			commandedField(t, reflect.ValueOf(&is).Elem().Field(i))
		}
		differs := len(backendDifferences([]ring.Backend{was}, []ring.Backend{is})) > 0
		if differs == (name == "Name") {
			t.Errorf("a difference in %s is logged: %v", name, differs)
		}
	}
}
