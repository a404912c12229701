package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/cli/door/bulk"
	"directormesh/cli/feed"
)

// Limits of a connection. Streams renew their deadlines as they go.
const (
	// headerTimeout is as long as a lookup may take. A process that stood still reads what came
	// meanwhile only after its timers: with less, connections that were new then broke off.
	headerTimeout = 30 * time.Second
	// strangerTimeout bounds TLS handshakes and headers where strangers may connect.
	strangerTimeout = 10 * time.Second
	idleTimeout     = 2 * time.Minute
	// whole requests that are not streams; a move that is waited for takes up to 40 s
	requestTimeout = 2 * time.Minute
	streamTimeout  = 30 * time.Second
	maxHeader      = 16 << 10
	maxBody        = 64 << 10
	maxImport      = 2 << 20 // of mappings that are imported
	// farewellTime is how long before the end of a shutdown requests are given up, so that their
	// answers can say why.
	farewellTime = 500 * time.Millisecond
)

// Config is what a Server needs.
type Config struct {
	Director   Director
	Log        zerolog.Logger
	Metrics    http.Handler          // serves /metrics; nil: no /metrics
	Registerer prometheus.Registerer // nil: this door counts nothing
	Lists      *bulk.Lane            // in which lists are made; nil: one for this door alone
	Events     *feed.Feed            // what happens; nil: nothing does
	Gate       Gate                  // decides who asks over TCP; nil: nobody may change anything
}

// Server serves the HTTP interface of one director on any number of listeners.
type Server struct {
	director Director
	log      zerolog.Logger
	metrics  *metrics
	lists    *bulk.Lane
	events   *feed.Feed
	gate     Gate
	local    *http.Server       // unix sockets
	remote   *http.Server       // TCP
	running  context.Context    // ends when requests are given up
	stop     context.CancelFunc // ends running
	streams  context.Context    // ends when streams are to end; no later than running
	cut      context.CancelFunc // ends streams
}

// New returns a server; Serve gives it listeners.
func New(cfg Config) (*Server, error) {
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	s := &Server{director: cfg.Director, log: cfg.Log, metrics: m, lists: cfg.Lists,
		events: cfg.Events, gate: cfg.Gate}
	if s.events == nil {
		s.events = feed.New(feed.Config{Now: time.Now})
	}
	if s.lists == nil {
		s.lists = bulk.NewLane(runtime.GOMAXPROCS(0))
	}
	s.running, s.stop = context.WithCancel(context.Background())
	s.streams, s.cut = context.WithCancel(s.running)

	plain := s.routes(cfg.Metrics)
	s.local = s.httpServer(withProfiles(plain))
	if s.gate != nil {
		s.remote = s.httpServer(s.onlyAdmitted(plain))
		s.remote.ReadHeaderTimeout = strangerTimeout
		return s, nil
	}
	s.remote = s.httpServer(onlyLoopbackNames(
		http.NewCrossOriginProtection().Handler(onlyReads(plain))))
	return s, nil
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return newHTTPServer(h, s.running, s.log)
}

// newHTTPServer has the limits of every server of ours. Requests end with ctx.
func newHTTPServer(h http.Handler, ctx context.Context, log zerolog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       rememberPeer,
		ErrorLog:          errorLog(log),
	}
}

// Serve accepts connections until the server is shut down or closed, which is no error. It takes
// over the listener.
func (s *Server) Serve(l net.Listener) error {
	server := s.remote
	if l.Addr().Network() == "unix" {
		server = s.local
	} else if s.gate != nil {
		l = tls.NewListener(l, s.gate.TLS())
	}
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown stops accepting, ends the streams, and waits until running requests are answered or ctx
// ends. Requests that still run shortly before ctx's deadline get an error: this director stops.
func (s *Server) Shutdown(ctx context.Context) error {
	s.cut()
	if deadline, ok := ctx.Deadline(); ok {
		farewell := time.AfterFunc(time.Until(deadline)-farewellTime, s.stop)
		defer farewell.Stop()
	}
	// At the same time: while one waits the other must accept nothing more.
	var local error
	var ending sync.WaitGroup
	ending.Go(func() { local = s.local.Shutdown(ctx) })
	remote := s.remote.Shutdown(ctx)
	ending.Wait()
	return errors.Join(local, remote)
}

// Close closes everything at once.
func (s *Server) Close() error {
	s.stop()
	return errors.Join(s.local.Close(), s.remote.Close())
}

// withProfiles adds the runtime's profiles, which tell too much for anywhere but the admin socket.
func withProfiles(h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
