package httpapi

import (
	"net/http"
	"time"

	"directormesh/cli/door/page"
)

// webPage adds the page for people. It is read where queries are, and offers changes to those who
// may make them.
func (s *Server) webPage(mux *http.ServeMux) {
	people := page.New(page.Config{
		Source: s.director, Now: time.Now, Events: s.events.Last,
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		deadline(w, streamTimeout)
		if err := people.Serve(w, r, peer(r).mayChange); err != nil {
			fail(w, err)
		}
	})
	for _, path := range page.Files() {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			deadline(w, streamTimeout)
			page.ServeFile(w, r)
		})
	}
}
