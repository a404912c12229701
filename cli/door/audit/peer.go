package audit

import (
	"fmt"
	"net"
	"net/netip"

	"directormesh/cli/door/rawconn"
)

// Who names the other end of a connection: the user id for a unix socket, else the address.
func Who(c net.Conn) string {
	u, ok := rawconn.Innermost(c).(*net.UnixConn)
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
	kind kind
	addr netip.Addr
	id   uint32
	name string
}

type kind uint8

const (
	address  kind = iota
	process       // of this host
	user          // of this host: all processes of one
	identity      // user:NAME or cert:NAME, from wherever
)

// Identity is all connections over which somebody has proved to be this one.
func Identity(who string) Client { return Client{kind: identity, name: who} }

// scriptConnections is what one process may have where a quarter is less: "director lookup -f" uses
// 64.
const scriptConnections = 72

// ClientsOf returns whose a connection is: an address's, or a process's and its user's. Whom nobody
// can tell apart is left out, such as a process of another container.
func ClientsOf(c net.Conn) []Client {
	if u, ok := rawconn.Innermost(c).(*net.UnixConn); ok {
		uid, pid, known := unixPeer(u)
		switch {
		case !known:
			return nil
		case pid == 0:
			return []Client{{kind: user, id: uid}}
		}
		return []Client{{kind: process, id: uint32(pid)}, {kind: user, id: uid}}
	}
	from, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return nil
	}
	return []Client{{addr: from.Addr().Unmap()}}
}

// Share is how much a client may have of what most is the limit of, so that none starves the
// others: an address and a process a quarter, all processes of a user together three, and who has
// proved a name three from all addresses together.
func (c Client) Share(most int) int {
	quarter := most / 4
	switch c.kind {
	case process:
		return max(quarter, min(scriptConnections, 3*quarter), 1)
	case user, identity:
		return max(3*quarter, 1)
	}
	return max(quarter, 1)
}

// String says what kind of client it is: address, process, user or identity.
func (c Client) String() string {
	return [...]string{"address", "process", "user", "identity"}[c.kind]
}
