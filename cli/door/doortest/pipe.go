package doortest

import (
	"net"
	"os"
	"sync"
	"syscall"
)

// PipeListener accepts ends of pipes. Pipes work in virtual time. It is safe for concurrent use.
type PipeListener struct {
	conns  chan net.Conn
	closed chan struct{} // closed by Close
	once   sync.Once
}

// NewPipeListener returns a listener on which nobody has connected yet.
func NewPipeListener() *PipeListener {
	return &PipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept returns the next connection, or net.ErrClosed after Close.
func (l *PipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. Only the first call returns nil, as with the listeners of package net.
func (l *PipeListener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		close(l.closed)
		err = nil
	})
	return err
}

// Addr is the same for all of these listeners.
func (l *PipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// Connect waits until the listener has accepted c.
func (l *PipeListener) Connect(c net.Conn) { l.conns <- c }

// Dial makes a pipe, waits until the listener has accepted one end, and returns the other.
func (l *PipeListener) Dial() net.Conn {
	near, far := net.Pipe()
	l.Connect(far)
	return near
}

// exhausted is a listener that finds no descriptor for the first connection.
type exhausted struct {
	net.Listener
	failed bool
}

// FailFirst returns a listener whose first Accept fails, as when the process has no descriptor
// left. Only one goroutine may call Accept.
func FailFirst(l net.Listener) net.Listener { return &exhausted{Listener: l} }

func (l *exhausted) Accept() (net.Conn, error) {
	if l.failed {
		return l.Listener.Accept()
	}
	l.failed = true
	err := os.NewSyscallError("accept4", syscall.EMFILE)
	return nil, &net.OpError{Op: "accept", Net: "unix", Err: err}
}
