package check

import (
	"reflect"
	"slices"
	"testing"
)

// TestEachFieldOfARowIsJudged changes each field of a row to what nobody ever ordered.
func TestEachFieldOfARowIsJudged(t *testing.T) {
	backends := newTable([]Backend{{Addr: b1, VHosts: 10}}, nil)
	held := Row{Present: true, VHosts: 10}
	if problems := backends.judge(Table{b1: held}, sec(5), everyone); len(problems) > 0 {
		t.Fatalf("the table as configured: %q", problems)
	}
	// Tag and Registers are compared between directors at the end. Forgotten is judged when the
	// operation is acknowledged, StartLeft at the end.
	elsewhere := []string{"Tag", "Forgotten", "Registers", "StartLeft"}
	for i := range reflect.TypeFor[Row]().NumField() {
		name := reflect.TypeFor[Row]().Field(i).Name
		row := held
		switch field := reflect.ValueOf(&row).Elem().Field(i); {
		case slices.Contains(elsewhere, name):
			continue
		case field.Kind() == reflect.Bool:
			field.SetBool(!field.Bool())
		case field.CanInt():
			field.SetInt(field.Int() + 1)
		default:
			t.Fatalf("this test does not know how to change the field %s", name)
		}
		if len(backends.judge(Table{b1: row}, sec(5), everyone)) == 0 {
			t.Errorf("nobody ordered this %s, and it passes", name)
		}
	}
}
