package authrelay

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// drainTime bounds how long a client is read from, and auth is waited for, when the door ends.
	drainTime = time.Second
	// drainQuiet is how long a client must have written nothing to count as read to the end, and
	// how long auth may take to read what is passed on.
	drainQuiet = 20 * time.Millisecond
)

// errDrained ends the reading from a client that goes on writing during a drain.
var errDrained = errors.New("drained")

// drains is the state of a link whose end is near. The zero value: it is not.
type drains struct {
	mu       sync.Mutex // never locked while anything blocks
	began    time.Time  // zero: not yet
	authOver bool       // auth takes nothing more, or has closed
}

// cap returns t, or when a drain that has begun is over, if that is earlier.
func (d *drains) cap(t time.Time) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if end := d.began.Add(drainTime + closeTime); !d.began.IsZero() && end.Before(t) {
		return end
	}
	return t
}

func (l *link) draining() bool {
	l.drains.mu.Lock()
	defer l.drains.mu.Unlock()
	return !l.drains.began.IsZero()
}

// drain has the client's last requests read, so that end answers them too: one that is not
// answered looks like one that was refused. Whoever reads from the client ends the link then.
// It may be called twice.
func (l *link) drain() {
	l.drains.mu.Lock()
	first := l.drains.began.IsZero()
	if first {
		now := time.Now()
		l.drains.began = now
		_ = l.client.SetWriteDeadline(now.Add(closeTime)) // a write that hangs keeps mu locked
		// wakes the reader up; fill gives it more time
		_ = l.client.SetReadDeadline(now)
	}
	l.drains.mu.Unlock()
	l.wakeIdle()
	if !first {
		return
	}
	l.mu.Lock()
	auth, shut := l.auth, l.shut
	l.mu.Unlock()
	switch {
	case shut || auth == nil && l.s.protocol != Authreply:
		// The client takes no answer before auth's greeting.
		l.end()
	case auth != nil: // a write that hangs keeps the reader from the client
		_ = auth.SetWriteDeadline(time.Now().Add(drainQuiet))
	}
}

// loseAuth begins a drain during which auth is asked for nothing more.
func (l *link) loseAuth() {
	l.drains.mu.Lock()
	l.drains.authOver = true
	l.drains.mu.Unlock()
	l.drain()
}

// authTakes reports whether auth takes more requests.
func (l *link) authTakes() bool {
	l.drains.mu.Lock()
	defer l.drains.mu.Unlock()
	return !l.drains.authOver
}

// awaitsAuth reports whether auth may still answer a request of this client.
func (l *link) awaitsAuth() bool {
	l.drains.mu.Lock()
	defer l.drains.mu.Unlock()
	return !l.drains.authOver && l.asked.Load() > 0
}

// drainAndEnd ends the link when its client is read to the end. It takes drainTime and closeTime at
// most.
func (l *link) drainAndEnd() {
	l.drain()
	timer := time.NewTimer(drainTime + closeTime)
	defer timer.Stop()
	select {
	case <-l.ctx.Done():
	case <-timer.C:
	}
	l.end()
}

// fill reads once from the client. During a drain it gives up when nothing more is there and auth
// has answered all that was.
func (l *link) fill(in *lineReader) error {
	if !l.draining() {
		err := in.fill()
		if !errors.Is(err, os.ErrDeadlineExceeded) || !l.draining() {
			return err
		}
	}
	for l.extendRead() {
		err := in.fill()
		if !errors.Is(err, os.ErrDeadlineExceeded) || !l.awaitsAuth() {
			return err
		}
	}
	return errDrained
}

// extendRead gives the next read of a drain its time, however late the reader comes to run.
// False: the drain is over.
func (l *link) extendRead() bool {
	l.drains.mu.Lock()
	defer l.drains.mu.Unlock()
	now := time.Now()
	_ = l.client.SetReadDeadline(now.Add(drainQuiet))
	return now.Sub(l.drains.began) < drainTime
}

// allowWrite gives the next write to auth its time: without an end to it nobody would notice
// that the client has gone meanwhile. False: auth takes nothing more.
func (l *link) allowWrite(auth net.Conn) bool {
	l.drains.mu.Lock()
	defer l.drains.mu.Unlock()
	limit := writeTime
	if !l.drains.began.IsZero() {
		limit = drainQuiet
	}
	_ = auth.SetWriteDeadline(time.Now().Add(limit))
	return !l.drains.authOver
}
