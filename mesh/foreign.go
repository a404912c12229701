package mesh

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

const (
	// foreignBytes bounds what memberlist's incoming streams have in memory together. memberlist
	// reads all of a state, into a buffer that doubles, before it knows whether it decrypts; what
	// strangers send costs a small multiple of this.
	foreignBytes = 16 << 20
	// foreignState bounds one of them: a state of ours, and memberlist's list of members with it.
	foreignState = 10 << 20
)

var errForeignBytes = errors.New("too much data from peers that are not authenticated")

// foreignStreams is memberlist's incoming streams: how many there are, and how much they have read.
type foreignStreams struct {
	halfOpen
	bytes   int64  // limit of all together
	each    int64  // limit of one
	tooMuch func() // called for each stream that reads more

	readMu sync.Mutex
	read   int64 // by those that are open
}

// A foreignConn is a stream of memberlist's. What a peer sends passes the gate before memberlist
// reads it.
type foreignConn struct {
	net.Conn
	r *bufio.Reader
	// what is still to be done before the first read; nil: nothing
	check   func(*bufio.Reader) error
	refused func(error) // called if that fails, or if the peer goes before it has our answer
	streams *foreignStreams
	written atomic.Bool // something was answered, or asked; or its end was reported

	// Guarded by streams.readMu.
	read   int64
	over   bool // has read too much
	closed bool
}

// Read is called by one goroutine at a time.
func (c *foreignConn) Read(p []byte) (int, error) {
	if c.check != nil {
		if err := c.check(c.r); err != nil {
			c.refused(err)
			return 0, err
		}
		c.check = nil
	}
	n, err := c.r.Read(p)
	if err != nil && c.refused != nil && !c.written.Swap(true) {
		c.refused(err) // memberlist does not say so
	}
	if !c.streams.took(c, n) && err == nil {
		err = errForeignBytes
	}
	return n, err
}

func (c *foreignConn) Write(p []byte) (int, error) {
	c.written.Store(true)
	return c.Conn.Write(p)
}

func (c *foreignConn) Close() error {
	c.streams.leave(c)
	c.streams.remove(c)
	return c.Conn.Close()
}

// took notes what c has read; false means that it is too much. What is read while c is being closed
// counts no more.
func (f *foreignStreams) took(c *foreignConn, n int) bool {
	f.readMu.Lock()
	defer f.readMu.Unlock()
	if c.closed {
		return false
	}
	c.read += int64(n)
	f.read += int64(n)
	if c.read <= f.each && f.read <= f.bytes {
		return true
	}
	if !c.over {
		c.over = true
		f.tooMuch()
	}
	return false
}

// leave forgets what c has read.
func (f *foreignStreams) leave(c *foreignConn) {
	f.readMu.Lock()
	defer f.readMu.Unlock()
	if !c.closed {
		c.closed = true
		f.read -= c.read
	}
}
