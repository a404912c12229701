//go:build e2e

package e2e

import (
	"net/netip"
	"testing"
	"time"

	"directormesh/scripts/e2e/netns"
)

// TestSecondAddress gives each host two addresses, of which a filter lets only the second one
// through. Directors that bind it must also speak from it.
func TestSecondAddress(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "--mail-servers", "192.0.2.1-192.0.2.4")
	const join = "10.77.0.101,10.77.0.102"
	d1 := n.add(join, hostAddr(1), hostAddr(101))
	d2 := n.add(join, hostAddr(2), hostAddr(102))
	for _, d := range n.directors {
		for _, first := range []netip.Addr{hostAddr(1), hostAddr(2)} {
			n.cut(d, netns.Packets{From: first})
		}
	}
	d1.start()
	d2.start()
	n.checkMesh(newOracle(evenly(100, fourBackends...)), "user", d1, d2)
}

// TestBridgeOfContainers gives each host the bridge that Docker makes, with the same address
// everywhere, before the interface that leads to the others has its own. Directors that bind all
// addresses must advertise the one by which others reach them, whether they know a peer to join,
// only the default route, or not even that.
func TestBridgeOfContainers(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "--mail-servers", "192.0.2.1-192.0.2.4", "--bind", "0.0.0.0")
	// Behind Docker's in order, so that the lowest address is the wrong one.
	d1 := n.add("", netip.MustParseAddr("192.168.77.1"))
	d2 := n.add("192.168.77.1", netip.MustParseAddr("192.168.77.2"))
	d3 := n.add("192.168.77.1,192.168.77.2", netip.MustParseAddr("192.168.77.3"))
	d4 := n.add("", netip.MustParseAddr("192.168.77.4")) // stays alone
	for _, d := range n.directors {
		host := n.hosts[d]
		host.Run("ip", "link", "add", "name", "docker0", "type", "bridge")
		host.Run("ip", "addr", "add", "172.17.0.1/16", "dev", "docker0")
		host.Run("ip", "link", "set", "docker0", "up")
		if d != d4 {
			host.Run("ip", "route", "add", "default", "via", "192.168.77.254")
		}
		d.start()
	}
	n.checkMesh(newOracle(evenly(100, fourBackends...)), "user", d1, d2, d3)
	n.awaitSynced(20*time.Second, d4)
	for _, at := range n.directors {
		for name, d := range peers(t, at) {
			if want := n.directors[name[1]-'1'].addr.Addr(); d.IP.Addr != want {
				t.Errorf("%s shows %s at %v, not at %v", at.name, name, d.IP, want)
			}
		}
	}
}
