package mesh

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/directory"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// acceptor is a director at the second address, driven by hand: it answers the first hello of a
// node with one of its own, and hands over its end of the stream.
func acceptor(t *testing.T, network *netsim.Network,
	change func(h *wire.Hello)) <-chan *secureStream {
	t.Helper()
	l, p, err := network.Listen(testAddr(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = l.Close(), p.Close() })
	streams := make(chan *secureStream, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Error(err)
			return
		}
		s, err := acceptHandshake(conn, keysOf(t, "test"))
		if err != nil {
			t.Error(err)
			return
		}
		m, err := receiveMessage(s, helloLimit)
		if err != nil {
			t.Error(err)
			return
		}
		hello := m.(*wire.Hello)
		answer := &wire.Hello{
			MeshTime: directory.Micros(time.Now().UnixMicro()), Settings: hello.Settings,
			From: wire.Peer{Name: "d2", Boot: 2, Addr: testAddr(2)}, To: hello.From,
			Answers: hello.From.Boot,
		}
		change(answer)
		if err := sendMessage(s, answer); err != nil {
			t.Error(err)
		}
		streams <- s
	}()
	return streams
}

// A director that somebody named and that answers gets a link, whose stream is the one just opened.
func TestContactsGetLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		n := simulated(t, network, func(*Config) {})
		streams := acceptor(t, network, func(*wire.Hello) {})
		n.contacts.add(replica.Dial{Name: "d2", Addr: testAddr(2), Trust: replica.Named})
		s := <-streams
		synctest.Wait()
		n.linksMu.Lock()
		l := n.links["d2"]
		n.linksMu.Unlock()
		var out *outStream
		n.input(func(*replica.Core, mono.Time) { out = n.out["d2"] })
		if l == nil || l.boot != 2 || l.addr != testAddr(2) || out == nil {
			t.Fatalf("the link is %+v, the stream %v", l, out)
		}
		if got := gauged(t, n); got != 1 {
			t.Errorf("%g streams are open", got)
		}
		heard := replica.Dial{Name: "d3", Addr: testAddr(3), Trust: replica.Heard}
		n.contacts.add(heard) // nobody is there
		synctest.Wait()
		if len(n.contacts.queued) != 0 || n.contacts.running != 0 || n.contacts.hearing != 0 {
			t.Errorf("%v and %d are under way, %d heard of", n.contacts.queued,
				n.contacts.running, n.contacts.hearing)
		}
		_ = s.conn.Close()
		synctest.Wait()
		if got := gauged(t, n); got != 0 || out.cause() == nil {
			t.Errorf("%g streams are open after the end, closed because of %v", got, out.cause())
		}
		n.input(func(*replica.Core, mono.Time) {
			if n.out["d2"] != nil {
				t.Error("the stream is kept after its end")
			}
		})
	})
}

// gauged returns how many outgoing streams a node counts as open.
func gauged(t *testing.T, n *Node) float64 {
	t.Helper()
	return gaugeOf(t, n.metrics.streamsOut)
}

// An answer that the core does not accept closes the stream, and gets no link.
func TestAnswersThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		n := simulated(t, network, func(*Config) {})
		streams := acceptor(t, network, func(h *wire.Hello) { h.Settings.HashFormat = "%u" })
		out, hello, err := n.openTo(t.Context(), replica.Dial{Name: "d2", Addr: testAddr(2)})
		if out != nil || hello != nil || err == nil || !strings.Contains(err.Error(), "hash") {
			t.Errorf("%v, %v, %v", out, hello, err)
		}
		if _, err := (<-streams).r.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the stream is not closed: %v", err)
		}
		if len(n.out) > 0 {
			t.Errorf("streams: %v", n.out)
		}
	})
}

// Where another director of our name is said to be is dialled; not where we are ourselves, nor
// where our own life is seen, nor where nobody can be.
func TestNamesThatAreHeard(t *testing.T) {
	n := counting(t)
	n.ctx, n.advertise = t.Context(), testAddr(1)
	n.contacts.running = maxContacts // nobody is dialled yet
	for _, test := range []struct {
		name string
		addr netip.AddrPort
		boot uint64
		want bool
	}{
		{"here", testAddr(1), 7, false},
		{"our life", testAddr(2), n.boot.Load(), false},
		{"nowhere", netip.AddrPort{}, 7, false},
		{"elsewhere", testAddr(2), 7, true},
	} {
		n.handleEvent(memberEvent{kind: nameHeard, addr: test.addr, boot: test.boot})
		if got := n.contacts.queued[replica.Dial{Name: "d1", Addr: test.addr}]; got != test.want {
			t.Errorf("%s: to be dialled %v, want %v", test.name, got, test.want)
		}
	}
}

// A life that the core begins is known to the shell, and by it to memberlist.
func TestNewLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		carryOut(n, replica.NewLife{Boot: 77})
		synctest.Wait()
		if n.boot.Load() != 77 {
			t.Errorf("the life is %d", n.boot.Load())
		}
		got, err := decodeMeta(n.memberlist.LocalNode().Meta)
		if err != nil || got.boot != 77 || got.protocol != replica.ProtocolVersion {
			t.Errorf("memberlist spreads %+v, %v", got, err)
		}
	})
}

// A connection that has proved nothing is counted among those until its time is over, and then as
// one that said nothing.
func TestSilentConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		n := simulated(t, network, func(*Config) {})
		began := time.Now()
		conn, err := network.Dial(t.Context(), testAddr(9), testAddr(1))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		synctest.Wait()
		if got := n.transport.opening.count(); got != 1 {
			t.Errorf("%d connections are half open", got)
		}
		_, err = conn.Read(make([]byte, 1))
		if took := time.Since(began); err == nil || took != openingTime {
			t.Errorf("closed after %s, %v", took, err)
		}
		synctest.Wait()
		if got := n.transport.opening.count(); got != 0 || counted(t,
			n.metrics.drops[dropSilent]) != 1 {
			t.Errorf("%d are half open, %g were silent", got, counted(t,
				n.metrics.drops[dropSilent]))
		}
	})
}

// What does not pass the gate is told of, and nothing of it is read.
func TestGateOfAnswers(t *testing.T) {
	streams := &foreignStreams{halfOpen: halfOpen{max: 8}, bytes: 100, each: 100}
	c := foreignOf(streams, "text")
	var told []error
	c.refused = func(err error) { told = append(told, err) }
	c.check = gate{}.answer
	if n, err := c.Read(make([]byte, 9)); n != 0 || err != errNotMemberlist {
		t.Errorf("%d, %v", n, err)
	}
	if len(told) != 1 || told[0] != errNotMemberlist {
		t.Errorf("told %v", told)
	}
	good := foreignOf(streams, string([]byte{ackMsg, 1}))
	good.check = gate{}.answer
	if n, err := good.Read(make([]byte, 9)); n != 2 || err != nil || good.check != nil {
		t.Errorf("what passes: %d, %v", n, err)
	}
}

// Each of the two queues of directors to dial has its bound; what comes beyond is counted.
func TestBoundsOfContacts(t *testing.T) {
	n := counting(t)
	n.ctx = t.Context()
	c := &n.contacts
	c.running = maxContacts
	dial := func(i int, trust replica.Trust) replica.Dial {
		return replica.Dial{Name: fmt.Sprint("x", i), Addr: testAddr(2), Trust: trust}
	}
	for i := range maxContactQueue {
		c.add(dial(i, replica.Heard))
		c.add(dial(i, replica.Heard)) // is waiting
	}
	for i := range maxContactQueue {
		c.add(dial(maxContactQueue+i, replica.Named))
	}
	if got := counted(t, n.metrics.drops[dropContact]); got != 0 ||
		len(c.heard) != maxContactQueue || len(c.named) != maxContactQueue {
		t.Errorf("%d heard of and %d named wait, %g dropped", len(c.heard), len(c.named), got)
	}
	c.add(dial(0, replica.Named)) // is waiting, too
	c.add(dial(-1, replica.Heard))
	c.add(dial(-2, replica.Named))
	if got := counted(t, n.metrics.drops[dropContact]); got != 2 ||
		len(c.queued) != 2*maxContactQueue {
		t.Errorf("%g dropped, %d queued", got, len(c.queued))
	}
}

// Those that somebody trusted named go first, and of the others only so many are dialled at once.
func TestWhoIsDialledNext(t *testing.T) {
	named, heard := replica.Dial{Name: "named"}, replica.Dial{Name: "heard"}
	const closing = 0 - 1 // the director is closed
	for _, test := range []struct {
		running, hearing int
		named, heard     bool
		want             string
	}{
		{0, 0, true, true, "named"},
		{0, 0, false, true, "heard"},
		{0, 0, false, false, ""},
		{maxContacts - 1, 0, true, true, "named"},
		{maxContacts, 0, true, true, ""},
		{maxHeard - 1, maxHeard - 1, false, true, "heard"},
		{maxHeard, maxHeard, false, true, ""},
		{maxHeard, maxHeard, true, true, "named"},
		{closing, 0, true, true, ""},
	} {
		n := counting(t)
		if test.running != closing {
			n.ctx = t.Context()
		}
		c := &contacts{n: n, running: test.running, hearing: test.hearing,
			over: make(map[replica.Dial]chan struct{})}
		if test.named {
			c.named = []replica.Dial{named}
		}
		if test.heard {
			c.heard = []replica.Dial{heard}
		}
		d, hearing, ok := c.nextLocked()
		running, wantHearing := test.running, test.hearing
		if test.want != "" {
			running++
		}
		if test.want == "heard" {
			wantHearing++
		}
		if d.Name != test.want || ok != (test.want != "") || hearing != (test.want == "heard") ||
			c.running != running || c.hearing != wantHearing {
			t.Errorf("%+v: %q, %v, %v; %d, %d run", test, d.Name, hearing, ok, c.running, c.hearing)
		}
	}
}

// An address in use is told from one that is not this host's, in words that say what to do.
func TestListenErrors(t *testing.T) {
	l, p, err := (sockets{}).Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	defer p.Close()
	for addr, want := range map[string]string{
		l.Addr().String(): "is another director running here? choose another address with --bind",
		"192.0.2.1:9090":  "give an address of this host with --bind",
		"192.0.2.1:0":     "give an address of this host with --bind",
	} {
		l, p, err := (sockets{}).Listen(netip.MustParseAddrPort(addr))
		if l != nil || p != nil || err == nil || !strings.HasSuffix(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), "bind: cannot listen at "+addr) ||
			strings.Contains(err.Error(), "listen tcp") {
			t.Errorf("%s: %v, want %s", addr, err, want)
		}
	}
	if _, err := (&transport{}).WriteTo(nil, "d2"); err == nil || !strings.HasPrefix(err.Error(),
		`packet to "d2"`) {
		t.Errorf("a packet to no address: %v", err)
	}
	if _, err := (&transport{}).DialTimeout("d2", time.Second); err == nil ||
		!strings.HasPrefix(err.Error(), `dial "d2"`) || errors.Unwrap(err) == nil {
		t.Errorf("a stream to no address: %v", err)
	}
}
