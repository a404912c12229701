package logs

import (
	"iter"
	"slices"
	"time"

	"directormesh/mesh/mono"
)

const (
	partBytes = 256 << 10 // of a part of a log, about; a single message may be larger
	// askAgain is how long a peer may take to answer before it is asked again.
	askAgain = time.Second
	// RestWithin is how long a peer that says to have more of a log may take to give the next
	// part of it. Then that counts as lost.
	RestWithin = 15 * time.Second
)

// rest is what we lack of a log whose writer is gone. While it is not wanted, no peer is asked and
// no peer is short.
type rest struct {
	wanted     bool
	asked      string // the peer that is to send a part of it; empty: none
	askedAt    mono.Time
	progressAt mono.Time       // when the last part came, or we noticed that we lack something
	short      map[string]bool // peers that no longer keep the messages; they give a snapshot
}

// Ask notes that a peer is asked for the next part.
func (l *Peer) Ask(now mono.Time, peer string) { l.rest.asked, l.rest.askedAt = peer, now }

// Asked is the peer that is to send a part; empty if no part is awaited.
func (l *Peer) Asked() string { return l.rest.asked }

// Awaited reports whether the peer that was asked last has time left to answer.
func (l *Peer) Awaited(now mono.Time) bool {
	return l.rest.asked != "" && now.Sub(l.rest.askedAt) < askAgain
}

// Answered notes an answer of a peer, if it is the one that was asked.
func (l *Peer) Answered(peer string) {
	if l.rest.asked == peer {
		l.rest.asked = ""
	}
}

// NoteShort notes that a peer no longer keeps the messages that we lack.
func (l *Peer) NoteShort(peer string) {
	if l.rest.short == nil {
		l.rest.short = make(map[string]bool)
	}
	l.rest.short[peer] = true
}

// Short reports whether a peer no longer keeps the messages that we lack.
func (l *Peer) Short(peer string) bool { return l.rest.short[peer] }

// Progressed notes that a part came.
func (l *Peer) Progressed(now mono.Time) { l.rest.progressAt = now }

// Stalled reports whether no part has come for so long that the rest counts as lost.
func (l *Peer) Stalled(now mono.Time) bool { return now.Sub(l.rest.progressAt) > RestWithin }

// Ahead returns which of the peers has most of what we lack of the log; empty if no peer has any.
// Peers that keep the messages come before peers that are short of them. Of several alike the one
// after the last asked comes next.
func (l *Peer) Ahead(peers iter.Seq2[string, Claims]) string {
	best := ""
	var bestScore [3]uint64
	for name, claims := range peers {
		more := claims[l.id].Without(l.have).Count()
		score := [3]uint64{more, flag(!l.rest.short[name]), flag(name > l.rest.asked)}
		if more > 0 && (best == "" || slices.Compare(score[:], bestScore[:]) > 0) {
			best, bestScore = name, score
		}
	}
	return best
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// Claims are what a peer says to have of the logs of others.
type Claims map[ID]Spans

// Note adds what the peer says now, and reports whether that is news.
func (c *Claims) Note(id ID, said Spans) bool {
	before, known := (*c)[id]
	if len(before) > 0 && len(said.Without(before)) == 0 {
		return false
	}
	if *c == nil {
		*c = make(Claims)
	}
	(*c)[id] = before.With(said)
	return !known || len(said) > 0
}

// Exceed reports whether the peer has something of a log that we lack.
func (c Claims) Exceed(l *Peer) bool { return len(c[l.id].Without(l.have)) > 0 }

// FallShort reports whether the peer lacks something of a log that we have.
func (c Claims) FallShort(l *Peer) bool { return len(l.have.Without(c[l.id])) > 0 }
