package flushes

import (
	"cmp"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	// KeptFor is how long an ended flush can still be asked for.
	KeptFor = 10 * time.Minute
	// MaxFirstID bounds the id before the first: it is below what a number in JSON may be, with
	// room for those to come.
	MaxFirstID = 1 << 48
	// MaxKept bounds the flushes of data directories that a director gives another one.
	MaxKept = 200
	// MaxHeld bounds those that a director holds until it takes them up, whoever gave them.
	MaxHeld = 10_000
	// OrphanFor is for how long a flush whose director is gone may be without another one.
	OrphanFor = time.Minute
)

// ID names a flush in the whole mesh.
type ID struct {
	Director string
	ID       uint64
}

// compare orders flushes by director, then by number.
func compare(a, b ID) int {
	return cmp.Or(cmp.Compare(a.Director, b.Director), cmp.Compare(a.ID, b.ID))
}

// Known is what is known of a flush, wherever it runs.
type Known struct {
	Progress wire.FlushProgress
	Runner   string         // the director that runs it, or ran it last
	Orphan   directory.Time // since when that director is gone; 0: it is not
	Lost     bool           // no director goes on with it
	Stopped  bool           // its runner has reported that it starts no more moves
}

// Set is the flushes that run here, and what is known of all in the mesh.
type Set struct {
	own   []*Flush // in the order in which they began
	known map[ID]*Known
	// kept is how flushes went as data directories have it, ours and those of others, until it is
	// taken up or known to be over. No director runs them.
	kept map[ID]wire.FlushProgress
	// lastID was given out last. It starts anywhere: flushes of an earlier life are asked for
	// still.
	lastID uint64
}

// NewSet returns an empty set, which gives its first flush the number after a certain one.
func NewSet(lastID uint64) *Set {
	return &Set{
		known: make(map[ID]*Known), kept: make(map[ID]wire.FlushProgress), lastID: lastID,
	}
}

// Begin begins a flush of a backend, or of all (zero address), which looks through some tags and
// has max moves under way at a time.
func (s *Set) Begin(backend netip.Addr, max int, tags []ring.Tag, t directory.Time) *Flush {
	s.lastID++
	f := &Flush{
		key: s.lastID,
		progress: wire.FlushProgress{
			ID: s.lastID, Backend: backend, Scanning: true, Started: t, Parallel: uint64(max),
		},
		max:  max,
		tags: tags,
	}
	s.own = append(s.own, f)
	return f
}

// Adopt goes on with a flush whose director is gone: it looks through all of its tags again. The
// moves that were under way are gone on with by themselves, and count as done.
func (s *Set) Adopt(id ID, max int, tags []ring.Tag) *Flush {
	s.lastID++
	p := s.known[id].Progress
	p.Director, p.Scanning, p.Parallel = id.Director, true, uint64(max)
	p.Moved, p.Moving = p.Moved+p.Moving, 0
	p.Total = p.Moved + p.Failed
	f := &Flush{key: s.lastID, progress: p, max: max, tags: tags}
	s.own = append(s.own, f)
	return f
}

// Yield stops running a flush that another director goes on with, and reports whether it ran here.
// The moves under way end by themselves.
func (s *Set) Yield(self string, id ID) bool {
	before := len(s.own)
	s.own = slices.DeleteFunc(s.own, func(f *Flush) bool { return f.Name(self) == id })
	return len(s.own) < before
}

// Runs reports whether a flush runs here.
func (s *Set) Runs(self string, id ID) bool {
	return slices.ContainsFunc(s.own, func(f *Flush) bool { return f.Name(self) == id })
}

// Own are the flushes that run here. It must not be changed.
func (s *Set) Own() []*Flush { return s.own }

// Get returns a flush that runs here by its key, or nil.
func (s *Set) Get(key uint64) *Flush {
	if i := slices.IndexFunc(s.own, func(f *Flush) bool { return f.key == key }); i >= 0 {
		return s.own[i]
	}
	return nil
}

// Cancel notes that a flush is cancelled, unless it has ended: whoever runs it, or goes on with it,
// starts no more moves. It reports whether the flush is known and was not cancelled before.
func (s *Set) Cancel(self string, id ID) bool {
	for _, f := range s.own {
		if f.Name(self) == id {
			f.cancel()
		}
	}
	k := s.known[id]
	if k == nil || k.Progress.Ended != 0 || k.Progress.Canceled {
		return false
	}
	k.Progress.Canceled = true
	return true
}

// DropEnded forgets the flushes of ours that have ended; what is known of them stays.
func (s *Set) DropEnded() {
	s.own = slices.DeleteFunc(s.own, func(f *Flush) bool { return f.progress.Done })
}

// Abandon forgets the flushes that run here.
func (s *Set) Abandon() { s.own = nil }

// Forget forgets all flushes, those that run here too.
func (s *Set) Forget() {
	s.own = nil
	clear(s.known)
	clear(s.kept)
}

// Note takes the progress of a flush, from the director that runs it. It reports whether that is
// news: what has ended has ended, even if a director runs it that has not heard of that. Nor does
// one that has not heard of it take back that it was cancelled.
func (s *Set) Note(id ID, p wire.FlushProgress, runner string) bool {
	stopped := p.Canceled
	if k := s.known[id]; k != nil {
		if k.Progress.Ended != 0 && !k.Lost {
			return false
		}
		p.Canceled = p.Canceled || k.Progress.Canceled && p.Ended == 0
	}
	s.known[id] = &Known{Progress: p, Runner: runner, Stopped: stopped}
	return true
}

// Knows reports whether a flush is known.
func (s *Set) Knows(id ID) bool { return s.known[id] != nil }

// Known is what is known of a flush that is known.
func (s *Set) Known(id ID) Known { return *s.known[id] }

// All yields what is known of all flushes, by director and number.
func (s *Set) All() iter.Seq2[ID, Known] {
	return func(yield func(ID, Known) bool) {
		for _, id := range slices.SortedFunc(maps.Keys(s.known), compare) {
			if !yield(id, *s.known[id]) {
				return
			}
		}
	}
}

// RunnerGone notes that a director is gone, and runs no flush any more.
func (s *Set) RunnerGone(director string, t directory.Time) {
	for _, k := range s.known {
		if k.Runner == director && k.Progress.Ended == 0 && k.Orphan == 0 {
			k.Orphan = t
		}
	}
}

// Orphan notes that no director runs a flush that is known and has not ended.
func (s *Set) Orphan(id ID, t directory.Time) { s.known[id].Orphan = t }

// Keep takes how a flush went from a data directory.
func (s *Set) Keep(p wire.FlushProgress) {
	id := ID{Director: p.Director, ID: p.ID}
	if before, ok := s.kept[id]; ok {
		s.kept[id] = merged(before, p)
	} else if len(s.kept) < MaxHeld {
		s.kept[id] = p
	}
}

// merged is how a flush went of which two have something: the later one, if both are alike. What
// has ended has ended, and what was cancelled stays so, whichever of them has it. One that gave the
// flush up may not have heard that another director went on with it.
func merged(before, p wire.FlushProgress) wire.FlushProgress {
	switch {
	case before.Done:
		return before
	case p.Done:
		return p
	}
	canceled := before.Canceled || p.Canceled
	if before.Ended == 0 && (p.Ended != 0 || p.Moved < before.Moved) {
		p = before
	}
	p.Canceled = canceled
	return p
}

// Held is what a data directory is to have of flushes, by director and number: what is known, and
// what is kept. Neither takes back what the other has.
func (s *Set) Held() (all []wire.FlushProgress) {
	held := maps.Clone(s.kept)
	for id, k := range s.known {
		p := k.Progress
		p.Director = id.Director
		if kept, ok := held[id]; ok {
			p = merged(kept, p)
		}
		held[id] = p
	}
	for _, id := range slices.SortedFunc(maps.Keys(held), compare) {
		all = append(all, held[id])
	}
	return all
}

// Kept is what data directories have of flushes and was not taken up, by director and number.
func (s *Set) Kept() (all []wire.FlushProgress) {
	for _, id := range slices.SortedFunc(maps.Keys(s.kept), compare) {
		all = append(all, s.kept[id])
	}
	return all
}

// KeptToTell is as much of that as is given to another director: first what has not ended, then of
// what has the latest. The longer ago one ended, the fewer disks have it as it was before.
func (s *Set) KeptToTell() []wire.FlushProgress {
	all := s.Kept()
	slices.SortStableFunc(all, func(a, b wire.FlushProgress) int {
		if a.Ended == 0 || b.Ended == 0 {
			return cmp.Compare(a.Ended, b.Ended)
		}
		return cmp.Compare(b.Ended, a.Ended)
	})
	return all[:min(len(all), MaxKept)]
}

// TakeKept returns the same for the last time.
func (s *Set) TakeKept() []wire.FlushProgress {
	if len(s.kept) == 0 {
		return nil
	}
	all := s.Kept()
	clear(s.kept)
	return all
}

// Orphans are the flushes that have not ended and that no director runs.
func (s *Set) Orphans() (orphans []ID) {
	for id, k := range s.known {
		if k.Orphan != 0 && k.Progress.Ended == 0 {
			orphans = append(orphans, id)
		}
	}
	slices.SortFunc(orphans, compare)
	return orphans
}

// Clean forgets flushes that ended so long ago, and gives up those that nobody goes on with. It
// returns the latter.
func (s *Set) Clean(t directory.Time, long time.Duration) (lost []ID) {
	for id, k := range s.known {
		if k.Progress.Ended == 0 && k.Orphan != 0 && t.Sub(k.Orphan) > OrphanFor {
			k.Progress.Ended, k.Lost = t, true
			lost = append(lost, id)
		}
		if k.Progress.Ended != 0 && t.Sub(k.Progress.Ended) > long {
			delete(s.known, id)
		}
	}
	slices.SortFunc(lost, compare)
	return lost
}
