package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// A member that has a gap takes a snapshot of what is new since the gap began: rows assigned,
// or active, after that. But a log may bring rows later than their recorded activity says: an
// import does, and a director that writes what its mesh lacked. Such a row is missing from the
// snapshot of whoever was away when it came. So each director notes when late rows came and how
// old they were, and a snapshot since a time goes back to the oldest that came after that time.

const (
	// lateAfter is how old activity may be when it comes by a log and not be late. A snapshot
	// goes back by sinceMargin anyway, of which the batch and the clocks take two seconds.
	lateAfter = sinceMargin - 2*time.Second
	lateKept  = 256         // notes
	lateEvery = time.Second // of a note; what comes within it shares one
)

// lateRows are notes on late rows, in order.
type lateRows struct {
	from  directory.Time // since when we take notes
	notes []lateNote
}

type lateNote struct {
	at     directory.Time // when the last of them came
	oldest directory.Tick // of their recorded activities
}

// restart begins to take notes.
func (l *lateRows) restart(t directory.Time) { *l = lateRows{from: t} }

// note looks whether rows of a log are late.
func (l *lateRows) note(t directory.Time, blocks []wire.Block) {
	limit := t.Add(-lateAfter).Tick()
	for _, b := range blocks {
		if oldest := b.OldestActivity(); oldest < limit && b.Len() > 0 {
			l.add(lateNote{t, oldest})
		}
	}
}

func (l *lateRows) add(note lateNote) {
	if n := len(l.notes); n > 0 && note.at < l.notes[n-1].at.Add(lateEvery) {
		last := &l.notes[n-1]
		last.at, last.oldest = max(last.at, note.at), min(last.oldest, note.oldest)
		return
	}
	if l.notes = append(l.notes, note); len(l.notes) > lateKept {
		l.notes[1].oldest = min(l.notes[0].oldest, l.notes[1].oldest)
		l.notes = l.notes[1:]
	}
}

// since is from when on rows must be given to one that lacks what came since a time. Of what
// came before we took notes all may be late.
func (l *lateRows) since(since directory.Tick) directory.Tick {
	t := since.Time()
	if t < l.from {
		return 0
	}
	for _, n := range l.notes {
		if n.at >= t {
			since = min(since, n.oldest)
		}
	}
	return since
}
