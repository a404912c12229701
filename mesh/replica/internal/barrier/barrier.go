package barrier

import (
	"iter"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/ring"
)

// Barrier is the changes under way and the rings that are kept for them.
type Barrier struct {
	changes []*Change     // oldest first
	rings   []*ring.Rings // before each change, then today's: one more than changes
}

// New returns a barrier without changes.
func New(today *ring.Rings) *Barrier { return &Barrier{rings: []*ring.Rings{today}} }

// Rings are those by which directors may still answer, today's last. They must not be changed.
func (b *Barrier) Rings() []*ring.Rings { return b.rings }

// Today is the ring of our table as it is.
func (b *Barrier) Today() *ring.Rings { return b.rings[len(b.rings)-1] }

// ReplaceToday replaces today's ring, by which no director has answered.
func (b *Barrier) ReplaceToday(today *ring.Rings) { b.rings[len(b.rings)-1] = today }

// Add puts a change into force: the ring of before is kept.
func (b *Barrier) Add(c *Change, today *ring.Rings) {
	b.changes = append(b.changes, c)
	b.rings = append(b.rings, today)
}

// Len is how many changes are kept.
func (b *Barrier) Len() int { return len(b.changes) }

// Latest is the last change that was added, or nil.
func (b *Barrier) Latest() *Change {
	if len(b.changes) == 0 {
		return nil
	}
	return b.changes[len(b.changes)-1]
}

// Confirm notes what a peer's statement about its table confirms.
func (b *Barrier) Confirm(peer Peer, said directory.Change) {
	for _, c := range b.changes {
		c.Confirm(peer, said)
	}
}

// ConfirmAll notes that a peer confirms whatever it has not: it answers nothing until it knows our
// table.
func (b *Barrier) ConfirmAll(peer string) {
	for _, c := range b.changes {
		c.confirmAll(peer)
	}
}

// NoteFailed remembers a peer at which the changes in flight may not have arrived.
func (b *Barrier) NoteFailed(peer Peer) {
	for _, c := range b.changes {
		c.noteFailed(peer)
	}
}

// Confirmed reports whether a peer answers by our table.
func (b *Barrier) Confirmed(p Peer) bool {
	return !slices.ContainsFunc(b.changes, func(c *Change) bool { return !c.ConfirmedBy(p) })
}

// Awaits reports whether a change waits for a peer.
func (b *Barrier) Awaits(p Peer) bool {
	return slices.ContainsFunc(b.changes, func(c *Change) bool { return c.Awaits(p) })
}

// Overdue are the oldest changes, as far as they have waited for longer than a time. They must not
// be changed.
func (b *Barrier) Overdue(now mono.Time, longer time.Duration) []*Change {
	n := 0
	for n < len(b.changes) && now.Sub(b.changes[n].since) > longer {
		n++
	}
	return b.changes[:n]
}

// Settle notes which changes wait for no peer any more, and returns these. Get gives a peer by
// name, the zero Peer for an unknown one; all gives them all.
func (b *Barrier) Settle(get func(name string) Peer, all iter.Seq[Peer]) (settled []*Change) {
	for _, c := range b.changes {
		if !c.done && c.allConfirmed(get, all) {
			c.done = true
			settled = append(settled, c)
		}
	}
	return settled
}

// allConfirmed asks about the same peer again while peers confirm one after the other.
func (c *Change) allConfirmed(get func(name string) Peer, all iter.Seq[Peer]) bool {
	if c.awaited != "" && c.Awaits(get(c.awaited)) {
		return false
	}
	for p := range all {
		if c.Awaits(p) {
			c.awaited = p.Name
			return false
		}
	}
	return true
}

// Passed is how many changes are settled, up to the first one that is not: they and the rings
// before them can be dropped.
func (b *Barrier) Passed() int {
	n := 0
	for n < len(b.changes) && b.changes[n].done {
		n++
	}
	return n
}

// Drop forgets so many of the oldest changes, and the rings before them. It returns the changes.
func (b *Barrier) Drop(n int) []*Change {
	dropped := slices.Clone(b.changes[:n])
	b.changes = slices.Delete(b.changes, 0, n)
	b.rings = slices.Delete(b.rings, 0, n)
	return dropped
}

// OfUnknownRing returns the first of the peers that may still answer by a ring that we do not know,
// with the oldest change first; empty if none may.
func (b *Barrier) OfUnknownRing(peers iter.Seq[Peer]) string {
	known := len(b.changes)
	for known > 0 && !b.changes[known-1].unknownRing {
		known--
	}
	for _, c := range b.changes[:known] {
		for p := range peers {
			if !c.done && c.Awaits(p) {
				return p.Name
			}
		}
	}
	return ""
}

// LeaveMesh takes out what was configured in the mesh that we leave for another.
func (b *Barrier) LeaveMesh() {
	for _, c := range b.changes {
		c.leaveMesh()
	}
}

// Abandon forgets all changes and keeps today's ring: what peers know of us was said in another
// life.
func (b *Barrier) Abandon() { b.changes, b.rings = nil, b.rings[len(b.rings)-1:] }

// Postpone gives peers so much more time to confirm.
func (b *Barrier) Postpone(late time.Duration) {
	for _, c := range b.changes {
		c.since = c.since.Add(late)
	}
}

// Restart gives peers the whole time again.
func (b *Barrier) Restart(now mono.Time) {
	for _, c := range b.changes {
		c.since = now
	}
}
