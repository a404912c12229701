package api

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Event is one thing that happened, as one director saw it. Its kind says which of the fields that
// may be absent it has.
type Event struct {
	// ID is of the director that was asked, in this life of it; "" for missed.
	ID       string    `json:"id"`
	At       time.Time `json:"at"`       // mesh time
	WallAt   time.Time `json:"wall_at"`  // the clock of the director that saw it
	Director string    `json:"director"` // that saw it
	Kind     string    `json:"kind"`
	What     string    `json:"what"`
	// Asked is a change that somebody asked for, and how it went.
	Asked      *AdminChange `json:"asked,omitempty"`
	Tag        *string      `json:"tag,omitempty"`
	Backend    *IP          `json:"backend,omitempty"` // of a flush: empty for all
	VHosts     *int         `json:"vhosts,omitempty"`
	Percent    *int         `json:"percent,omitempty"` // of the vhosts that are the weight
	From       *IP          `json:"from,omitempty"`    // of moved users; empty: none, or not known
	To         *IP          `json:"to,omitempty"`      // empty: none
	UserHashes []uint32     `json:"user_hashes,omitempty"`
	By         string       `json:"by,omitempty"` // the director that decided or began it
	Peer       string       `json:"peer,omitempty"`
	IP         *IP          `json:"ip,omitempty"` // of the peer
	Port       int          `json:"port,omitempty"`
	Was        string       `json:"was,omitempty"` // health before
	Reason     string       `json:"reason,omitempty"`
	Flush      *FlushEvent  `json:"flush,omitempty"`
	Failing    *int         `json:"failing,omitempty"` // backends of the tag
	Most       *int         `json:"most,omitempty"`    // so many may be out of use
	Key        string       `json:"key,omitempty"`     // its id
	Missed     *uint64      `json:"missed,omitempty"`  // events; 0: nobody knows how many
}

// FlushEvent is how far a flush had come.
type FlushEvent struct {
	Director string `json:"director"` // that began it
	ID       uint64 `json:"id"`
	Runner   string `json:"runner"`
	Moved    uint64 `json:"moved"`
	Failed   uint64 `json:"failed"`
}

// The kinds of events.
const (
	// KindChange is an admin change: asked, with the result. What is its action.
	KindChange = "change"
	// KindTable is a change of the table as it came to the director: tag, backend, vhosts,
	// percent, or ip and port of a director, and by. What is the word of the command.
	KindTable = "table"
	// KindMoved is users who got another backend: tag, from, to, user_hashes, by. What is why.
	KindMoved = "moved"
	// KindConflict is KindMoved where two directors had decided at once.
	KindConflict = "conflict"
	// KindPeer is another director: peer, ip, port. What is a PeerChange of package mesh/event.
	KindPeer = "peer"
	// KindDirector is the director that was asked: reason. What is synced, alone or not synced.
	KindDirector = "director"
	// KindHealth is the health of a backend: tag, backend, was, reason. What is one of the healths
	// of a backend.
	KindHealth = "health"
	// KindAlarm is more backends of a tag failing than may be out of use: tag, failing, most. What
	// is begun or ended.
	KindAlarm = "alarm"
	// KindFlush is a flush: backend, flush, by. What is begun, ended, cancelled or lost.
	KindFlush = "flush"
	// KindDrain is a backend being drained: tag, backend, by. What is begun, ended or done.
	KindDrain = "drain"
	// KindRebalance is users of a backend being moved to where they hash: backend, by. What is
	// begun or done.
	KindRebalance = "rebalance"
	// KindKeys is the keys of the mesh: key, by. What is a KeyChange of package mesh/event.
	KindKeys = "keys"
	// KindMissed is events of which nothing is known: missed. What is slow (who reads did not keep
	// up), restarted (the director has, since the last event that was read), or lost (the director
	// had no room for them).
	KindMissed = "missed"
)

// EventKinds are all kinds of events.
func EventKinds() []string {
	return []string{
		KindChange, KindTable, KindMoved, KindConflict, KindPeer, KindDirector, KindHealth,
		KindAlarm, KindFlush, KindDrain, KindRebalance, KindKeys, KindMissed,
	}
}

// What of some kinds.
const (
	EventBegun     = "begun"
	EventEnded     = "ended"
	EventDone      = "done"
	EventSynced    = "synced"
	EventAlone     = "alone"
	EventNotSynced = "not synced"

	MissedSlow      = "slow"
	MissedRestarted = "restarted"
	MissedLost      = "lost"
)

// MaxLastEvents is how many past events can be asked for.
const MaxLastEvents = 1000

// EventQuery asks for events. The zero value asks for all that happen from now on.
type EventQuery struct {
	Kinds []string // none: all. Missed events are always told
	Last  int      // so many past events of these kinds first, as far as they are kept
	After string   // those after the event with this ID; Last does not count then
	Once  bool     // only what has happened already
}

func (q EventQuery) values() url.Values {
	values := url.Values{}
	if len(q.Kinds) > 0 {
		values.Set("kinds", strings.Join(q.Kinds, ","))
	}
	if q.Last != 0 {
		values.Set("last", strconv.Itoa(q.Last))
	}
	if q.After != "" {
		values.Set("after", q.After)
	}
	if q.Once {
		values.Set("follow", "no")
	}
	return values
}
