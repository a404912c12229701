// Package waiters keeps the lookups that could not be answered at once: why each waits, since when,
// and whether a peer was asked to answer it.
//
// When a lookup can be answered, which peers can be asked, and what is sent is decided by package
// replica. Not safe for concurrent use.
package waiters

import (
	"iter"
	"slices"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/lookups"
	"directormesh/ring"
)

const (
	// Deadline is how long a lookup waits before it fails.
	Deadline = 30 * time.Second
	// RelayValid is how old the question may be when a peer's answer is given. For as long no move
	// of the user ends at the other directors: the peer does not confirm it, see [Relayed].
	RelayValid = time.Second
	// askAgain is after how long without an answer another peer is asked.
	askAgain = time.Second
	// heldEvery is how often lookups of users who are being moved are looked at although nothing
	// that is known to help them has happened. There are thousands of them when a backend has
	// failed, each for the kick delay.
	heldEvery = time.Second
)

// Wait is a lookup that waits. Its maker sets the exported fields; the rest is for List to set.
type Wait struct {
	User    ring.User
	ID      uint64  // of a lookup of our own
	Peer    logs.ID // the director that relayed it to us; zero: it is our own
	Request uint64  // of a relayed lookup, by its peer's count

	since mono.Time       // when it began to wait
	why   lookups.Verdict // as of the last look
	done  bool            // it waits no longer, and is soon dropped from the order

	relay   uint64    // id of our request to a peer, 0: none is open
	askedAt mono.Time // when a peer was last asked
	asked   int       // how many times one was
}

// Own reports whether the lookup is our own, and not relayed to us by a peer.
func (w *Wait) Own() bool { return w.Peer == (logs.ID{}) }

// Why is why it waits.
func (w *Wait) Why() lookups.Verdict { return w.why }

// NoteWhy notes why it waits, and reports whether that is news.
func (w *Wait) NoteWhy(why lookups.Verdict) bool {
	if w.why == why {
		return false
	}
	w.why = why
	return true
}

// AskDue reports whether a peer is to be asked: this director must not answer the lookup by itself,
// and no peer that was asked has time left to answer. What was relayed to us is not relayed on.
func (w *Wait) AskDue(now mono.Time) bool {
	return w.why == lookups.NotSynced && w.Own() && (w.relay == 0 || now.Sub(w.askedAt) > askAgain)
}

// Turn says which of n peers is to be asked next: users begin with different ones, and each
// question goes to the next.
func (w *Wait) Turn(n int) int { return (int(w.User.Hash) + w.asked) % n }

// Fresh reports whether an answer to the last question may still be given.
func (w *Wait) Fresh(now mono.Time) bool { return now.Sub(w.askedAt) <= RelayValid }

// List is the lookups that could not be answered at once, our own and those that peers relayed
// to us.
type List struct {
	order   []*Wait               // by age; lookups that are done stay until the next review
	byID    map[uint64]*Wait      // our own that are not done
	relays  map[uint64]*Wait      // those that a peer was asked to answer, by the id of the request
	byUser  map[ring.User][]*Wait // those that are not done, by age
	recheck bool                  // something changed that may help any of them
	passed  bool                  // time has passed, which may help those of users not being moved
	changed []ring.User           // users of whom something changed that may help them
	heldAt  mono.Time             // when time last had those of users who are moved looked at
}

// New returns an empty list.
func New() *List {
	return &List{
		byID: make(map[uint64]*Wait), relays: make(map[uint64]*Wait),
		byUser: make(map[ring.User][]*Wait),
	}
}

// Len is how many there are.
func (l *List) Len() int { return len(l.order) }

// ByReason is how many wait for each reason.
func (l *List) ByReason() map[lookups.Verdict]int {
	count := make(map[lookups.Verdict]int)
	for _, x := range l.order {
		if !x.done {
			count[x.why]++
		}
	}
	return count
}

// Add has a lookup wait from now on.
func (l *List) Add(now mono.Time, x *Wait) {
	x.since = now
	l.order = append(l.order, x)
	l.byUser[x.User] = append(l.byUser[x.User], x)
	if x.Own() {
		l.byID[x.ID] = x
	}
}

// Recheck notes that something changed that may help any waiting lookup.
func (l *List) Recheck() { l.recheck = true }

// RecheckUser notes that something changed that may help the lookups of a user.
func (l *List) RecheckUser(u ring.User) {
	if len(l.byUser[u]) > 0 {
		l.changed = append(l.changed, u)
	}
}

// Pass notes that time has passed, which may help any lookup but those of users who are being
// moved: these wait for a row, which [List.RecheckUser] reports.
func (l *List) Pass(now mono.Time) {
	l.passed = true
	if now.Sub(l.heldAt) >= heldEvery {
		l.heldAt, l.recheck = now, true
	}
}

// Review yields the waiting lookups, by age, that something may help which changed since it was
// last called; then those of single users of whom something changed.
func (l *List) Review() iter.Seq[*Wait] {
	return func(yield func(*Wait) bool) {
		all, passed, users := l.recheck, l.passed, l.changed
		l.recheck, l.passed, l.changed = false, false, nil
		if all || passed {
			defer l.dropDone()
			for _, x := range l.order {
				held := x.why == lookups.BeingMoved
				if !x.done && (all || !held) && !yield(x) {
					return
				}
			}
		}
		if all {
			return
		}
		for _, u := range users {
			for _, x := range slices.Clone(l.byUser[u]) {
				if !x.done && !yield(x) {
					return
				}
			}
		}
	}
}

// TakeExpired ends the lookups that have waited for too long, and returns them by age.
func (l *List) TakeExpired(now mono.Time) (expired []*Wait) {
	for _, x := range l.order {
		if x.done {
			continue
		}
		if now.Sub(x.since) < Deadline {
			break // the others are younger
		}
		l.Finish(x)
		expired = append(expired, x)
	}
	if len(expired) > 0 {
		l.dropDone()
	}
	return expired
}

func (l *List) dropDone() {
	l.order = slices.DeleteFunc(l.order, func(x *Wait) bool { return x.done })
}

// Finish ends a lookup.
func (l *List) Finish(x *Wait) {
	x.done = true
	delete(l.byID, x.ID)
	l.Unask(x)
	others := slices.DeleteFunc(l.byUser[x.User], func(y *Wait) bool { return y == x })
	if len(others) == 0 {
		delete(l.byUser, x.User)
	} else {
		l.byUser[x.User] = others
	}
}

// Cancel ends a lookup of our own by its id, if it waits.
func (l *List) Cancel(id uint64) {
	if x := l.byID[id]; x != nil {
		l.Finish(x)
	}
}

// Ask notes that a peer is asked to answer, by a request of this id.
func (l *List) Ask(now mono.Time, x *Wait, id uint64) {
	x.asked++
	x.relay, x.askedAt = id, now
	l.relays[id] = x
}

// Unask notes that an answer to our open request does not count any more.
func (l *List) Unask(x *Wait) {
	delete(l.relays, x.relay)
	x.relay = 0
}

// TakeAsked closes a request, and returns the lookup that it is for; nil if it is not open.
func (l *List) TakeAsked(id uint64) *Wait {
	x := l.relays[id]
	if x != nil {
		l.Unask(x)
	}
	return x
}
