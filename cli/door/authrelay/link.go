package authrelay

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"directormesh/mesh/wording"
	"directormesh/ring"
)

// link is a client's connection and the one to auth that belongs to it.
//
// Two goroutines read, one each side, and each held reply has one more. Whatever is written to the
// client is written with mu locked, in whole lines. The first that comes to an end calls end, which
// ends the others; where the client is not to blame, drain comes before it.
type link struct {
	s      *Server
	client net.Conn
	ctx    context.Context // ends with the link
	cancel context.CancelFunc
	ending atomic.Bool
	held   sync.WaitGroup // replies
	waits  atomic.Int64   // how many they are
	asked  atomic.Int64   // how many ids are open; to be read while a write has mu locked
	idle   chan struct{}  // has one element when asked has become 0, or may not become so
	drains drains
	claims []*claim // of those whose connection it is

	mu   sync.Mutex // guards what follows, and writing to the client
	auth net.Conn   // nil: not connected, or there is none
	open map[string]opened
	// of the last reply: the next one most likely has the same, which then costs no allocation
	tag  ring.Tag
	over bool // nothing may be written any more
}

// maxID is the longest id of a request. Dovecot's are decimal numbers of 32 bits.
const maxID = 64

// opened is what is remembered of an id.
type opened struct {
	kind  request
	times int // how many answers are due: one, but where the client gives one id to many lines
}

func newLink(s *Server, client net.Conn) *link {
	l := &link{
		s: s, client: client, open: make(map[string]opened), idle: make(chan struct{}, 1),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// serve relays until either side ends.
func (l *link) serve() {
	defer l.held.Wait()
	defer l.end()
	if l.s.protocol == Authreply {
		l.serveAuthreply()
		return
	}
	auth, err := l.s.connect(l.ctx)
	if err != nil {
		if l.ctx.Err() == nil {
			l.s.troubles.note(authUnreachable).Err(wording.Plain(err)).Msg(texts[authUnreachable])
		}
		return
	}
	if !l.attach(auth) {
		return
	}
	var up sync.WaitGroup
	defer up.Wait()
	up.Go(func() {
		defer l.end()
		l.passUp(auth)
	})
	l.passDown(auth)
	// The other goroutine may sit in a read; it ends the link when it has read the rest.
	l.loseAuth()
}

// attach notes the connection to auth, so that end closes it.
func (l *link) attach(auth net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		auth.Close()
		return false
	}
	l.auth = auth
	return true
}

// passUp passes lines of the client on to auth and remembers the requests in them.
func (l *link) passUp(auth net.Conn) {
	in := newLineReader(l.client, l.s.protocol.maxBuffer())
	for {
		if err := l.fill(in); err != nil {
			l.takeRest(in, err, func(in *lineReader) bool {
				_, ok := l.noteRequests(in)
				return ok
			})
			return
		}
		lines, ok := l.noteRequests(in)
		if !ok {
			return
		}
		if len(lines) == 0 || !l.allowWrite(auth) {
			continue // its requests are remembered, and end with the link
		}
		if _, err := auth.Write(lines); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && !l.draining() {
				l.trouble(authStuck)
			}
			l.loseAuth() // what the client has written is read all the same
		}
	}
}

// noteRequests takes all complete lines and remembers their requests, before auth can answer them.
// It returns the lines for auth; a line that opens one request too many is refused instead. ok is
// false if the link is over.
func (l *link) noteRequests(in *lineReader) (lines []byte, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var refused []byte
	all, n := in.rest(), 0
	for line := in.next(); line != nil; line = in.next() {
		body, ending := cutEnding(line)
		verb, rest := cutField(body)
		id, _ := cutField(rest)
		if kind, opens := l.s.protocol.opens(verb); opens && !l.remember(id, kind) {
			l.s.metrics.failed.Inc()
			l.trouble(tooManyRequests)
			refused = kind.appendFailure(refused, id, ending)
			continue
		}
		if l.s.protocol.cancels(verb) {
			l.forget(id)
		}
		n += copy(all[n:], line) // it moves only behind a line that was refused
	}
	return all[:n], l.write(refused)
}

// remember notes an open request, and reports whether there is room for it. mu must be locked.
func (l *link) remember(id []byte, kind request) bool {
	switch {
	case l.over, !l.s.protocol.asks(id):
		return true
	case len(id) > maxID:
		return false
	}
	was, ok := l.open[string(id)]
	if !ok && len(l.open) >= maxOwn {
		return false
	}
	if ok && l.s.protocol != Authreply { // an id stands for one request
		l.open[string(id)] = opened{kind, 1}
		return true
	}
	if !l.takeRequest() {
		return false
	}
	l.s.metrics.open.Inc()
	l.open[string(id)] = opened{kind, was.times + 1}
	if !ok {
		l.asked.Add(1)
	}
	return true
}

// forget ends an open request. mu must be locked.
func (l *link) forget(id []byte) {
	was, ok := l.open[string(id)]
	if !ok {
		return
	}
	l.giveRequest()
	l.s.metrics.open.Dec()
	if was.times > 1 {
		l.open[string(id)] = opened{was.kind, was.times - 1}
		return
	}
	delete(l.open, string(id))
	if l.asked.Add(-1) == 0 {
		l.wakeIdle()
	}
}

// wakeIdle wakes up who waits until nothing is asked.
func (l *link) wakeIdle() {
	select {
	case l.idle <- struct{}{}:
	default:
	}
}

// passDown passes lines of auth on to the client, completed where they want it.
func (l *link) passDown(auth net.Conn) {
	in := newLineReader(auth, l.s.protocol.maxBuffer())
	for {
		if err := in.fill(); err != nil {
			switch {
			case errors.Is(err, errLineTooLong):
				l.trouble(authLine)
			case !l.ending.Load() && !l.draining(): // the client is still there
				l.trouble(authClosed)
			}
			return
		}
		if !l.answer(in) {
			return
		}
	}
}

// write writes whole lines to the client. mu must be locked. False: the link is over.
func (l *link) write(lines []byte) bool {
	if l.over {
		return false
	}
	if len(lines) == 0 {
		return true
	}
	_ = l.client.SetWriteDeadline(time.Now().Add(writeTime))
	if l.ending.Load() || l.draining() { // which has set a nearer deadline, perhaps just before
		_ = l.client.SetWriteDeadline(l.drains.cap(time.Now().Add(closeTime)))
	}
	_, err := l.client.Write(lines)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		l.trouble(clientStuck)
	}
	if err != nil {
		l.over = true // a part of a line may have been written
	}
	return err == nil
}

// end tells the client that what it still waits for has failed for now, and closes both
// connections. It does so once; it may be called by anybody who has not locked mu.
func (l *link) end() {
	if l.ending.Swap(true) {
		return
	}
	_ = l.client.SetWriteDeadline(time.Now().Add(closeTime)) // ends a write that hangs
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []byte
	for id, o := range l.open {
		for range o.times {
			out = o.kind.appendFailure(out, []byte(id), []byte("\n"))
			l.forget([]byte(id))
		}
	}
	l.write(out)
	l.over = true
	l.cancel()
	l.client.Close()
	if l.auth != nil {
		l.auth.Close()
	}
}

// trouble notes what ended the link.
func (l *link) trouble(c cause) {
	l.s.troubles.note(c).Msg(texts[c])
}
