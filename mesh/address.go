package mesh

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// advertised returns the address peers are told to use: the configured one, else the one we listen on, else, when that is
// unspecified, a private address of this host (of the same family) found among interfaces.
func advertised(configured, listening netip.AddrPort, interfaces func() ([]net.Addr, error)) (netip.AddrPort, error) {
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
	addrs, err := interfaces()
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("advertise: cannot list the addresses of this host: %w; give one", err)
	}
	best := netip.Addr{}
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		candidate := prefix.Addr().Unmap()
		if !usable(candidate) || (addr.Is4() && !candidate.Is4()) {
			continue
		}
		if !best.IsValid() || preferred(candidate, best) {
			best = candidate
		}
	}
	if !best.IsValid() {
		return netip.AddrPort{}, fmt.Errorf("advertise: bind address %s is every address of this host and none of them is a global one; give the one that peers reach", listening)
	}
	return netip.AddrPortFrom(best, listening.Port()), nil
}

func usable(a netip.Addr) bool {
	return a.IsGlobalUnicast() && a.Zone() == ""
}

// preferred says whether a is better than b: private before public, IPv4 before IPv6, then the lower, so that the choice does not
// depend on the order of interfaces.
func preferred(a, b netip.Addr) bool {
	if a.IsPrivate() != b.IsPrivate() {
		return a.IsPrivate()
	}
	if a.Is4() != b.Is4() {
		return a.Is4()
	}
	return a.Less(b)
}

// resolveSeed returns all addresses of a seed. Names are looked up each time: what a name meant at start may be gone.
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
