package httpapi

import (
	"net"
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// queue is a listener with connections from these addresses.
type queue struct {
	net.Listener
	from []string
}

func (q *queue) Accept() (net.Conn, error) {
	if len(q.from) == 0 {
		return nil, net.ErrClosed
	}
	c := &visitor{from: q.from[0]}
	q.from = q.from[1:]
	return c, nil
}

type visitor struct {
	net.Conn
	from string
}

func (v *visitor) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(v.from), 4711))
}
func (v *visitor) Close() error { return nil }

// TestCrowd opens more connections from one client, and from all, than there may be.
func TestCrowd(t *testing.T) {
	q := &queue{}
	c := newCrowd(q, prometheus.NewCounter(prometheus.CounterOpts{Name: "x"}))
	accepted := func(from string, count int) (conns []net.Conn) {
		for range count {
			q.from = append(q.from, from)
		}
		for {
			conn, err := c.Accept()
			if err != nil {
				return conns
			}
			conns = append(conns, conn)
		}
	}
	first := accepted("127.0.0.1", 10*maxClient)
	if len(first) != maxClient {
		t.Fatalf("%d connections of one client, want %d", len(first), maxClient)
	}
	if others := accepted("127.0.0.2", 1); len(others) != 1 {
		t.Error("one client keeps another out")
	}
	for i := 3; i < 10; i++ {
		accepted(netip.AddrFrom4([4]byte{127, 0, 0, byte(i)}).String(), maxClient)
	}
	if c.all != maxRemote {
		t.Errorf("%d connections, want %d", c.all, maxRemote)
	}
	for _, conn := range first {
		conn.Close()
		conn.Close()
	}
	if again := accepted("127.0.0.1", 2*maxClient); len(again) != maxClient {
		t.Errorf("%d connections after those before were closed, want %d", len(again), maxClient)
	}
}
