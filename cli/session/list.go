package session

import (
	"cmp"
	"iter"
	"slices"
	"sort"
	"time"

	"directormesh/cli/dovecot"
	"directormesh/ring"
)

// Session is a proxied connection and whose it is.
type Session struct {
	dovecot.Connection
	Hash   ring.UserHash
	Marked bool // a mark tells the hash; it may not be that of the login name
}

// List is the sessions at one time. It does not change.
type List struct {
	asked    time.Time // when Dovecot was asked
	sessions []Session // by hash
	marked   []Session // those of them that are, by login name
}

// NewList returns the list of connections that Dovecot gave when it was asked at this time. hash is that of a login name.
func NewList(asked time.Time, connections []dovecot.Connection, hash func(user string) ring.UserHash) *List {
	l := &List{asked: asked, sessions: make([]Session, len(connections))}
	for i, c := range connections {
		h, marked := parseMark(c.Field(MarkField))
		if !marked {
			h = hash(c.User)
		}
		l.sessions[i] = Session{Connection: c, Hash: h, Marked: marked}
	}
	slices.SortStableFunc(l.sessions, func(a, b Session) int { return cmp.Compare(a.Hash, b.Hash) })
	for _, s := range l.sessions {
		if s.Marked {
			l.marked = append(l.marked, s)
		}
	}
	slices.SortStableFunc(l.marked, func(a, b Session) int { return cmp.Compare(a.User, b.User) })
	return l
}

// Of returns the sessions of a user.
func (l *List) Of(h ring.UserHash) []Session {
	from := sort.Search(len(l.sessions), func(i int) bool { return l.sessions[i].Hash >= h })
	to := from
	for to < len(l.sessions) && l.sessions[to].Hash == h {
		to++
	}
	return l.sessions[from:to:to]
}

// Marked returns the sessions of a login name that are marked, whatever user they belong to.
func (l *List) Marked(login string) []Session {
	from := sort.Search(len(l.marked), func(i int) bool { return l.marked[i].User >= login })
	to := from
	for to < len(l.marked) && l.marked[to].User == login {
		to++
	}
	return l.marked[from:to:to]
}

// All gives all sessions, by hash.
func (l *List) All() iter.Seq[Session] { return slices.Values(l.sessions) }

// Len returns how many sessions there are.
func (l *List) Len() int { return len(l.sessions) }
