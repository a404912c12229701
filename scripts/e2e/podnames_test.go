//go:build e2e

package e2e

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

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
	var serving sync.WaitGroup
	t.Cleanup(func() {
		conn.Close()
		serving.Wait()
	})
	serving.Go(func() {
		question := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(question)
			if err != nil {
				return // closed
			}
			if reply, err := n.reply(question[:size]); err == nil {
				_, _ = conn.WriteTo(reply, from) // the resolver asks again
			}
		}
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
	name = strings.ToLower(name)
	for pod, ip := range n.pods {
		if name == n.service || name == pod+"."+n.service {
			all = append(all, ip)
		}
	}
	return all, len(all) > 0
}

// reply answers a question: for addresses of IPv4 with those, for others with none.
func (n *podNames) reply(question []byte) ([]byte, error) {
	var asked dnsmessage.Message
	if err := asked.Unpack(question); err != nil || len(asked.Questions) != 1 {
		return nil, err
	}
	q := asked.Questions[0]
	addresses, known := n.addresses(q.Name.String())
	answer := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: asked.ID, Response: true, Authoritative: true,
			RecursionDesired: asked.RecursionDesired, RecursionAvailable: true,
		},
		Questions: asked.Questions,
	}
	if !known {
		answer.RCode = dnsmessage.RCodeNameError
	}
	if q.Type == dnsmessage.TypeA {
		for _, ip := range addresses {
			answer.Answers = append(answer.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{
					Name: q.Name, Type: q.Type, Class: q.Class, TTL: 5,
				},
				Body: &dnsmessage.AResource{A: ip.As4()},
			})
		}
	}
	return answer.Pack()
}
