package mesh

import (
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
		Join: []string{"d1", "d2:port", "d3:70000"}, Keys: [][]byte{make([]byte, 16)}, HashFormat: "%q",
		Expire: time.Second, KickDelay: -1, MaxParallelMoves: -1,
	})
	if err == nil {
		t.Fatal("accepted")
	}
	var settings []string
	for line := range strings.Lines(err.Error()) {
		setting, _, _ := strings.Cut(line, ":")
		settings = append(settings, setting)
	}
	want := []string{"node-name", "mesh-name", "bind", "advertise", "join", "join", "encrypt-key-file", "username-hash",
		"user-expire", "user-kick-delay", "max-parallel-moves"}
	if diff := cmp.Diff(want, settings); diff != "" {
		t.Errorf("settings named (-want +got):\n%s\n%v", diff, err)
	}
}

func TestParseSeed(t *testing.T) {
	for _, test := range []struct {
		in   string
		want seed
		ok   bool
	}{
		{"d1.example.org", seed{"d1.example.org", DefaultPort}, true},
		{"d1.example.org:7000", seed{"d1.example.org", 7000}, true},
		{"192.0.2.1", seed{"192.0.2.1", DefaultPort}, true},
		{"192.0.2.1:1", seed{"192.0.2.1", 1}, true},
		{"2001:db8::1", seed{"2001:db8::1", DefaultPort}, true},
		{"[2001:db8::1]", seed{"2001:db8::1", DefaultPort}, true},
		{"[2001:db8::1]:7000", seed{"2001:db8::1", 7000}, true},
		{"", seed{}, false},
		{":7000", seed{}, false},
		{"d1:0", seed{}, false},
		{"d1:65536", seed{}, false},
		{"d1:", seed{}, false},
		{"a:b:c", seed{}, false},
		{"d 1", seed{}, false},
	} {
		got, err := parseSeed(test.in)
		if got != test.want || (err == nil) != test.ok {
			t.Errorf("%q: %v, %v; want %v", test.in, got, err, test.want)
		}
	}
}

func TestAdvertised(t *testing.T) {
	prefix := func(s string) net.Addr {
		ip, n, err := net.ParseCIDR(s)
		if err != nil {
			t.Fatal(err)
		}
		return &net.IPNet{IP: ip, Mask: n.Mask}
	}
	hosts := []net.Addr{prefix("127.0.0.1/8"), prefix("::1/128"), prefix("fe80::1/64"), prefix("198.51.100.7/24"), prefix("10.1.2.3/8"), prefix("2001:db8::7/64")}
	for _, test := range []struct {
		name              string
		configured, bound string
		interfaces        []net.Addr
		want              string
	}{
		{"configured", "192.0.2.9:1234", "0.0.0.0:9090", hosts, "192.0.2.9:1234"},
		{"configured without port", "192.0.2.9:0", "0.0.0.0:9090", hosts, "192.0.2.9:9090"},
		{"bound", "", "192.0.2.1:9090", hosts, "192.0.2.1:9090"},
		{"private first", "", "0.0.0.0:9090", hosts, "10.1.2.3:9090"},
		{"any family", "", "[::]:9090", hosts, "10.1.2.3:9090"},
		{"public", "", "0.0.0.0:9090", hosts[:4], "198.51.100.7:9090"},
		{"only IPv6 under an IPv4 bind", "", "0.0.0.0:9090", hosts[5:], ""},
		{"only loopback", "", "0.0.0.0:9090", hosts[:3], ""},
	} {
		var configured netip.AddrPort
		if test.configured != "" {
			configured = netip.MustParseAddrPort(test.configured)
		}
		got, err := advertised(configured, netip.MustParseAddrPort(test.bound), func() ([]net.Addr, error) { return test.interfaces, nil })
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
