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
	readable sync.Cond // the reader should look again
	writable sync.Cond // the writer should
	buf      []byte    // what is under way or not read yet, from off on
	off      int
	arrivals []arrival // of the bytes of buf, in order
	next     int       // the first of them whose bytes were not all read
	eof      bool      // the writer has closed
	deaf     bool      // the reader has closed
	dead     bool      // one end's host vanished: nothing arrives any more
	readEnd  time.Time
	writeEnd time.Time
	waking   bool      // an alarm for the reader's deadline is set
	wakes    time.Time // when
}

// arrival says when the bytes of buf up to end arrive.
type arrival struct {
	at  time.Time
	end int
}

func newPipe(n *Network, from, to netip.Addr) *pipe {
	p := &pipe{network: n, from: from, to: to, lane: n.lane(from, to)}
	p.readable.L, p.writable.L = &p.mu, &p.mu
	return p
}

// update changes the pipe, and lets both ends look again.
func (p *pipe) update(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.readable.Signal()
	p.writable.Signal()
}

func (p *pipe) wake() { p.update(func() {}) }

// arrived lets the reader look again.
func (p *pipe) arrived() {
	p.mu.Lock()
	p.readable.Signal()
	p.mu.Unlock()
}

// expire lets both ends look at their deadlines. One of the reader's that has been moved on, as
// those of lively streams are, waits for its new time and wakes nobody.
func (p *pipe) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writable.Signal()
	switch now := time.Now(); {
	case p.waking && p.wakes.After(now): // this alarm is one too many
	case !p.deaf && p.readEnd.After(now):
		p.waking, p.wakes = true, p.readEnd
		p.network.expireAt(p.readEnd, p)
	default:
		p.waking = false
		p.readable.Signal()
	}
}

// read returns what has arrived, waiting for it.
func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if n, err := p.tryRead(b); n > 0 || err != nil {
			return n, err
		}
		// What arrives sets an alarm when it is written, freed ways wake all readers: only the
		// deadline is ours to watch.
		if !p.readEnd.IsZero() && (!p.waking || p.readEnd.Before(p.wakes)) {
			p.waking, p.wakes = true, p.readEnd
			p.network.expireAt(p.readEnd, p)
		}
		p.readable.Wait()
	}
}

// tryRead returns what has arrived, or nothing.
func (p *pipe) tryRead(b []byte) (int, error) {
	now := time.Now()
	switch {
	case p.deaf:
		return 0, net.ErrClosed
	case expired(p.readEnd, now):
		return 0, os.ErrDeadlineExceeded
	case p.dead, p.network.isBlocked(p.from, p.to):
		return 0, nil
	case p.unread() == 0 && p.eof:
		return 0, io.EOF
	}
	arrived := p.off
	for ; p.next < len(p.arrivals) && !p.arrivals[p.next].at.After(now); p.next++ {
		if arrived = p.arrivals[p.next].end; arrived-p.off > len(b) {
			break
		}
	}
	n := copy(b, p.buf[p.off:arrived])
	if p.off += n; n > 0 {
		p.reuse()
		p.writable.Signal()
	}
	return n, nil
}

func (p *pipe) unread() int { return len(p.buf) - p.off }

// reuse makes room where all has been read, or more than the pipe ever holds. Between messages only
// a small buffer is kept: most are beats.
func (p *pipe) reuse() {
	const keep = 1 << 10
	switch {
	case p.unread() == 0 && cap(p.buf) > keep:
		p.buf, p.arrivals = nil, nil
	case p.unread() == 0:
		p.buf, p.arrivals = p.buf[:0], p.arrivals[:0]
	case p.off > streamBuffer:
		p.buf = append(p.buf[:0], p.buf[p.off:]...)
		p.arrivals = append(p.arrivals[:0], p.arrivals[p.next:]...)
		for i := range p.arrivals {
			p.arrivals[i].end -= p.off
		}
	default:
		return
	}
	p.off, p.next = 0, 0
}

// write queues b, waiting for room. gone reports whether the other end exists no more.
func (p *pipe) write(b []byte, gone func() bool) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	written := 0
	for len(b) > 0 {
		n, err := p.tryWrite(b, gone)
		written += n
		b = b[n:]
		if err != nil {
			return written, err
		}
		if n == 0 {
			if !p.writeEnd.IsZero() {
				p.network.expireAt(p.writeEnd, p)
			}
			p.writable.Wait()
		}
	}
	return written, nil
}

func (p *pipe) tryWrite(b []byte, gone func() bool) (int, error) {
	now := time.Now()
	switch {
	case p.eof:
		return 0, net.ErrClosed
	case expired(p.writeEnd, now):
		return 0, os.ErrDeadlineExceeded
	case (p.deaf || gone()) && !p.network.isBlocked(p.from, p.to):
		return 0, syscall.ECONNRESET
	}
	part := b[:min(len(b), streamBuffer-p.unread())]
	if len(part) == 0 {
		return 0, nil
	}
	at := p.network.arrival(p.lane, len(part))
	if n := len(p.arrivals); n > 0 {
		at = later(at, p.arrivals[n-1].at)
	}
	p.buf = append(p.buf, part...)
	p.arrivals = append(p.arrivals, arrival{at: at, end: len(p.buf)})
	if at.After(now) {
		p.network.arriveAt(at, p)
	} else {
		p.readable.Signal()
	}
	return len(part), nil
}

func expired(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

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

// TryWrite writes what fits and does not wait for the rest.
func (c *conn) TryWrite(b []byte) (int, error) {
	c.write.mu.Lock()
	n, err := c.write.tryWrite(b, c.otherEndGone)
	c.write.mu.Unlock()
	return n, c.wrap("write", err)
}

// otherEndGone reports whether the host at the other end vanished and its address is alive again:
// then it resets what it does not know.
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
		c.write.update(func() { c.write.eof = true })
		c.read.update(func() { c.read.deaf = true })
		c.read.network.forget(c.read)
		if c.host != nil {
			c.host.disown(c)
		}
	})
	return nil
}

// vanish kills the connection without telling the other end.
func (c *conn) vanish() {
	c.write.update(func() { c.write.dead = true })
	c.read.update(func() { c.read.dead = true })
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.read.update(func() { c.read.readEnd = t })
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.write.update(func() { c.write.writeEnd = t })
	return nil
}
