package waiters

import (
	"time"

	"directormesh/mesh/mono"
	"directormesh/ring"
)

// relayedFor is for how long a peer may give an answer that it got from us: it asked before we
// answered, and its clock may run a little slower than ours.
const relayedFor = RelayValid + RelayValid/100

const cleanEvery = time.Second

// Relayed is the users about whom a peer has asked us and may give our answer still. The zero value
// has none.
type Relayed struct {
	until     map[ring.User]mono.Time // the last moment at which a peer may give one
	untilAll  mono.Time               // the same of any user; 0: there was no such moment
	cleanedAt mono.Time
}

// Len is how many there are, with those that [Relayed.Clean] is to forget.
func (r *Relayed) Len() int { return len(r.until) }

// Note notes that a peer gets an answer about a user.
func (r *Relayed) Note(now mono.Time, u ring.User) {
	if r.until == nil {
		r.until = make(map[ring.User]mono.Time)
	}
	r.until[u] = now.Add(relayedFor)
}

// NoteAll notes that a peer may give an answer about any user still, which it got from a director
// that is gone.
func (r *Relayed) NoteAll(now mono.Time) { r.untilAll = now.Add(relayedFor) }

// Until is the last moment at which a peer may give an answer about a user, if that is not over;
// else zero.
func (r *Relayed) Until(now mono.Time, u ring.User) mono.Time {
	if until := max(r.until[u], r.untilAll); until >= now {
		return until
	}
	return 0
}

// Clean forgets answers that no peer gives any more, once a second.
func (r *Relayed) Clean(now mono.Time) {
	if now.Sub(r.cleanedAt) < cleanEvery {
		return
	}
	r.cleanedAt = now
	for u := range r.until {
		if r.Until(now, u) == 0 {
			delete(r.until, u)
		}
	}
}
