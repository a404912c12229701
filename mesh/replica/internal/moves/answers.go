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
}

// Answers are those for the Holds of others, kept a while in case a Hold comes again, or the answer
// has to be sent again. The zero value holds none.
type Answers struct {
	byHold    map[kicks.HoldID]*Answer
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
