package httpapi

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"

	"directormesh/cli/api"
)

// Gate decides who asks where others than users of this host can connect. It is safe for concurrent
// use.
type Gate interface {
	// TLS returns what the listener needs.
	TLS() *tls.Config
	// Admit returns who makes a request, if that one may, and sets headers of the answer. An error
	// is an *api.Error, or a fault.
	Admit(answer http.Header, r *http.Request) (who string, err error)
	// MayChange reports whether one who was admitted may change anything.
	MayChange(who string) bool
	// Still reports whether a request that was admitted as who may go on.
	Still(r *http.Request, who string) bool
	// Edited returns what is closed as soon as somebody who was admitted before may not be any
	// more.
	Edited() <-chan struct{}
}

// onlyAdmitted answers whom the gate admits. All others get an error, whatever they ask for.
func (s *Server) onlyAdmitted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deadline(w, streamTimeout)
		w.Header().Set("Cache-Control", "no-store")
		asked, edited := peer(r), s.gate.Edited()
		who, err := s.gate.Admit(w.Header(), r)
		if err != nil {
			if asked.admitted.Load() { // it does not yield to others
				w.Header().Set("Connection", "close")
			}
			fail(w, err)
			return
		}
		if !proved(asked.conn, who) {
			w.Header().Set("Connection", "close")
			fail(w, api.Errorf(api.CodeTooManyRequests,
				"%s has too many connections; close some, or ask over fewer", who))
			return
		}
		asked.admitted.Store(true)
		asked.who, asked.from, asked.mayChange = who, r.RemoteAddr, s.gate.MayChange(who)
		done := make(chan struct{})
		var watching sync.WaitGroup
		defer watching.Wait()
		defer close(done)
		watching.Go(func() { s.endUnlessAdmitted(r, asked, edited, done) })
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), peerKey{}, asked)))
	})
}

// endUnlessAdmitted closes the connection of a request when an edit takes the right to it away:
// streams go on for long.
func (s *Server) endUnlessAdmitted(
	r *http.Request, asked asker, edited <-chan struct{}, done <-chan struct{},
) {
	for {
		select {
		case <-edited:
		case <-done:
			return
		}
		edited = s.gate.Edited()
		if !s.gate.Still(r, asked.who) {
			s.log.Info().Str("who", asked.who).Str("from", asked.from).Str("path", r.URL.Path).
				Msg("a request was cut off: who made it may not any more")
			_ = asked.conn.Close() // nobody is to hear of it
			return
		}
	}
}

// proved notes at the connection inside, if it wants to know, that its client has proved who it is.
// False: that one has too many connections.
func proved(c net.Conn, who string) bool {
	for {
		if p, ok := c.(interface{ Proved(who string) bool }); ok {
			return p.Proved(who)
		}
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return true
		}
		c = outer.NetConn()
	}
}
