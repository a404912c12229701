package httpapi

import (
	"context"
	"errors"
	"net"
	"net/http"

	"directormesh/cli/api"
)

// publicTime bounds how long a client may take to read a page that anybody may see.
const publicTime = streamTimeout

// Public serves what anybody may see, on any number of listeners: /metrics, /healthz and /readyz,
// and nothing else. It has no API, so nothing can be changed or asked there.
type Public struct {
	server *http.Server
	stop   context.CancelFunc // ends running requests
}

// NewPublic returns a server of cfg's metrics and health; Serve gives it listeners.
func NewPublic(cfg Config) *Public {
	s := &Server{director: cfg.Director}
	mux := http.NewServeMux()
	s.pages(mux, cfg.Metrics)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, api.Errorf(api.CodeNotFound,
			"there is nothing at %s; see /metrics, /healthz and /readyz", r.URL.Path))
	})
	ctx, stop := context.WithCancel(context.Background())
	return &Public{
		server: newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			deadline(w, publicTime)
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			mux.ServeHTTP(w, r)
		}), ctx, cfg.Log),
		stop: stop,
	}
}

// Serve accepts connections until the server is shut down or closed, which is no error. It takes
// over the listener.
func (p *Public) Serve(l net.Listener) error {
	if err := p.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown stops accepting and waits until running requests are answered or ctx ends.
func (p *Public) Shutdown(ctx context.Context) error { return p.server.Shutdown(ctx) }

// Close closes everything at once.
func (p *Public) Close() error {
	p.stop()
	return p.server.Close()
}
