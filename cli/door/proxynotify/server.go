package proxynotify

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/mesh/loglimit"
)

// Config is what a Server needs.
type Config struct {
	// Refresh gets the name of a user with a live session. It must not block.
	Refresh    func(user string)
	Log        zerolog.Logger
	Registerer prometheus.Registerer // nil: nothing is counted
}

// Server reads FIFOs of login processes.
type Server struct {
	refresh func(string)
	log     zerolog.Logger
	reports prometheus.Counter
	skipped prometheus.Counter
	running sync.WaitGroup
	limit   loglimit.Limiter

	mu     sync.Mutex
	closed bool
	files  map[*os.File]bool
}

// New returns a server; Serve gives it a FIFO.
func New(cfg Config) (*Server, error) {
	s := &Server{
		refresh: cfg.Refresh,
		log:     cfg.Log,
		reports: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "director_notify_reports_total",
			Help: "Live sessions that login processes have reported.",
		}),
		skipped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "director_notify_skipped_total",
			Help: "Lines on the FIFO of login processes that were too long for a user name.",
		}),
		files: make(map[*os.File]bool),
	}
	if cfg.Registerer == nil {
		return s, nil
	}
	for _, c := range []prometheus.Collector{s.reports, s.skipped} {
		if err := cfg.Registerer.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return s, nil
}

// Serve reads a FIFO until Close, and returns nil then. The file stays open: it belongs to the
// caller.
func (s *Server) Serve(fifo *os.File) error {
	f, err := reopen(fifo)
	if err != nil {
		return fmt.Errorf("notify FIFO %s: %w", fifo.Name(), err)
	}
	if !s.add(f) {
		return f.Close()
	}
	defer s.running.Done()

	var lines splitter
	buf := make([]byte, 64<<10) // a FIFO holds no more
	for {
		n, err := f.Read(buf)
		skipped := lines.add(buf[:n], func(name string) {
			s.reports.Inc()
			s.refresh(name)
		})
		if skipped > 0 {
			s.skipped.Add(float64(skipped))
			s.warn(skipped)
		}
		if err != nil {
			if s.remove(f) {
				return nil
			}
			return fmt.Errorf("notify FIFO %s: %w", fifo.Name(), err)
		}
	}
}

// Close ends all reading and waits for it.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for f := range s.files {
		f.Close() // wakes the reader
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// add takes note of a file that is read, unless the server is closed.
func (s *Server) add(f *os.File) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.files[f] = true
	s.running.Add(1)
	return true
}

func (s *Server) remove(f *os.File) (closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, f)
	f.Close()
	return s.closed
}

func (s *Server) warn(skipped int) {
	s.limit.Logger(s.log, "skipped", time.Now()).Warn().Int("lines", skipped).
		Int("most_bytes", maxLine).
		Msg("skipped lines on the notify FIFO that are too long for a user name")
}

// reopen opens a FIFO once more: read-write, so that it does not end when the last writer goes, and
// in non-blocking mode, so that Close can end a read. The mode belongs to the opening: the other
// holders of the FIFO do not notice.
func reopen(fifo *os.File) (f *os.File, err error) {
	raw, err := fifo.SyscallConn()
	if err != nil {
		return nil, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		f, err = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDWR|syscall.O_NONBLOCK, 0)
	})
	return f, errors.Join(err, controlErr)
}
