package eventloop

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"directormesh/cli/door/rawconn"
)

// conn is a stream of the system's.
//
// Its descriptor is in a loop's epoll, or in Go's poller as a file, or in none of them. Reads and
// writes try first. One that must wait puts the descriptor into Go's poller, where deadlines and
// Close end it; Watch takes it out again.
type conn struct {
	outer         net.Conn // what was adopted; it is told of the end
	local, remote net.Addr
	all           *Loops
	id            uint64

	writing sync.Mutex // one Write at a time

	// guards what follows, and the descriptor from being closed while it is used
	mu              sync.Mutex
	fd              int
	closed          bool
	loop            *loop             // nil: not in one
	ready           func(onLoop bool) // nil: nobody waits
	file            *os.File          // nil: not in Go's poller
	users           int               // of file
	readBy, writeBy time.Time
}

// adopt returns nil for what is no stream of the system's.
func (l *Loops) adopt(outer net.Conn) Conn {
	var raw syscall.RawConn
	var err error
	inner := rawconn.Innermost(outer)
	switch stream := inner.(type) {
	case *net.TCPConn:
		raw, err = stream.SyscallConn()
	case *net.UnixConn:
		if stream.LocalAddr().Network() != "unix" {
			return nil
		}
		raw, err = stream.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	c := &conn{
		outer: outer, local: outer.LocalAddr(), remote: outer.RemoteAddr(),
		all: l, id: l.ids.Add(1), fd: -1,
	}
	// A descriptor of our own, which package net's poller does not know.
	if raw.Control(func(fd uintptr) { c.fd, err = duplicate(int(fd)) }) != nil || err != nil {
		return nil
	}
	if inner.Close() != nil {
		_ = unix.Close(c.fd)
		return nil
	}
	return c
}

func duplicate(fd int) (int, error) {
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
}

// NetConn returns the connection that was adopted, as tls.Conn does.
func (c *conn) NetConn() net.Conn    { return c.outer }
func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// Watch implements Conn.
func (c *conn) Watch(ready func(onLoop bool)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || !c.readBy.IsZero() || !c.leavePoller() {
		return false
	}
	if c.loop == nil && !c.join(c.all.pick(nil)) {
		return false
	}
	c.ready = ready
	return true
}

// join puts the descriptor into a loop. mu must be locked.
func (c *conn) join(lp *loop) bool {
	if lp == nil || !lp.add(c) {
		return false
	}
	c.loop = lp
	return true
}

// leaveLoop takes the descriptor out of its loop. mu must be locked.
func (c *conn) leaveLoop() {
	if c.loop != nil {
		c.loop.remove(c)
		c.loop = nil
	}
}

// wake calls who waits for the loop, in a goroutine of its own. mu must be locked.
func (c *conn) wake() {
	if ready := c.ready; ready != nil {
		c.ready = nil
		c.all.running.Go(func() { ready(false) })
	}
}

// enterPoller puts the descriptor into Go's poller. mu must be locked.
func (c *conn) enterPoller() {
	c.leaveLoop()
	c.wake()
	c.file = os.NewFile(uintptr(c.fd), "connection")
	_ = c.file.SetReadDeadline(c.readBy)
	_ = c.file.SetWriteDeadline(c.writeBy)
}

// leavePoller takes the descriptor out of Go's poller, unless somebody uses it there. mu must be
// locked.
func (c *conn) leavePoller() bool {
	if c.file == nil {
		return true
	}
	if c.users > 0 {
		return false
	}
	fd, err := duplicate(c.fd)
	if err != nil {
		return false
	}
	_ = c.file.Close() // of the other descriptor; it closes nothing else
	c.fd, c.file = fd, nil
	return true
}

// TryRead implements Conn.
func (c *conn) TryRead(p []byte) (int, error) {
	c.mu.Lock()
	n, err := c.tryRead(p)
	c.mu.Unlock()
	if err == syscall.EAGAIN {
		return 0, nil
	}
	return n, c.opError("read", err)
}

// tryRead returns EAGAIN if there is nothing. mu must be locked.
func (c *conn) tryRead(p []byte) (int, error) {
	if c.closed {
		return 0, net.ErrClosed
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, errno := rawconn.System(unix.SYS_READ, uintptr(c.fd), p)
	if errno != 0 {
		return 0, errno
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	if len(p) > 0 && !c.closed && passed(c.readBy) {
		c.mu.Unlock()
		return 0, c.opError("read", os.ErrDeadlineExceeded)
	}
	n, err := c.tryRead(p)
	if err != syscall.EAGAIN {
		c.mu.Unlock()
		return n, c.opError("read", err)
	}
	file := c.use()
	c.mu.Unlock()
	n, err = file.Read(p)
	c.unuse()
	return n, c.opError("read", err)
}

// use returns the file to wait for. mu must be locked.
func (c *conn) use() *os.File {
	if c.file == nil {
		c.enterPoller()
	}
	c.users++
	return c.file
}

func (c *conn) unuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users--
}

// TryWrite implements Conn.
func (c *conn) TryWrite(p []byte) (int, error) {
	if !c.writing.TryLock() {
		return 0, nil
	}
	defer c.writing.Unlock()
	c.mu.Lock()
	n, err := c.tryWrite(p)
	c.mu.Unlock()
	if err == syscall.EAGAIN {
		err = nil
	}
	return n, c.opError("write", err)
}

// tryWrite returns EAGAIN if more is left. mu must be locked.
func (c *conn) tryWrite(p []byte) (done int, err error) {
	if c.closed {
		return 0, net.ErrClosed
	}
	for { // once at least: writing nothing has its errors too
		n, errno := rawconn.System(unix.SYS_WRITE, uintptr(c.fd), p[done:])
		if errno != 0 {
			return done, errno
		}
		if done += n; done == len(p) {
			return done, nil
		}
	}
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	if !c.closed && passed(c.writeBy) {
		c.mu.Unlock()
		return 0, c.opError("write", os.ErrDeadlineExceeded)
	}
	done, err := c.tryWrite(p)
	if err != syscall.EAGAIN {
		c.mu.Unlock()
		return done, c.opError("write", err)
	}
	file := c.use()
	c.mu.Unlock()
	n, err := file.Write(p[done:])
	c.unuse()
	return done + n, c.opError("write", err)
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.closed = true
	c.leaveLoop()
	c.wake()
	var err error
	if c.file != nil {
		err = c.file.Close()
	} else {
		err = unix.Close(c.fd)
	}
	_ = c.outer.Close() // the connection inside is closed already
	return c.opError("close", err)
}

// CloseRead implements Conn.
func (c *conn) CloseRead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	return c.opError("shutdown", unix.Shutdown(c.fd, unix.SHUT_RD))
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	c.readBy = t
	if c.file != nil {
		return c.opError("set", c.file.SetReadDeadline(t))
	}
	if !t.IsZero() {
		c.wake()
	}
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	c.writeBy = t
	if c.file != nil {
		return c.opError("set", c.file.SetWriteDeadline(t))
	}
	return nil
}

// passed reports whether a deadline is over.
func passed(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

// opError makes an error look like one of package net.
func (c *conn) opError(op string, err error) error { return rawconn.OpError(c, op, err) }
