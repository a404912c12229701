package replica

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"directormesh/ring"
)

// overtaking is two operations at the same moment; both says that both may hold.
type overtaking struct {
	name     string
	one, two Operation
	both     bool
}

// neverApart names the types of operations that write the table, and their fields, of which no two
// in the tests differ so that one overtakes the other.
func neverApart(tests []overtaking) []string {
	missing := make(map[string]bool)
	for _, op := range Operations() {
		switch op.(type) {
		case Move, Flush, CancelFlush, KickUser, Import:
			continue // they write no register
		case Forget, ResetFactors:
			continue // of two the later one does for both
		}
		missing[fmt.Sprintf("%T", op)] = true
		for _, f := range reflect.VisibleFields(reflect.TypeOf(op)) {
			missing[fmt.Sprintf("%T.%s", op, f.Name)] = true
		}
	}
	for _, name := range []string{
		// what the operation is about
		"AddBackend.Addr", "UpdateBackend.Addr", "RemoveBackend.Addr", "SetDown.Addr",
		"SetDirectorRemoved.Addr", "SetDirectorRemoved.Name",
		"UpdateBackend.Tag", // a condition
		// how, and not whether
		"Drain.Addr", "Drain.Pace", "Drain.By", "Drain.Over", "Drain.MaxParallel", "Drain.Force",
		"Undrain.Addr", "Rebalance.By", "Rebalance.Over", "Rebalance.MaxParallel",
		"Rebalance", "Rebalance.Tag", "Rebalance.Pace", // it ends by itself
		"Pin.Hash", "Unpin.User", "Pin.Wait", // what it is about, and how
		"IfTable", "IfTable.Digest", "IfTable.Operation", // the operation counts
	} {
		delete(missing, "replica."+name)
	}
	for _, test := range tests {
		if test.both {
			continue
		}
		one, two := reflect.ValueOf(test.one), reflect.ValueOf(test.two)
		for _, v := range []reflect.Value{one, two} {
			delete(missing, v.Type().String())
		}
		if one.Type() != two.Type() {
			continue
		}
		for i := range one.NumField() {
			if !reflect.DeepEqual(one.Field(i).Interface(), two.Field(i).Interface()) {
				delete(missing, one.Type().String()+"."+one.Type().Field(i).Name)
			}
		}
	}
	return slices.Sorted(maps.Keys(missing))
}

// Two operators change the same at the same moment at two directors. One of the two changes holds,
// and only who asked for that one reads that it was done. If both wanted the same, both do.
func TestOvertaken(t *testing.T) {
	seven, eight, yes, no := 7, 8, true, false
	slow, slower := 5*time.Minute, 6*time.Minute
	known, fresh := testBackend(1), netip.MustParseAddr("192.0.2.77")
	away := netip.MustParseAddrPort("198.51.100.1:9090")
	tests := []overtaking{
		{"down and up", SetDown{Addr: known, Down: true}, SetDown{Addr: known}, false},
		{"down twice", SetDown{Addr: known, Down: true}, SetDown{Addr: known, Down: true}, true},
		{"down, and removed", SetDown{Addr: known, Down: true}, RemoveBackend{Addr: known}, false},
		{"two weights", UpdateBackend{Addr: known, VHosts: 7},
			UpdateBackend{Addr: known, VHosts: 8}, false},
		{"one weight twice", UpdateBackend{Addr: known, VHosts: 7},
			UpdateBackend{Addr: known, VHosts: 7}, true},
		{"a weight, and removed", UpdateBackend{Addr: known, VHosts: 7},
			RemoveBackend{Addr: known}, false},
		{"a weight, and down", UpdateBackend{Addr: known, VHosts: 7},
			SetDown{Addr: known, Down: true}, true},
		{"added and removed", AddBackend{Addr: known}, RemoveBackend{Addr: known}, false},
		{"added twice", AddBackend{Addr: fresh}, AddBackend{Addr: fresh}, true},
		{"added with two weights", AddBackend{Addr: fresh, VHosts: &seven},
			AddBackend{Addr: fresh, VHosts: &eight}, false},
		{"added as a standby and not", AddBackend{Addr: fresh, Standby: &yes},
			AddBackend{Addr: fresh, Standby: &no}, false},
		{"added slowly and more slowly", AddBackend{Addr: fresh, SlowStart: &slow},
			AddBackend{Addr: fresh, SlowStart: &slower}, false},
		{"up slowly and at once", SetDown{Addr: known, SlowStart: &slow},
			SetDown{Addr: known, SlowStart: new(time.Duration)}, false},
		{"up slowly twice", SetDown{Addr: known, SlowStart: &slow},
			SetDown{Addr: known, SlowStart: &slow}, true},
		{"a weight, slowly and more slowly",
			UpdateBackend{Addr: known, VHosts: 7, SlowStart: &slow},
			UpdateBackend{Addr: known, VHosts: 7, SlowStart: &slower}, false},
		{"added with two tags", AddBackend{Addr: fresh, Tag: "a"},
			AddBackend{Addr: fresh, Tag: "b"}, false},
		{"added with two names", AddBackend{Addr: fresh, Name: "a.example.org"},
			AddBackend{Addr: fresh, Name: "b.example.org"}, false},
		{"drained and undrained", Drain{Addr: known}, Undrain{Addr: known}, false},
		{"undrained slowly and more slowly", Undrain{Addr: known, SlowStart: &slow},
			Undrain{Addr: known, SlowStart: &slower}, false},
		{"drained twice", Drain{Addr: known}, Drain{Addr: known}, true},
		{"drained, and down", Drain{Addr: known}, SetDown{Addr: known, Down: true}, true},
		{"drained, and removed", Drain{Addr: known}, RemoveBackend{Addr: known}, false},
		{"drained one and another", Drain{Addr: known}, Drain{Addr: testBackend(2)}, true},
		{"pinned here and there", Pin{Hash: 7, Backend: known},
			Pin{Hash: 7, Backend: testBackend(2)}, false},
		{"pinned twice", Pin{Hash: 7, Backend: known}, Pin{Hash: 7, Backend: known}, true},
		{"pinned, and another", Pin{Hash: 7, Backend: known}, Pin{Hash: 8, Backend: known}, true},
		{"pinned and unpinned", Pin{Hash: 9, Backend: known},
			Unpin{User: ring.User{Hash: 9}}, false},
		{"removed twice", RemoveBackend{Addr: known}, RemoveBackend{Addr: known}, true},
		{"forgotten twice", Forget{Addr: known}, Forget{}, true},
		{"a director removed and let in", SetDirectorRemoved{Addr: away, Removed: true},
			SetDirectorRemoved{Addr: away}, false},
		{"a director let in twice", SetDirectorRemoved{Addr: away},
			SetDirectorRemoved{Addr: away}, true},
	}
	for _, name := range neverApart(tests) {
		t.Errorf("of no two operations that cannot both hold does %s make the difference", name)
	}
	for _, test := range tests {
		for _, swapped := range []bool{false, true} {
			ops := [2]Operation{test.one, test.two}
			if swapped {
				ops = [2]Operation{test.two, test.one}
			}
			w := started(t, 3)
			if _, undrains := test.two.(Undrain); undrains {
				if _, err := w.directors[0].do(Drain{Addr: known}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.directors[0].do(Pin{Hash: 9, Backend: testBackend(2)}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.directors[0].do(SetDirectorRemoved{Addr: away}); err != nil {
				t.Fatal(err)
			}
			var ids [2]uint64
			for i := range ids {
				ids[i] = w.directors[i].begin(ops[i])
			}
			w.run(time.Second)
			done := 0
			for i, id := range ids {
				d := w.directors[i]
				end, ended := d.done[id]
				switch {
				case !ended:
					t.Errorf("%s: %+v has not ended", test.name, ops[i])
				case end.Err == nil:
					done++
					if d.core.overtaken(ops[i]) {
						t.Errorf("%s: %+v is said to be done and does not hold", test.name, ops[i])
					}
				case !errors.Is(end.Err, ErrOvertaken):
					t.Errorf("%s: %+v: %v", test.name, ops[i], end.Err)
				}
			}
			if want := map[bool]int{false: 1, true: 2}[test.both]; done != want {
				t.Errorf("%s (swapped: %v): %d of the two are done, want %d",
					test.name, swapped, done, want)
			}
		}
	}
}
