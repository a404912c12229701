package event

import (
	"net/netip"
	"sync"

	"directormesh/mesh/history"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// maxQueued is how many notes wait for the end of a round. A director moves 10,000 users at a time,
// and other directors' rows come in at a few hundred thousand a second, at most.
const maxQueued = 100_000

// Queue has the notes of a round. It is safe for concurrent use, and Put never waits.
type Queue struct {
	mu    sync.Mutex
	notes []wire.Note
	lost  uint64 // that found no room in this round
	all   uint64 // lost since the beginning
}

// Put adds a note, which nobody may change any more. One that is no event is left out.
func (q *Queue) Put(n wire.Note) {
	switch n.(type) {
	case *wire.AdminNote, *wire.UserNote, *wire.TableNote:
	default:
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.notes) >= maxQueued {
		q.lost++
		q.all++
		return
	}
	q.notes = append(q.notes, n)
}

// Take ends a round: it returns its notes, and how many found no room.
func (q *Queue) Take() (notes []wire.Note, lost uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	notes, lost = q.notes, q.lost
	q.notes, q.lost = nil, 0
	return notes, lost
}

// Status returns how many notes wait, and how many have found no room so far.
func (q *Queue) Status() (waiting int, lost uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.notes), q.all
}

// way is how a user came to another backend, as far as users of a round have it in common.
type way struct {
	tag      ring.Tag
	from, to netip.Addr
	cause    wire.Cause
	by       string
}

// Noted returns the events of the notes of a round, in their order; users who went the same way are
// where the first of them was.
func Noted(notes []wire.Note) []Event {
	var events []Event
	ways := make(map[way]int) // places in events
	for _, n := range notes {
		e := Event{At: n.Head().At, Wall: n.Head().Wall}
		switch n := n.(type) {
		case *wire.AdminNote:
			e.Admin = n
			events = append(events, e)
		case *wire.TableNote:
			for _, t := range history.TableEvents(n.Change) {
				if t.What == history.TableFailed || t.What == history.TableRecovered {
					continue // the health of the backend says it, and whether it is out
				}
				e.Table = &t
				events = append(events, e)
			}
		case *wire.UserNote:
			w := way{n.Tag, n.From, n.To, n.Cause, n.By}
			if at, known := ways[w]; known && len(events[at].Moved.Users) < MaxUsers {
				events[at].Moved.Users = append(events[at].Moved.Users, n.Hash)
				continue
			}
			ways[w] = len(events)
			e.Moved = &Moved{Tag: n.Tag, From: n.From, To: n.To, Cause: n.Cause, By: n.By}
			e.Moved.Users = append(e.Moved.Users, n.Hash)
			events = append(events, e)
		}
	}
	return events
}
