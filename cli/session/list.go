package session

import (
	"cmp"
	"iter"
	"slices"
	"sort"
	"sync"
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

// List is the sessions at one time. It does not change, and is safe for concurrent use.
type List struct {
	asked    time.Time // when Dovecot was asked
	sessions []Session // by hash

	sortNames sync.Once // few lists are asked for names
	byName    []Session // the same by login name
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

// Named returns the sessions of a login name, whatever user they belong to.
func (l *List) Named(login string) []Session {
	l.sortNames.Do(func() {
		l.byName = slices.Clone(l.sessions)
		slices.SortStableFunc(l.byName, func(a, b Session) int { return cmp.Compare(a.User, b.User) })
	})
	from := sort.Search(len(l.byName), func(i int) bool { return l.byName[i].User >= login })
	to := from
	for to < len(l.byName) && l.byName[to].User == login {
		to++
	}
	return l.byName[from:to:to]
}

// All gives all sessions, by hash.
func (l *List) All() iter.Seq[Session] { return slices.Values(l.sessions) }

// Len returns how many sessions there are.
func (l *List) Len() int { return len(l.sessions) }
