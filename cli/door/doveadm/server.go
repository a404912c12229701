package doveadm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/bulk"
	"directormesh/mesh/loglimit"
)

const (
	// maxLists is how many lists of users are put in order at the same time: each needs 16 bytes a
	// user of one tag.
	maxLists = 2
	// acceptPause is the time between attempts when a connection cannot be accepted, for want of
	// files most likely.
	acceptPause = 100 * time.Millisecond
	// drainQuiet is how long a client must have asked for nothing, when the door ends, for its
	// connection to be closed.
	drainQuiet = 20 * time.Millisecond
)

// Config is what a Server needs.
type Config struct {
	Director Director
	Log      zerolog.Logger
	// MaxParallelKicks bounds the kicks that run at a time; zero means 100.
	MaxParallelKicks int
	Registerer       prometheus.Registerer // nil: this door counts nothing
	Lists            *bulk.Lane            // in which lists are made; nil: one for this door alone
}

// Server serves the director-doveadm protocol of one director on any number of listeners. How many
// connections these accept is not bounded here.
type Server struct {
	director Director
	log      zerolog.Logger
	limit    loglimit.Limiter
	metrics  *metrics
	commands map[string]command
	kicks    chan struct{} // tokens of running kicks
	lists    *bulk.Lane
	orders   chan struct{} // tokens of lists being put in order

	ctx  context.Context // ends with Close
	stop context.CancelFunc

	mu        sync.Mutex // guards what follows
	closed    bool       // by Close, or by Shutdown, which lets running connections end
	listeners map[net.Listener]struct{}
	conns     map[net.Conn]struct{}
	running   sync.WaitGroup // Serve calls and connections; added to under mu and before closed
}

// New returns a server; Serve gives it listeners.
func New(cfg Config) (*Server, error) {
	if cfg.MaxParallelKicks <= 0 {
		cfg.MaxParallelKicks = 100
	}
	known := commands()
	m, err := newMetrics(cfg.Registerer, known)
	if err != nil {
		return nil, err
	}
	s := &Server{
		metrics:   m,
		director:  cfg.Director,
		log:       cfg.Log,
		commands:  known,
		kicks:     make(chan struct{}, cfg.MaxParallelKicks),
		lists:     cfg.Lists,
		orders:    make(chan struct{}, maxLists),
		listeners: make(map[net.Listener]struct{}),
		conns:     make(map[net.Conn]struct{}),
	}
	if s.lists == nil {
		s.lists = bulk.NewLane(runtime.GOMAXPROCS(0))
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Serve accepts connections until Shutdown or Close, which is no error. It takes over the listener.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return l.Close()
	}
	s.listeners[l] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	defer s.running.Done()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
	}()
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			s.take(conn)
		case s.ending():
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			s.limited("accept").Warn().Str("error", api.Cause(err)).
				Msg("cannot accept connections of doveadm")
			select {
			case <-time.After(acceptPause):
			case <-s.ctx.Done():
				return nil
			}
		}
	}
}

// limited returns the logger for a line about this kind of trouble; one that writes nothing if
// there was one lately.
func (s *Server) limited(kind string) *zerolog.Logger {
	return s.limit.Logger(s.log, kind, time.Now())
}

// take serves a connection.
func (s *Server) take(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return
	}
	s.conns[conn] = struct{}{}
	s.running.Go(func() {
		newConnection(s, conn).run()
		conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, conn)
	})
}

// ending reports whether the door is about to close, or has closed.
func (s *Server) ending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// awaitCommand gives the client the time that it has for its next line.
func (s *Server) awaitCommand(conn net.Conn, timeout time.Duration) error {
	s.mu.Lock() // Shutdown does not come in between
	defer s.mu.Unlock()
	if s.closed {
		timeout = drainQuiet
	}
	return conn.SetReadDeadline(time.Now().Add(timeout))
}

// Shutdown accepts nothing more, carries out the commands that have been written, answers them, and
// closes. What is left when ctx ends is cut off, which is an error. It may be called twice, and
// beside Close.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	err := s.closeListeners()
	for c := range s.conns {
		_ = c.SetReadDeadline(time.Now().Add(drainQuiet)) // one that fails has no reader to wake up
	}
	s.mu.Unlock()
	drained := make(chan struct{})
	go func() {
		s.running.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("commands of doveadm still ran: %w", ctx.Err()))
	}
	err = errors.Join(err, s.Close())
	<-drained
	return err
}

// closeListeners ends Serve. mu must be locked.
func (s *Server) closeListeners() error {
	var errs []error
	for l := range s.listeners {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Close ends all connections and closes the listeners, and returns when nothing runs any more. What
// commands have begun goes on without them. It may be called twice.
func (s *Server) Close() error {
	s.stop()
	s.mu.Lock()
	s.closed = true
	err := s.closeListeners()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
	return err
}
