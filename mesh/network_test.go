package mesh

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Any port is tried some times until both sockets are there, a given one once.
func TestTriesToListen(t *testing.T) {
	for _, test := range []struct {
		port  uint16
		fails int
		tries int
		ok    bool
	}{
		{0, 0, 1, true}, {0, listenTries - 1, listenTries, true},
		{0, listenTries, listenTries, false}, {7, 1, 1, false}, {7, 0, 1, true},
	} {
		tries := 0
		open := func(netip.AddrPort) (net.Listener, net.PacketConn, error) {
			if tries++; tries <= test.fails {
				return nil, nil, errBroken
			}
			return &oneAccept{}, nil, nil
		}
		l, _, err := listen(netip.AddrPortFrom(testAddr(1).Addr(), test.port), open)
		if tries != test.tries || (l != nil) != test.ok || errors.Is(err, errBroken) == test.ok {
			t.Errorf("%+v: %v, %v after %d tries", test, l, err, tries)
		}
	}
}

// Every address of IPv4 is none of IPv6.
func TestListensToOneFamily(t *testing.T) {
	l, p, err := listenBoth(netip.MustParseAddrPort("0.0.0.0:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	defer l.Close()
	for _, addr := range []net.Addr{l.Addr(), p.LocalAddr()} {
		if got := netip.MustParseAddrPort(addr.String()).Addr(); !got.Is4() {
			t.Errorf("listens on %s %v", addr.Network(), got)
		}
	}
	at := netip.AddrPortFrom(netip.IPv6Loopback(), l.Addr().(*net.TCPAddr).AddrPort().Port())
	if conn, err := net.Dial("tcp6", at.String()); err == nil {
		_ = conn.Close()
		t.Errorf("somebody listens at %v", at)
	}
}

// Where only one of both sockets can be had, none is kept. No connection of another test leaves
// from this address, which would take the port.
func TestPortOfWhichHalfIsInUse(t *testing.T) {
	p, err := net.ListenPacket("udp4", "127.0.63.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	addr := p.LocalAddr().(*net.UDPAddr).AddrPort()
	if l, p, err := listenBoth(addr); l != nil || p != nil || err == nil {
		t.Errorf("%v, %v, %v", l, p, err)
	}
	l, err := net.Listen("tcp4", addr.String())
	if err != nil {
		t.Errorf("the other half is kept: %v", err)
	} else {
		_ = l.Close()
	}
}

// Connections come from the own address where the other end is of its family.
func TestLocalAddr(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	mapped := netip.MustParseAddr("::ffff:192.0.2.9")
	var got []string
	for _, pair := range [][2]netip.Addr{
		{four, four}, {four, mapped}, {six, six}, {four, six}, {six, four}, {{}, four}, {{}, six},
	} {
		text := ""
		if addr := localAddr(pair[0], pair[1]); addr != nil {
			text = addr.String()
		}
		got = append(got, text)
	}
	want := []string{"192.0.2.1:0", "192.0.2.1:0", "[2001:db8::1]:0", "", "", "", ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A packet to what is no address of UDP is none.
func TestPacketsToOddAddresses(t *testing.T) {
	p, err := net.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	from := sendFrom(p, netip.MustParseAddr("127.0.0.77"))
	if _, err := from.WriteTo([]byte("x"), &net.TCPAddr{}); err == nil {
		t.Error("it was sent")
	}
}
