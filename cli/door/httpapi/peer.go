package httpapi

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"directormesh/cli/api"
	"directormesh/cli/door/audit"
)

type peerKey struct{}

// rememberPeer notes who is at the other end of a connection: the user id for a unix socket, else
// the address.
func rememberPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, audit.Who(c))
}

// peer returns who asks, for the log.
func peer(r *http.Request) string {
	who, _ := r.Context().Value(peerKey{}).(string)
	return who
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
