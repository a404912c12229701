package rawconn

import (
	"errors"
	"net"
	"testing"

	"directormesh/cli/door/conntest"
)

func TestLikeNet(t *testing.T) { conntest.Run(t, Wrap) }

// TestOnlyStreams leaves alone what it cannot serve.
func TestOnlyStreams(t *testing.T) {
	pipe, other := net.Pipe()
	defer other.Close()
	packets, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	closed, _ := conntest.Connect(t, conntest.Listen(t, "unix"))
	closed.Close()
	for _, c := range []net.Conn{pipe, packets} {
		if Wrap(c) != c {
			t.Errorf("%T was wrapped", c)
		}
		c.Close()
	}
	if n, err := Wrap(closed).Read(make([]byte, 1)); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading a closed connection: %d, %v", n, err)
	}
}

// TestNoAllocations checks that reads and writes cost none.
func TestNoAllocations(t *testing.T) {
	ours, theirs := conntest.Connect(t, conntest.Listen(t, "unix"))
	c, peer := Wrap(ours), Wrap(theirs)
	buf := []byte("line\n")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := c.Write(buf); err != nil {
			t.Fatal(err)
		}
		if _, err := peer.Read(buf); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("a write and a read cost %v allocations", n)
	}
}
