package audit

import (
	"fmt"
	"net"
	"net/netip"
)

// Who names the other end of a connection: the user id for a unix socket, else the address.
func Who(c net.Conn) string {
	u, ok := innermost(c).(*net.UnixConn)
	if !ok {
		return c.RemoteAddr().String()
	}
	if uid, pid, known := unixPeer(u); known {
		return fmt.Sprintf("uid %d pid %d", uid, pid)
	}
	return "local"
}

// Client is what connections of one client have in common. It is comparable.
type Client struct {
	addr netip.Addr
	pid  int32
}

// Local reports whether the client is a process of this host.
func (c Client) Local() bool { return c.pid != 0 }

// ClientOf tells the client of a connection: an address, or a process of this host. It is false
// where nobody can tell, as for a process of another container.
func ClientOf(c net.Conn) (Client, bool) {
	if u, ok := innermost(c).(*net.UnixConn); ok {
		_, pid, known := unixPeer(u)
		return Client{pid: pid}, known && pid != 0
	}
	from, err := netip.ParseAddrPort(c.RemoteAddr().String())
	return Client{addr: from.Addr().Unmap()}, err == nil
}

// innermost returns the connection inside those that wrap it as tls.Conn does.
func innermost(c net.Conn) net.Conn {
	for {
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = outer.NetConn()
	}
}
