package logs

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// A member that has a gap takes a snapshot of what is new since the gap began: rows assigned,
// or active, after that. But a log may bring rows later than their recorded activity says: an
// import does, and a director that writes what its mesh lacked. Such a row is missing from the
// snapshot of a director that was away when it came. So each director notes when late rows came and
// how old they were, and a snapshot since a time goes back to the oldest that came after that time.

const (
	// sinceMargin is taken off the time of a gap: rows are stamped before they are sent, by clocks
	// that differ a little.
	sinceMargin = 5 * time.Second
	// lateAfter is how old activity may be when it comes by a log and not be late. A snapshot
	// goes back by sinceMargin anyway, of which the batch and the clocks take two seconds.
	lateAfter = sinceMargin - 2*time.Second
	lateKept  = 256         // notes
	lateEvery = time.Second // of a note; what comes within it shares one
)

// Since is from when on a snapshot must have what was stamped, if nothing was missing at a time.
func Since(whole directory.Time) directory.Tick { return max(0, whole.Add(-sinceMargin)).Tick() }

// LateRows are notes on rows that came late. The zero value has taken notes for ever.
type LateRows struct {
	from  directory.Time // since when we take notes
	notes []lateNote     // by the time of each; lateKept at most
}

type lateNote struct {
	at     directory.Time // when the last of them came
	oldest directory.Tick // of their recorded activities
}

// Restart begins to take notes.
func (l *LateRows) Restart(t directory.Time) { *l = LateRows{from: t} }

// From says since when all late rows were noted.
func (l *LateRows) From(t directory.Time) { l.from = t }

// Notes are what a data directory is to know: since when notes are taken, and the notes.
func (l *LateRows) Notes() (from directory.Time, notes []wire.LateRows) {
	for _, n := range l.notes {
		notes = append(notes, wire.LateRows{At: n.at, Oldest: n.oldest})
	}
	return l.from, notes
}

// Take takes the notes of a data directory, before any others.
func (l *LateRows) Take(notes []wire.LateRows) {
	for _, n := range notes {
		l.add(lateNote{n.At, n.Oldest})
	}
}

// Note looks whether rows of a log are late.
func (l *LateRows) Note(t directory.Time, blocks []wire.Block) {
	limit := t.Add(-lateAfter).Tick()
	for _, b := range blocks {
		if oldest := b.OldestActivity(); oldest < limit && b.Len() > 0 {
			l.add(lateNote{t, oldest})
		}
	}
}

func (l *LateRows) add(note lateNote) {
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

// Since is from when on rows must be given to one that lacks what came since a time. Of what
// came before we took notes all may be late.
func (l *LateRows) Since(since directory.Tick) directory.Tick {
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
