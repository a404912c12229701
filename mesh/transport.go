package mesh

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// openingTime bounds a connection's first byte, and together with it the whole opening of one
	// of our streams.
	openingTime = 3 * time.Second
	// maxHalfOpen bounds our streams that are not authenticated yet, memberlistConns memberlist's
	// incoming ones.
	maxHalfOpen     = 256
	memberlistConns = 128
	// errorPause is how long a socket that failed is left alone.
	errorPause = 10 * time.Millisecond
)

// transport is the memberlist.Transport of a director: one port for memberlist's packets and
// streams and for our own streams, which differ in their first byte. It replaces memberlist's
// NetTransport, which allocates 64 KiB for each packet, cannot share its listener, and leaves
// accepted and dialled connections open at its end; and it works on any Network, so that what tests
// run in virtual time is what runs on sockets.
type transport struct {
	network   Network
	listener  net.Listener
	packets   net.PacketConn
	advertise netip.AddrPort
	source    netip.AddrPort // from which streams leave
	// one of our streams, its magic byte read; returns when it is over
	serve func(ctx context.Context, conn net.Conn, opened func())

	gate    gate
	opening halfOpen       // before and during the handshake, and until memberlist's pass the gate
	foreign foreignStreams // memberlist's incoming streams
	answers foreignStreams // the streams that memberlist has dialled
	events  transportEvents

	packetCh chan *memberlist.Packet
	streamCh chan net.Conn
	written  atomic.Uint64 // packets, since they were last counted

	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc
	wg     sync.WaitGroup

	connsMu sync.Mutex
	conns   map[net.Conn]struct{} // all open connections, nil after Shutdown
}

// transportEvents hears what a transport has turned away. The functions are called by
// many goroutines, and must not wait.
type transportEvents struct {
	evicted func()                                      // a connection was closed for want of room
	tooMuch func()                                      // one sent too much
	refused func(what string, from net.Addr, err error) // one, or a packet, did not pass the gate
	// a packet was sent (0) or received (1); may be nil
	packet func(direction, bytes int)
}

func (e transportEvents) countPacket(direction, bytes int) {
	if e.packet != nil {
		e.packet(direction, bytes)
	}
}

// newTransport takes ownership of the listener and the packet socket. serve is called in a
// goroutine of its own for each incoming stream of ours; it calls opened once the peer is
// authenticated.
func newTransport(
	network Network, l net.Listener, p net.PacketConn, advertise, source netip.AddrPort,
	g gate, events transportEvents,
	serve func(ctx context.Context, conn net.Conn, opened func()),
) *transport {
	t := &transport{
		network: network, listener: l, packets: p, advertise: advertise, source: source,
		gate: g, events: events, serve: serve,
		packetCh: make(chan *memberlist.Packet),
		streamCh: make(chan net.Conn),
		conns:    make(map[net.Conn]struct{}),
	}
	t.opening.init(maxHalfOpen, events.evicted)
	for _, f := range []*foreignStreams{&t.foreign, &t.answers} {
		f.init(memberlistConns, events.evicted)
		f.bytes, f.each, f.tooMuch = foreignBytes, foreignState, events.tooMuch
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// start begins to receive.
func (t *transport) start() {
	t.wg.Go(t.readPackets)
	t.wg.Go(t.acceptStreams)
}

// FinalAdvertiseAddr implements memberlist.Transport. memberlist compares addresses bytewise, so
// IPv4 always has four bytes.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.advertise.Addr().AsSlice(), int(t.advertise.Port()), nil
}

// WriteTo implements memberlist.Transport.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("packet to %q: %w", addr, err)
	}
	t.written.Add(1)
	t.events.countPacket(0, len(b))
	_, err = t.packets.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return time.Now(), err
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, a.Addr)
}

// PacketCh implements memberlist.Transport.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packetCh }

// StreamCh implements memberlist.Transport.
func (t *transport) StreamCh() <-chan net.Conn { return t.streamCh }

// DialTimeout implements memberlist.Transport.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dial %q: %w", addr, err)
	}
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	conn, err := t.dial(ctx, to)
	if err != nil {
		return nil, err
	}
	return t.enter(&t.answers, conn, bufio.NewReaderSize(conn, gateBytes), t.gate.answer), nil
}

// enter makes a stream of memberlist's of a connection. check is what is to be done before the
// first read.
func (t *transport) enter(s *foreignStreams, conn net.Conn, r *bufio.Reader,
	check func(*bufio.Reader) error) net.Conn {
	foreign := &foreignConn{Conn: conn, r: r, check: check, streams: s}
	what := "connection"
	if check != nil {
		what = "answer"
	}
	foreign.refused = func(err error) { t.events.refused(what, conn.RemoteAddr(), err) }
	s.add(foreign)
	return foreign
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *transport) DialAddressTimeout(
	a memberlist.Address, timeout time.Duration,
) (net.Conn, error) {
	return t.DialTimeout(a.Addr, timeout)
}

// dial opens a connection that Shutdown closes, if it is still open then.
func (t *transport) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	conn, err := t.network.Dial(ctx, t.source, to)
	if err != nil {
		return nil, err
	}
	owned := &ownedConn{Conn: conn, t: t}
	if !t.own(owned) {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	return owned, nil
}

// Shutdown implements memberlist.Transport: closes the sockets and all connections, and waits for
// this transport's goroutines, also the ones that serve streams.
func (t *transport) Shutdown() error {
	t.cancel()
	t.connsMu.Lock()
	conns := t.conns
	t.conns = nil
	t.connsMu.Unlock()
	errs := []error{t.listener.Close(), t.packets.Close()}
	for conn := range conns {
		errs = append(errs, conn.Close())
	}
	t.wg.Wait()
	for i, err := range errs {
		if errors.Is(err, net.ErrClosed) {
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

func (t *transport) own(conn net.Conn) bool {
	t.connsMu.Lock()
	defer t.connsMu.Unlock()
	if t.conns == nil {
		return false
	}
	t.conns[conn] = struct{}{}
	return true
}

func (t *transport) disown(conn net.Conn) {
	t.connsMu.Lock()
	defer t.connsMu.Unlock()
	delete(t.conns, conn)
}

// readPackets hands each packet to memberlist in a buffer of its own size.
func (t *transport) readPackets() {
	buf := make([]byte, maxPacket+1) // one byte more shows that a packet is longer
	for {
		size, from, err := t.packets.ReadFrom(buf)
		at := time.Now()
		if err != nil {
			if !t.pause(err) {
				return
			}
			continue
		}
		if refused := t.gate.packet(buf[:size]); refused != nil {
			t.events.refused("packet", from, refused)
			continue
		}
		t.events.countPacket(1, size)
		select {
		case t.packetCh <- &memberlist.Packet{
			Buf: append([]byte(nil), buf[:size]...), From: from, Timestamp: at,
		}:
		case <-t.ctx.Done():
			return
		}
	}
}

// pause waits a little after an error of a socket, so that one that persists does not burn a core;
// false means the end.
func (t *transport) pause(err error) bool {
	if t.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return false
	}
	select {
	case <-time.After(errorPause):
		return true
	case <-t.ctx.Done():
		return false
	}
}

func (t *transport) acceptStreams() {
	for {
		conn, err := t.listener.Accept()
		if err != nil {
			if !t.pause(err) {
				return
			}
			continue
		}
		owned := &ownedConn{Conn: conn, t: t}
		if !t.own(owned) {
			_ = conn.Close()
			return
		}
		t.wg.Go(func() { t.sort(owned) })
	}
}

// sort reads a connection's first byte and passes it to its owner.
func (t *transport) sort(conn net.Conn) {
	t.opening.add(conn)
	opened := func() { t.opening.remove(conn) }
	defer opened()
	var first [1]byte
	if err := conn.SetReadDeadline(time.Now().Add(openingTime)); err != nil {
		_ = conn.Close()
		return
	}
	if _, err := conn.Read(first[:]); err != nil {
		// A port scan, a health check, a slow stranger.
		t.events.refused("connection", conn.RemoteAddr(), err)
		_ = conn.Close()
		return
	}
	if first[0] == streamMagic {
		defer func() { _ = conn.Close() }()
		t.serve(t.ctx, conn, opened)
		return
	}
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(first[:]), conn), gateBytes)
	if err := t.gate.stream(r); err != nil {
		t.events.refused("connection", conn.RemoteAddr(), err)
		_ = conn.Close()
		return
	}
	opened()
	foreign := t.enter(&t.foreign, conn, r, nil)
	select {
	case t.streamCh <- foreign:
	case <-t.ctx.Done():
		_ = foreign.Close()
	}
}

// ownedConn is a connection that the transport closes at its end.
type ownedConn struct {
	net.Conn
	t *transport
}

func (c *ownedConn) Close() error {
	c.t.disown(c)
	return c.Conn.Close()
}

// TryWrite implements eagerConn. A connection that cannot write without waiting takes nothing.
func (c *ownedConn) TryWrite(b []byte) (int, error) {
	if eager, ok := c.Conn.(eagerConn); ok {
		return eager.TryWrite(b)
	}
	return 0, nil
}
