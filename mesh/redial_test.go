package mesh

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/rs/zerolog"

	"directormesh/directory"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// answering has a director at the second address that answers each hello, and hands over its ends
// of the streams.
func answering(t *testing.T, network Network) <-chan *secureStream {
	t.Helper()
	l, p, err := network.Listen(testAddr(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = l.Close(), p.Close() })
	streams := make(chan *secureStream, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if s := answerHello(conn, keysOf(t, "test")); s != nil {
				streams <- s
			}
		}
	}()
	return streams
}

// answerHello is an acceptor's part of an opening; nil if it does not come to its end.
func answerHello(conn net.Conn, keys streamKeys) *secureStream {
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		return nil
	}
	s, err := acceptHandshake(conn, keys)
	if err != nil {
		return nil
	}
	m, err := receiveMessage(s, helloLimit)
	hello, ok := m.(*wire.Hello)
	if err != nil || !ok || sendMessage(s, &wire.Hello{
		MeshTime: directory.Micros(time.Now().UnixMicro()), Settings: hello.Settings,
		From: wire.Peer{Name: "d2", Boot: 2, Addr: testAddr(2)}, To: hello.From,
		Answers: hello.From.Boot,
	}) != nil {
		return nil
	}
	return s
}

// moodyDials is a network on which some dials to the second address fail. It writes down when they
// were made.
type moodyDials struct {
	Network

	mu    sync.Mutex
	fails int           // how many are to fail
	takes time.Duration // each of them
	stuck int           // bytes that are stuck on each connection
	when  []time.Time
}

func (m *moodyDials) Dial(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	if to != testAddr(2) {
		return m.Network.Dial(ctx, from, to)
	}
	m.mu.Lock()
	fails, stuck := m.fails > 0, m.stuck
	m.fails--
	m.when = append(m.when, time.Now())
	m.mu.Unlock()
	time.Sleep(m.takes)
	if fails {
		return nil, errBroken
	}
	conn, err := m.Network.Dial(ctx, from, to)
	if stuck > 0 && err == nil {
		conn = &stuckPipe{conn, stuck}
	}
	return conn, err
}

func (m *moodyDials) set(fails int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails = fails
}

// dialled returns when the dial of this number was, from 0.
func (m *moodyDials) dialled(i int) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.when[i]
}

// moody starts a node and a peer that answers on such a network.
func moody(t *testing.T, network *moodyDials) (*Node, <-chan *secureStream, *logBuffer) {
	t.Helper()
	network.Network = netsim.New(1, netsim.Faults{})
	log := new(logBuffer)
	n := simulated(t, nil, func(cfg *Config) { cfg.Network, cfg.Log = network, zerolog.New(log) })
	return n, answering(t, network), log
}

// The pauses between dials go on to double after a stream that did not last, and begin anew after
// one that did. A dial that failed is no stream, however long it took.
func TestPausesAfterStreams(t *testing.T) {
	const failed = 4
	for _, test := range []struct {
		lasts time.Duration // of the stream; 0: the dial fails, too
		takes time.Duration // each dial that fails
		want  time.Duration // the pause after it, about
	}{
		{1, 0, firstRetry << failed},
		{steady - 1, 0, firstRetry << failed},
		{steady, 0, firstRetry},
		{0, steady + time.Second, firstRetry << failed},
	} {
		synctest.Test(t, func(t *testing.T) {
			network := &moodyDials{fails: failed, takes: test.takes}
			if test.lasts == 0 {
				network.fails++
			}
			n, streams, _ := moody(t, network)
			go n.runLink(n.ctx, newLink("d2", testAddr(2), 0), nil)
			var ended time.Time
			if test.lasts > 0 {
				s := <-streams
				time.Sleep(test.lasts)
				_ = s.conn.Close()
				ended = time.Now()
			}
			time.Sleep((failed+1)*test.takes + 3*firstRetry<<failed)
			if test.lasts == 0 {
				ended = network.dialled(failed).Add(test.takes)
			}
			pause := network.dialled(failed + 1).Sub(ended)
			if pause > test.want*6/5 || pause < test.want*4/5 {
				t.Errorf("%+v: dialled again after %s", test, pause)
			}
		})
	}
}

// That large packets do not get through is said after two streams in a row that ended so, each
// opened after the one before; not of one that ended here.
func TestWhenStuckIsSaid(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(network *moodyDials, cancel func(), s *secureStream) // of the second stream
		fail int                                                       // dials in between
		want int                                                       // lines
	}{
		{"two streams",
			func(_ *moodyDials, _ func(), s *secureStream) { _ = s.conn.Close() }, 0, 1},
		{"a dial fails",
			func(_ *moodyDials, _ func(), s *secureStream) { _ = s.conn.Close() }, 1, 0},
		{"ended here", func(_ *moodyDials, cancel func(), _ *secureStream) { cancel() }, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			network := &moodyDials{stuck: 1488}
			n, streams, log := moody(t, network)
			ctx, cancel := context.WithCancel(n.ctx)
			defer cancel()
			go n.runLink(ctx, newLink("d2", testAddr(2), 0), nil)
			first := <-streams
			network.set(test.fail)
			_ = first.conn.Close()
			test.end(network, cancel, <-streams)
			synctest.Wait()
			if got := strings.Count(log.String(), "large packets do not reach"); got != test.want {
				t.Errorf("%s: said %d times, want %d:\n%s", test.name, got, test.want, log)
			}
		})
	}
}

// A stream that comes with a link is served even if the link has ended, which closes it. Its end is
// said only where the link goes on.
func TestStreamsOfEndedLinks(t *testing.T) {
	for _, ended := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n, _, log := moody(t, &moodyDials{fails: 1000})
			ctx, cancel := context.WithCancel(n.ctx)
			defer cancel()
			out, _, far := plainOut(t)
			if ended {
				cancel()
			}
			l := newLink("d2", testAddr(2), 0)
			go n.runLink(ctx, l, out)
			synctest.Wait()
			if !ended {
				_ = far.conn.Close()
			}
			synctest.Wait()
			if got := errors.Is(out.cause(), context.Canceled); got != ended || out.cause() == nil {
				t.Errorf("ended %v: closed because of %v", ended, out.cause())
			}
			said := strings.Contains(log.String(), `"opened":true`)
			if said == ended || ended && strings.Contains(log.String(), "stream ended") {
				t.Errorf("ended %v: the log has\n%s", ended, log)
			}
		})
	}
}

// A newer stream to a peer takes the place of the one before, whose end changes nothing then.
func TestReplacedStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _, _ := moody(t, new(moodyDials))
		open := func() *outStream {
			t.Helper()
			out, _, err := n.openTo(t.Context(), replica.Dial{Name: "d2", Addr: testAddr(2)})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		first := open()
		ended := make(chan error, 1)
		go func() { ended <- n.serveOut(t.Context(), first) }()
		synctest.Wait()
		second := open()
		if err := <-ended; err != errReplaced {
			t.Errorf("the first stream ended with %v", err)
		}
		n.input(func(*replica.Core, mono.Time) {
			if n.out["d2"] != second {
				t.Error("the newer stream is not the peer's")
			}
		})
	})
}

// What has ended of a link that goes on is not held on to.
func TestEndedStreamsAreFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, streams, _ := moody(t, new(moodyDials))
		serve := func() (weak.Pointer[outStream], weak.Pointer[ownedConn]) {
			out, _, err := n.openTo(n.ctx, replica.Dial{Name: "d2", Addr: testAddr(2)})
			if err != nil {
				t.Fatal(err)
			}
			_ = (<-streams).conn.Close()
			_ = n.serveOut(n.ctx, out)
			return weak.Make(out), weak.Make(out.conn.(*ownedConn))
		}
		out, conn := serve()
		runtime.GC()
		if out.Value() != nil || conn.Value() != nil {
			t.Errorf("in memory stay the stream %v and its connection %v",
				out.Value(), conn.Value())
		}
	})
}

// deadlineConn is a connection that tells when its deadline is taken away.
type deadlineConn struct {
	net.Conn
	taken func() error
}

func (c *deadlineConn) SetDeadline(at time.Time) error {
	if at.IsZero() {
		if err := c.taken(); err != nil {
			return err
		}
	}
	return c.Conn.SetDeadline(at)
}

// deadlineDials is a network of such connections.
type deadlineDials struct {
	Network
	taken func() error
}

func (d *deadlineDials) Dial(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	conn, err := d.Network.Dial(ctx, from, to)
	return &deadlineConn{conn, d.taken}, err
}

// A stream whose context ends with the last step of its opening is closed, and so is one whose
// deadline stays.
func TestOpeningsThatEndLate(t *testing.T) {
	for _, want := range []error{context.Canceled, errBroken} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			network := &deadlineDials{Network: netsim.New(1, netsim.Faults{})}
			network.taken = func() error {
				if want == context.Canceled {
					cancel()
					return nil
				}
				return want
			}
			n := simulated(t, nil, func(cfg *Config) { cfg.Network = network })
			streams := answering(t, network)
			s, hello, err := n.openStream(ctx, replica.Dial{Name: "d2", Addr: testAddr(2)})
			if s != nil || hello != nil || !errors.Is(err, want) {
				t.Errorf("%v, %v, %v; want %v", s, hello, err, want)
			}
			if _, err := (<-streams).r.Read(make([]byte, 1)); err == nil {
				t.Error("the stream is not closed")
			}
		})
	}
}

// That a peer does not answer is told to the core each time.
func TestFailedDialsReachTheCore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		one, _ := named(t, network, "d1", 1)
		two, _ := named(t, network, "d2", 2)
		time.Sleep(5 * time.Second)
		if err := two.Close(); err != nil {
			t.Fatal(err)
		}
		var before time.Time
		for range 3 {
			time.Sleep(30 * time.Second)
			for _, p := range one.Peers() {
				if p.Name == "d2" {
					if !p.LastFailed.After(before) {
						t.Errorf("last failed at %v, before that %v", p.LastFailed, before)
					}
					before = p.LastFailed
				}
			}
		}
		if before.IsZero() {
			t.Error("d2 is not known")
		}
	})
}
