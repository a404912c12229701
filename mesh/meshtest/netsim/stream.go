package netsim

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// streamBuffer is how much one direction of a stream takes before its writer blocks.
const streamBuffer = 256 << 10

var errDeadline = errors.New("packet sockets of netsim have no deadlines")

// pipe is one direction of a stream, with one reader and one writer at a time.
type pipe struct {
	network  *Network
	from, to netip.Addr
	lane     *lane

	mu       sync.Mutex
	chunks   []chunk // in order of arrival
	bytes    int
	eof      bool // the writer has closed
	deaf     bool // the reader has closed
	dead     bool // one end's host vanished: nothing arrives any more
	readEnd  time.Time
	writeEnd time.Time

	readable, writable    chan struct{} // the reader, the writer should look again
	readTimer, writeTimer alarm
}

type chunk struct {
	at time.Time // when it arrives
	b  []byte
}

func newPipe(n *Network, from, to netip.Addr) *pipe {
	return &pipe{network: n, from: from, to: to, lane: n.lane(from, to),
		readable: make(chan struct{}, 1), writable: make(chan struct{}, 1)}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// update changes the pipe and wakes those whom that may concern.
func (p *pipe) update(f func(), wake ...chan struct{}) {
	p.mu.Lock()
	f()
	p.mu.Unlock()
	for _, ch := range wake {
		signal(ch)
	}
}

// read returns what has arrived, waiting for it.
func (p *pipe) read(b []byte) (int, error) {
	for {
		n, wait, ways, err := p.tryRead(b)
		if n > 0 || err != nil {
			return n, err
		}
		p.readTimer.await(wait, p.readable, ways)
	}
}

// tryRead returns what has arrived, or until when, and for which freeing of ways, to wait.
func (p *pipe) tryRead(b []byte) (n int, wait time.Time, ways <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	switch {
	case p.deaf:
		return 0, wait, nil, net.ErrClosed
	case expired(p.readEnd, now):
		return 0, wait, nil, os.ErrDeadlineExceeded
	}
	wait = p.readEnd
	switch {
	case p.dead, len(p.chunks) == 0 && !p.eof:
		return 0, wait, nil, nil
	case p.network.isBlocked(p.from, p.to):
		if ways = p.network.waitChange(); p.network.isBlocked(p.from, p.to) {
			return 0, wait, ways, nil
		}
	}
	switch {
	case len(p.chunks) == 0:
		return 0, wait, nil, io.EOF
	case p.chunks[0].at.After(now):
		return 0, earlier(wait, p.chunks[0].at), nil, nil
	}
	return p.takeLocked(b, now), wait, nil, nil
}

// takeLocked copies arrived bytes out and wakes the writer.
func (p *pipe) takeLocked(b []byte, now time.Time) int {
	n := 0
	for len(p.chunks) > 0 && n < len(b) && !p.chunks[0].at.After(now) {
		k := copy(b[n:], p.chunks[0].b)
		n += k
		if p.chunks[0].b = p.chunks[0].b[k:]; len(p.chunks[0].b) == 0 {
			p.chunks[0] = chunk{}
			p.chunks = p.chunks[1:]
		}
	}
	p.bytes -= n
	signal(p.writable)
	return n
}

// write queues b, waiting for room. gone reports whether the other end exists no more.
func (p *pipe) write(b []byte, gone func() bool) (int, error) {
	written := 0
	for len(b) > 0 {
		n, wait, err := p.tryWrite(b, gone)
		written += n
		b = b[n:]
		if err != nil {
			return written, err
		}
		if n == 0 {
			p.writeTimer.await(wait, p.writable, nil)
		}
	}
	return written, nil
}

func (p *pipe) tryWrite(b []byte, gone func() bool) (n int, wait time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.eof:
		return 0, wait, net.ErrClosed
	case expired(p.writeEnd, time.Now()):
		return 0, wait, os.ErrDeadlineExceeded
	case (p.deaf || gone()) && !p.network.isBlocked(p.from, p.to):
		return 0, wait, syscall.ECONNRESET
	}
	room := streamBuffer - p.bytes
	if room <= 0 {
		return 0, p.writeEnd, nil
	}
	part := b[:min(len(b), room)]
	at := p.network.arrival(p.lane, len(part))
	if n := len(p.chunks); n > 0 {
		at = later(at, p.chunks[n-1].at)
	}
	p.chunks = append(p.chunks, chunk{at: at, b: append([]byte(nil), part...)})
	p.bytes += len(part)
	signal(p.readable)
	return len(part), wait, nil
}

// alarm is a timer used again and again by one goroutine at a time.
type alarm struct{ timer *time.Timer }

// await returns at the time, unless that is zero, or when a channel says so.
func (a *alarm) await(at time.Time, changed, ways <-chan struct{}) {
	if at.IsZero() {
		select {
		case <-changed:
		case <-ways:
		}
		return
	}
	if a.timer == nil {
		a.timer = time.NewTimer(time.Until(at))
	} else {
		a.timer.Reset(time.Until(at))
	}
	select {
	case <-a.timer.C:
	case <-changed:
	case <-ways:
	}
	a.timer.Stop()
}

func expired(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// conn is one end of a stream.
type conn struct {
	read, write   *pipe
	local, remote netip.AddrPort
	host          *host // of this end; nil if the dialer listens nowhere

	once sync.Once
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.read.read(b)
	return n, c.wrap("read", err)
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.write.write(b, c.otherEndGone)
	return n, c.wrap("write", err)
}

// otherEndGone reports whether the host at the other end vanished and its address is alive again: then it resets what it does not know.
func (c *conn) otherEndGone() bool {
	return c.write.dead && c.write.network.host(c.remote) != nil
}

func (c *conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Close closes both directions; what was written still arrives.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.write.update(func() { c.write.eof = true }, c.write.readable, c.write.writable)
		c.read.update(func() { c.read.deaf = true }, c.read.readable, c.read.writable)
		if c.host != nil {
			c.host.disown(c)
		}
	})
	return nil
}

// vanish kills the connection without telling the other end.
func (c *conn) vanish() {
	c.write.update(func() { c.write.dead = true }, c.write.readable, c.write.writable)
	c.read.update(func() { c.read.dead = true }, c.read.readable, c.read.writable)
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.read.update(func() { c.read.readEnd = t }, c.read.readable)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.write.update(func() { c.write.writeEnd = t }, c.write.writable)
	return nil
}
