//go:build unix

package mesh

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// eager makes a connection of the kernel's an eagerConn.
func eager(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn // closed already
	}
	c := &eagerTCP{TCPConn: tcp, raw: raw}
	c.once = c.writeOnce
	return c
}

// eagerTCP is a TCP connection as eagerConn. TryWrite is for one caller at a time.
type eagerTCP struct {
	*net.TCPConn
	raw syscall.RawConn
	// writeOnce; made once, because one is made of it for each call otherwise
	once func(fd uintptr) bool

	b   []byte // to be written by writeOnce, and what came of it
	n   int
	err error
}

// TryWrite implements eagerConn.
func (c *eagerTCP) TryWrite(b []byte) (int, error) {
	c.b, c.n, c.err = b, 0, nil
	err := c.raw.Write(c.once)
	c.b = nil
	if err == nil {
		err = c.err
	}
	return c.n, err
}

// writeOnce returns true, which keeps the runtime from waiting.
func (c *eagerTCP) writeOnce(fd uintptr) bool {
	n, err := syscall.Write(int(fd), c.b)
	c.n = max(n, 0)
	if err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR) {
		c.err = fmt.Errorf("write to %s: %w", c.RemoteAddr(), os.NewSyscallError("write", err))
	}
	return true
}
