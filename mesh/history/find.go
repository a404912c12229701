package history

import (
	"errors"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// MaxFound bounds how many notes of a log one query finds.
const MaxFound = 10_000

// maxTook is for how long an admin change takes at most. It is noted at its end, with the time of
// its beginning.
const maxTook = 5 * time.Minute

// A query about a user finds everything that the user's place may follow from: what was noted of
// the user, the table, and the admin changes.

// Find returns what is noted, each log's notes from the oldest on. Where notes are missing it has a
// LapseNote. What cannot be read of the disk is left out, and Problem says why.
func (h *History) Find(q wire.HistoryQuery) (wire.HistoryFound, []wire.Note) {
	now, _ := h.now()
	limit := MaxFound
	if q.Limit != 0 {
		limit = min(limit, int(q.Limit))
	}
	oldest := max(q.Since, now.Add(-h.age))
	found := wire.HistoryFound{Memory: h.fs == nil, Since: max(h.begun, now.Add(-h.age))}
	f := finder{query: q, oldest: oldest, limit: limit}
	var errs []error
	logs := []*log{h.changes}
	if q.User {
		logs = h.logs()
	}
	var notes []wire.Note
	for _, l := range logs {
		some, err := f.in(l)
		errs = append(errs, err)
		notes = append(notes, some...)
		found.Since = max(found.Since, l.since())
	}
	found.More = f.more
	if err := errors.Join(errs...); err != nil {
		found.Problem = err.Error()
	}
	return found, notes
}

// since returns since when the log has all notes; 0 if none was ever dropped.
func (l *log) since() directory.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.fs == nil && l.dropped:
		return l.tail[0].Head().At
	case len(l.files) > 0 && l.files[0].number > 1:
		return l.files[0].begun
	}
	return 0
}

// finder collects what a query asks for.
type finder struct {
	query  wire.HistoryQuery
	oldest directory.Time
	limit  int
	more   bool // older notes were left out
}

// in returns what is asked for of a log. Files are read from the newest on, as far as needed.
func (f *finder) in(l *log) ([]wire.Note, error) {
	tail, files := l.snapshot()
	kept := newKeeper(f)
	for _, n := range tail {
		kept.take(n)
	}
	parts := []*keeper{kept} // the newest first
	total := kept.count
	var errs []error
	for _, file := range slices.Backward(files) {
		if total >= f.limit {
			f.more = true
			break
		}
		if file.newest != 0 && file.newest < f.oldest {
			break
		}
		if f.query.Until != 0 && file.begun.Add(-maxTook) > f.query.Until {
			continue
		}
		part := newKeeper(f)
		before := parts[len(parts)-1].first
		errs = append(errs, l.read(file, func(n wire.Note) bool {
			if before != nil && n.Head().N >= before.N {
				return false // what was written again, and what is in memory too
			}
			part.take(n)
			return true
		}))
		if part.first != nil {
			parts = append(parts, part)
			total += part.count
		}
	}
	var notes []wire.Note
	var before *wire.Noted
	for _, part := range slices.Backward(parts) {
		if part.first == nil {
			continue
		}
		if before != nil {
			notes = f.missing(notes, *before, *part.first)
		}
		notes = append(notes, part.notes...)
		last := part.last
		before = &last
	}
	return f.newest(notes), errors.Join(errs...)
}

// newest leaves the oldest notes out that are more than were asked for.
func (f *finder) newest(notes []wire.Note) []wire.Note {
	if n := len(notes) - f.limit; n > 0 {
		f.more = true
		return notes[n:]
	}
	return notes
}

// missing adds a lapse if notes are missing between two.
func (f *finder) missing(notes []wire.Note, before, next wire.Noted) []wire.Note {
	if next.N == before.N+1 || next.N <= before.N || !f.within(next.At) {
		return notes
	}
	return append(notes, &wire.LapseNote{
		Noted: wire.Noted{N: next.N - 1, At: next.At, Wall: next.Wall}, Since: before.At,
		Lost: next.N - before.N - 1, Why: wire.LapseLost,
	})
}

func (f *finder) within(t directory.Time) bool {
	return t >= f.oldest && (f.query.Until == 0 || t <= f.query.Until)
}

// keeper keeps what a query asks for of consecutive notes.
type keeper struct {
	*finder
	first *wire.Noted // of all; nil: there was none
	last  wire.Noted
	notes []wire.Note
	count int // of notes, without lapses
}

func newKeeper(f *finder) *keeper { return &keeper{finder: f} }

func (k *keeper) take(n wire.Note) {
	head := *n.Head()
	if k.first == nil {
		k.first = &head
	} else {
		k.notes = k.missing(k.notes, k.last, head)
	}
	k.last = head
	if n = k.wanted(n); n == nil {
		return
	}
	if _, lapse := n.(*wire.LapseNote); !lapse {
		k.count++
	}
	// Twice as many as wanted are kept at the most.
	if k.notes = append(k.notes, n); len(k.notes) >= 2*k.limit {
		k.notes = slices.Clone(k.newest(k.notes))
	}
}

// wanted returns what of a note is asked for; nil: nothing. Notes of users are only looked at if
// one is asked for.
func (k *keeper) wanted(n wire.Note) wire.Note {
	at := n.Head().At
	switch n := n.(type) {
	case *wire.LapseNote:
		// One that ends behind the span may begin in it.
		if n.Why == wire.LapseNone || at < k.oldest ||
			k.query.Until != 0 && n.Since > k.query.Until || n.Since == at {
			return nil
		}
		return n
	case *wire.UserNote:
		if n.Hash != k.query.Hash {
			return nil
		}
	case *wire.LoginsNote:
		return k.wantedLogin(n)
	}
	if !k.within(at) {
		return nil
	}
	return n
}

// wantedLogin returns a note with the row of the user who is asked for.
func (k *keeper) wantedLogin(n *wire.LoginsNote) wire.Note {
	if !k.within(n.At) {
		return nil
	}
	for m := range n.Block.All() {
		if m.Hash == k.query.Hash {
			return &wire.LoginsNote{
				Noted: n.Noted, Director: n.Director,
				Block: wire.Pack(n.Block.Tag, []directory.Mapping{m}),
			}
		}
	}
	return nil
}
