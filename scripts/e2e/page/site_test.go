//go:build e2e

package page

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/door/page"
	"directormesh/cli/door/page/pagetest"
)

// site serves the page of one state after another, with the parts of the API that the page's script
// needs.
type site struct {
	url string

	mu     sync.Mutex
	state  *pagetest.State
	posted []post
	events chan string
}

// post is what the script has sent.
type post struct {
	Target string
	Body   map[string]any
}

func newSite(t *testing.T) *site {
	s := &site{events: make(chan string)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		state := s.state
		s.mu.Unlock()
		p := page.New(page.Config{
			Source: state, Events: state.Events, Now: func() time.Time { return pagetest.Now },
		})
		if err := p.Serve(w, r, true); err != nil {
			t.Error(err)
		}
	})
	for _, file := range page.Files() {
		mux.HandleFunc("GET "+file, page.ServeFile)
	}
	mux.HandleFunc("GET /v1/events", s.watch)
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		p := post{Target: r.URL.String()}
		if err != nil || json.Unmarshal(body, &p.Body) != nil {
			t.Errorf("%s: %q, %v", r.URL, body, err)
		}
		s.mu.Lock()
		s.posted = append(s.posted, p)
		s.mu.Unlock()
		answer := any(api.Outcome{FailedDirectors: []string{"d9"}})
		if r.URL.Path == "/v1/plan/backends/drain" {
			answer = api.Plan{Table: "feed", Users: 3000, LeastMS: 60_000,
				Moves: []api.PlannedMoves{{Users: 3000}}}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.CloseClientConnections() // the streams of events
		server.Close()
	})
	s.url = server.URL
	return s
}

func (s *site) watch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case kind := <-s.events:
			fmt.Fprintf(w, "event: %s\ndata: {}\n\n", kind)
		case <-r.Context().Done():
			return
		}
	}
}

func (s *site) shows(state *pagetest.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

func (s *site) posts() []post {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]post(nil), s.posted...)
}
