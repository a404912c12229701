package mesh

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"directormesh/mesh/meshtest/netsim"
)

// closeCounter is a connection from somewhere that counts how often it was closed.
type closeCounter struct {
	byteConn
	from   string
	closed int
}

func (c *closeCounter) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.from), 4711))
}

func (c *closeCounter) Close() error {
	c.closed++
	return nil
}

func TestHalfOpenClosesTheOldestOfTheAddressWithMost(t *testing.T) {
	evicted := 0
	h := &halfOpen{max: 4, evicted: func() { evicted++ }}
	conns := []*closeCounter{
		{from: "198.51.100.1"}, // the oldest of all
		{from: "2001:db8:0:1::1"},
		{from: "2001:db8:0:1::2"}, // of the same network
		{from: "2001:db8:0:1::3"},
		{from: "2001:db8:0:1::4"}, // closes ::1
		{from: "198.51.100.2"},    // closes ::3, as ::2 has got in
		{from: "198.51.100.2"},    // closes the first: none has more than one
		{from: "198.51.100.2"},    // closes its own oldest one
		{from: "::ffff:198.51.100.2"},
	}
	for i, c := range conns {
		h.add(c)
		if i == 4 {
			h.remove(conns[2]) // authenticated
			h.remove(conns[2])
			h.add(&closeCounter{from: "198.51.100.3"})
		}
	}
	var closed []int
	for _, c := range conns {
		closed = append(closed, c.closed)
	}
	want := []int{1, 1, 0, 1, 0, 1, 1, 0, 0}
	if diff := cmp.Diff(want, closed); diff != "" {
		t.Errorf("how often each was closed (-want +got):\n%s", diff)
	}
	if evicted != 5 || h.count() != 4 {
		t.Errorf("%d evicted, %d left; want 5 and 4", evicted, h.count())
	}
	for _, c := range conns {
		h.remove(c)
	}
	if h.count() != 1 || len(h.sites) != 1 {
		t.Errorf("%d of %d addresses left, want one", h.count(), len(h.sites))
	}
}

// foreignOf is a stream of memberlist's that brings some bytes.
func foreignOf(streams *foreignStreams, data string) *foreignConn {
	return &foreignConn{Conn: &byteConn{}, r: bufio.NewReader(readerOf(data)), streams: streams}
}

func TestForeignConn(t *testing.T) {
	tooMuch := 0
	streams := &foreignStreams{
		halfOpen: halfOpen{max: 8, evicted: func() { t.Error("evicted") }}, bytes: 10, each: 8,
		tooMuch: func() { tooMuch++ },
	}
	one := foreignOf(streams, "12345678")
	two := foreignOf(streams, "abcdefgh")
	three := foreignOf(streams, "123456789")
	for _, c := range []*foreignConn{one, two, three} {
		streams.add(c)
	}
	got, err := io.ReadAll(one)
	if err != nil || string(got) != "12345678" {
		t.Fatalf("read %q, %v", got, err)
	}
	if _, err := io.ReadAll(two); err != errForeignBytes {
		t.Errorf("reading beyond what all may: %v", err)
	}
	for _, c := range []*foreignConn{one, two, one} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := two.Read(make([]byte, 8)); err == nil {
		t.Error("a closed stream can be read")
	}
	if streams.read != 0 || streams.count() != 1 {
		t.Errorf("%d bytes count, and %d connections; want 0 and 1", streams.read, streams.count())
	}
	if _, err := io.ReadAll(three); err != errForeignBytes {
		t.Errorf("reading beyond what one may: %v", err)
	}
	if tooMuch != 2 {
		t.Errorf("%d streams were too much, want 2", tooMuch)
	}
}

// A peer that goes before it has been answered is told of once, one that has been answered is not.
func TestForeignConnBrokenOff(t *testing.T) {
	streams := &foreignStreams{halfOpen: halfOpen{max: 8}, bytes: 100, each: 100}
	for name, want := range map[string]int{"broken off": 1, "answered": 0} {
		told := 0
		c := foreignOf(streams, "half of")
		c.refused = func(error) { told++ }
		if name == "answered" {
			if _, err := c.Write([]byte("an answer")); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if _, err := io.ReadAll(c); err != nil {
				t.Fatal(err)
			}
		}
		if told != want {
			t.Errorf("%s: told %d times, want %d", name, told, want)
		}
	}
}

// What we close ourselves has been counted already, and is no error of the peer.
func TestClosedHereIsNotCountedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		n := simulated(t, netsim.New(1, netsim.Faults{}),
			func(cfg *Config) { cfg.Registerer = registry })
		from := net.TCPAddrFromAddrPort(testAddr(9))
		closed := &net.OpError{Op: "read", Err: net.ErrClosed}
		n.noteRefusal("connection", from, closed)
		n.noteHandshake("", from.String(), false, protocolError(closed))
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if counted := m.GetCounter().GetValue(); counted > 0 &&
					(strings.Contains(f.GetName(), "dropped") ||
						strings.Contains(f.GetName(), "failures")) {
					t.Errorf("%s %v is %v", f.GetName(), m.GetLabel(), counted)
				}
			}
		}
	})
}

// TestForeignConnsCloseEachOther opens many more streams at once than there is room for: each may
// be closed by the next one from the moment that it can be found.
func TestForeignConnsCloseEachOther(t *testing.T) {
	var mu sync.Mutex
	evicted := 0
	streams := &foreignStreams{halfOpen: halfOpen{max: 2, evicted: func() {
		mu.Lock()
		defer mu.Unlock()
		evicted++
	}}, bytes: 1 << 20, each: 1 << 20}
	const many = 2000
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range many / 4 {
				c := foreignOf(streams, "abc")
				streams.add(c)
				_, _ = c.Read(make([]byte, 2)) // it may have been closed
			}
		})
	}
	all.Wait()
	if evicted != many-2 || streams.count() != 2 {
		t.Errorf("%d evicted, %d left; want %d and 2", evicted, streams.count(), many-2)
	}
	if want := int64(2 * streams.count()); streams.read != want {
		t.Errorf("%d bytes count, want those of the open ones, %d", streams.read, want)
	}
}

// A stream of a stranger's may be closed for want of room from the moment that it is entered,
// before the one who enters it has got it back: it must be whole by then.
func TestForeignConnIsWholeWhenItIsEntered(t *testing.T) {
	tr := &transport{}
	conns := []*closeCounter{{from: "198.51.100.1"}, {from: "198.51.100.1"}, {from: "198.51.100.1"}}
	next := 0
	var enter func()
	streams := &foreignStreams{bytes: 1 << 20, each: 1 << 20}
	streams.init(1, func() { // the newest is entered and not handed out
		if next < len(conns) {
			enter()
		}
	})
	enter = func() {
		next++
		c := conns[next-1]
		tr.enter(streams, c, bufio.NewReader(c), nil)
	}
	enter()
	enter()
	if next != len(conns) || streams.count() != 1 {
		t.Errorf("%d were entered, %d are open; want %d and 1", next, streams.count(), len(conns))
	}
	for i, c := range conns {
		if want := 1 - i/2; c.closed != want {
			t.Errorf("number %d was closed %d times, want %d", i+1, c.closed, want)
		}
	}
}

// Of IPv6 a whole network counts as one stranger, because one host can use all of its addresses.
func TestSiteOf(t *testing.T) {
	for from, want := range map[string]string{
		"198.51.100.1":        "198.51.100.1",
		"::ffff:198.51.100.1": "198.51.100.1",
		"2001:db8:0:1::1":     "2001:db8:0:1::",
		"2001:db8:0:1:2:3::":  "2001:db8:0:1::",
		"2001:db8:0:2::1":     "2001:db8:0:2::",
		"fe80::1%eth0":        "fe80::",
	} {
		if got := siteOf(&closeCounter{from: from}); got != netip.MustParseAddr(want) {
			t.Errorf("%s: %v, want %s", from, got, want)
		}
	}
}
