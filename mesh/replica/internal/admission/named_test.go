package admission

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/wire"
)

// A director is waited for since it was first named in its life.
func TestNamed(t *testing.T) {
	d2, d3 := wire.Life{Name: "d2", Boot: 7}, wire.Life{Name: "d3", Boot: 7}
	again := wire.Life{Name: "d3", Boot: 8}
	var n Named
	if n.Has("d2") || len(n.All()) > 0 {
		t.Error("a director was named before any was")
	}
	n.Note(now, d3)
	n.Note(now, d2)
	n.Note(now.Add(time.Minute), d3)
	n.Note(now.Add(time.Minute), again)
	if diff := cmp.Diff([]wire.Life{d2, d3, again}, n.All()); diff != "" || !n.Has("d3") {
		t.Errorf("named (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		who   wire.Life
		after time.Duration
		want  bool
	}{
		{d3, time.Second, false}, {d3, time.Second + 1, true},
		{again, time.Minute + time.Second, false}, {again, time.Minute + time.Second + 1, true},
		{wire.Life{Name: "d9"}, 0, true},
	} {
		if got := n.Over(now.Add(test.after), test.who, time.Second); got != test.want {
			t.Errorf("%v after %v: over %v", test.who, test.after, got)
		}
	}
	n.Postpone(time.Minute)
	if n.Over(now.Add(time.Minute+time.Second), d2, time.Second) {
		t.Error("a pause counts")
	}
}
