//go:build e2e

package e2e

import (
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"directormesh/cli/resolve/resolvetest"
	"directormesh/scripts/e2e/netns"
)

// podNames is the name server of a cluster, for one headless service: the service's name stands for
// all its pods, and each pod has a name below it. It is safe for concurrent use.
type podNames struct {
	service string // in full, with a dot at its end

	mu   sync.Mutex // guards pods
	pods map[string]netip.Addr
}

// serve answers at port 53 of an address of a host until the test ends.
func (n *podNames) serve(t *testing.T, host *netns.Host, ip netip.Addr) {
	t.Helper()
	var conn net.PacketConn
	if err := host.Do(func() (err error) {
		conn, err = net.ListenPacket("udp4", netip.AddrPortFrom(ip, 53).String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	resolvetest.Serve(t, conn, func(name string) (dnsmessage.RCode, []netip.Addr) {
		addrs, known := n.addresses(name)
		if !known {
			return dnsmessage.RCodeNameError, nil
		}
		return dnsmessage.RCodeSuccess, addrs
	})
}

// set gives a pod's name an address.
func (n *podNames) set(pod string, ip netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pods[pod] = ip
}

// unset takes a pod's name away.
func (n *podNames) unset(pod string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.pods, pod)
}

// addresses are those that a name stands for; known tells whether there is such a name.
func (n *podNames) addresses(name string) (all []netip.Addr, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for pod, ip := range n.pods {
		if name == n.service || name == pod+"."+n.service {
			all = append(all, ip)
		}
	}
	return all, len(all) > 0
}
