package flushes

import (
	"cmp"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	announceEvery = 500 * time.Millisecond
	beginEvery    = 20 * time.Millisecond
	maxPending    = 1 << 17 // users found ahead of the moves, about
	leaves        = 1 << 16 // of each tag
)

// Flush is one that this director runs.
type Flush struct {
	key         uint64             // names it in moves
	progress    wire.FlushProgress // Total counts the users found, Moving is max at most
	max         int                // moves under way at a time
	tags        []ring.Tag         // still to be looked through
	leaf        int                // next, of the first of them
	pending     []ring.User        // found, and not begun
	announcedAt mono.Time          // when its progress was last announced to the peers
	begunAt     mono.Time          // when moves were last begun
}

// Key names the flush in the moves of this director.
func (f *Flush) Key() uint64 { return f.key }

// Name is by what all directors know the flush; self is this director.
func (f *Flush) Name(self string) ID {
	return ID{Director: cmp.Or(f.progress.Director, self), ID: f.progress.ID}
}

// Progress is how the flush goes.
func (f *Flush) Progress() wire.FlushProgress { return f.progress }

// Leaf is what is to be looked through next; false if nothing is, or enough was found for now.
func (f *Flush) Leaf() (tag ring.Tag, leaf uint16, ok bool) {
	if f.progress.Scanning && len(f.tags) == 0 {
		f.progress.Scanning = false
	}
	if !f.progress.Scanning || len(f.pending) > maxPending {
		return "", 0, false
	}
	return f.tags[0], uint16(f.leaf), true
}

// Scanned notes that a leaf was looked through.
func (f *Flush) Scanned() {
	if f.leaf++; f.leaf == leaves {
		f.tags, f.leaf = f.tags[1:], 0
	}
}

// Found notes a user that is to be moved.
func (f *Flush) Found(u ring.User) {
	f.pending = append(f.pending, u)
	f.progress.Total++
}

// MayBegin reports whether moves may begin now, and takes it that they do. Moves that begin
// together share a message.
func (f *Flush) MayBegin(now mono.Time) bool {
	free := f.max - int(f.progress.Moving)
	if free*4 < f.max && now.Sub(f.begunAt) < beginEvery {
		return false
	}
	f.begunAt = now
	return true
}

// Next takes the next user that was found; false if all were taken, or no more users may be under
// way.
func (f *Flush) Next() (u ring.User, ok bool) {
	if f.progress.Moving >= uint64(f.max) || len(f.pending) == 0 {
		return ring.User{}, false
	}
	u = f.pending[0]
	f.pending = f.pending[1:]
	return u, true
}

// Begun notes that a user's move is under way.
func (f *Flush) Begun() { f.progress.Moving++ }

// Skipped notes that a user need not be moved any more: it was moved already, or is gone.
func (f *Flush) Skipped() { f.progress.Moved++ }

// Outcome is how a move of a flush ended.
type Outcome struct {
	Failed bool
	Left   bool // sessions were seen that could not be ended
	Blind  bool // a director has no kicker
}

// Ended notes that a move has ended.
func (f *Flush) Ended(o Outcome) {
	f.progress.Moving--
	if o.Failed {
		f.progress.Failed++
	} else {
		f.progress.Moved++
	}
	if o.Left {
		f.progress.Left++
	}
	f.progress.Blind = f.progress.Blind || o.Blind
}

// End ends the flush if nothing is left to do, and reports whether it did.
func (f *Flush) End(t directory.Time) bool {
	if len(f.pending) > 0 || f.progress.Scanning || f.progress.Moving > 0 {
		return false
	}
	f.progress.Done, f.progress.Ended = true, t
	return true
}

// AnnounceDue reports whether its progress is to be announced again, because time has passed.
func (f *Flush) AnnounceDue(now mono.Time) bool { return now.Sub(f.announcedAt) >= announceEvery }

// Announced notes that its progress is announced.
func (f *Flush) Announced(now mono.Time) { f.announcedAt = now }

// cancel stops the flush from starting more moves.
func (f *Flush) cancel() {
	f.pending, f.tags = nil, nil
	f.progress.Scanning, f.progress.Canceled = false, true
}
