//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// A tap stands at the address that a director advertises. It passes on all that others send there,
// and keeps it: every packet, and every stream in both directions. It knows no key.
type tap struct {
	addr, director netip.AddrPort
	listener       net.Listener
	packets        *net.UDPConn
	running        sync.WaitGroup

	mu      sync.Mutex
	heard   map[string]bool // packets, by content
	streams []*keptStream
	conns   []net.Conn
}

// A keptStream is one direction of a stream.
type keptStream struct {
	tap  *tap
	sent []byte
}

// Write implements io.Writer.
func (k *keptStream) Write(b []byte) (int, error) {
	k.tap.mu.Lock()
	defer k.tap.mu.Unlock()
	k.sent = append(k.sent, b...)
	return len(b), nil
}

// newTap puts a tap before a director, which must advertise the tap's address.
func newTap(t *testing.T, ip netip.Addr, director *process) *tap {
	t.Helper()
	addr := netip.AddrPortFrom(ip, freePort(t, ip))
	k := &tap{addr: addr, director: director.addr, heard: make(map[string]bool)}
	var err error
	if k.listener, err = net.Listen("tcp", addr.String()); err != nil {
		t.Fatal(err)
	}
	if k.packets, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr)); err != nil {
		t.Fatal(err)
	}
	k.running.Go(k.passPackets)
	k.running.Go(k.acceptStreams)
	t.Cleanup(func() {
		if err := errors.Join(k.listener.Close(), k.packets.Close()); err != nil {
			t.Error(err)
		}
		k.mu.Lock()
		for _, c := range k.conns {
			c.Close()
		}
		k.mu.Unlock()
		k.running.Wait()
	})
	return k
}

func (k *tap) passPackets() {
	b := make([]byte, 64<<10)
	for {
		n, err := k.packets.Read(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		k.mu.Lock()
		k.heard[string(b[:n])] = true
		k.mu.Unlock()
		// A director that does not run gets nothing; the next packet counts again.
		_, _ = k.packets.WriteToUDPAddrPort(b[:n], k.director)
	}
}

func (k *tap) acceptStreams() {
	for {
		from, err := k.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.DialTimeout("tcp", k.director.String(), time.Second)
		if err != nil {
			from.Close()
			continue
		}
		there, back := &keptStream{tap: k}, &keptStream{tap: k}
		k.mu.Lock()
		k.streams, k.conns = append(k.streams, there, back), append(k.conns, from, to)
		k.mu.Unlock()
		k.running.Go(func() { pass(from, to, there) })
		k.running.Go(func() { pass(to, from, back) })
	}
}

// pass copies one direction of a stream to its end.
func pass(from, to net.Conn, kept io.Writer) {
	_, err := io.Copy(to, io.TeeReader(from, kept))
	if half, ok := to.(*net.TCPConn); ok && err == nil {
		err = half.CloseWrite()
	}
	if err != nil { // a broken connection breaks the other one
		from.Close()
		to.Close()
	}
}

// A recording is what was heard up to a moment.
type recording struct {
	packets []string
	states  []string // memberlist's streams
	streams []string // ours
}

func (r recording) String() string {
	return fmt.Sprintf("%d packets, %d states, %d streams",
		len(r.packets), len(r.states), len(r.streams))
}

// recorded is all that some taps have heard.
func recorded(taps []*tap) (r recording) {
	packets := make(map[string]bool)
	for _, k := range taps {
		k.mu.Lock()
		maps.Copy(packets, k.heard)
		for _, s := range k.streams {
			switch {
			case len(s.sent) == 0:
			case s.sent[0] == opening()[0]:
				r.streams = append(r.streams, string(s.sent))
			default:
				r.states = append(r.states, string(s.sent))
			}
		}
		k.mu.Unlock()
	}
	r.packets = slices.Sorted(maps.Keys(packets))
	return r
}

// play sends all of it to a director once more.
func (r recording) play(t *testing.T, to *process) {
	t.Helper()
	packets, err := net.Dial("udp", to.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	for i, p := range r.packets {
		if i%50 == 49 { // else the director's host drops some
			pause(t, time.Millisecond)
		}
		_, _ = packets.Write([]byte(p)) // nobody says whether it arrives
	}
	for _, s := range slices.Concat(r.states, r.streams) {
		sendTCP(t, to, []byte(s))
	}
}
