package session

import (
	"context"
	"fmt"
	"sync"
	"time"

	"directormesh/cli/dovecot"
	"directormesh/ring"
)

// listTime bounds how long Dovecot may take for a list, a million sessions on a busy machine
// included: a hung login process delays it for ever, and a kick that waits for the list must be
// able to go on without it after its ten seconds.
const listTime = 9 * time.Second

// Before a list there is a pause of this part of the time that the last one took, up to maxPause.
// Who wants a list comes in crowds: without a pause the first would get one to itself and all
// others wait for the one after that. It also leaves 2.4's anvil, which answers nobody else while
// it makes a list, some time for logins.
const (
	pausePart = 4
	maxPause  = 250 * time.Millisecond
)

// Source asks Dovecot for the list of sessions, for all who want it: never more than one request at
// a time, and who asks while one is under way shares the next with all others who do. So ten
// thousand kicks cost a few lists.
type Source struct {
	ask  func(context.Context) ([]dovecot.Connection, error)
	hash func(user string) ring.UserHash
	now  func() time.Time

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	running bool
	next    *fetch // who asks now gets this one; nil: nobody has yet
	latest  *List

	pause time.Duration // before the next list; only run uses it
}

// fetch is a list that is on its way.
type fetch struct {
	done chan struct{}
	list *List
	err  error
}

// NewSource returns a source of what ask returns. hash is that of a login name, now a clock.
func NewSource(
	ask func(context.Context) ([]dovecot.Connection, error), hash func(user string) ring.UserHash,
	now func() time.Time,
) *Source {
	s := &Source{ask: ask, hash: hash, now: now}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Close ends the request under way and waits for it. Later ones fail.
func (s *Source) Close() {
	s.mu.Lock()
	s.stop() // with mu locked: no request begins after this
	s.mu.Unlock()
	s.wg.Wait()
}

// Fresh returns a list for which Dovecot was asked after this call.
func (s *Source) Fresh(ctx context.Context) (*List, error) {
	s.mu.Lock()
	if s.ctx.Err() != nil {
		s.mu.Unlock()
		return nil, fmt.Errorf("listing sessions: %w", s.ctx.Err())
	}
	if s.next == nil {
		s.next = &fetch{done: make(chan struct{})}
	}
	f := s.next
	if !s.running {
		s.running = true
		s.wg.Go(s.run)
	}
	s.mu.Unlock()

	select {
	case <-f.done:
		return f.list, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("listing sessions: %w", context.Cause(ctx))
	}
}

// Latest returns a list for which Dovecot was asked no longer ago than this, if there is one
// already.
func (s *Source) Latest(age time.Duration) (*List, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest == nil || s.now().Sub(s.latest.asked) > age {
		return nil, false
	}
	return s.latest, true
}

// Newest returns the newest list, nil if there is none yet.
func (s *Source) Newest() *List {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest
}

// run fetches lists for as long as somebody wants one.
func (s *Source) run() {
	for {
		s.mu.Lock()
		if s.next == nil {
			s.running = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		s.gather()
		s.mu.Lock()
		f := s.next
		s.next = nil
		s.mu.Unlock()

		f.list, f.err = s.fetch()
		if f.err == nil {
			s.mu.Lock()
			s.latest = f.list
			s.mu.Unlock()
		}
		close(f.done)
	}
}

// gather lets others join who want a list too.
func (s *Source) gather() {
	if s.pause == 0 {
		return
	}
	timer := time.NewTimer(s.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

func (s *Source) fetch() (*List, error) {
	ctx, cancel := context.WithTimeoutCause(s.ctx, listTime,
		fmt.Errorf("no answer within %v", listTime))
	defer cancel()
	asked := s.now()
	defer func() { s.pause = min(s.now().Sub(asked)/pausePart, maxPause) }()
	connections, err := s.ask(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	return NewList(asked, connections, s.hash), nil
}
