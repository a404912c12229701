package authrelay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/audit"
	"directormesh/cli/door/eventloop"
	"directormesh/cli/door/latency"
	"directormesh/ring"
)

const (
	// dialTime is how long a new client may wait for an auth that is not there: as long as a
	// restart of it takes.
	dialTime = 5 * time.Second
	// dialPause is between two attempts.
	dialPause = 100 * time.Millisecond
	// writeTime is how long a client or auth may not read.
	writeTime = 30 * time.Second
	// closeTime is how long a client may not read when the door closes.
	closeTime = time.Second
	// lookupTime bounds a lookup; the director itself gives up after 30 s.
	lookupTime = 40 * time.Second
	// acceptPause follows a failed accept, most likely for want of descriptors.
	acceptPause = 100 * time.Millisecond
	// maxRequests bounds what is remembered of open requests, on all connections together.
	maxRequests = 200_000
	// maxOwn bounds those of one connection: a login process that has gone mad must not leave
	// others none. All connections of one client have a share; see audit.Client.
	maxOwn = 20_000
	// maxHeld bounds the replies that wait for a lookup, on all connections together.
	maxHeld = 50_000
	// maxOwnHeld bounds those of one connection.
	maxOwnHeld = 10_000
)

// Director returns where users are. Its methods are called concurrently.
type Director interface {
	// TryLookups looks users up in turn. It sets the Backend of those for whom it can answer at
	// once, and the zero Addr for the others.
	TryLookups(users []ring.Lookup)
	// Lookup waits for the answer.
	Lookup(ctx context.Context, tag ring.Tag, hash ring.UserHash) (netip.Addr, error)
	// Names returns the host names of the backends that were configured by name. It is asked for
	// each read.
	Names() map[netip.Addr]string
}

// Config is what a Server needs.
type Config struct {
	Protocol Protocol
	// path of auth's socket: of type login for Login, userdb for Userdb; Authreply has none
	Auth       string
	Director   Director
	HashFormat ring.HashFormat
	Separator  byte // between user and master user, 0: there are no master users
	// how often login processes are to report a live session; below 1 s: never
	ProxyRefresh time.Duration
	// Seen gets the user (user=), the hash and the backend of every reply that was completed. It
	// must not block. It may be nil.
	Seen func(hash ring.UserHash, login []byte, backend netip.Addr)
	// Mark returns a field to add to a reply; "": no field. The field distinguishes the session
	// from others of the same login name. own says that the hash is that of the login name, which
	// is all that kicks and session lists of Dovecot know. Mark may be nil.
	Mark func(hash ring.UserHash, backend netip.Addr, own bool) string
	// Dial connects to auth; nil: to the unix socket at Auth.
	Dial       func(ctx context.Context) (net.Conn, error)
	Log        zerolog.Logger
	Registerer prometheus.Registerer // nil: this door counts nothing
}

// Server is one door, on any number of listeners. How many connections these accept is not bounded
// here.
type Server struct {
	protocol  Protocol
	dial      func(ctx context.Context) (net.Conn, error)
	director  Director
	completer *completer
	seen      func(ring.UserHash, []byte, netip.Addr) // may be nil
	log       zerolog.Logger
	metrics   *metrics
	troubles  *troubles

	loops    *eventloop.Loops
	batches  batches
	lookups  *latency.Lookups
	began    time.Time
	requests atomic.Int64 // open ones
	held     atomic.Int64 // replies

	running sync.WaitGroup // every link, and every goroutine that serves one

	mu        sync.Mutex // guards what follows
	closed    bool
	listeners map[net.Listener]bool
	links     map[*link]bool
	claims    map[audit.Client]*claim
}

// New returns a door; Serve gives it listeners.
func New(cfg Config) (*Server, error) {
	m, err := newMetrics(cfg.Registerer, cfg.Protocol)
	if err != nil {
		return nil, err
	}
	s := &Server{
		protocol:  cfg.Protocol,
		dial:      cfg.Dial,
		director:  cfg.Director,
		completer: newCompleter(cfg),
		seen:      cfg.Seen,
		log:       cfg.Log.With().Stringer("door", cfg.Protocol).Logger(),
		metrics:   m,
		loops:     eventloop.New(),
		listeners: make(map[net.Listener]bool),
		links:     make(map[*link]bool),
		claims:    make(map[audit.Client]*claim),
		lookups:   m.lookups,
		batches:   batches{lookups: m.lookups},
		began:     time.Now(),
	}
	s.troubles = &troubles{log: s.log, metrics: m}
	if s.dial == nil && cfg.Protocol != Authreply {
		if cfg.Auth == "" {
			return nil, fmt.Errorf("%s door: no auth socket to relay to", cfg.Protocol)
		}
		var dialer net.Dialer
		s.dial = func(ctx context.Context) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, "unix", cfg.Auth)
			if err != nil {
				return nil, fmt.Errorf("%s: %s; is Dovecot running, and may this user connect?",
					cfg.Auth, api.Cause(err))
			}
			return conn, nil
		}
	}
	return s, nil
}

// Serve accepts connections until the server is closed, which is no error. It takes over the
// listener.
func (s *Server) Serve(l net.Listener) error {
	if !s.add(l) {
		return l.Close()
	}
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			s.start(conn)
		case s.isClosed():
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			s.troubles.note(acceptFailed).Str("error", api.Cause(err)).Msg(texts[acceptFailed])
			time.Sleep(acceptPause)
		}
	}
}

// uptime is a clock that is cheap to read.
func (s *Server) uptime() time.Duration { return time.Since(s.began) }

func (s *Server) add(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners[l] = true
	return !s.closed
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// start serves a connection.
func (s *Server) start(conn net.Conn) {
	clients := audit.ClientsOf(conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return
	}
	l := newLink(s, s.loops.Adopt(conn))
	s.links[l] = true
	l.claims = s.claimsOf(clients)
	s.running.Add(1) // for as long as the link is there, whoever serves it
	l.over = func() {
		s.mu.Lock()
		delete(s.links, l)
		s.leave(clients)
		s.mu.Unlock()
		s.running.Done()
	}
	s.running.Go(l.serve)
}

// Close stops accepting, reads what clients have written until now, tells all that wait for
// something a temporary failure, closes their connections and waits for everything that the server
// has started. It takes little more than two seconds at most. It may be called twice.
func (s *Server) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	var errs []error
	links := make([]*link, 0, len(s.links))
	if first {
		for l := range s.listeners {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
		for l := range s.links {
			links = append(links, l)
		}
	}
	s.mu.Unlock()
	// Each in a goroutine of its own: one that does not read must not keep the others waiting.
	var ending sync.WaitGroup
	for _, l := range links {
		ending.Go(l.drainAndEnd)
	}
	ending.Wait()
	s.running.Wait()
	return errors.Join(append(errs, s.loops.Close())...)
}

// connect reaches auth. An auth that is being restarted is waited for; nobody else waits with this
// client.
func (s *Server) connect(ctx context.Context) (eventloop.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	for {
		conn, err := s.dial(ctx)
		if err == nil {
			return s.loops.Adopt(conn), nil
		}
		select {
		case <-time.After(dialPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}
