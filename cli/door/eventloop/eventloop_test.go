package eventloop

import (
	"errors"
	"net"
	"sync"
	"testing"

	"directormesh/cli/door/conntest"
)

// newLoops returns loops that end with the test, after all connections.
func newLoops(t testing.TB) *Loops {
	t.Helper()
	l := New()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("closing the loops: %v", err)
		}
	})
	return l
}

// adoptedPair returns both ends of a connection, of which one is adopted.
func adoptedPair(t testing.TB, loops *Loops, network string) (ours Conn, theirs net.Conn) {
	t.Helper()
	c, theirs := conntest.Connect(t, conntest.Listen(t, network))
	ours = loops.Adopt(c)
	t.Cleanup(func() { ours.Close() })
	return ours, theirs
}

func TestLikeNet(t *testing.T) {
	t.Run("read", func(t *testing.T) {
		loops := newLoops(t)
		conntest.Run(t, func(c net.Conn) net.Conn { return loops.Adopt(c) })
	})
	t.Run("watched before each read", func(t *testing.T) {
		loops := newLoops(t)
		conntest.Run(t, func(c net.Conn) net.Conn { return &patient{Conn: loops.Adopt(c)} })
	})
}

// patient is a connection that waits in a loop before it reads.
type patient struct {
	Conn
	reading sync.Mutex
}

func (p *patient) Read(b []byte) (int, error) {
	p.reading.Lock()
	defer p.reading.Unlock()
	if len(b) > 0 {
		called := make(chan struct{})
		if p.Watch(func(bool) { close(called) }) {
			<-called
		}
	}
	return p.Conn.Read(b)
}

// TestOnlyStreams leaves alone what cannot be watched.
func TestOnlyStreams(t *testing.T) {
	loops := newLoops(t)
	pipe, other := net.Pipe()
	defer other.Close()
	packets, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{pipe, packets} {
		adopted := loops.Adopt(c)
		if adopted.Watch(func(bool) {}) {
			t.Errorf("%T is watched", c)
		}
		if err := adopted.CloseRead(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%T: %v", c, err)
		}
		adopted.Close()
	}
}
