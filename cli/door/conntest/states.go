// Package conntest holds connections to what package net's do, to the texts of their errors.
package conntest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/nettest"
	"golang.org/x/sys/unix"
)

// Wrap makes a connection of another kind of one of package net's.
type Wrap func(net.Conn) net.Conn

// Run compares connections of another kind with those of package net, which pass the same tests.
func Run(t *testing.T, wrap Wrap) {
	k := kinds{"net": func(c net.Conn) net.Conn { return c }, "wrapped": wrap}
	t.Run("conn", k.testConn)
	t.Run("every state", k.testEveryState)
	t.Run("partial writes", k.testPartialWrites)
	t.Run("slow reader", k.testSlowReader)
	t.Run("many ends at once", k.testManyEndsAtOnce)
	t.Run("scripts", k.testScripts)
}

// kinds are the connections that must behave alike.
type kinds map[string]Wrap

// Listen returns a listener on a unix socket, or on the loopback.
func Listen(t testing.TB, network string) net.Listener {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "r") // the test's own can be too long for a socket
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		address = filepath.Join(dir, "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// Connect returns both ends of a connection.
func Connect(t testing.TB, l net.Listener) (ours, theirs net.Conn) {
	t.Helper()
	theirs, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if ours, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ours.Close()
		theirs.Close()
	})
	return ours, theirs
}

// each runs a test with connections of each network and kind.
func (kinds kinds) each(t *testing.T, test func(t *testing.T, l net.Listener, wrap Wrap)) {
	for _, network := range []string{"unix", "tcp"} {
		for name, wrap := range kinds {
			t.Run(network+"/"+name, func(t *testing.T) { test(t, Listen(t, network), wrap) })
		}
	}
}

// testConn holds connections to what every net.Conn promises: with concurrent calls, and with
// deadlines before, during and after them.
func (kinds kinds) testConn(t *testing.T) {
	kinds.each(t, func(t *testing.T, l net.Listener, wrap Wrap) {
		nettest.TestConn(t, func() (one, other net.Conn, stop func(), err error) {
			ours, theirs := Connect(t, l)
			stop = func() {
				ours.Close()
				theirs.Close()
			}
			return wrap(ours), wrap(theirs), stop, nil
		})
	})
}

// outcome is what a call returned.
type outcome struct {
	N       int
	Text    string // of the error, without addresses
	Is      []bool // of the errors in causes
	Timeout bool
}

var causes = []error{
	io.EOF, net.ErrClosed, os.ErrDeadlineExceeded, syscall.EPIPE, syscall.ECONNRESET,
}

func outcomeOf(n int, err error) outcome {
	o := outcome{N: n, Text: fmt.Sprint(err)}
	for _, cause := range causes {
		o.Is = append(o.Is, errors.Is(err, cause))
	}
	var op *net.OpError
	if errors.As(err, &op) {
		o.Text = fmt.Sprint(op.Op, " ",
			op.Net, " ", op.Source != nil, " ", op.Addr != nil, ": ", op.Err)
		o.Timeout = op.Timeout()
	}
	return o
}

// reset closes an end so that the other end sees a reset.
func reset(t *testing.T, c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		if err := tcp.SetLinger(0); err != nil {
			t.Error(err)
		}
	}
	c.Close()
}

// states are what can have happened to a connection before a call.
var states = map[string]func(t *testing.T, ours, theirs net.Conn){
	"nothing": func(_ *testing.T, ours, _ net.Conn) { ours.SetDeadline(time.Now()) },
	"bytes": func(_ *testing.T, _, theirs net.Conn) {
		io.WriteString(theirs, "hello")
	},
	"closed":       func(_ *testing.T, ours, _ net.Conn) { ours.Close() },
	"peer is gone": func(t *testing.T, _, theirs net.Conn) { reset(t, theirs) },
	"peer did not read": func(t *testing.T, ours, theirs net.Conn) {
		io.WriteString(ours, "x")
		reset(t, theirs)
	},
	"bytes, peer is gone": func(_ *testing.T, _, theirs net.Conn) {
		io.WriteString(theirs, "bye")
		theirs.Close()
	},
	"peer writes no more": func(_ *testing.T, _, theirs net.Conn) {
		theirs.(interface{ CloseWrite() error }).CloseWrite()
	},
}

// testEveryState calls read and write in every state, and compares what package net returns with
// what a wrapped connection does.
func (kinds kinds) testEveryState(t *testing.T) {
	calls := map[string]func(net.Conn) (int, error){
		"read":          func(c net.Conn) (int, error) { return c.Read(make([]byte, 16)) },
		"read nothing":  func(c net.Conn) (int, error) { return c.Read(nil) },
		"write":         func(c net.Conn) (int, error) { return c.Write([]byte("hello")) },
		"write nothing": func(c net.Conn) (int, error) { return c.Write(nil) },
	}
	for _, network := range []string{"unix", "tcp"} {
		for state, arrange := range states {
			for call, do := range calls {
				t.Run(network+"/"+state+"/"+call, func(t *testing.T) {
					got := make(map[string][]outcome)
					for name, wrap := range kinds {
						ours, theirs := Connect(t, Listen(t, network))
						c := ours
						if state == "nothing" || state == "closed" { // which is done at this end
							c = wrap(ours)
							arrange(t, c, theirs)
						} else {
							arrange(t, ours, theirs)
							settle(t, ours)
							c = wrap(ours)
						}
						got[name] = append(got[name], outcomeOf(do(c)))
						if call == "read" && state != "bytes" { // an end may come again
							got[name] = append(got[name], outcomeOf(do(c)))
						}
					}
					if diff := cmp.Diff(got["net"], got["wrapped"]); diff != "" {
						t.Errorf("(-net +wrapped):\n%s", diff)
					}
				})
			}
		}
	}
}

// settle waits until what a peer has done over TCP has come.
func settle(t *testing.T, ours net.Conn) {
	t.Helper()
	raw, err := ours.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Read(func(fd uintptr) bool {
		n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0
	}); err != nil {
		t.Fatal(err)
	}
}
