// Package losers remembers rows of users that lost against another living one of their generation.
//
// Of two rows that were made without knowledge of each other the older one wins, and the directory
// keeps only that. When its backend is removed a moment later, or the users there are forgotten,
// the winner is dead. A director that hears of that first, and then of the two rows, keeps the one
// that lives; so must one that heard of the rows first. It merges again what this package
// remembers.
//
// Which row wins is decided by package directory, and when to merge again by package replica. Not
// safe for concurrent use.
package losers

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	// Kept is for how long a row is remembered: until all directors in touch have both rows. What
	// is removed or forgotten later ends the winner everywhere, and the user goes where the ring
	// says.
	Kept = 10 * time.Second
	// Most bounds how many are remembered. More lose when a long split ends, of users who all have
	// another row by then; they are not worth more memory.
	Most = 10_000
)

// Set is rows that lost, one of a user. The zero value has none.
type Set struct {
	rows   map[ring.User]loser
	oldest mono.Time // none lost before then
}

type loser struct {
	row directory.Mapping
	at  mono.Time // when it lost
}

// Note remembers a row that lost, if there is room. Of several rows of a user it is the last one,
// but of those on one backend the one made last. A row that loses again is no newer by that.
func (s *Set) Note(now mono.Time, u ring.User, row directory.Mapping) {
	s.Clean(now)
	before, known := s.rows[u]
	switch {
	case known && outlives(before.row, row):
		return
	case !known && len(s.rows) >= Most:
		return
	case len(s.rows) == 0:
		s.oldest = now
	}
	if s.rows == nil {
		s.rows = make(map[ring.User]loser)
	}
	s.rows[u] = loser{row, now}
}

// outlives reports whether a row lives wherever another one does: they are one, or on one backend,
// and it was made later.
func outlives(row, other directory.Mapping) bool {
	return row.Generation == other.Generation && row.Backend == other.Backend &&
		row.Stamp >= other.Stamp
}

// Clean drops what was remembered for long enough.
func (s *Set) Clean(now mono.Time) {
	if len(s.rows) == 0 || now.Sub(s.oldest) < Kept {
		return
	}
	s.oldest = now
	for u, b := range s.rows {
		if now.Sub(b.at) >= Kept {
			delete(s.rows, u)
		} else if b.at < s.oldest {
			s.oldest = b.at
		}
	}
}

// Clear forgets all.
func (s *Set) Clear() { s.rows = nil }

// Len is how many are remembered.
func (s *Set) Len() int { return len(s.rows) }

// Blocks are the rows that are remembered, in order.
func (s *Set) Blocks(now mono.Time) []wire.Block {
	s.Clean(now)
	rows := rowset.New()
	for u, b := range s.rows {
		rows.Add(u.Tag, b.row)
	}
	return rows.Blocks()
}
