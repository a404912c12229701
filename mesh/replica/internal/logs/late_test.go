package logs

import (
	"testing"
	"time"

	"directormesh/directory"
)

func TestNotesOnLateRows(t *testing.T) {
	begun := directory.Time(1_800_000_000_000)
	at := func(seconds int) directory.Time {
		return begun.Add(time.Duration(seconds) * time.Second)
	}
	var l LateRows
	l.Restart(begun)
	for _, n := range []struct{ at, oldest int }{{100, 40}, {100, 60}, {200, 150}} {
		l.add(lateNote{at(n.at), at(n.oldest).Tick()})
	}
	for _, test := range []struct{ since, want int }{
		{-1, -1}, {0, 0}, {90, 40}, {100, 40}, {101, 101}, {180, 150}, {201, 201},
	} {
		want := at(test.want).Tick()
		if test.want < 0 {
			want = 0 // all
		}
		if got := l.Since(at(test.since).Tick()); got != want {
			t.Errorf("a snapshot since %d s goes back to %v, want %v",
				test.since, got.Time().Sub(begun), want.Time().Sub(begun))
		}
	}
	for n := range 10 * lateKept {
		l.add(lateNote{at(300 + 2*n), at(250).Tick()})
	}
	if len(l.notes) > lateKept {
		t.Errorf("%d notes are kept", len(l.notes))
	}
	if got := l.Since(at(50).Tick()); got != at(40).Tick() {
		t.Errorf("what a note said that is no longer kept is lost: back to %v",
			got.Time().Sub(begun))
	}
}
