package moves

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	advanceEvery = 50 * time.Millisecond
	orphansEvery = 500 * time.Millisecond // orphans are looked for, even if no director went
	movesPerHold = 4096
)

// Batch is the moves that one Hold message announced.
type Batch struct {
	ID    uint64
	Hold  *wire.Hold
	at    mono.Time           // since when confirmations are waited for
	order []*Move             // all of them, as announced
	moves map[ring.User]*Move // the moves of order that still run
	held  map[string]bool     // peers that confirmed
}

// Get returns the move of a user, nil if it has left the batch.
func (b *Batch) Get(u ring.User) *Move { return b.moves[u] }

// NoteHeld notes that a peer holds the users of the batch.
func (b *Batch) NoteHeld(peer string) { b.held[peer] = true }

// HeldBy reports whether it does.
func (b *Batch) HeldBy(peer string) bool { return b.held[peer] }

// answeredBy reports whether a peer has confirmed, and reported each move that runs.
func (b *Batch) answeredBy(peer string) bool {
	for _, m := range b.moves {
		if !m.reported[peer] {
			return false
		}
	}
	return b.held[peer]
}

// Set is the moves that this director runs, and the users that it holds for any move.
type Set struct {
	Held Held

	byUser     map[ring.User]*Move
	fromFailed int               // moves of byUser that are away from failed backends
	staying    int               // moves of byUser whose users stay
	batches    map[uint64]*Batch // by ID; each has a move that runs
	starting   []*Move           // to be announced
	released   rowset.Set        // rows that are to be announced
	touched    []*Move           // may go on; each once
	all        bool              // all may go on
	advancedAt mono.Time         // when all were last looked at because time passed
	orphaned   bool              // a director may be gone: its moves may have to be gone on with
	lookedAt   mono.Time         // when such moves were last looked for
}

// NewSet returns an empty set.
func NewSet() *Set {
	return &Set{
		byUser: make(map[ring.User]*Move), batches: make(map[uint64]*Batch), released: rowset.New(),
	}
}

// Len is how many moves run, but for those whose users stay.
func (s *Set) Len() int { return len(s.byUser) - s.staying }

// FromFailed is how many of them are away from failed backends.
func (s *Set) FromFailed() int { return s.fromFailed }

// Batches is how many Holds have moves that run.
func (s *Set) Batches() int { return len(s.batches) }

// Idle reports whether no move runs, or is to be announced.
func (s *Set) Idle() bool {
	return len(s.byUser)+len(s.batches)+len(s.starting)+len(s.released) == 0
}

// Get returns the move of a user, or nil.
func (s *Set) Get(u ring.User) *Move { return s.byUser[u] }

// Add adds a move.
func (s *Set) Add(m *Move) {
	s.uncount(m.User)
	s.byUser[m.User] = m
	s.count(m, 1)
}

// uncount takes a user's move, if there is one, out of the numbers.
func (s *Set) uncount(u ring.User) {
	if m := s.byUser[u]; m != nil {
		s.count(m, -1)
	}
}

func (s *Set) count(m *Move, n int) {
	if m.FromFailed {
		s.fromFailed += n
	}
	if m.Stays {
		s.staying += n
	}
}

// Queue has a move announced by the next Announce.
func (s *Set) Queue(m *Move) { s.starting = append(s.starting, m) }

// Remove ends a move.
func (s *Set) Remove(m *Move) {
	s.uncount(m.User)
	delete(s.byUser, m.User)
	s.LeaveBatch(m)
}

// LeaveBatch takes a move out of the Hold that announced it; later answers to that are not for it.
func (s *Set) LeaveBatch(m *Move) {
	b := m.batch
	if b == nil {
		return
	}
	m.batch = nil
	delete(b.moves, m.User)
	if len(b.moves) == 0 {
		delete(s.batches, b.ID)
	}
}

// Announce yields the batches of the moves that are queued; each gets its id when it is its turn. A
// move may have ended since it was queued, for another one of its user. It is not announced: peers
// end the sessions of a user once for each Hold.
func (s *Set) Announce(now mono.Time, newID func() uint64) iter.Seq[*Batch] {
	starting := slices.DeleteFunc(s.starting, func(m *Move) bool { return s.byUser[m.User] != m })
	s.starting = nil
	return func(yield func(*Batch) bool) {
		for order := range slices.Chunk(starting, movesPerHold) {
			b := &Batch{
				ID: newID(), at: now, order: order,
				moves: make(map[ring.User]*Move), held: make(map[string]bool),
			}
			rows := rowset.New()
			for _, m := range order {
				m.batch, b.moves[m.User] = b, m
				rows.Add(m.User.Tag, m.Row)
				s.Touch(m)
			}
			s.batches[b.ID] = b
			b.Hold = &wire.Hold{ID: b.ID, Blocks: rows.Blocks()}
			if !yield(b) {
				return
			}
		}
	}
}

// Release queues the row of a move that is released.
func (s *Set) Release(tag ring.Tag, row directory.Mapping) { s.released.Add(tag, row) }

// TakeReleased returns the released rows that are to be announced, and forgets them.
func (s *Set) TakeReleased() []wire.Block {
	if len(s.released) == 0 {
		return nil
	}
	blocks := s.released.Blocks()
	s.released = rowset.New()
	return blocks
}

// Touch notes that a move may go on.
func (s *Set) Touch(m *Move) {
	if !m.touched {
		m.touched = true
		s.touched = append(s.touched, m)
	}
}

// TouchAll does so for the moves of a batch that run.
func (s *Set) TouchAll(b *Batch) {
	for _, m := range b.order {
		if b.moves[m.User] == m {
			s.Touch(m)
		}
	}
}

// Pass lets all moves go on for which time has passed.
func (s *Set) Pass(now mono.Time) {
	if len(s.byUser) > 0 && now.Sub(s.advancedAt) >= advanceEvery {
		s.all, s.advancedAt = true, now
	}
}

// Pending reports whether moves are to be announced or may go on.
func (s *Set) Pending() bool { return s.all || len(s.touched) > 0 || len(s.starting) > 0 }

// TakeDue returns the moves that may go on. Some may have ended since.
func (s *Set) TakeDue() []*Move {
	due := s.touched
	if s.all {
		due = s.Sorted()
	}
	for _, m := range s.touched {
		m.touched = false
	}
	s.touched, s.all = nil, false
	return due
}

// Runs reports whether a move is announced and has not ended.
func (s *Set) Runs(m *Move) bool { return s.byUser[m.User] == m && m.batch != nil }

// Sorted gives the moves in an order that does not depend on the map's.
func (s *Set) Sorted() []*Move {
	sorted := make([]*Move, 0, len(s.byUser))
	for _, m := range s.byUser {
		sorted = append(sorted, m)
	}
	slices.SortFunc(sorted, func(a, b *Move) int { return ring.CompareUsers(a.User, b.User) })
	return sorted
}

// Batch returns the batch of a Hold, nil if none of its moves runs.
func (s *Set) Batch(id uint64) *Batch { return s.batches[id] }

// Unanswered yields the batches, in order, that a peer has not confirmed or reported in full.
func (s *Set) Unanswered(peer string) iter.Seq[*Batch] {
	return func(yield func(*Batch) bool) {
		for _, id := range slices.Sorted(maps.Keys(s.batches)) {
			if b := s.batches[id]; !b.answeredBy(peer) && !yield(b) {
				return
			}
		}
	}
}

// Overdue yields the batches, in order, that have waited for confirmations for longer than a time.
func (s *Set) Overdue(now mono.Time, longer time.Duration) iter.Seq[*Batch] {
	return func(yield func(*Batch) bool) {
		var overdue []*Batch // few, if any, of what may be hundreds
		for _, b := range s.batches {
			if now.Sub(b.at) > longer {
				overdue = append(overdue, b)
			}
		}
		slices.SortFunc(overdue, func(a, b *Batch) int { return cmp.Compare(a.ID, b.ID) })
		for _, b := range overdue {
			if !yield(b) {
				return
			}
		}
	}
}

// Postpone gives peers so much more time to confirm. A move that some have not confirmed begins so
// much later: perhaps nobody has heard of it. Those who have held its user have let go meanwhile.
func (s *Set) Postpone(late time.Duration) {
	for _, b := range s.batches {
		b.at = b.at.Add(late)
	}
	for _, m := range s.byUser {
		if m.Phase == Holding && !m.Stays {
			m.Started = m.Started.Add(late)
			s.Held.Postpone(m.User, late)
		}
	}
}

// Patience gives peers the whole time again.
func (s *Set) Patience(now mono.Time) {
	for _, b := range s.batches {
		b.at = now
	}
}

// PeerGone goes on without a peer that failed. Should it come back, it must confirm and report
// again. Its own moves may have to be gone on with.
func (s *Set) PeerGone(name string) {
	for _, m := range s.byUser {
		if !m.reported[name] {
			m.Doubt()
		}
		delete(m.reported, name)
	}
	for _, b := range s.batches {
		delete(b.held, name)
	}
	s.all, s.orphaned = true, true
}

// MayBeOrphaned notes that a director may be gone that ran moves.
func (s *Set) MayBeOrphaned() { s.orphaned = true }

// LookForOrphans reports whether it is time to look for moves that no director runs: when a
// director may be gone, and from time to time.
func (s *Set) LookForOrphans(now mono.Time) bool {
	if !s.orphaned && now.Sub(s.lookedAt) < orphansEvery {
		return false
	}
	s.orphaned, s.lookedAt = false, now
	return true
}

// Orphans returns the held users, in order, whose moves no director runs: neither this one nor a
// life that runs says to go on. A move of which nothing is known counts as one after a time.
func (s *Set) Orphans(
	now mono.Time, unknownFor time.Duration, runs func(logs.ID) bool,
) (orphans []ring.User) {
	for u, user := range s.Held.users {
		if s.byUser[u] == nil && user.isOrphan(now, unknownFor, runs) {
			orphans = append(orphans, u)
		}
	}
	slices.SortFunc(orphans, ring.CompareUsers)
	return orphans
}

// TakeOver makes the move of a held user, which another director ran, a move of ours, and queues
// it. Its time runs since the user is held here, so that it ends before the others release the user
// by themselves. What its originator's kicker did is not known. Nor is it known whether the move
// has ended, and another change has come since: so it does not begin again above a row that beats
// it.
func (s *Set) TakeOver(u ring.User) *Move {
	user := s.Held.users[u]
	m := &Move{
		User: u, Previous: user.replaced.Mapping, Was: user.replaced.Status, Started: user.since,
		Unsure: true, Unknown: true, Restarts: MaxRestarts,
	}
	m.Begin(user.row)
	s.Add(m)
	s.Queue(m)
	return m
}

// Restart has all moves announced anew: what peers know of them was said in an earlier life, and
// our kick was for the row of before. Find finds the present row of a user: the move's, whose stamp
// may be another one now, unless another row beat it a moment ago.
func (s *Set) Restart(find Find) {
	s.batches = make(map[uint64]*Batch)
	s.starting = s.Sorted()
	for _, m := range s.starting {
		m.batch, m.Phase, m.touched = nil, Holding, false
		m.reported = map[string]bool{"": true}
		m.Doubt()
		if today, ok := find(m.User); ok && today.Backend == m.Row.Backend &&
			today.Generation == m.Row.Generation {
			m.Row = today
		}
	}
	s.touched, s.all = nil, true
}
