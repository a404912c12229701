package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// A Network opens a director's sockets. Tests put a simulated one in place of the kernel's. Its
// methods may be called from any goroutine. A packet that cannot be delivered is lost without an
// error, as with UDP.
type Network interface {
	// Listen opens a stream listener and a packet socket on the same port; port 0 picks a free one.
	Listen(addr netip.AddrPort) (net.Listener, net.PacketConn, error)
	// Dial opens a stream to a director; ctx bounds the time that takes. from is the advertised
	// address of the caller. A connection that has TryWrite(b []byte) (n int, err error), which
	// writes as much as it can without waiting, spares the director a goroutine for most of what it
	// sends.
	Dial(ctx context.Context, from, to netip.AddrPort) (net.Conn, error)
}

// sockets is the Network of the operating system. What it sends leaves from the address on which it
// listens or, if that is every address, from the one that peers are to use, as far as it is one of
// this host: a filter may let no other pass.
type sockets struct{}

// packetBuffer is what we ask the kernel to keep of packets that have not been read yet.
const packetBuffer = 2 << 20

// leastBuffer is the least that we ask for where the kernel refuses more.
const leastBuffer = 64 << 10

// Listen implements Network. With port 0, TCP picks a port that UDP may not have, hence the tries.
func (sockets) Listen(addr netip.AddrPort) (net.Listener, net.PacketConn, error) {
	return listen(addr, listenBoth)
}

// listenTries is how many ports are tried where any will do.
const listenTries = 10

// listen opens both sockets by a function, and words its error.
func listen(addr netip.AddrPort, open func(netip.AddrPort) (net.Listener, net.PacketConn, error)) (
	net.Listener, net.PacketConn, error) {
	l, p, err := open(addr)
	for try := 1; err != nil && addr.Port() == 0 && try < listenTries; try++ {
		l, p, err = open(addr)
	}
	if err == nil {
		return l, p, nil
	}
	// Without Go's words for what was tried.
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	what := "give an address of this host with --bind"
	if errors.Is(err, syscall.EADDRINUSE) {
		what = "is another director running here? choose another address with --bind"
	}
	return nil, nil, fmt.Errorf("bind: cannot listen at %s: %w; %s", addr, err, what)
}

func listenBoth(addr netip.AddrPort) (net.Listener, net.PacketConn, error) {
	tcp, udp := "tcp", "udp"
	if addr.Addr().Is4() { // without this 0.0.0.0 would be every address of IPv6, too
		tcp, udp = "tcp4", "udp4"
	}
	l, err := net.ListenTCP(tcp, net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return nil, nil, err
	}
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	p, err := net.ListenUDP(udp, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr.Addr(), port)))
	if err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	askForBuffer(p.SetReadBuffer)
	return l, p, nil
}

// askForBuffer asks for the largest buffer that the system does not refuse. A smaller one loses
// packets under load, which gossip survives.
func askForBuffer(ask func(size int) error) {
	for size := packetBuffer; size >= leastBuffer && ask(size) != nil; size /= 2 {
	}
}

// Dial implements Network. Where from is no address of this host, because packets are rewritten on
// the way, the kernel chooses.
func (sockets) Dial(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: localAddr(from.Addr(), to.Addr())}
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		d.LocalAddr = nil
		conn, err = d.DialContext(ctx, "tcp", to.String())
	}
	if err != nil {
		return nil, err
	}
	return eager(conn), nil
}

// localAddr returns from where a connection is to come; nil lets the kernel choose, as it must
// where the other end is of another family.
func localAddr(from, to netip.Addr) net.Addr {
	if !from.IsValid() || from.Is4() != to.Unmap().Is4() {
		return nil
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
}

// sendFrom makes packets leave from an address, if p is bound to every address of this host.
func sendFrom(p net.PacketConn, source netip.Addr) net.PacketConn {
	conn, ok := p.(*net.UDPConn)
	if !ok || !source.IsValid() || !conn.LocalAddr().(*net.UDPAddr).IP.IsUnspecified() {
		return p
	}
	option := sourceOption(source)
	if option == nil {
		return p
	}
	return &sourcedConn{conn, source, option}
}

// sourcedConn is a packet socket whose packets leave from an address of its own.
type sourcedConn struct {
	*net.UDPConn
	source netip.Addr
	option []byte // tells the kernel
}

// WriteTo implements net.PacketConn.
func (c *sourcedConn) WriteTo(b []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok || (udp.IP.To4() != nil) != c.source.Is4() {
		return c.UDPConn.WriteTo(b, to)
	}
	n, _, err := c.WriteMsgUDP(b, c.option, udp)
	return n, err
}
