package moves

import (
	"cmp"
	"slices"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	// HoldFor is how long a director holds a user if no release comes: longer than the originator,
	// or the director that takes its moves over, takes to release, and less than a lookup waits.
	HoldFor = 28 * time.Second

	cleanEvery = time.Second
)

// Answer is what we did for a Hold of a peer.
type Answer struct {
	ID     kicks.HoldID
	Beaten []wire.Block                  // rows that beat those of the Hold here
	Kicks  map[ring.User]*wire.KickCount // nil: under way
	at     mono.Time                     // when the Hold first came

	after mono.Time // it is not given before this moment is over; 0: at once
}

// Waits reports whether the answer is not to be given yet.
func (h *Answer) Waits() bool { return h.after != 0 }

// Answers are those for the Holds of others, kept a while in case a Hold comes again, or the answer
// has to be sent again. The zero value holds none.
type Answers struct {
	byHold    map[kicks.HoldID]*Answer
	waiting   []*Answer // those that are not given yet
	cleanedAt mono.Time
}

// Len is how many there are.
func (a *Answers) Len() int { return len(a.byHold) }

// Open returns the answer to a Hold, a new one if it comes for the first time.
func (a *Answers) Open(now mono.Time, id kicks.HoldID) *Answer {
	if a.byHold == nil {
		a.byHold = make(map[kicks.HoldID]*Answer)
	}
	h := a.byHold[id]
	if h == nil {
		h = &Answer{ID: id, at: now, Kicks: make(map[ring.User]*wire.KickCount)}
		a.byHold[id] = h
	}
	return h
}

// Wait has an answer given when a moment is over.
func (a *Answers) Wait(h *Answer, after mono.Time) {
	if !h.Waits() {
		a.waiting = append(a.waiting, h)
	}
	h.after = after
}

// TakeDue returns the answers that have waited and are to be given now.
func (a *Answers) TakeDue(now mono.Time) (due []*Answer) {
	a.waiting = slices.DeleteFunc(a.waiting, func(h *Answer) bool {
		if h.after >= now {
			return false
		}
		h.after = 0
		due = append(due, h)
		return true
	})
	return due
}

// To are the answers to the Holds of one life of a peer that may still be of use, in order.
func (a *Answers) To(now mono.Time, life logs.ID) (answers []*Answer) {
	for id, h := range a.byHold {
		if id.By == life && now.Sub(h.at) < HoldFor {
			answers = append(answers, h)
		}
	}
	slices.SortFunc(answers, func(a, b *Answer) int { return cmp.Compare(a.ID.ID, b.ID.ID) })
	return answers
}

// Clean forgets answers that are of no use any more, once a second.
func (a *Answers) Clean(now mono.Time) {
	if now.Sub(a.cleanedAt) < cleanEvery {
		return
	}
	a.cleanedAt = now
	for id, h := range a.byHold {
		if now.Sub(h.at) > 2*HoldFor {
			delete(a.byHold, id)
		}
	}
}
