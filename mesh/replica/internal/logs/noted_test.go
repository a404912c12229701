package logs

import (
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// A data directory keeps the notes on late rows: a start goes on with them, and gives no more rows
// than before.
func TestNoted(t *testing.T) {
	began := directory.FirstTime.Add(24 * time.Hour)
	var l LateRows
	l.Restart(began)
	if from, notes := l.Notes(); from != began || len(notes) > 0 {
		t.Errorf("without late rows: since %v %v", from, notes)
	}
	at := began.Add(time.Hour)
	oldest := at.Add(-time.Minute).Tick()
	l.Note(at, []wire.Block{wire.Pack("", []directory.Mapping{{
		Hash: 1, Activity: oldest, Generation: 1,
	}})})
	from, notes := l.Notes()
	var again LateRows
	again.Take(notes)
	again.From(from)
	for _, test := range []struct{ since, want directory.Tick }{
		{began.Add(-time.Second).Tick(), 0},
		{at.Tick(), oldest},
		{at.Add(time.Minute).Tick(), at.Add(time.Minute).Tick()},
	} {
		if before := l.Since(test.since); before != test.want {
			t.Errorf("before the start, since %v: %v, want %v", test.since, before, test.want)
		}
		if got := again.Since(test.since); got != test.want {
			t.Errorf("since %v: %v, want %v", test.since, got, test.want)
		}
	}
}
