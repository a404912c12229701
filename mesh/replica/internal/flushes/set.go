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
	Lost     bool // the director that ran it is gone: it does not go on
}

// Set is the flushes that run here, and what is known of all in the mesh.
type Set struct {
	own   []*Flush // in the order in which they began
	known map[ID]*Known
	// lastID was given out last. It starts anywhere: flushes of an earlier life are asked for
	// still.
	lastID uint64
}

// NewSet returns an empty set, which gives its first flush the number after a certain one.
func NewSet(lastID uint64) *Set { return &Set{known: make(map[ID]*Known), lastID: lastID} }

// Begin begins a flush of a backend, or of all (zero address), which looks through some tags and
// has max moves under way at a time.
func (s *Set) Begin(backend netip.Addr, max int, tags []ring.Tag, t directory.Time) *Flush {
	s.lastID++
	f := &Flush{
		progress: wire.FlushProgress{ID: s.lastID, Backend: backend, Scanning: true, Started: t},
		max:      max,
		tags:     tags,
	}
	s.own = append(s.own, f)
	return f
}

// Own are the flushes that run here. It must not be changed.
func (s *Set) Own() []*Flush { return s.own }

// Get returns a flush that runs here by its number, or nil.
func (s *Set) Get(id uint64) *Flush {
	if i := slices.IndexFunc(s.own, func(f *Flush) bool { return f.progress.ID == id }); i >= 0 {
		return s.own[i]
	}
	return nil
}

// Cancel stops a flush of ours, if it still runs, from starting more moves.
func (s *Set) Cancel(id uint64) {
	if f := s.Get(id); f != nil {
		f.cancel()
	}
}

// DropEnded forgets the flushes of ours that have ended; what is known of them stays.
func (s *Set) DropEnded() {
	s.own = slices.DeleteFunc(s.own, func(f *Flush) bool { return f.progress.Done })
}

// Abandon forgets the flushes that run here.
func (s *Set) Abandon() { s.own = nil }

// Note takes the progress of a flush.
func (s *Set) Note(id ID, p wire.FlushProgress) { s.known[id] = &Known{Progress: p} }

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

// Lost notes that a director is gone, and its flushes with it.
func (s *Set) Lost(director string, t directory.Time) {
	for id, k := range s.known {
		if id.Director == director && k.Progress.Ended == 0 {
			k.Progress.Ended, k.Lost = t, true
		}
	}
}

// Clean forgets flushes that ended long ago.
func (s *Set) Clean(t directory.Time) {
	for id, k := range s.known {
		if k.Progress.Ended != 0 && t.Sub(k.Progress.Ended) > KeptFor {
			delete(s.known, id)
		}
	}
}
