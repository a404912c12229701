package authrelay

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// drainTime bounds how long a client is read from when the door or auth ends.
	drainTime = time.Second
	// drainQuiet is how long a client must have written nothing to count as read to the end.
	drainQuiet = 20 * time.Millisecond
)

// errDrained ends the reading from a client that goes on writing during a drain.
var errDrained = errors.New("drained")

// drains is the state of a link whose end is near. The zero value: it is not.
type drains struct {
	mu    sync.Mutex // never held while anything blocks
	began time.Time  // zero: not yet
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
		_ = l.client.SetWriteDeadline(now.Add(closeTime)) // a write that hangs holds mu
		_ = l.client.SetReadDeadline(now)                 // wakes the reader up; fill gives it more time
	}
	l.drains.mu.Unlock()
	if !first {
		return
	}
	l.mu.Lock()
	auth, over := l.auth, l.over
	l.mu.Unlock()
	switch {
	case over || auth == nil && l.s.protocol != Authreply:
		// Nothing can be told to the client: it takes no answer before auth's greeting.
		l.end()
	case auth != nil:
		_ = auth.SetWriteDeadline(time.Now()) // what hangs there keeps the reader from the client
	}
}

// drainAndEnd ends the link when its client is read to the end, or after drainTime.
func (l *link) drainAndEnd() {
	l.drain()
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	select {
	case <-l.ctx.Done():
	case <-timer.C:
	}
	l.end()
}

// fill reads once from the client. During a drain it gives up when nothing more is there.
func (l *link) fill(in *lineReader) error {
	if !l.draining() {
		err := in.fill()
		if !errors.Is(err, os.ErrDeadlineExceeded) || !l.draining() {
			return err
		}
	}
	if !l.extendRead() {
		return errDrained
	}
	return in.fill()
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
// that the client has gone meanwhile. False: the link drains, and nothing is to be written.
func (l *link) allowWrite(auth net.Conn) bool {
	l.drains.mu.Lock()
	defer l.drains.mu.Unlock()
	if !l.drains.began.IsZero() {
		return false
	}
	_ = auth.SetWriteDeadline(time.Now().Add(writeTime))
	return true
}
