package mesh

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/meshtest/netsim"
)

// What does not pass the gate is told of by what it was and whom it is from.
func TestWhatIsTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		l, p, err := network.Listen(testAddr(1))
		if err != nil {
			t.Fatal(err)
		}
		_, sender, err := network.Listen(testAddr(2))
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		tr := newTransport(network, l, p, testAddr(1), testAddr(1), gate{label: testLabel},
			transportEvents{refused: func(what string, from net.Addr, err error) {
				told = append(told, what+" of "+from.String()+": "+err.Error())
			}}, nil)
		tr.start()
		packet := func(size int) {
			t.Helper()
			b := labelled(testLabel, make([]byte, size-2-len(testLabel)))
			if _, err := sender.WriteTo(b, net.UDPAddrFromAddrPort(testAddr(1))); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		packet(maxPacket + 1)
		packet(maxPacket)
		if got := <-tr.packetCh; len(got.Buf) != maxPacket {
			t.Errorf("a packet of %d bytes", len(got.Buf))
		}
		for _, says := range []string{"HTTP", ""} {
			conn, err := network.Dial(t.Context(), testAddr(3), testAddr(1))
			if err != nil {
				t.Fatal(err)
			}
			if err := write(conn, []byte(says)); err != nil {
				t.Fatal(err)
			}
			if says == "" {
				_ = conn.Close()
			} else if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Error("the connection is not closed")
			}
			synctest.Wait()
		}
		want := []string{
			"packet of 10.0.0.2:9090: " + errPacketSize.Error(),
			"connection of 10.0.0.3:9090: " + errNotMemberlist.Error(),
			"connection of 10.0.0.3:9090: EOF",
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("told of (-want +got):\n%s", diff)
		}
		if err := tr.Shutdown(); err != nil {
			t.Error(err)
		}
	})
}

// An answer that does not pass the gate is told of as one.
func TestAnswersAreTurnedAway(t *testing.T) {
	told := ""
	tr := newTransport(nil, nil, nil, testAddr(1), testAddr(1), gate{label: testLabel},
		transportEvents{refused: func(what string, from net.Addr, err error) { told = what }}, nil)
	network := &oneConn{conn: &byteConn{r: strings.NewReader("HTTP")}}
	tr.network = network
	conn, err := tr.DialTimeout(testAddr(2).String(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 9)); n != 0 || err != errNotMemberlist || told != "answer" {
		t.Errorf("%d, %v, told of %q", n, err, told)
	}
	if tr.answers.count() != 1 || len(tr.conns) != 1 {
		t.Errorf("%d answers are awaited on %d connections", tr.answers.count(), len(tr.conns))
	}
	_ = conn.Close()
	if tr.answers.count() != 0 || len(tr.conns) != 0 {
		t.Errorf("%d answers on %d connections after the end", tr.answers.count(), len(tr.conns))
	}
	network.err = errBroken
	if conn, err := tr.DialTimeout(testAddr(2).String(), time.Second); conn != nil ||
		err != errBroken {
		t.Errorf("nobody is there: %v, %v", conn, err)
	}
}

// oneConn is a network whose every stream is the same one.
type oneConn struct {
	Network
	conn net.Conn
	err  error
}

func (o *oneConn) Dial(context.Context, netip.AddrPort, netip.AddrPort) (net.Conn, error) {
	return o.conn, o.err
}

// A connection on which no deadline can be set is closed, and so is one of ours when it is over.
// The end of the transport waits for it.
func TestConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		l, p, err := network.Listen(testAddr(1))
		if err != nil {
			t.Fatal(err)
		}
		served := 0
		tr := newTransport(network, l, p, testAddr(1), testAddr(1), gate{label: testLabel},
			transportEvents{refused: func(what string, _ net.Addr, err error) {
				t.Errorf("%s refused: %v", what, err)
			}}, func(ctx context.Context, conn net.Conn, opened func()) {
				first := make([]byte, 1)
				if _, err := conn.Read(first); err == nil && first[0] == 'x' {
					<-ctx.Done()
					time.Sleep(time.Second)
				}
				served++
			})
		stuck := &closing{byteConn: stiff{byteConn{}}}
		tr.sort(stuck)
		if stuck.closed != 1 || tr.opening.count() != 0 {
			t.Errorf("closed %d times, %d are opening", stuck.closed, tr.opening.count())
		}
		tr.start()
		dial := func(says string) net.Conn {
			t.Helper()
			conn, err := network.Dial(t.Context(), testAddr(3), testAddr(1))
			if err != nil {
				t.Fatal(err)
			}
			if err := write(conn, append([]byte{streamMagic}, says...)); err != nil {
				t.Fatal(err)
			}
			return conn
		}
		if _, err := dial("y").Read(make([]byte, 1)); err != io.EOF || served != 1 {
			t.Errorf("after its end a stream is not closed: %v", err)
		}
		_ = dial("x")
		synctest.Wait()
		if err := tr.Shutdown(); err != nil || served != 2 {
			t.Errorf("shut down with %v, when %d streams were over", err, served)
		}
	})
}

type closing struct {
	byteConn stiff
	net.Conn
	closed int
}

func (c *closing) Close() error                       { c.closed++; return nil }
func (c *closing) RemoteAddr() net.Addr               { return c.byteConn.RemoteAddr() }
func (c *closing) SetReadDeadline(at time.Time) error { return c.byteConn.SetReadDeadline(at) }

// A connection that is accepted while the transport ends is closed.
func TestAcceptedDuringShutdown(t *testing.T) {
	conn := &closeCounter{from: "198.51.100.1"}
	tr := newTransport(nil, &oneAccept{conns: []net.Conn{conn, conn}}, nil, testAddr(1),
		testAddr(1),
		gate{}, transportEvents{}, nil)
	tr.conns = nil
	tr.acceptStreams()
	if conn.closed != 1 {
		t.Errorf("closed %d times", conn.closed)
	}
}

// oneAccept is a listener to which these connections come, and then the end.
type oneAccept struct {
	net.Listener
	conns []net.Conn
}

func (o *oneAccept) Accept() (net.Conn, error) {
	if len(o.conns) == 0 {
		return nil, errors.Join(net.ErrClosed)
	}
	conn := o.conns[0]
	o.conns = o.conns[1:]
	return conn, nil
}
