package kicks

import (
	"iter"
	"slices"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
)

// Limit is after how long a kick counts as unknown, should the shell not have said so itself.
const Limit = 11 * time.Second

// HoldID names a Hold of a peer. A peer's ids start again in each of its lives.
type HoldID struct {
	By logs.ID
	ID uint64
}

// Local is the kicks that our kicker has under way, and the results that peers still have
// to get.
type Local struct {
	byID    map[uint64]*kick
	reports map[HoldID][]wire.KickCount // those of order
	order   []HoldID                    // as they came
}

type kick struct {
	since mono.Time                    // since when its end is waited for
	done  func(r Result, failed error) // nil: its end is of no interest
}

// NewLocal returns an empty list.
func NewLocal() *Local {
	return &Local{byID: make(map[uint64]*kick), reports: make(map[HoldID][]wire.KickCount)}
}

// Len is how many are under way.
func (k *Local) Len() int { return len(k.byID) }

// Reports is how many Holds there are to report on.
func (k *Local) Reports() int { return len(k.order) }

// Begin notes a kick whose end is waited for since a moment. Done, which may be nil, is called
// once, with its result.
func (k *Local) Begin(id uint64, since mono.Time, done func(r Result, failed error)) {
	k.byID[id] = &kick{since: since, done: done}
}

// Finish takes the result of a kick, and why it failed if it did. One that has ended already is not
// called again.
func (k *Local) Finish(id uint64, r Result, failed error) {
	if kick := k.byID[id]; kick != nil {
		delete(k.byID, id)
		if kick.done != nil {
			kick.done(r, failed)
		}
	}
}

// Late are the kicks that have taken too long, in order.
func (k *Local) Late(now mono.Time) (late []uint64) {
	for id, kick := range k.byID {
		if now.Sub(kick.since) > Limit {
			late = append(late, id)
		}
	}
	slices.Sort(late)
	return late
}

// Postpone gives the kicks so much more time.
func (k *Local) Postpone(late time.Duration) {
	for _, kick := range k.byID {
		kick.since = kick.since.Add(late)
	}
}

// Note queues the result of a kick that a peer's Hold asked for.
func (k *Local) Note(of HoldID, count wire.KickCount) {
	if k.reports[of] == nil {
		k.order = append(k.order, of)
	}
	k.reports[of] = append(k.reports[of], count)
}

// TakeReports yields the queued results, Hold by Hold, and forgets them. Nothing may be queued
// meanwhile.
func (k *Local) TakeReports() iter.Seq2[HoldID, []wire.KickCount] {
	return func(yield func(HoldID, []wire.KickCount) bool) {
		more := true
		for _, of := range k.order {
			if more {
				more = yield(of, k.reports[of])
			}
			delete(k.reports, of)
		}
		k.order = k.order[:0]
	}
}
