package authrelay

import (
	"sync/atomic"

	"directormesh/cli/door/audit"
)

// claim is what all connections of one client have open together.
type claim struct {
	links          int          // guarded by the server's mu
	requests, held atomic.Int64 // replies are held
	mostRequests   int64
	mostHeld       int64
}

// claimsOf returns the claims of these clients for one more connection. mu must be locked.
func (s *Server) claimsOf(clients []audit.Client) (claims []*claim) {
	for _, client := range clients {
		c := s.claims[client]
		if c == nil {
			c = &claim{
				mostRequests: int64(client.Share(maxRequests)),
				mostHeld:     int64(client.Share(maxHeld)),
			}
			s.claims[client] = c
		}
		c.links++
		claims = append(claims, c)
	}
	return claims
}

// leave ends one connection of these clients. mu must be locked.
func (s *Server) leave(clients []audit.Client) {
	for _, client := range clients {
		if c := s.claims[client]; c != nil {
			if c.links--; c.links == 0 {
				delete(s.claims, client)
			}
		}
	}
}

// takeRequest claims room for one more open request. It returns false if there is no room.
func (l *link) takeRequest() bool {
	ok := l.s.requests.Add(1) <= maxRequests
	for _, c := range l.claims {
		ok = c.requests.Add(1) <= c.mostRequests && ok
	}
	if !ok {
		l.giveRequest()
	}
	return ok
}

func (l *link) giveRequest() {
	l.s.requests.Add(-1)
	for _, c := range l.claims {
		c.requests.Add(-1)
	}
}

// takeHeld claims room for one more held reply. It returns false if there is no room.
func (l *link) takeHeld() bool {
	ok := l.s.held.Add(1) <= maxHeld
	ok = l.waits.Add(1) <= maxOwnHeld && ok
	for _, c := range l.claims {
		ok = c.held.Add(1) <= c.mostHeld && ok
	}
	if !ok {
		l.giveHeld()
	}
	return ok
}

func (l *link) giveHeld() {
	l.s.held.Add(-1)
	l.waits.Add(-1)
	for _, c := range l.claims {
		c.held.Add(-1)
	}
}
