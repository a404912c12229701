package kicktest

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"directormesh/cli/dovecot"
	"directormesh/cli/session"
	"directormesh/ring"
)

// The backends of a World.
var (
	Backend1 = netip.MustParseAddr("192.0.2.1")
	Backend2 = netip.MustParseAddr("192.0.2.2")
	Tagged   = netip.MustParseAddr("192.0.2.3") // its tag is "ssd"
	Foreign  = netip.MustParseAddr("192.0.2.9") // none of the mesh's
)

// Session is one proxied connection.
type Session struct {
	User    string
	Backend netip.Addr
	PID     int           // of its login process
	Group   string        // passdb field user_group
	Looked  ring.UserHash // for which it was looked up, if that is not the login name's

	index    int  // in its world
	arriving bool // on the way to its backend
}

// Connection returns the session as Dovecot lists it.
func (s Session) Connection() dovecot.Connection {
	c := dovecot.Connection{User: s.User, Backend: s.Backend, PID: s.PID}
	if s.Group != "" {
		c.Fields = append(c.Fields, dovecot.Field{Name: "user_group", Value: s.Group})
	}
	if s.Looked != 0 {
		c.Fields = append(c.Fields, dovecot.Field{
			Name: session.MarkField, Value: session.Mark(s.Looked, s.Backend),
		})
	}
	return c
}

// World is the sessions of one Dovecot. It is safe for concurrent use.
type World struct {
	Format ring.HashFormat

	mu       sync.Mutex
	sessions []*Session
	answered map[ring.UserHash][]*Session
}

// NewWorld returns a world with these sessions.
func NewWorld(format ring.HashFormat, sessions ...Session) *World {
	w := &World{Format: format, answered: make(map[ring.UserHash][]*Session)}
	for i, s := range sessions {
		s.index = i
		w.sessions = append(w.sessions, &s)
	}
	return w
}

// arrive begins a session that reaches its backend after a while, or before arrive returns.
func (w *World) arrive(s Session, after time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.arriving, s.index = after > 0, len(w.sessions)
	w.sessions = append(w.sessions, &s)
	w.answered[w.hash(s)] = append(w.answered[w.hash(s)], &s)
	if !s.arriving {
		return
	}
	time.AfterFunc(after, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		s.arriving = false
	})
}

func (w *World) hash(s Session) ring.UserHash {
	if s.Looked != 0 {
		return s.Looked
	}
	return w.Format.Hash(s.User)
}

// Connections lists the sessions that have reached their backend.
func (w *World) Connections() []dovecot.Connection {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []dovecot.Connection
	for _, s := range w.sessions {
		if !s.arriving {
			list = append(list, s.Connection())
		}
	}
	return list
}

// End ends sessions that have reached their backend, and returns how many.
func (w *World) End(which func(Session) bool) int {
	return w.end(func(s Session) bool { return !s.arriving && which(s) })
}

// EndAll is End for sessions on the way too.
func (w *World) EndAll(which func(Session) bool) int { return w.end(which) }

func (w *World) end(which func(Session) bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := len(w.sessions)
	w.sessions = slices.DeleteFunc(w.sessions, func(s *Session) bool { return which(*s) })
	return before - len(w.sessions)
}

// Tag is the table of backends.
func (w *World) Tag(backend netip.Addr) (ring.Tag, bool) {
	switch backend {
	case Backend1, Backend2:
		return "", true
	case Tagged:
		return "ssd", true
	}
	return "", false
}

// Recent tells who may be on the way, as session.Logins does.
func (w *World) Recent(
	h ring.UserHash, counts func(netip.Addr) bool,
) (users []string, complete bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.answered[h] {
		if counts(s.Backend) {
			users = append(users, s.User)
		}
	}
	return users, true
}
