package session

import (
	"hash/maphash"
	"iter"
	"net/netip"
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
	seed      maphash.Seed
	byName    []sortKey // the places of sessions, by the hash of the login name

	countBackends sync.Once
	onBackends    map[netip.Addr]int
}

// sortKey is a hash in the upper half and the index of a session in the lower one. Sessions are
// large and there may be a million of them, in a new list for every other kick: sorting these
// instead takes a tenth of the time.
type sortKey uint64

func newSortKey(h uint32, index int) sortKey { return sortKey(h)<<32 | sortKey(uint32(index)) }

// sortedKeys sorts by hash. It may return other memory than that of the keys. Hashes are spread
// evenly, so sorting by one part of them after the other, the lowest first, takes a third of the
// time that comparing takes.
func sortedKeys(keys []sortKey) []sortKey {
	const bits, parts = 11, 3
	sorted := make([]sortKey, len(keys))
	for part := range parts {
		var next [1 << bits]int
		of := func(k sortKey) uint32 { return k.hash() >> (part * bits) & (1<<bits - 1) }
		for _, k := range keys {
			next[of(k)]++
		}
		sum := 0
		for i, n := range next {
			next[i], sum = sum, sum+n
		}
		for _, k := range keys {
			at := of(k)
			sorted[next[at]] = k
			next[at]++
		}
		keys, sorted = sorted, keys
	}
	return keys
}

func (k sortKey) hash() uint32 { return uint32(k >> 32) }
func (k sortKey) index() int   { return int(uint32(k)) }

// NewList returns the list of connections that Dovecot gave when it was asked at this time. hash is
// that of a login name.
func NewList(
	asked time.Time, connections []dovecot.Connection, hash func(user string) ring.UserHash,
) *List {
	marked, keys := make([]bool, len(connections)), make([]sortKey, len(connections))
	for i := range connections {
		var h ring.UserHash
		if h, marked[i] = parseMark(connections[i].Field(MarkField)); !marked[i] {
			h = hash(connections[i].User)
		}
		keys[i] = newSortKey(uint32(h), i)
	}
	keys = sortedKeys(keys)
	l := &List{asked: asked, sessions: make([]Session, len(keys))}
	for i, k := range keys {
		l.sessions[i] = Session{
			Connection: connections[k.index()], Hash: ring.UserHash(k.hash()),
			Marked: marked[k.index()],
		}
	}
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
		l.seed = maphash.MakeSeed()
		l.byName = make([]sortKey, len(l.sessions))
		for i := range l.sessions {
			l.byName[i] = newSortKey(l.nameHash(l.sessions[i].User), i)
		}
		l.byName = sortedKeys(l.byName)
	})
	h := l.nameHash(login)
	from := sort.Search(len(l.byName), func(i int) bool { return l.byName[i].hash() >= h })
	var named []Session
	for _, k := range l.byName[from:] {
		if k.hash() != h {
			break
		}
		if s := l.sessions[k.index()]; s.User == login { // not another name of the same hash
			named = append(named, s)
		}
	}
	return named
}

func (l *List) nameHash(login string) uint32 { return uint32(maphash.String(l.seed, login)) }

// Asked is when Dovecot was asked for the list.
func (l *List) Asked() time.Time { return l.asked }

// OnBackends returns how many sessions each backend has. It must not be changed.
func (l *List) OnBackends() map[netip.Addr]int {
	l.countBackends.Do(func() {
		l.onBackends = make(map[netip.Addr]int)
		for i := range l.sessions {
			l.onBackends[l.sessions[i].Backend]++
		}
	})
	return l.onBackends
}

// All gives all sessions, by hash.
func (l *List) All() iter.Seq[Session] { return slices.Values(l.sessions) }

// Len returns how many sessions there are.
func (l *List) Len() int { return len(l.sessions) }
