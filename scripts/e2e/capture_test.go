//go:build e2e

package e2e

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// capture is all that was sent to some directors of this machine since it began: what somebody
// hears who sits on the wire, and can send again without any key.
type capture struct {
	to map[netip.AddrPort]bool

	mu      sync.Mutex
	packets [][]byte               // by UDP
	streams map[connection]*oneWay // by TCP, towards the directors
}

type connection struct{ from, to netip.AddrPort }

// oneWay is what was sent one way on a connection.
type oneWay struct {
	next uint32 // sequence number of the next byte
	sent []byte
}

// startCapture listens on the loopback interface, for which it needs root, until the function that
// it returns is called.
func startCapture(t *testing.T, directors ...*process) (c *capture, stop func()) {
	t.Helper()
	kind := unix.SOCK_DGRAM | unix.SOCK_CLOEXEC
	fd, err := unix.Socket(unix.AF_PACKET, kind, int(bigEndian(unix.ETH_P_IP)))
	if err != nil {
		t.Skipf("packets cannot be recorded here: %v; that needs root", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 32<<20); err != nil {
		t.Fatal(err)
	}
	wait := unix.NsecToTimeval((100 * time.Millisecond).Nanoseconds()) // so that it sees its end
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		t.Fatal(err)
	}
	c = &capture{to: make(map[netip.AddrPort]bool), streams: make(map[connection]*oneWay)}
	done := make(chan struct{})
	for _, d := range directors {
		c.to[d.addr] = true
	}
	end := make(chan struct{})
	go func() {
		defer close(done)
		defer unix.Close(fd)
		buf := make([]byte, 1<<17)
		for {
			select {
			case <-end:
				return
			default:
			}
			size, from, err := unix.Recvfrom(fd, buf, 0)
			if err != nil {
				continue // nothing came for a while
			}
			if link, ok := from.(*unix.SockaddrLinklayer); ok && link.Pkttype == unix.PACKET_HOST {
				c.take(buf[:size])
			}
		}
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() { close(end) })
		<-done
	}
	t.Cleanup(stop)
	return c, stop
}

func bigEndian(v uint16) uint16 { return v<<8 | v>>8 }

// take keeps what a packet of IPv4 carries to one of the directors.
func (c *capture) take(b []byte) {
	const leastIP, leastUDP, leastTCP = 20, 8, 20
	if len(b) < leastIP || b[0]>>4 != 4 {
		return
	}
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 {
		total = len(b) // larger than the field can say
	}
	if head < leastIP || total < head+leastUDP || total > len(b) {
		return
	}
	body := b[head:total]
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:16])), binary.BigEndian.Uint16(body))
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:20])), binary.BigEndian.Uint16(body[2:]))
	if !c.to[to] {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case b[9] == unix.IPPROTO_UDP:
		c.packets = append(c.packets, slices.Clone(body[leastUDP:]))
	case b[9] == unix.IPPROTO_TCP && len(body) >= leastTCP:
		c.segment(connection{from, to}, body)
	}
}

// segment appends what a TCP segment brings. On the loopback they come in order, some twice.
func (c *capture) segment(of connection, segment []byte) {
	const syn = 2
	number, flags := binary.BigEndian.Uint32(segment[4:]), segment[13]
	if flags&syn != 0 {
		c.streams[of] = &oneWay{next: number + 1}
		return
	}
	s, begun := c.streams[of]
	data := segment[min(len(segment), int(segment[12]>>4)*4):]
	if begun && number == s.next {
		s.sent = append(s.sent, data...)
		s.next += uint32(len(data))
	}
}

// heard returns the packets and the streams so far, in an order that does not depend on chance.
func (c *capture) heard() (packets, streams [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.streams {
		if len(s.sent) > 0 {
			streams = append(streams, slices.Clone(s.sent))
		}
	}
	slices.SortFunc(streams, slices.Compare)
	return slices.Clone(c.packets), streams
}
