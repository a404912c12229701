package mesh

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// foreignBytes bounds what memberlist's incoming streams have in memory together. memberlist reads up to 20 MiB of each before it
// knows whether it decrypts; a state of ours is a fraction of that.
const foreignBytes = 64 << 20

var errForeignBytes = errors.New("too much data from peers that are not authenticated")

// readBudget is the number of bytes that connections may still read before others are closed.
type readBudget struct {
	left int64
	used atomic.Int64
}

// foreignConn is an incoming stream of memberlist's, with its first byte put back.
type foreignConn struct {
	net.Conn
	first   []byte // not yet read again
	read    atomic.Int64
	budget  *readBudget
	release func()
	once    sync.Once
}

func (c *foreignConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 && len(p) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	if c.budget.used.Add(int64(n)) > c.budget.left && err == nil {
		err = errForeignBytes
	}
	return n, err
}

func (c *foreignConn) Close() error {
	c.once.Do(func() {
		c.budget.used.Add(-c.read.Load())
		c.release()
	})
	return c.Conn.Close()
}
