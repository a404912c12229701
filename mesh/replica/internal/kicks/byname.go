package kicks

import (
	"slices"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// ByNameLimit is how long a kick by name waits for a director; its kicker has 10 s.
const ByNameLimit = 15 * time.Second

// ByName is a kick of a user by name. Only the directors themselves get the name, each by a
// message of its own. It ends when all of them have reported, failed, or been waited for for
// ByNameLimit.
type ByName struct {
	Message *wire.KickUser // to each peer; its ID names the kick in the life of this director

	since   mono.Time
	asked   map[string]bool // directors that were asked to kick, each once; "" is this one
	waiting map[string]bool // those of asked that have neither reported nor been given up
	lost    []string        // peers of asked that were given up
	count   int             // sessions ended, by all reports
	known   bool            // these were certainly all of them: no director was given up
	report  Report

	// The first failure of a kicker: which director's, and what it said. failure is "" if all did
	// what they could.
	failedAt, failure string
}

// NewByName begins a kick by name, which this director takes part in.
func NewByName(now mono.Time, m *wire.KickUser) *ByName {
	return &ByName{
		Message: m, since: now, known: true,
		asked: map[string]bool{"": true}, waiting: map[string]bool{"": true},
	}
}

// Ask notes that a peer takes part, and reports whether it is to be asked: it was not asked before.
func (k *ByName) Ask(peer string) bool {
	if k.asked[peer] {
		return false
	}
	k.asked[peer], k.waiting[peer] = true, true
	return true
}

// Awaits reports whether a director was asked and still owes its report; "" is this one.
func (k *ByName) Awaits(director string) bool { return k.waiting[director] }

// Take takes the report of a director; "" is this one. Failure says why its kicker failed, "" if it
// did not. A report that is not awaited does not count.
func (k *ByName) Take(director string, r Result, failure string) {
	if !k.waiting[director] {
		return
	}
	delete(k.waiting, director)
	k.count += r.Count
	k.known = k.known && r.Known
	k.report.Note(director, r)
	if failure != "" && k.failure == "" {
		k.failedAt, k.failure = director, failure
	}
}

// Postpone gives directors so much more time to report.
func (k *ByName) Postpone(late time.Duration) { k.since = k.since.Add(late) }

// GiveUp stops waiting for peers that are not live, and for all directors once ByNameLimit is over.
func (k *ByName) GiveUp(now mono.Time, live func(peer string) bool) {
	late := now.Sub(k.since) > ByNameLimit
	for director := range k.waiting {
		if !late && (director == "" || live(director)) {
			continue
		}
		delete(k.waiting, director)
		k.known = false
		if director != "" {
			k.lost = append(k.lost, director)
		}
	}
	slices.Sort(k.lost)
}

// Ended reports whether no director is waited for any more.
func (k *ByName) Ended() bool { return len(k.waiting) == 0 }

// Count is how many sessions were ended, and whether these were certainly all of them.
func (k *ByName) Count() (n int, known bool) { return k.count, k.known }

// Lost are the peers that were given up, sorted.
func (k *ByName) Lost() []string { return k.lost }

// Report is what the directors could not do.
func (k *ByName) Report() Report { return k.report }

// Failure is the first failure of a kicker: at which director, and what its kicker said. Without a
// failure the text is "".
func (k *ByName) Failure() (director, text string) { return k.failedAt, k.failure }
