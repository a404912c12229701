package mesh

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testAddr(i byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, i}), DefaultPort)
}

func TestConfigReportsEverything(t *testing.T) {
	_, err := New(Config{
		Name: "two words", Bind: netip.AddrPort{}, Advertise: netip.MustParseAddrPort("0.0.0.0:1"),
		Join: []string{"d1", "d2:port", "d3:70000"}, Keys: [][]byte{make([]byte, 16)},
		HashFormat: "%q",
		Expire:     time.Second, KickDelay: -1, MaxParallelMoves: -1,
	})
	if err == nil {
		t.Fatal("accepted")
	}
	var settings []string
	for line := range strings.Lines(err.Error()) {
		setting, _, _ := strings.Cut(line, ":")
		settings = append(settings, setting)
	}
	want := []string{
		"node-name", "mesh-name", "bind", "advertise", "join", "join", "encrypt-key-file",
		"username-hash", "user-expire", "user-kick-delay", "max-parallel-moves",
	}
	if diff := cmp.Diff(want, settings); diff != "" {
		t.Errorf("settings named (-want +got):\n%s\n%v", diff, err)
	}
}

// An address is refused if peers could not reach it, whatever the reason.
func TestAddressesThatPeersCannotReach(t *testing.T) {
	for _, test := range []struct{ bind, advertise, want string }{
		{"127.0.0.1:9090", "", ""},
		{"0.0.0.0:9090", "192.0.2.1:9090", ""},
		{"[2001:db8::1]:9090", "[2001:db8::2]:9090", ""},
		{"[fe80::1%eth0]:9090", "", "bind"},
		{"127.0.0.1:9090", "0.0.0.0:9090", "advertise"},
		{"127.0.0.1:9090", "[::]:9090", "advertise"},
		{"127.0.0.1:9090", "224.0.0.1:9090", "advertise"},
		{"127.0.0.1:9090", "[ff02::1]:9090", "advertise"},
		{"127.0.0.1:9090", "[fe80::1%eth0]:9090", "advertise"},
	} {
		cfg, _ := socketConfig("d1")
		cfg.Bind = netip.MustParseAddrPort(test.bind)
		if test.advertise != "" {
			cfg.Advertise = netip.MustParseAddrPort(test.advertise)
		}
		err := cfg.check()
		setting := ""
		if err != nil {
			setting, _, _ = strings.Cut(err.Error(), ":")
		}
		if setting != test.want {
			t.Errorf("bind %s, advertise %q: %v, want an error of %q",
				test.bind, test.advertise, err, test.want)
		}
	}
}

func TestParseSeed(t *testing.T) {
	for _, test := range []struct {
		in   string
		want seed
		ok   bool
	}{
		{"d1.example.org", seed{"d1.example.org", 9191}, true},
		{"d1.example.org:7000", seed{"d1.example.org", 7000}, true},
		{"192.0.2.1", seed{"192.0.2.1", 9191}, true},
		{"192.0.2.1:1", seed{"192.0.2.1", 1}, true},
		{"2001:db8::1", seed{"2001:db8::1", 9191}, true},
		{"[2001:db8::1]", seed{"2001:db8::1", 9191}, true},
		{"[2001:db8::1]:7000", seed{"2001:db8::1", 7000}, true},
		{"", seed{}, false},
		{":7000", seed{}, false},
		{"9090", seed{}, false},
		{"d1:0", seed{}, false},
		{"d1:65536", seed{}, false},
		{"d1:", seed{}, false},
		{"a:b:c", seed{}, false},
		{"d 1", seed{}, false},
	} {
		got, err := parseSeed(test.in, 9191)
		if got != test.want || (err == nil) != test.ok {
			t.Errorf("%q: %v, %v; want %v", test.in, got, err, test.want)
		}
	}
}

// fakeHost has these addresses and routes.
type fakeHost struct {
	addrs  []string
	routes map[string]string // by the peer's address; "" is the default route
}

func (h fakeHost) all() ([]netip.Addr, error) {
	var all []netip.Addr
	for _, a := range h.addrs {
		all = append(all, netip.MustParseAddr(a))
	}
	return all, nil
}

func (h fakeHost) towards(to netip.Addr) (netip.Addr, error) {
	from, ok := h.routes[to.String()]
	if !ok && to.Is4() {
		from = h.routes[""]
	}
	if from == "" {
		return netip.Addr{}, errors.New("network is unreachable")
	}
	return netip.MustParseAddr(from), nil
}

func TestAdvertised(t *testing.T) {
	all := []string{"127.0.0.1", "::1", "fe80::1", "198.51.100.7", "10.1.2.3", "2001:db8::7"}
	routes := map[string]string{
		"": "198.51.100.7", "10.1.0.9": "10.1.2.3", "127.0.0.1": "127.0.0.1",
		"2001:db8::9": "2001:db8::7",
	}
	for _, test := range []struct {
		name              string
		configured, bound string
		peers             []string
		host              fakeHost
		want              string
	}{
		{"configured", "192.0.2.9:1234", "0.0.0.0:9090", nil, fakeHost{all, routes},
			"192.0.2.9:1234"},
		{"configured without port", "192.0.2.9:0", "0.0.0.0:9090", nil, fakeHost{all, routes},
			"192.0.2.9:9090"},
		{"bound", "", "192.0.2.1:9090", []string{"10.1.0.9"}, fakeHost{all, routes},
			"192.0.2.1:9090"},
		{"towards a peer", "", "0.0.0.0:9090", []string{"10.1.0.9"}, fakeHost{all, routes},
			"10.1.2.3:9090"},
		{"towards the second peer", "", "0.0.0.0:9090", []string{"127.0.0.1", "10.1.0.9"},
			fakeHost{all, routes}, "10.1.2.3:9090"},
		{"towards a peer of IPv6", "", "[::]:9090", []string{"2001:db8::9"}, fakeHost{all, routes},
			"[2001:db8::7]:9090"},
		{"IPv4 bind, peer of IPv6", "", "0.0.0.0:9090", []string{"2001:db8::9"},
			fakeHost{all, routes}, "198.51.100.7:9090"},
		{"default route", "", "0.0.0.0:9090", nil, fakeHost{all, routes}, "198.51.100.7:9090"},
		{"no route: private first", "", "0.0.0.0:9090", nil, fakeHost{all, nil}, "10.1.2.3:9090"},
		{"no route: any family", "", "[::]:9090", nil, fakeHost{all, nil}, "10.1.2.3:9090"},
		{"no route: public", "", "0.0.0.0:9090", nil, fakeHost{all[:4], nil}, "198.51.100.7:9090"},
		{"only a public IPv6", "", "[::]:9090", nil, fakeHost{all[5:], nil}, "[2001:db8::7]:9090"},
		{"only IPv6 under an IPv4 bind", "", "0.0.0.0:9090", nil, fakeHost{all[5:], nil}, ""},
		{"only loopback", "", "0.0.0.0:9090", nil, fakeHost{all[:3], nil}, ""},
	} {
		var configured netip.AddrPort
		if test.configured != "" {
			configured = netip.MustParseAddrPort(test.configured)
		}
		var peers []netip.Addr
		for _, p := range test.peers {
			peers = append(peers, netip.MustParseAddr(p))
		}
		got, err := advertised(configured, netip.MustParseAddrPort(test.bound), peers, test.host)
		if test.want == "" {
			if err == nil || !strings.HasPrefix(err.Error(), "advertise: ") {
				t.Errorf("%s: %v, %v; want an error that names the setting", test.name, got, err)
			}
			continue
		}
		if err != nil || got.String() != test.want {
			t.Errorf("%s: %v, %v; want %s", test.name, got, err, test.want)
		}
	}
}

// TestSourceAddress checks on real sockets that packets and streams leave from the address that
// peers are told, where the director listens on every address, and that nothing listens on IPv6
// then.
func TestSourceAddress(t *testing.T) {
	own := netip.MustParseAddr("127.0.0.77")
	var network sockets
	l, p, err := network.Listen(netip.MustParseAddrPort("0.0.0.0:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	defer p.Close()
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	v6 := netip.AddrPortFrom(netip.IPv6Loopback(), port).String()
	if c, err := net.Dial("tcp6", v6); err == nil {
		_ = c.Close()
		t.Error("a bind of 0.0.0.0 listens on IPv6")
	}
	peer, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if _, err := sendFrom(p, own).WriteTo([]byte("x"), peer.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	_, from, err := peer.ReadFrom(make([]byte, 1))
	if err != nil || from.String() != netip.AddrPortFrom(own, port).String() {
		t.Errorf("the packet is from %v, %v; want %s", from, err, own)
	}
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
	for source, want := range map[string]string{
		"127.0.0.77": "127.0.0.77", "192.0.2.77": "127.0.0.1",
	} {
		conn, err := network.Dial(
			t.Context(), netip.AddrPortFrom(netip.MustParseAddr(source), port), to)
		if err != nil {
			t.Fatalf("from %s: %v", source, err)
		}
		if got := conn.LocalAddr().(*net.TCPAddr).IP.String(); got != want {
			t.Errorf("the stream from %s leaves from %s, want %s", source, got, want)
		}
		_ = conn.Close()
	}
}
