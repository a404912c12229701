package moves

import (
	"iter"
	"slices"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
)

// KickLimit is after how long a kick counts as unknown, should the shell not have said so itself.
const KickLimit = 11 * time.Second

// KickResult is what a kicker knows after a kick.
type KickResult struct {
	Count int  // sessions ended
	Known bool // these were certainly all of them
	Left  int  // sessions that it saw and could not end
	Blind bool // there is no kicker: nothing is known of any session
}

// ResultOf is what a report of a kick says.
func ResultOf(k wire.KickCount) KickResult {
	return KickResult{Count: int(k.Count), Known: k.Known, Left: int(k.Left), Blind: k.Blind}
}

// KickReport is what directors could not do of a kick: an operator must learn of sessions that go
// on where the user is no more. The zero value reports nothing.
type KickReport struct {
	Left  map[string]int  // sessions seen and not ended, above 0, by director; "" is this one
	Blind map[string]bool // directors without a kicker
}

// Note takes the report of a director; "" is this one.
func (k *KickReport) Note(director string, r KickResult) {
	if r.Left > 0 {
		if k.Left == nil {
			k.Left = make(map[string]int)
		}
		k.Left[director] = r.Left
	}
	if r.Blind {
		if k.Blind == nil {
			k.Blind = make(map[string]bool)
		}
		k.Blind[director] = true
	}
}

// HoldID names a Hold of a peer. A peer's ids start again in each of its lives.
type HoldID struct {
	By logs.ID
	ID uint64
}

// Kicks are the local kicks under way, with who wants to know of their end, and what peers are
// still to be told.
type Kicks struct {
	byID    map[uint64]*kick
	reports map[HoldID][]wire.KickCount // those of order
	order   []HoldID                    // as they came
}

type kick struct {
	since mono.Time                        // since when its end is waited for
	done  func(r KickResult, failed error) // nil: nobody wants to know
}

// NewKicks returns an empty list.
func NewKicks() *Kicks {
	return &Kicks{byID: make(map[uint64]*kick), reports: make(map[HoldID][]wire.KickCount)}
}

// Len is how many are under way.
func (k *Kicks) Len() int { return len(k.byID) }

// Reports is how many Holds there are to report on.
func (k *Kicks) Reports() int { return len(k.order) }

// Begin notes a kick whose end is waited for since a moment. Done, which may be nil, is called
// once, with its result.
func (k *Kicks) Begin(id uint64, since mono.Time, done func(r KickResult, failed error)) {
	k.byID[id] = &kick{since: since, done: done}
}

// Finish takes the result of a kick, and why it failed if it did. One that has ended already is not
// told again.
func (k *Kicks) Finish(id uint64, r KickResult, failed error) {
	if kick := k.byID[id]; kick != nil {
		delete(k.byID, id)
		if kick.done != nil {
			kick.done(r, failed)
		}
	}
}

// Late are the kicks that have taken too long, in order.
func (k *Kicks) Late(now mono.Time) (late []uint64) {
	for id, kick := range k.byID {
		if now.Sub(kick.since) > KickLimit {
			late = append(late, id)
		}
	}
	slices.Sort(late)
	return late
}

// Postpone gives the kicks so much more time.
func (k *Kicks) Postpone(late time.Duration) {
	for _, kick := range k.byID {
		kick.since = kick.since.Add(late)
	}
}

// Note queues the result of a kick that a peer's Hold asked for.
func (k *Kicks) Note(of HoldID, count wire.KickCount) {
	if k.reports[of] == nil {
		k.order = append(k.order, of)
	}
	k.reports[of] = append(k.reports[of], count)
}

// TakeReports yields the queued results, Hold by Hold, and forgets them. Nothing may be queued
// meanwhile.
func (k *Kicks) TakeReports() iter.Seq2[HoldID, []wire.KickCount] {
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
