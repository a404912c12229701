package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"directormesh/cli/api"

	"directormesh/mesh/wording"
)

// A handler answers a request with a value to encode, or an error to report.
type handler func(r *http.Request) (any, error)

// A streamer answers by itself, for as long as it takes. An error before its first write is
// reported; one after that cuts the connection, so that the client does not take half an answer for
// a whole one.
type streamer func(w http.ResponseWriter, r *http.Request) error

func (s *Server) routes(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	whole := func(method, path string, h handler) { mux.Handle(path, s.whole(method, path, h)) }
	stream := func(method, path string, h streamer) { mux.Handle(path, s.stream(method, path, h)) }

	whole(http.MethodGet, "/v1/director", plainQuery(func() any { return s.director.Self() }))
	whole(http.MethodGet, "/v1/directors", plainQuery(func() any { return s.director.Directors() }))
	whole(http.MethodGet, "/v1/backends", plainQuery(func() any { return s.director.Backends() }))
	whole(http.MethodGet, "/v1/pins", plainQuery(func() any { return s.director.Pins() }))
	whole(http.MethodGet, "/v1/keys", plainQuery(func() any { return s.director.Keys() }))
	whole(http.MethodGet, "/v1/names", plainQuery(func() any { return s.director.Names() }))
	whole(http.MethodGet, "/v1/balance", plainQuery(func() any { return s.director.Balance() }))
	whole(http.MethodGet, "/v1/health", plainQuery(func() any { return s.director.Health() }))
	whole(http.MethodGet, "/v1/user", s.user)
	whole(http.MethodGet, "/v1/history", s.history)
	whole(http.MethodGet, "/v1/history/user", s.userHistory)
	whole(http.MethodGet, "/v1/sessions", s.sessions)
	whole(http.MethodGet, "/v1/settings", plainQuery(func() any { return s.director.Settings() }))
	whole(http.MethodGet, "/v1/doctor", s.doctor)
	whole(http.MethodPost, "/v1/lookup", s.lookup)
	stream(http.MethodPost, "/v1/lookup/batch", s.lookupBatch)
	stream(http.MethodGet, "/v1/mappings", s.mappings)
	stream(http.MethodGet, "/v1/flushes/watch", s.watch)
	stream(http.MethodGet, "/v1/events", s.watchEvents)

	for _, op := range operations() {
		if op.plan != "" {
			whole(http.MethodPost, op.plan, s.plan(op.parse))
		}
		change := s.change(op.parse)
		if op.path == (api.FlushUsers{}).Path() {
			// The one path that also answers a query.
			mux.Handle("GET "+op.path, s.whole(http.MethodGet, op.path, plainQuery(func() any {
				return s.director.Flushes()
			})))
			mux.Handle("POST "+op.path, s.whole(http.MethodPost, op.path, change))
			continue
		}
		whole(http.MethodPost, op.path, change)
	}

	mux.HandleFunc(openAPIPath, describe)
	s.pages(mux, metrics)
	s.webPage(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(
			w, api.Errorf(api.CodeNotFound, "there is nothing at %s; see /v1/director", r.URL.Path))
	})
	return mux
}

// pages are those for machines, which every listener has.
func (s *Server) pages(mux *http.ServeMux, metrics http.Handler) {
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
}

// plainQuery answers a query that has no parameters.
func plainQuery(answer func() any) handler {
	return func(r *http.Request) (any, error) {
		if _, err := parameters(r); err != nil {
			return nil, err
		}
		return answer(), nil
	}
}

func (s *Server) whole(method, path string, h handler) http.Handler {
	s.metrics.serves(path)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var value any
		err := admit(w, r, method)
		if err == nil {
			deadline(w, requestTimeout)
			r.Body = http.MaxBytesReader(w, r.Body, bodyLimit(path))
			value, err = h(r)
		}
		if err != nil {
			s.metrics.served(path, fail(w, err))
			return
		}
		reply(w, http.StatusOK, value)
		s.metrics.served(path, http.StatusOK)
	})
}

func (s *Server) stream(method, path string, h streamer) http.Handler {
	s.metrics.serves(path)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := &startedWriter{ResponseWriter: w}
		err := admit(w, r, method)
		if err == nil {
			deadline(w, streamTimeout)
			w.Header().Set("Content-Type", "application/x-ndjson")
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(s.streams, cancel)()
			err = h(started, r.WithContext(ctx))
		}
		switch {
		case err == nil:
			s.metrics.served(path, http.StatusOK)
		case !started.started:
			s.metrics.served(path, fail(w, err))
		default:
			s.metrics.served(path, http.StatusInternalServerError)
			s.log.Debug().Err(wording.Plain(err)).Str("path", path).Str("who", peer(r).who).
				Msg("stream cut")
			panic(http.ErrAbortHandler)
		}
	})
}

// bodyLimit is how large a request for one of the paths of routes may be.
func bodyLimit(path string) int64 {
	if path == (api.ImportMappings{}).Path() {
		return maxImport
	}
	return maxBody
}

// startedWriter knows whether anything has been sent.
type startedWriter struct {
	http.ResponseWriter
	started bool
}

func (w *startedWriter) Write(b []byte) (int, error) {
	w.started = true
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (w *startedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// admit refuses wrong methods and bodies that are not declared as JSON. Browsers send no such body
// to a foreign site without asking first.
func admit(w http.ResponseWriter, r *http.Request, method string) error {
	if r.Method != method {
		w.Header().Set("Allow", method)
		return api.Errorf(api.CodeNoSuchMethod, "%s takes %s, not %s", r.URL.Path, method, r.Method)
	}
	if method != http.MethodPost {
		return nil
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		return api.Errorf(api.CodeBadRequest, "content type %q: send application/json",
			r.Header.Get("Content-Type"))
	}
	return nil
}

func isJSON(contentType string) bool {
	if contentType == "application/json" { // what everybody sends
		return true
	}
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == "application/json" || t == "application/x-ndjson")
}

// deadline gives the request's reads and writes this much time from now.
func deadline(w http.ResponseWriter, d time.Duration) {
	at := time.Now().Add(d)
	c := http.NewResponseController(w)
	// A recorder in a test has no deadlines; a real connection has.
	_ = c.SetReadDeadline(at)
	_ = c.SetWriteDeadline(at)
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, api.Errorf(api.CodeBadRequest,
			"body is larger than %d bytes; send less at once", tooLarge.Limit)
	case err != nil:
		return nil, api.Errorf(api.CodeBadRequest,
			"body ended before all of it had come; send it again")
	}
	return body, nil
}

func reply(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if a, ok := value.(api.LookupAnswer); ok {
		_, _ = w.Write(append(a.AppendJSON(nil), '\n'))
		return
	}
	_ = json.NewEncoder(w).Encode(value) // a client that is gone needs no answer
}

// fail reports an error and returns the status it used.
func fail(w http.ResponseWriter, err error) int {
	var e *api.Error
	if !errors.As(err, &e) {
		e = api.Errorf(api.CodeInternal, "%v", wording.Plain(err))
	}
	status := e.Code.Status()
	reply(w, status, api.Failure{Error: e})
	return status
}
