package tasks

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/ring"
)

const (
	beginEvery = 20 * time.Millisecond
	// scanEvery is the pause after a pass: users come to a backend that is drained only by
	// lookups that went by the ring of before, and by hand.
	scanEvery  = time.Second
	maxPending = 1 << 17 // users found ahead of the moves, about
	leaves     = 1 << 16 // of each tag
)

// Key says whose users a task moves: those of a backend that is drained or, with the zero address,
// those of the backends of a tag that are rebalanced.
type Key struct {
	Tag     ring.Tag
	Backend netip.Addr
}

func (k Key) compare(l Key) int {
	return cmp.Or(cmp.Compare(k.Tag, l.Tag), k.Backend.Compare(l.Backend))
}

// Task is one that this director runs.
type Task struct {
	Key
	ID uint64 // names it in moves

	stamp    directory.Stamp
	by       directory.Time // when the last user is to be moved; 0: as soon as may be
	parallel int            // moves under way at a time

	leaf     int  // next to be looked through
	scanning bool // a pass through all leaves is under way
	passes   int  // that are over
	found    int  // users found in this pass, those left to expire included
	idle     bool // the last whole pass found nobody
	scanAt   mono.Time

	pending []candidate // found and not begun; the one not seen for longest is the last
	sorted  bool
	moving  int

	allowed   float64 // moves that the pace allows and that have not begun
	allowedAt directory.Time
	begunAt   mono.Time
}

// candidate is a user that is to be moved.
type candidate struct {
	hash ring.UserHash
	seen directory.Tick
}

// By is when its last user is to be moved; 0 means as soon as may be.
func (t *Task) By() directory.Time { return t.by }

// Leaf is what is to be looked through next; false if nothing is, or enough was found for now.
func (t *Task) Leaf(now mono.Time) (leaf uint16, ok bool) {
	if !t.scanning && len(t.pending) == 0 && now.Sub(t.scanAt) >= 0 {
		t.scanning, t.leaf, t.found = true, 0, 0
	}
	if !t.scanning || len(t.pending) > maxPending {
		return 0, false
	}
	return uint16(t.leaf), true
}

// Scanned notes that a leaf was looked through.
func (t *Task) Scanned(now mono.Time) {
	if t.leaf++; t.leaf == leaves {
		t.scanning, t.idle = false, t.found == 0
		t.passes++
		t.scanAt = now.Add(scanEvery)
	}
}

// Passes is how often all leaves were looked through.
func (t *Task) Passes() int { return t.passes }

// Found notes a user that is to be moved.
func (t *Task) Found(m directory.Mapping) {
	t.found++
	t.pending = append(t.pending, candidate{m.Hash, m.Activity})
	t.sorted = false
}

// Spared notes a user that is not to be moved yet, since the mapping may expire in time, or of whom
// this director may not know yet.
func (t *Task) Spared() { t.found++ }

// Over reports whether a whole pass has found nobody, and no move is under way.
func (t *Task) Over() bool { return t.idle && !t.scanning && t.moving == 0 && len(t.pending) == 0 }

// Begin says how many moves may begin now. Left is how many users there are, lead how long the last
// moves take. Moves that begin together share a message, so they begin once in a while.
func (t *Task) Begin(now mono.Time, at directory.Time, left int, lead time.Duration) int {
	if t.scanning && len(t.pending) <= maxPending || len(t.pending) == 0 {
		return 0 // those not seen for longest go first
	}
	free := t.parallel - t.moving
	if free <= 0 || free*4 < t.parallel && now.Sub(t.begunAt) < beginEvery {
		return 0
	}
	n := min(free, t.pace(at, left, lead))
	if n > 0 {
		t.begunAt = now
	}
	return n
}

// pace is how many moves the time that is left allows to begin now.
func (t *Task) pace(at directory.Time, left int, lead time.Duration) int {
	since := min(max(at.Sub(t.allowedAt), 0), time.Second)
	t.allowedAt = at
	rest := t.by.Sub(at) - lead
	if t.by == 0 || rest <= 0 {
		t.allowed = 0
		return len(t.pending)
	}
	perSecond := float64(left) / rest.Seconds()
	t.allowed = min(t.allowed+perSecond*since.Seconds(), max(perSecond, 1))
	return int(t.allowed)
}

// Next takes the next user, the one that was not seen for longest; false if there is none.
func (t *Task) Next() (u ring.User, ok bool) {
	if len(t.pending) == 0 {
		return ring.User{}, false
	}
	if !t.sorted {
		slices.SortFunc(t.pending, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(b.seen, a.seen), cmp.Compare(b.hash, a.hash))
		})
		t.sorted = true
	}
	last := len(t.pending) - 1
	u = ring.User{Tag: t.Tag, Hash: t.pending[last].hash}
	t.pending = t.pending[:last]
	return u, true
}

// Begun notes that a user's move is under way.
func (t *Task) Begun() {
	t.moving++
	t.allowed = max(t.allowed-1, 0)
}

// Ended notes that a move has ended, however it did: who is still there is found again.
func (t *Task) Ended() { t.moving-- }

// Waiting is how many users were found and are not moved yet.
func (t *Task) Waiting() int { return len(t.pending) + t.moving }
