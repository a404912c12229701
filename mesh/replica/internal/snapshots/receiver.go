package snapshots

import (
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
)

const (
	// Stall is how long a donor may send nothing before it is given up.
	Stall = 5 * time.Second
	// TryAgainAfter is how long a donor that did not work out is not asked again.
	TryAgainAfter = 500 * time.Millisecond
)

// Snapshot is one that is being received.
type Snapshot struct {
	ID    uint64             // by our count
	Peer  string             // the donor
	Since directory.Tick     // what was asked for: rows of this time or later; 0: all
	Joins bool               // with it and what we have already, nothing is missing of its mesh
	Whole map[wire.Life]bool // lives of which the donor lacked nothing when it was asked
	Check *Check             // what follows the rows since; nil: nothing yet

	Covers []wire.Position // what it has of each log; came with the first chunk
	Rows   uint64          // that came so far

	next    uint32    // chunk expected
	heardAt mono.Time // when the last chunk came, or we asked
}

// Receiver is the snapshot that is being received, and what became of others. The zero value
// receives none.
type Receiver struct {
	// ChunkAt is when the last piece of any snapshot came, BusyAt when a donor last said that it is
	// busy; 0: never.
	ChunkAt, BusyAt mono.Time

	current *Snapshot            // nil: none
	triedAt map[string]mono.Time // donors that did not work out, and when
}

// Begin begins to receive a snapshot. None may be under way.
func (r *Receiver) Begin(now mono.Time, s Snapshot) {
	s.heardAt = now
	r.current = &s
}

// Current is the snapshot that is being received, or nil.
func (r *Receiver) Current() *Snapshot { return r.current }

// From reports whether a snapshot is being received from a peer.
func (r *Receiver) From(peer string) bool { return r.current != nil && r.current.Peer == peer }

// Expects reports whether a chunk of a peer's belongs to the snapshot that is being received.
func (r *Receiver) Expects(peer string, id uint64) bool {
	return r.From(peer) && r.current.ID == id
}

// Take notes an expected chunk. It returns why the snapshot has failed; empty if it has not.
func (r *Receiver) Take(now mono.Time, m *wire.SnapshotChunk) (failed string) {
	s := r.current
	switch {
	case m.Busy:
		r.BusyAt = now
		return "the donor is busy"
	case m.Index != s.next:
		return "a chunk is missing"
	case m.Index == 0 && s.Check == nil:
		s.Covers = m.Covers
	}
	s.next++
	s.Rows += uint64(rowset.Count(m.Blocks))
	s.heardAt, r.ChunkAt = now, now
	return ""
}

// GoOn goes on with another question to the donor, of this id, when all of the one before has come.
func (r *Receiver) GoOn(now mono.Time, id uint64) {
	r.current.ID, r.current.next, r.current.heardAt = id, 0, now
}

// Done ends the snapshot, all of which has come, and returns it.
func (r *Receiver) Done() *Snapshot {
	s := r.current
	r.current = nil
	return s
}

// Fail ends the snapshot, whose donor did not work out, and returns that.
func (r *Receiver) Fail(now mono.Time) (donor string) {
	donor = r.current.Peer
	r.NoteTried(now, donor)
	r.current = nil
	return donor
}

// NoteTried notes that a donor did not work out.
func (r *Receiver) NoteTried(now mono.Time, donor string) {
	if r.triedAt == nil {
		r.triedAt = make(map[string]mono.Time)
	}
	r.triedAt[donor] = now
}

// Tried reports whether a donor failed us a moment ago.
func (r *Receiver) Tried(now mono.Time, donor string) bool {
	at, ok := r.triedAt[donor]
	return ok && now.Sub(at) < TryAgainAfter
}

// Forget forgets that a donor did not work out: it is in another life.
func (r *Receiver) Forget(donor string) { delete(r.triedAt, donor) }

// Silent reports whether the donor has sent nothing for too long.
func (r *Receiver) Silent(now mono.Time) bool {
	return r.current != nil && now.Sub(r.current.heardAt) > Stall
}

// Clean forgets donors that did not work out and may be asked again.
func (r *Receiver) Clean(now mono.Time) {
	for name, at := range r.triedAt {
		if now.Sub(at) > TryAgainAfter {
			delete(r.triedAt, name)
		}
	}
}

// Abandon forgets the snapshot and all donors: our life ends.
func (r *Receiver) Abandon() {
	r.current = nil
	clear(r.triedAt)
}

// Postpone gives the donor so much more time.
func (r *Receiver) Postpone(late time.Duration) {
	if r.current != nil {
		r.current.heardAt = r.current.heardAt.Add(late)
	}
}
