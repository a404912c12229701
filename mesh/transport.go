package mesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// openingTime bounds a connection's first byte, and together with it the whole opening of one of our streams.
	openingTime = 3 * time.Second
	// maxHalfOpen bounds our streams that are not authenticated yet, memberlistConns memberlist's incoming ones.
	maxHalfOpen     = 256
	memberlistConns = 128
	packetSize      = 65536
)

// transport is the memberlist.Transport of a director: one port for memberlist's packets and streams and for our own streams,
// which differ in their first byte. It replaces memberlist's NetTransport, which allocates 64 KiB for each packet, cannot share its
// listener, and leaves accepted and dialled connections open at its end; and it works on any Network, so that what tests run in
// virtual time is what runs on sockets.
type transport struct {
	network   Network
	listener  net.Listener
	packets   net.PacketConn
	advertise netip.AddrPort
	serve     func(ctx context.Context, conn net.Conn, opened func()) // one of our streams, its magic byte read; returns when it is over

	opening halfOpen // before and during the handshake
	foreign foreignStreams

	packetCh chan *memberlist.Packet
	streamCh chan net.Conn

	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc
	wg     sync.WaitGroup

	connsMu sync.Mutex
	conns   map[net.Conn]struct{} // all open connections, nil after Shutdown
}

// newTransport takes ownership of the listener and the packet socket. serve is called in a goroutine of its own for each incoming
// stream of ours; it calls opened once the peer is authenticated. evicted is told of each connection closed for want of room.
func newTransport(network Network, l net.Listener, p net.PacketConn, advertise netip.AddrPort, evicted func(),
	serve func(ctx context.Context, conn net.Conn, opened func())) *transport {
	t := &transport{
		network: network, listener: l, packets: p, advertise: advertise, serve: serve,
		opening:  halfOpen{max: maxHalfOpen, evicted: evicted},
		foreign:  foreignStreams{halfOpen: halfOpen{max: memberlistConns, evicted: evicted}, bytes: foreignBytes, each: foreignState},
		packetCh: make(chan *memberlist.Packet),
		streamCh: make(chan net.Conn),
		conns:    make(map[net.Conn]struct{}),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// start begins to receive.
func (t *transport) start() {
	t.wg.Go(t.readPackets)
	t.wg.Go(t.acceptStreams)
}

// FinalAdvertiseAddr implements memberlist.Transport. memberlist compares addresses bytewise, so IPv4 always has four bytes.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.advertise.Addr().AsSlice(), int(t.advertise.Port()), nil
}

// WriteTo implements memberlist.Transport.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("packet to %q: %w", addr, err)
	}
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
	return t.dial(ctx, to)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(a.Addr, timeout)
}

// dial opens a connection that Shutdown closes, if it is still open then.
func (t *transport) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	conn, err := t.network.Dial(ctx, t.advertise, to)
	if err != nil {
		return nil, err
	}
	owned := &ownedConn{Conn: conn, t: t}
	if !t.own(owned) {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	return owned, nil
}

// Shutdown implements memberlist.Transport: closes the sockets and all connections, and waits for this transport's goroutines,
// those that serve streams included.
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
	buf := make([]byte, packetSize)
	for {
		size, from, err := t.packets.ReadFrom(buf)
		at := time.Now()
		if err != nil {
			if !t.pause(err) {
				return
			}
			continue
		}
		if size == 0 {
			continue
		}
		select {
		case t.packetCh <- &memberlist.Packet{Buf: append([]byte(nil), buf[:size]...), From: from, Timestamp: at}:
		case <-t.ctx.Done():
			return
		}
	}
}

// pause waits a little after an error of a socket, so that one that persists does not burn a core; false means the end.
func (t *transport) pause(err error) bool {
	if t.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return false
	}
	timer := time.NewTimer(10 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
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

// sort reads a connection's first byte and gives it to whom it is for.
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
		_ = conn.Close() // a port scan, a health check, a slow stranger
		return
	}
	if first[0] == streamMagic {
		defer func() { _ = conn.Close() }()
		t.serve(t.ctx, conn, opened)
		return
	}
	opened()
	foreign := &foreignConn{Conn: conn, r: io.MultiReader(bytes.NewReader(first[:]), conn), streams: &t.foreign}
	t.foreign.add(foreign)
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
