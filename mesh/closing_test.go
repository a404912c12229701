package mesh

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
)

// A director is closed when all that it began has ended.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		ended := false
		n.wg.Go(func() {
			<-n.ctx.Done()
			time.Sleep(time.Second)
			ended = true
		})
		if err := n.Close(); err != nil || !ended {
			t.Errorf("closed before the end: %v, %v", !ended, err)
		}
	})
}

// An operation that was given up is none of the core's any more: its end is told to nobody.
func TestOperationsAreCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := named(t, netsim.New(1, netsim.Faults{}), "d1", 1, stubborn)
		_, three := connected(t, n, "d3")
		go func() { _, _ = io.Copy(io.Discard, three.r) }()
		ids := make(chan uint64, 1)
		n.input(func(c *replica.Core, now mono.Time) {
			n.nextID++
			ids <- n.nextID
			c.Do(now, n.nextID, replica.KickUser{Value: "bob"})
		})
		n.input(func(c *replica.Core, _ mono.Time) { c.Cancel(<-ids) })
		ended := false
		time.Sleep(time.Minute)
		n.input(func(c *replica.Core, _ mono.Time) {
			for _, e := range c.Take() {
				_, done := e.(replica.AdminDone)
				ended = ended || done
			}
		})
		if ended {
			t.Error("it ended all the same")
		}
	})
}

// What has passed the gate is none of those that have proved nothing, even while memberlist does
// not take it.
func TestPastTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		l, p, err := network.Listen(testAddr(1))
		if err != nil {
			t.Fatal(err)
		}
		tr := newTransport(network, l, p, testAddr(1), testAddr(1), gate{label: testLabel},
			transportEvents{refused: func(what string, _ net.Addr, err error) {
				t.Errorf("%s refused: %v", what, err)
			}}, nil)
		tr.start()
		conn, err := network.Dial(t.Context(), testAddr(2), testAddr(1))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := write(conn, labelled(testLabel, []byte{ackMsg, 1})); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if open, foreign := tr.opening.count(), tr.foreign.count(); open != 0 || foreign != 1 {
			t.Errorf("%d have proved nothing, %d are memberlist's", open, foreign)
		}
		if err := tr.Shutdown(); err != nil {
			t.Error(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil || tr.foreign.count() != 0 {
			t.Errorf("after the end: %v, %d are memberlist's", err, tr.foreign.count())
		}
		ip, port, err := tr.FinalAdvertiseAddr("", 0)
		if !ip.Equal(net.IPv4(10, 0, 0, 1)) || len(ip) != 4 || port != DefaultPort || err != nil {
			t.Errorf("advertised: %v, %d, %v", ip, port, err)
		}
	})
}

// The error of a connection goes before that of having read too much.
func TestErrorsOfForeignStreams(t *testing.T) {
	for _, test := range []struct {
		bytes int64
		rest  io.Reader
		want  error
	}{
		{100, strings.NewReader(""), io.EOF}, {0, broken{}, errBroken},
		{3, strings.NewReader("text"), errForeignBytes}, {4, strings.NewReader("text"), nil},
	} {
		streams := &foreignStreams{
			halfOpen: halfOpen{max: 8}, bytes: test.bytes, each: test.bytes, tooMuch: func() {},
		}
		c := &foreignConn{Conn: &byteConn{}, r: bufio.NewReader(test.rest), streams: streams}
		if _, err := c.Read(make([]byte, 9)); !errors.Is(err, test.want) {
			t.Errorf("%d bytes: %v, want %v", test.bytes, err, test.want)
		}
	}
}

// A dialler on whose connection nothing works says so, whatever it is.
func TestGreetOverBrokenConnections(t *testing.T) {
	n := stillNode(t, func() mono.Time { return mono.Time(time.Hour) })
	keys := n.keys.current()
	for want, conn := range map[string]net.Conn{
		"no deadline": &stiff{byteConn{r: strings.NewReader("")}},
		"no write":    &frail{byteConn{r: strings.NewReader("")}, 0},
	} {
		if s, hello, err := n.greet(conn, replica.Dial{}, keys); s != nil || hello != nil ||
			err != errBroken {
			t.Errorf("%s: %v, %v, %v", want, s, hello, err)
		}
	}
	opened := &frail{byteConn{r: strings.NewReader(string(preamble(byte(accepted), "test")))}, 1}
	if _, _, err := n.greet(opened, replica.Dial{}, keys); err != errBroken {
		t.Errorf("no hello: %v", err)
	}
}

// A stream that cannot be opened is counted and told to the core; one that nobody wants any more is
// neither.
func TestFailedDialsAreTold(t *testing.T) {
	for _, wanted := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			network := netsim.New(1, netsim.Faults{})
			n := simulated(t, network, func(*Config) {})
			l, p, err := network.Listen(testAddr(2))
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			defer l.Close()
			go func() {
				if conn, err := l.Accept(); err == nil {
					if wanted {
						_ = write(conn, []byte("HTTP"))
					}
					time.Sleep(time.Second)
					_ = conn.Close()
				}
			}()
			ctx, cancel := t.Context(), func() {}
			if !wanted {
				ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
			}
			defer cancel()
			out, _, err := n.openTo(ctx, replica.Dial{Name: "d2", Addr: testAddr(2)})
			failed := 0.0
			for r := range reasons {
				failed += counted(t, n.metrics.handshakes[r])
			}
			if out != nil || err == nil || (failed == 1) != wanted {
				t.Errorf("wanted %v: %v, %v, %g counted", wanted, out, err, failed)
			}
		})
	}
}
