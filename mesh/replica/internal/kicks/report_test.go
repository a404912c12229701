package kicks

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/wire"
)

func TestResultOf(t *testing.T) {
	count := wire.KickCount{Count: 3, Known: true, Left: 4, Blind: true}
	if got := ResultOf(count); got != (Result{Count: 3, Known: true, Left: 4, Blind: true}) {
		t.Errorf("%+v means %+v", count, got)
	}
}

// A report lists the directors that could not end a session, and those without a kicker.
func TestReportNotes(t *testing.T) {
	for _, test := range []struct {
		name string
		note map[string]Result
		want Report
	}{
		{"all were ended", map[string]Result{"d2": {Count: 3, Known: true}}, Report{}},
		{"nothing is known", map[string]Result{"d2": {}}, Report{}},
		{"two stay", map[string]Result{"": {Left: 2}, "d2": {Known: true}},
			Report{Left: map[string]int{"": 2}}},
		{"no kicker", map[string]Result{"d2": {Blind: true}, "d3": {Left: 1}},
			Report{Left: map[string]int{"d3": 1}, Blind: map[string]bool{"d2": true}}},
	} {
		var got Report
		for director, r := range test.note {
			got.Note(director, r)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
