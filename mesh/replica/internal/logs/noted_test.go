package logs

import (
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// A data directory says since when no row came late: a start goes on with that.
func TestNoted(t *testing.T) {
	began := directory.FirstTime.Add(24 * time.Hour)
	late := func(at directory.Time) []wire.Block {
		return []wire.Block{wire.Pack("", []directory.Mapping{{
			Hash: 1, Activity: at.Add(-time.Minute).Tick(), Generation: 1,
		}})}
	}
	var l LateRows
	l.Restart(began)
	if got := l.Noted(); got != began {
		t.Errorf("without late rows since %v, want %v", got, began)
	}
	at := began.Add(time.Hour)
	l.Note(at, late(at))
	if got := l.Noted(); got <= at || got > at.Add(time.Second) {
		t.Errorf("late rows came at %v; none since %v", at, got)
	}
	var again LateRows
	again.From(l.Noted())
	if got := again.Since(at.Tick()); got != 0 {
		t.Errorf("one that lacks what came from %v on is given what came from %v on", at, got)
	}
	since := at.Add(time.Minute).Tick()
	if got := again.Since(since); got != since {
		t.Errorf("one that lacks what came from %v on is given what came from %v on", since, got)
	}
}
