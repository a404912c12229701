package sim

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/mesh/meshtest/check"
)

// A mesh is at its end when the last one dies that belonged to it. Whoever only wanted to join
// lives on, with what it was asked, and begins another one.
func TestMeshesOf(t *testing.T) {
	at := func(s int) check.At { return check.At(time.Duration(s) * time.Second) }
	start := func(s int, d string) check.Event { return check.Start{At: at(s), Director: d} }
	stop := func(s int, d string) check.Event { return check.Stop{At: at(s), Director: d} }
	ask := func(s int, id uint64, d string) check.Event {
		return check.Lookup{At: at(s), ID: id, Director: d}
	}
	answer := func(s int, id uint64) check.Event { return check.Answer{At: at(s), ID: id} }
	member := func(s int, d string, mesh uint64) check.Event {
		return check.Synced{At: at(s), Director: d, Synced: true, Mesh: mesh}
	}
	joins := func(s int, d string, mesh uint64) check.Event {
		return check.Synced{At: at(s), Director: d, Why: "joining", Mesh: mesh}
	}
	pause := check.Pause{At: at(4), Director: "d3"}
	for _, test := range []struct {
		name  string
		parts [][]check.Event
	}{
		{"one mesh", [][]check.Event{
			{start(0, "d1"), member(0, "d1", 1), start(1, "d2"), member(2, "d2", 1), stop(3, "d1")},
		}},
		{"nobody lives", [][]check.Event{
			{start(0, "d1"), member(0, "d1", 1), stop(3, "d1")},
			{start(4, "d1"), member(7, "d1", 2)},
		}},
		{"nobody lives any more", [][]check.Event{
			{start(0, "d1"), member(0, "d1", 1), stop(3, "d1"), check.MeshTimes{At: at(4)}},
		}},
		{"nobody was there before", [][]check.Event{
			{start(0, "d1"), stop(1, "d1"), start(2, "d1"), member(5, "d1", 1)},
		}},
		{"one lives that has not joined yet", [][]check.Event{
			{
				start(0, "d1"), member(0, "d1", 1), start(1, "d3"), stop(2, "d3"), start(3, "d3"),
				ask(3, 1, "d3"), ask(3, 2, "d3"), answer(3, 1), joins(3, "d3", 0), pause,
				stop(5, "d1"),
			},
			{start(3, "d3"), ask(3, 2, "d3"), pause, answer(6, 2), member(7, "d3", 2)},
		}},
		{"one lives that has the table", [][]check.Event{
			{
				start(0, "d1"), member(0, "d1", 1), start(3, "d3"), joins(4, "d3", 1),
				stop(5, "d1"),
				member(7, "d3", 1),
			},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			history := slices.Concat(test.parts[:1]...)
			for _, part := range test.parts[1:] {
				for _, e := range part {
					if e.When() > history[len(history)-1].When() {
						history = append(history, e) // the others live on
					}
				}
			}
			diff := cmp.Diff(test.parts, meshesOf(history), cmpopts.EquateComparable(netip.Addr{}))
			if diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
		})
	}
}
