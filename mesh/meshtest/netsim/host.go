package netsim

import (
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	packetQueue = 4096 // packets a host has not read yet; more are lost
	acceptQueue = 128
)

// host is one bound address: a listener, a packet socket, and the connections that ended or began
// there.
type host struct {
	network *Network
	addr    netip.AddrPort
	accepts chan *conn
	packets chan packet
	done    chan struct{} // the listener is closed
	unbound chan struct{} // the packet socket is closed

	mu     sync.Mutex
	owned  map[*conn]struct{} // nil when the host is gone
	closed [2]bool
}

type packet struct {
	from netip.AddrPort
	b    []byte
}

func newHost(n *Network, addr netip.AddrPort) *host {
	return &host{
		network: n, addr: addr,
		accepts: make(chan *conn, acceptQueue), packets: make(chan packet, packetQueue),
		done: make(chan struct{}), unbound: make(chan struct{}),
		owned: make(map[*conn]struct{}),
	}
}

func (h *host) own(c *conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.owned == nil {
		return false
	}
	h.owned[c] = struct{}{}
	return true
}

func (h *host) disown(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.owned, c)
}

func (h *host) conns() map[*conn]struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.owned)
}

// close closes one of the two sockets; the host is gone when both are.
func (h *host) close(which int, done chan struct{}) error {
	h.mu.Lock()
	if h.closed[which] {
		h.mu.Unlock()
		return net.ErrClosed
	}
	h.closed[which] = true
	close(done)
	gone := h.closed[0] && h.closed[1]
	h.mu.Unlock()
	if gone {
		h.network.mu.Lock()
		delete(h.network.hosts, h.addr)
		h.network.mu.Unlock()
	}
	return nil
}

// listener is a host as net.Listener.
type listener host

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepts:
		return c, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Close also ends the connections that nobody accepted.
func (l *listener) Close() error {
	err := (*host)(l).close(0, l.done)
	for {
		select {
		case c := <-l.accepts:
			_ = c.Close()
		default:
			return err
		}
	}
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

// packetConn is a host as net.PacketConn. It has no deadlines: nobody here needs them.
type packetConn host

func (p *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case q := <-p.packets:
		return copy(b, q.b), net.UDPAddrFromAddrPort(q.from), nil
	case <-p.unbound:
		return 0, nil, &net.OpError{Op: "read", Net: "udp", Addr: p.LocalAddr(), Err: net.ErrClosed}
	}
}

func (p *packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	select {
	case <-p.unbound:
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: to, Err: net.ErrClosed}
	default:
	}
	dst, err := netip.ParseAddrPort(to.String())
	if err != nil {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: to, Err: err}
	}
	n := p.network
	if n.isBlocked(p.addr.Addr(), dst.Addr()) {
		return len(b), nil
	}
	for _, delay := range n.roll() {
		q := packet{from: p.addr, b: append([]byte(nil), b...)}
		if delay == 0 {
			n.deliver(q, dst)
			continue
		}
		time.AfterFunc(delay, func() { n.deliver(q, dst) })
	}
	return len(b), nil
}

// deliver puts a packet into its receiver's queue, or loses it.
func (n *Network) deliver(q packet, to netip.AddrPort) {
	h := n.host(to)
	if h == nil || n.isBlocked(q.from.Addr(), to.Addr()) {
		return
	}
	select {
	case h.packets <- q:
	default:
	}
}

func (p *packetConn) Close() error        { return (*host)(p).close(1, p.unbound) }
func (p *packetConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(p.addr) }

func (p *packetConn) SetDeadline(time.Time) error      { return errDeadline }
func (p *packetConn) SetReadDeadline(time.Time) error  { return errDeadline }
func (p *packetConn) SetWriteDeadline(time.Time) error { return errDeadline }
