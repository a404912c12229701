package kicks

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/wire"
)

// A kick by name ends when each director that was told has reported, failed or been silent for too
// long. Each counts once.
func TestByName(t *testing.T) {
	type end struct {
		Count           int
		Known           bool
		Lost            []string
		Report          Report
		Failed, Failure string
	}
	reports := func(director string, r Result) func(*ByName) {
		return func(k *ByName) { k.Take(director, r, "") }
	}
	fails := func(director, why string) func(*ByName) {
		return func(k *ByName) { k.Take(director, Result{}, why) }
	}
	passes := func(after time.Duration, dead ...string) func(*ByName) {
		return func(k *ByName) {
			k.GiveUp(now.Add(after), func(peer string) bool {
				for _, d := range dead {
					if d == peer {
						return false
					}
				}
				return peer != "" // our own kicker is no peer
			})
		}
	}
	sure := Result{Count: 1, Known: true}
	own := reports("", sure)
	for _, test := range []struct {
		name string
		do   []func(*ByName)
		want *end // nil: it has not ended
	}{
		{"nobody has reported", nil, nil},
		{"one report is missing", []func(*ByName){own, reports("d2", sure)}, nil},
		{"our own is missing", []func(*ByName){reports("d2", sure), reports("d3", sure)}, nil},
		{"our own is missing, and time passes", []func(*ByName){
			reports("d2", sure), reports("d3", sure), passes(time.Second),
		}, nil},
		{"all have", []func(*ByName){own, reports("d2", sure), reports("d3", sure)},
			&end{Count: 3, Known: true}},
		{"one twice", []func(*ByName){own, reports("d2", sure), reports("d2", sure)}, nil},
		{"one that was not told", []func(*ByName){
			own, reports("d2", sure), reports("d9", sure), reports("d3", Result{}),
		}, &end{Count: 2}},
		{"one is not sure, sessions stay", []func(*ByName){
			reports("", Result{Left: 2, Known: true}), reports("d2", Result{Blind: true}),
			reports("d3", sure),
		}, &end{Count: 1, Report: Report{
			Left: map[string]int{"": 2}, Blind: map[string]bool{"d2": true},
		}}},
		{"the first failure counts", []func(*ByName){
			own, fails("d3", "no socket"), fails("d2", "refused"),
		}, &end{Count: 1, Failed: "d3", Failure: "no socket"}},
		{"two failed", []func(*ByName){own, passes(time.Second, "d3", "d2")},
			&end{Count: 1, Lost: []string{"d2", "d3"}}},
		{"one failed after its report", []func(*ByName){
			own, reports("d2", sure), passes(time.Second, "d2"), reports("d3", sure),
		}, &end{Count: 3, Known: true}},
		{"a report after it was given up", []func(*ByName){
			own, passes(time.Second, "d2", "d3"), reports("d2", sure),
		}, &end{Count: 1, Lost: []string{"d2", "d3"}}},
		{"there is time left", []func(*ByName){passes(ByNameLimit)}, nil},
		{"time is over", []func(*ByName){reports("d2", sure), passes(ByNameLimit + 1)},
			&end{Count: 1, Lost: []string{"d3"}}},
	} {
		k := NewByName(now, &wire.KickUser{ID: 7})
		for _, peer := range []string{"d2", "d3"} {
			if !k.Ask(peer) || k.Ask(peer) || !k.Awaits(peer) {
				t.Errorf("%s: %s is not told exactly once", test.name, peer)
			}
		}
		for _, do := range test.do {
			do(k)
		}
		var got *end
		if k.Ended() {
			got = &end{Lost: k.Lost(), Report: k.Report()}
			got.Count, got.Known = k.Count()
			got.Failed, got.Failure = k.Failure()
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// The peers that are given up are named in order.
func TestByNameNamesTheLostInOrder(t *testing.T) {
	k := NewByName(now, &wire.KickUser{ID: 7})
	want := []string{"d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9"}
	for _, peer := range want {
		k.Ask(peer)
	}
	k.GiveUp(now, func(string) bool { return false })
	if diff := cmp.Diff(want, k.Lost()); diff != "" {
		t.Errorf("lost (-want +got):\n%s", diff)
	}
}

// A director that has reported, or was given up, is not told again.
func TestByNameTellsOnce(t *testing.T) {
	k := NewByName(now, &wire.KickUser{ID: 7})
	k.Ask("d2")
	k.Ask("d3")
	k.Take("d2", Result{Known: true}, "")
	k.GiveUp(now, func(peer string) bool { return peer != "d3" })
	for _, peer := range []string{"d2", "d3"} {
		if k.Awaits(peer) || k.Ask(peer) {
			t.Errorf("%s is told again", peer)
		}
	}
	if !k.Awaits("") || !k.Ask("d4") {
		t.Error("a director that came later, or we, cannot take part")
	}
}
