package mesh

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"directormesh/mesh/mono"
)

// The kernel tells by which addresses this host is reached.
func TestAddressesOfThisHost(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	if from, err := (thisHost{}).towards(loopback); err != nil || from != loopback {
		t.Errorf("the way to %s begins at %v, %v", loopback, from, err)
	}
	if from, err := (thisHost{}).towards(netip.MustParseAddr("fe80::1%none")); err == nil {
		t.Errorf("the way over an interface that is not there begins at %v", from)
	}
	all, err := thisHost{}.all()
	if err != nil || !slices.Contains(all, loopback) {
		t.Errorf("the addresses of this host are %v, %v", all, err)
	}
}

// A private address is preferred, then IPv4, then the lower one; whichever comes first.
func TestPreferredAddress(t *testing.T) {
	for _, test := range []struct{ better, worse string }{
		{"10.9.9.9", "198.51.100.1"},
		{"fd00::1", "198.51.100.1"},
		{"fd00::1", "2001:db8::1"},
		{"10.0.0.1", "fd00::1"},
		{"198.51.100.1", "2001:db8::1"},
		{"10.0.0.1", "10.0.0.2"},
		{"2001:db8::1", "2001:db8::2"},
	} {
		a, b := netip.MustParseAddr(test.better), netip.MustParseAddr(test.worse)
		if !preferred(a, b) || preferred(b, a) {
			t.Errorf("%s before %s: %v, the other way: %v", a, b, preferred(a, b), preferred(b, a))
		}
	}
}

// An IPv4 address is never told in the form of IPv6, wherever it comes from.
func TestAdvertisedIPv4(t *testing.T) {
	const mapped = "::ffff:192.0.2.7"
	listening := netip.MustParseAddrPort("[::]:9090")
	for name, test := range map[string]struct {
		configured, listening netip.AddrPort
		host                  fakeHost
	}{
		"configured": {netip.MustParseAddrPort("[" + mapped + "]:9090"), listening, fakeHost{}},
		"bound": {netip.AddrPort{}, netip.MustParseAddrPort("[" + mapped + "]:9090"),
			fakeHost{}},
		"route": {netip.AddrPort{}, listening,
			fakeHost{routes: map[string]string{"": mapped}}},
		"interface": {netip.AddrPort{}, listening, fakeHost{addrs: []string{mapped}}},
	} {
		got, err := advertised(test.configured, test.listening, nil, test.host)
		if err != nil || got != netip.MustParseAddrPort("192.0.2.7:9090") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// blindHost cannot list its addresses.
type blindHost struct{ fakeHost }

func (blindHost) all() ([]netip.Addr, error) { return nil, errors.New("not permitted") }

// What keeps a director from finding out its address is said, and what to do.
func TestAddressesCannotBeListed(t *testing.T) {
	got, err := advertised(netip.AddrPort{}, netip.MustParseAddrPort("0.0.0.0:9090"), nil,
		blindHost{})
	if err == nil || got.IsValid() || !strings.Contains(err.Error(), "not permitted; give one") {
		t.Errorf("%v, %v", got, err)
	}
}

// An address that only one interface knows is of no use to peers.
func TestUsableAddresses(t *testing.T) {
	for addr, want := range map[string]bool{
		"192.0.2.1": true, "10.0.0.1": true, "2001:db8::1": true, "fd00::1": true,
		"2001:db8::1%eth0": false, "fe80::1": false, "127.0.0.1": false, "::1": false,
		"224.0.0.1": false, "0.0.0.0": false, "169.254.0.1": false,
	} {
		if got := usable(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
}

// Streams leave from the address that is bound, else from the one that peers are to use; with the
// port that they are told.
func TestSourceOfStreams(t *testing.T) {
	for _, test := range []struct{ bind, advertise, want string }{
		{"192.0.2.1:9090", "198.51.100.1:7000", "192.0.2.1:7000"},
		{"[::ffff:192.0.2.1]:9090", "198.51.100.1:7000", "192.0.2.1:7000"},
		{"0.0.0.0:9090", "198.51.100.1:7000", "198.51.100.1:7000"},
		{"[::]:9090", "198.51.100.1:7000", "198.51.100.1:7000"},
		{"[::ffff:0.0.0.0]:9090", "198.51.100.1:7000", "198.51.100.1:7000"},
	} {
		got := source(netip.MustParseAddrPort(test.bind), netip.MustParseAddrPort(test.advertise))
		if got.String() != test.want {
			t.Errorf("bound to %s, told %s: %s, want %s", test.bind, test.advertise, got, test.want)
		}
	}
}

// Before the sockets are there the peers are known as far as their names resolve, and the start
// waits a second at most for the others.
func TestKnownPeers(t *testing.T) {
	var mu sync.Mutex // names are resolved side by side
	var limit time.Duration
	n := stillNode(t, func() mono.Time { return 0 })
	n.seeds = []seed{{"d1.example.org", 1}, {"lost.example.org", 2}, {"192.0.2.9", 3}}
	n.resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
		deadline, _ := ctx.Deadline()
		mu.Lock()
		limit = max(limit, time.Until(deadline))
		mu.Unlock()
		if host == "lost.example.org" {
			return nil, errors.New("no such host")
		}
		return []netip.Addr{
			netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("2001:db8::1"),
		}, nil
	}
	want := []netip.Addr{
		netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"),
		netip.MustParseAddr("192.0.2.9"),
	}
	if got := n.knownPeers(); !slices.Equal(got, want) {
		t.Errorf("known are %v, want %v", got, want)
	}
	if limit <= 0 || limit > resolveTime {
		t.Errorf("a name has %s to resolve, want at most %s", limit, resolveTime)
	}
}

// A seed is all addresses that its name has now, each with the seed's port; or the error names it.
func TestResolveSeed(t *testing.T) {
	n := &Node{resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
		if host != "d1.example.org" {
			return nil, errors.New("no such host")
		}
		return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("::2")},
			nil
	}}
	for _, test := range []struct {
		host string
		want []string
		err  string
	}{
		{"d1.example.org", []string{"192.0.2.1:7", "[::2]:7"}, ""},
		{"192.0.2.3", []string{"192.0.2.3:7"}, ""},
		{"::ffff:192.0.2.3", []string{"192.0.2.3:7"}, ""},
		{"d2.example.org", nil, `resolve "d2.example.org": no such host`},
	} {
		addrs, err := n.resolveSeed(t.Context(), seed{test.host, 7})
		var got []string
		for _, a := range addrs {
			got = append(got, a.String())
		}
		said := ""
		if err != nil {
			said = err.Error()
		}
		if !slices.Equal(got, test.want) || said != test.err {
			t.Errorf("%s: %v, %q; want %v, %q", test.host, got, said, test.want, test.err)
		}
	}
	literal, err := systemResolve(t.Context(), "192.0.2.3")
	if err != nil || len(literal) != 1 || literal[0].Unmap() != netip.MustParseAddr("192.0.2.3") {
		t.Errorf("the system resolves an address to %v, %v", literal, err)
	}
}
