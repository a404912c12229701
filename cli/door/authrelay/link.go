package authrelay

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"directormesh/cli/door/eventloop"
	"directormesh/mesh/wording"
	"directormesh/ring"
)

// link is a client's connection and the one to auth that belongs to it.
//
// Each side reads for itself, and each held reply has a goroutine. Whatever is written to the
// client is written with mu locked, in whole lines. The first that comes to an end calls end, which
// ends the others; where the client is not to blame, drain comes before it.
type link struct {
	s       *Server
	client  eventloop.Conn
	ctx     context.Context // ends with the link
	cancel  context.CancelFunc
	ending  atomic.Bool
	held    sync.WaitGroup // replies
	waits   atomic.Int64   // how many they are
	asked   atomic.Int64   // how many ids are open; to be read while a write has mu locked
	idle    chan struct{}  // has one element when asked has become 0, or may not become so
	drains  drains
	claims  []*claim // of those whose connection it is
	sides   atomic.Int32
	greeted bool   // of the authreply door's side
	over    func() // called when no side is left

	mu   sync.Mutex     // guards what follows, and writing to the client
	auth eventloop.Conn // nil: not connected, or there is none
	open map[string]opened
	// of the last reply: the next one most likely has the same, which then costs no allocation
	tag  ring.Tag
	shut bool // nothing may be written any more
}

// maxID is the longest id of a request. Dovecot's are decimal numbers of 32 bits.
const maxID = 64

// opened is what is remembered of an id.
type opened struct {
	kind  request
	times int // how many answers are due: one, but where the client gives one id to many lines
}

func newLink(s *Server, client eventloop.Conn) *link {
	l := &link{
		s: s, client: client, open: make(map[string]opened), idle: make(chan struct{}, 1),
		over: func() {},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// serve has both sides relay until either ends.
func (l *link) serve() {
	l.sides.Store(1)
	if l.s.protocol == Authreply {
		l.serveAuthreply()
		return
	}
	auth, err := l.s.connect(l.ctx)
	if err != nil && l.ctx.Err() == nil {
		l.s.troubles.note(authUnreachable).Err(wording.Plain(err)).Msg(texts[authUnreachable])
	}
	if err != nil || !l.attach(auth) {
		l.leave()
		return
	}
	l.sides.Add(1)
	down := l.newSide(auth, (*lineReader).fill, l.tryAnswer, l.endDown)
	l.s.running.Go(down.start)
	l.newSide(l.client, l.fill, l.tryRequests, l.endUp).start()
}

func (l *link) newSide(
	from eventloop.Conn, fill func(*lineReader) error,
	take func(*lineReader) (func() bool, bool), end func(*lineReader, error),
) *side {
	in := newLineReader(from, l.s.protocol.maxBuffer())
	return &side{l: l, from: from, in: in, fill: fill, take: take, end: end}
}

// leave ends the link with its last side.
func (l *link) leave() {
	if l.sides.Add(-1) == 0 {
		l.end()
		l.held.Wait()
		l.over()
	}
}

// attach notes the connection to auth, so that end closes it.
func (l *link) attach(auth eventloop.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		auth.Close()
		return false
	}
	l.auth = auth
	return true
}

// tryRequests remembers the requests in the lines of the client, and passes these on to auth.
func (l *link) tryRequests(in *lineReader) (rest func() bool, ok bool) {
	if !l.mu.TryLock() {
		return func() bool {
			l.mu.Lock()
			return finish(l.requests(in))
		}, true
	}
	return l.requests(in)
}

// requests is tryRequests with mu locked, which it unlocks.
func (l *link) requests(in *lineReader) (rest func() bool, ok bool) {
	lines, refused := l.noteRequests(in)
	left, ok := l.tryWrite(refused)
	if len(left) > 0 {
		return func() bool {
			ok := l.writeRest(left)
			l.mu.Unlock()
			if ok {
				l.passUp(lines)
			}
			return ok
		}, true
	}
	l.mu.Unlock()
	if !ok || len(lines) == 0 || !l.authTakes() {
		return nil, ok // its requests are remembered, and end with the link
	}
	if n, err := l.auth.TryWrite(lines); err != nil || n < len(lines) {
		return func() bool {
			l.passUp(lines[n:])
			return true
		}, true
	}
	return nil, true
}

// passUp passes lines on to auth, and waits until it takes them.
func (l *link) passUp(lines []byte) {
	if len(lines) == 0 || !l.allowWrite(l.auth) {
		return
	}
	if _, err := l.auth.Write(lines); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && !l.draining() {
			l.trouble(authStuck)
		}
		l.loseAuth() // what the client has written is read all the same
	}
}

// endUp ends the reading from a client of auth's.
func (l *link) endUp(in *lineReader, err error) {
	if err != nil {
		l.takeRest(in, err, func(in *lineReader) bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			_, refused := l.noteRequests(in)
			return l.write(refused)
		})
	}
	l.end()
}

// endDown ends the reading from auth. The other side ends the link when it has read the rest.
func (l *link) endDown(_ *lineReader, err error) {
	switch {
	case errors.Is(err, errLineTooLong):
		l.trouble(authLine)
	case err != nil && !l.ending.Load() && !l.draining(): // the client is still there
		l.trouble(authClosed)
	}
	l.loseAuth()
}

// noteRequests takes all complete lines and remembers their requests, before auth can answer them.
// It returns the lines for auth; a line that opens one request too many is refused instead. mu must
// be locked.
func (l *link) noteRequests(in *lineReader) (lines, refused []byte) {
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
	return all[:n], refused
}

// remember notes an open request, and reports whether there is room for it. mu must be locked.
func (l *link) remember(id []byte, kind request) bool {
	switch {
	case l.shut, !l.s.protocol.asks(id):
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

// write writes whole lines to the client. mu must be locked. False: the link is over.
func (l *link) write(lines []byte) bool {
	left, ok := l.tryWrite(lines)
	return ok && l.writeRest(left)
}

// tryWrite writes what the client takes at once, and returns what is left. mu must be locked.
// False: the link is over.
func (l *link) tryWrite(lines []byte) (left []byte, ok bool) {
	if l.shut {
		return nil, false
	}
	if len(lines) == 0 {
		return nil, true
	}
	n, err := l.client.TryWrite(lines)
	if err != nil {
		l.shut = true // a part of a line may have been written
		return nil, false
	}
	return lines[n:], true
}

// writeRest writes what is left, and waits until the client takes it. mu must be locked. False: the
// link is over.
func (l *link) writeRest(left []byte) bool {
	if len(left) == 0 {
		return true
	}
	_ = l.client.SetWriteDeadline(time.Now().Add(writeTime))
	if l.ending.Load() || l.draining() { // which has set a nearer deadline, perhaps just before
		_ = l.client.SetWriteDeadline(l.drains.cap(time.Now().Add(closeTime)))
	}
	_, err := l.client.Write(left)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		l.trouble(clientStuck)
	}
	if err != nil {
		l.shut = true // a part of a line may have been written
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
	l.shut = true
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
