package mesh

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// addresses finds out by which addresses this host can be reached.
type addresses interface {
	// all returns those of all interfaces that are not bridges between guests of this host.
	all() ([]netip.Addr, error)
	// towards returns the one from which the kernel sends to another host.
	towards(to netip.Addr) (netip.Addr, error)
}

// somewhere are addresses that nobody has (RFC 5737, RFC 3849): the way there is the default route.
var somewhere = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}

// advertised returns the address that peers are to use: the configured one, else the one we listen
// on. If that is every address of this host, it is the one from which the kernel sends to the
// peers, or where there are none, or none is known, by the default route, or else one of the
// interfaces'. So it is never one that only the host's own containers can reach.
func advertised(
	configured, listening netip.AddrPort, peers []netip.Addr, host addresses,
) (netip.AddrPort, error) {
	if configured.IsValid() {
		port := configured.Port()
		if port == 0 {
			port = listening.Port()
		}
		return netip.AddrPortFrom(configured.Addr().Unmap(), port), nil
	}
	addr := listening.Addr().Unmap()
	if !addr.IsUnspecified() {
		return netip.AddrPortFrom(addr, listening.Port()), nil
	}
	fits := func(a netip.Addr) bool { return usable(a) && (addr.Is6() || a.Is4()) }
	for _, peer := range append(slices.Clone(peers), somewhere...) {
		if from, _ := host.towards(peer); fits(from.Unmap()) { // the zero address fits nowhere
			return netip.AddrPortFrom(from.Unmap(), listening.Port()), nil
		}
	}
	addrs, err := host.all()
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf(
			"advertise: cannot list the addresses of this host: %w; give one", err)
	}
	best := netip.Addr{}
	for _, a := range addrs {
		candidate := a.Unmap()
		if fits(candidate) && (!best.IsValid() || preferred(candidate, best)) {
			best = candidate
		}
	}
	if !best.IsValid() {
		return netip.AddrPort{}, fmt.Errorf(
			"advertise: bind address %s is every address of this host "+
				"and none of them is a global one; give the one that peers reach", listening)
	}
	return netip.AddrPortFrom(best, listening.Port()), nil
}

// thisHost asks the kernel.
type thisHost struct{}

func (thisHost) towards(to netip.Addr) (netip.Addr, error) {
	// Connecting a packet socket sends nothing; the kernel only looks for the way.
	conn, err := net.DialUDP(
		"udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, DefaultPort)))
	if err != nil {
		return netip.Addr{}, err
	}
	defer func() { _ = conn.Close() }()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

func (thisHost) all() ([]netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var all []netip.Addr
	for _, i := range interfaces {
		if _, err := os.Stat("/sys/class/net/" + i.Name + "/bridge"); err == nil {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				all = append(all, prefix.Addr())
			}
		}
	}
	return all, nil
}

// resolveTime bounds the look at --join before the sockets are there: a start must not wait for a
// name server that does not answer.
const resolveTime = time.Second

// knownPeers returns the addresses of the peers to join, as far as their names resolve now.
func (n *Node) knownPeers() []netip.Addr {
	ctx, cancel := context.WithTimeout(n.ctx, resolveTime)
	defer cancel()
	found := make([][]netip.AddrPort, len(n.seeds))
	var wg sync.WaitGroup
	for i, s := range n.seeds {
		wg.Go(func() { found[i], _ = n.resolveSeed(ctx, s) }) // the healer says so if it cannot
	}
	wg.Wait()
	var peers []netip.Addr
	for _, addrs := range found {
		for _, a := range addrs {
			peers = append(peers, a.Addr())
		}
	}
	return peers
}

// source returns the address from which this director sends.
func source(bind, advertise netip.AddrPort) netip.AddrPort {
	if addr := bind.Addr().Unmap(); !addr.IsUnspecified() {
		return netip.AddrPortFrom(addr, advertise.Port())
	}
	return advertise
}

func usable(a netip.Addr) bool {
	return a.IsGlobalUnicast() && a.Zone() == ""
}

// preferred says whether a is better than b: private before public, IPv4 before IPv6, then the
// lower, so that the choice does not depend on the order of interfaces.
func preferred(a, b netip.Addr) bool {
	if a.IsPrivate() != b.IsPrivate() {
		return a.IsPrivate()
	}
	if a.Is4() != b.Is4() {
		return a.Is4()
	}
	return a.Less(b)
}

// resolveSeed returns all addresses of a seed. Names are looked up each time: what a name meant at
// start may be gone.
func (n *Node) resolveSeed(ctx context.Context, s seed) ([]netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(s.host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(addr.Unmap(), s.port)}, nil
	}
	addrs, err := n.resolve(ctx, s.host)
	if err != nil {
		return nil, fmt.Errorf("resolve %q: %w", s.host, err)
	}
	out := make([]netip.AddrPort, 0, len(addrs))
	for _, a := range addrs {
		out = append(out, netip.AddrPortFrom(a.Unmap(), s.port))
	}
	return out, nil
}

// systemResolve asks the system's resolver.
func systemResolve(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
