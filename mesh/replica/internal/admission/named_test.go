package admission

import (
	"slices"
	"testing"
	"time"
)

// A director is waited for since it was first named.
func TestNamed(t *testing.T) {
	var n Named
	if n.Has("d2") || len(n.Names()) > 0 {
		t.Error("a director was named before any was")
	}
	n.Note(now, "d3")
	n.Note(now, "d2")
	n.Note(now.Add(time.Minute), "d3")
	if got := n.Names(); !slices.Equal(got, []string{"d2", "d3"}) || !n.Has("d3") {
		t.Errorf("named: %v", got)
	}
	for _, test := range []struct {
		name  string
		after time.Duration
		want  bool
	}{
		{"d3", time.Second, false}, {"d3", time.Second + 1, true}, {"d9", 0, true},
	} {
		if got := n.Over(now.Add(test.after), test.name, time.Second); got != test.want {
			t.Errorf("%s after %v: over %v", test.name, test.after, got)
		}
	}
	n.Postpone(time.Minute)
	if n.Over(now.Add(time.Minute+time.Second), "d2", time.Second) {
		t.Error("a pause counts")
	}
}
