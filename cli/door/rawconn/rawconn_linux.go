package rawconn

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wrap returns c unless it is a stream of the system's.
func wrap(c net.Conn) net.Conn {
	var raw syscall.RawConn
	var err error
	switch stream := c.(type) {
	case *net.TCPConn:
		raw, err = stream.SyscallConn()
	case *net.UnixConn:
		if stream.LocalAddr().Network() != "unix" {
			return c // of packets, where nothing read is no end
		}
		raw, err = stream.SyscallConn()
	default:
		return c
	}
	if err != nil {
		return c // it is closed, and tells so itself
	}
	r := &conn{Conn: c, raw: raw}
	r.in.try, r.out.try = r.in.read, r.out.write
	return r
}

// conn is a stream of the system's.
type conn struct {
	net.Conn
	raw     syscall.RawConn
	in, out half
}

// half is one direction of a stream: what one call reads or writes.
type half struct {
	mu    sync.Mutex            // one call at a time, as in package net
	try   func(fd uintptr) bool // read or write; made once, so that a call costs no allocation
	buf   []byte                // to be read into, or still to be written
	done  int                   // bytes
	errno syscall.Errno
}

// NetConn returns the connection inside, as tls.Conn does.
func (c *conn) NetConn() net.Conn { return c.Conn }

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return c.Conn.Read(p)
	}
	n, err := c.in.call(p, c.raw.Read)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return n, OpError(c, "read", err)
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return c.Conn.Write(p)
	}
	n, err := c.out.call(p, c.raw.Write)
	return n, OpError(c, "write", err)
}

// call tries until it is done or wait, which waits between two tries, gives up.
func (h *half) call(p []byte, wait func(try func(fd uintptr) bool) error) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf, h.done, h.errno = p, 0, 0
	err := wait(h.try)
	h.buf = nil
	if err == nil && h.errno != 0 {
		err = h.errno
	}
	return h.done, err
}

// read takes what is there. False: nothing yet.
func (h *half) read(fd uintptr) bool {
	n, errno := System(unix.SYS_READ, fd, h.buf)
	if errno == syscall.EAGAIN {
		return false
	}
	h.done, h.errno = n, errno
	return true
}

// write passes on what there is room for. False: more is left.
func (h *half) write(fd uintptr) bool {
	for len(h.buf) > 0 {
		n, errno := System(unix.SYS_WRITE, fd, h.buf)
		switch errno {
		case 0:
			h.done += n
			h.buf = h.buf[n:]
		case syscall.EAGAIN:
			return false
		default:
			h.errno = errno
			return true
		}
	}
	return true
}

// System makes a call that cannot block, because the descriptor does not: so the scheduler need not
// hear of it. It takes as long as copying what a socket's buffer holds. An interrupted call is made
// again.
func System(call, fd uintptr, buf []byte) (n int, errno syscall.Errno) {
	start := unsafe.Pointer(unsafe.SliceData(buf))
	for {
		r, _, errno := syscall.RawSyscall(call, fd, uintptr(start), uintptr(len(buf)))
		switch errno {
		case 0:
			return int(r), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// OpError makes an error of a call on c look like one of package net. io.EOF stays as it is.
func OpError(c net.Conn, op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	inner := err
	var of *net.OpError
	var errno syscall.Errno
	switch {
	case errors.As(err, &of):
		inner = of.Err
	case errors.As(err, &errno):
		inner = os.NewSyscallError(op, errno)
	case errors.Is(err, os.ErrDeadlineExceeded):
		inner = os.ErrDeadlineExceeded
	case errors.Is(err, os.ErrClosed):
		inner = net.ErrClosed
	}
	local := c.LocalAddr()
	return &net.OpError{
		Op: op, Net: local.Network(), Source: local, Addr: c.RemoteAddr(), Err: inner,
	}
}
