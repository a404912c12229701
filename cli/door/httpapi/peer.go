package httpapi

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"

	"directormesh/cli/api"
	"directormesh/cli/door/audit"
)

type peerKey struct{}

// The doors, as the log and the history call them.
const (
	doorSocket = "director.sock"
	doorHTTP   = "http"
)

// asker is who makes a request.
type asker struct {
	conn net.Conn
	who  string // user id for a unix socket, address for TCP, or a name that was proved
	from string // address, if who is such a name
	door string // where that is: director.sock, or http for TCP

	mayChange bool // what it asks for is not refused because of who it is

	admitted *atomic.Bool // by the gate, once on this connection
}

// rememberPeer notes who is at the other end of a connection: the user id for a unix socket, else
// the address.
func rememberPeer(ctx context.Context, c net.Conn) context.Context {
	asks := asker{conn: c, who: audit.Who(c), door: doorHTTP, admitted: new(atomic.Bool)}
	if c.LocalAddr().Network() == "unix" {
		asks.door, asks.mayChange = doorSocket, true
	}
	return context.WithValue(ctx, peerKey{}, asks)
}

// peer returns who asks, for the log.
func peer(r *http.Request) asker {
	who, _ := r.Context().Value(peerKey{}).(asker)
	return who
}

// onlyReads refuses what changes anything, a lookup too: it assigns the user to a backend and
// counts as activity. Nothing checks here who asks.
func onlyReads(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			fail(w, api.Errorf(api.CodeForbidden,
				"%s: only queries are answered at this address; ask at director.sock", r.URL.Path))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// onlyLoopbackNames refuses requests for other hosts than this machine: a foreign page whose name
// was made to resolve to 127.0.0.1 would otherwise be same-origin with us.
func onlyLoopbackNames(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.Trim(host, "[]")
		if addr, err := netip.ParseAddr(host); host != "localhost" &&
			(err != nil || !addr.IsLoopback()) {
			fail(w, api.Errorf(api.CodeForbidden,
				"host %q is not this machine; ask for localhost or a loopback address", r.Host))
			return
		}
		h.ServeHTTP(w, r)
	})
}
