package kicks

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const now = mono.Time(time.Hour)

// The end of a kick is told once. Kicks that take too long come in order.
func TestLocal(t *testing.T) {
	k := NewLocal()
	no := errors.New("no")
	var told []Result
	for id := uint64(20); id > 0; id-- {
		k.Begin(id, now, func(r Result, failed error) {
			if !errors.Is(failed, no) {
				t.Errorf("failed by %v", failed)
			}
			told = append(told, r)
		})
	}
	k.Begin(30, now.Add(time.Second), nil)
	k.Finish(5, Result{Count: 3}, no)
	k.Finish(5, Result{Count: 4}, no)
	k.Finish(99, Result{}, no)
	if diff := cmp.Diff([]Result{{Count: 3}}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if late := k.Late(now.Add(Limit)); len(late) > 0 {
		t.Errorf("%v are late", late)
	}
	if late := k.Late(now.Add(Limit + 1)); len(late) != 19 || !slices.IsSorted(late) {
		t.Errorf("%v are late, want 19 in order", late)
	}
	k.Postpone(time.Minute)
	if late := k.Late(now.Add(Limit + time.Minute)); len(late) > 0 {
		t.Errorf("%v are late after a pause", late)
	}
	if k.Finish(30, Result{}, no); k.Len() != 19 {
		t.Errorf("%d are under way", k.Len())
	}
}

// All that is queued is reported, once, Hold by Hold in the order in which they first had
// something.
func TestReportsAreTaken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := NewLocal()
		for range 2 {
			var order []uint64
			want := make(map[uint64][]wire.KickCount)
			for i := range rapid.IntRange(0, 20).Draw(t, "results") {
				id := rapid.Uint64Range(1, 4).Draw(t, "hold")
				if want[id] == nil {
					order = append(order, id)
				}
				count := wire.KickCount{Hash: ring.UserHash(i)}
				want[id] = append(want[id], count)
				k.Note(HoldID{ID: id}, count)
			}
			if k.Reports() != len(order) {
				t.Fatalf("%d holds to report on, want %d", k.Reports(), len(order))
			}
			var got []uint64
			for of, counts := range k.TakeReports() {
				got = append(got, of.ID)
				if diff := cmp.Diff(want[of.ID], counts); diff != "" {
					t.Fatalf("hold %d (-want +got):\n%s", of.ID, diff)
				}
			}
			if !slices.Equal(got, order) {
				t.Fatalf("holds %v, want %v", got, order)
			}
		}
	})
}
