package resolve_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"directormesh/cli/resolve/resolvetest"
)

// dns is a name server that answers to each name what a function says.
type dns struct {
	addr string

	mu     sync.Mutex
	answer func() (dnsmessage.RCode, []netip.Addr)
}

// serveDNS serves until the test ends.
func serveDNS(t *testing.T) *dns {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &dns{addr: conn.LocalAddr().String()}
	resolvetest.Serve(t, conn, func(string) (dnsmessage.RCode, []netip.Addr) {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.answer()
	})
	return d
}

// say changes what is answered from now on.
func (d *dns) say(answer func() (dnsmessage.RCode, []netip.Addr)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = answer
}

// resolver asks this server only.
func (d *dns) resolver() *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "udp4", d.addr)
		},
	}
}
