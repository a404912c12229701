package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// diary is a network that writes down when an address is dialled. Nobody is there.
type diary struct {
	Network
	to netip.AddrPort

	mu   sync.Mutex
	when []time.Time
}

func (d *diary) Dial(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	if to != d.to {
		return d.Network.Dial(ctx, from, to)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.when = append(d.when, time.Now())
	return nil, errors.New("refused")
}

// pauses returns those between the dials so far, and forgets all dials but the last.
func (d *diary) pauses() (all []time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.when[1:] {
		all = append(all, d.when[i+1].Sub(d.when[i]))
	}
	d.when = d.when[len(d.when)-1:]
	return all
}

// A peer that does not answer is dialled again after pauses that double up to the longest. When it
// shows up it is dialled at once, and the pauses begin anew.
func TestPausesBetweenDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &diary{Network: netsim.New(1, netsim.Faults{}), to: testAddr(2)}
		n := simulated(t, nil, func(cfg *Config) { cfg.Network = network })
		ctx, cancel := context.WithCancel(t.Context())
		l := &link{name: "d2", addr: testAddr(2), hurry: make(chan struct{}, 1)}
		go n.runLink(ctx, l, nil)
		check := func(when string, least int) {
			t.Helper()
			got, want := network.pauses(), firstRetry
			if len(got) < least {
				t.Errorf("%s: the pauses are %v", when, got)
			}
			for i, pause := range got {
				if pause < want*4/5 || pause > want*6/5 {
					t.Errorf("%s: pause %d is %s, want about %s", when, i, pause, want)
				}
				want = min(2*want, lastRetry)
			}
		}
		time.Sleep(30 * time.Second)
		check("at first", 9)
		time.Sleep(time.Second)
		network.pauses()
		l.hurry <- struct{}{}
		synctest.Wait()
		if got := network.pauses(); len(got) != 1 || got[0] > lastRetry*6/5 {
			t.Errorf("the dial in a hurry comes after %v", got)
		}
		time.Sleep(5 * time.Second)
		check("after the hurry", 5)
		cancel()
		time.Sleep(time.Minute)
		if got := network.pauses(); len(got) > 0 {
			t.Errorf("dialled on after its end: %v", got)
		}
	})
}

// A link dials at once when its peer is at another address or in another life, and when it is told
// so.
func TestHurriedDials(t *testing.T) {
	l := newLink("d2", testAddr(2), 7)
	n := &Node{links: map[string]*link{"d2": l}}
	for _, test := range []struct {
		name  string
		addr  netip.AddrPort
		boot  uint64
		hurry bool
		want  int
	}{
		{"nothing new", testAddr(2), 7, false, 0},
		{"life not told", testAddr(2), 0, false, 0},
		{"another life", testAddr(2), 8, false, 1},
		{"another address", testAddr(3), 8, false, 1},
		{"another address, life not told", testAddr(4), 0, false, 1},
		{"told so", testAddr(4), 8, true, 1},
	} {
		for range 2 { // twice is once
			n.ensureLink("d2", test.addr, test.boot, test.hurry)
		}
		if got := len(l.hurry); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
			continue
		}
		for range test.want {
			<-l.hurry
		}
	}
}

// A link follows its peer to another address and into another life, and keeps the life that it
// knows where none is told.
func TestLinksFollowTheirPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		for _, test := range []struct {
			addr netip.AddrPort
			boot uint64
			want uint64
		}{
			{testAddr(2), 0, 0}, {testAddr(2), 7, 7}, {testAddr(3), 0, 7}, {testAddr(4), 8, 8},
		} {
			n.ensureLink("d2", test.addr, test.boot, false)
			n.linksMu.Lock()
			l := n.links["d2"]
			if l.addr != test.addr || l.boot != test.want || l.name != "d2" || len(n.links) != 1 {
				t.Errorf("%+v: %s, %s, %d; of %d links", test, l.name, l.addr, l.boot, len(n.links))
			}
			n.linksMu.Unlock()
		}
		n.dropLinks([]string{"d2", "d3"})
		n.linksMu.Lock()
		left := len(n.links)
		n.linksMu.Unlock()
		if left != 0 {
			t.Errorf("%d links are left", left)
		}
	})
}

// There is a link to each director of the largest mesh, and none to one more, which is counted.
func TestMostLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		_ = n.Close() // what is dialled ends at once
		n.linksMu.Lock()
		n.links = make(map[string]*link)
		n.linksMu.Unlock()
		for i := range wire.MaxDirectors {
			n.ensureLink(fmt.Sprint("x", i), testAddr(2), 0, false)
		}
		if got := counted(t, n.metrics.drops[dropContact]); got != 0 ||
			len(n.links) != wire.MaxDirectors {
			t.Errorf("%d links, %g dropped", len(n.links), got)
		}
		n.ensureLink("one more", testAddr(2), 0, false)
		n.ensureLink("x7", testAddr(3), 0, false)
		if got := counted(t, n.metrics.drops[dropContact]); got != 1 ||
			len(n.links) != wire.MaxDirectors {
			t.Errorf("%d links, %g dropped, want one dropped", len(n.links), got)
		}
		if n.links["x7"].addr != testAddr(3) {
			t.Error("a link that is there is not kept up")
		}
		n.wg.Wait()
	})
}

// A closed director has no links, and closes the stream that comes late.
func TestLinksAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		_ = n.Close()
		n.ensureLink("d2", testAddr(2), 0, false)
		out, ended, _ := plainOut(t)
		n.adopt(out, wire.Peer{Name: "d2", Boot: 7, Addr: testAddr(2)})
		if err := <-ended; !errors.Is(err, context.Canceled) || n.links != nil {
			t.Errorf("the stream ended with %v, links %v", err, n.links)
		}
	})
}

// The stream that is opened last is the link's, with what its peer said of itself.
func TestAdoptedStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		first, _, _ := plainOut(t)
		n.adopt(first, wire.Peer{Name: "d2", Boot: 7, Addr: testAddr(2)})
		older := n.links["d2"]
		second, _, _ := plainOut(t)
		n.adopt(second, wire.Peer{Name: "d2", Boot: 8, Addr: testAddr(3)})
		synctest.Wait()
		if first.cause() == nil || second.cause() != nil {
			t.Errorf("the older stream: %v, the newer: %v", first.cause(), second.cause())
		}
		l := n.links["d2"]
		if l == older || l.boot != 8 || l.addr != testAddr(3) || l.name != "d2" {
			t.Errorf("the link is %s of life %d at %s", l.name, l.boot, l.addr)
		}
		n.dropLinks([]string{"d2"})
		synctest.Wait()
		if second.cause() == nil {
			t.Error("the stream goes on without its link")
		}
	})
}

// That a director answers under another name, or under ours, is looked into.
func TestWhoRefusesUs(t *testing.T) {
	refused := func(name string, boot uint64) error {
		return &handshakeError{Reason: reasonRefused, Err: &refusal{&wire.Refuse{
			From: wire.Peer{Name: name, Boot: boot, Addr: testAddr(7)}, Up: 5000,
		}, 3 * time.Second}}
	}
	to := replica.Dial{Name: "d2", Addr: testAddr(2)}
	for _, test := range []struct {
		name   string
		to     replica.Dial
		err    error
		events []memberEvent
		heard  int // directors to be dialled
	}{
		{"no refusal", to, errors.New("d3"), nil, 0},
		{"nobody", to, refused("", 7), nil, 0},
		{"whom we dialled", to, refused("d2", 7), nil, 0},
		{"anybody", replica.Dial{Addr: testAddr(2)}, refused("d3", 7), nil, 0},
		{"another one", to, refused("d3", 7), nil, 1},
		{"our name", to, refused("d1", 7), []memberEvent{{
			kind: nameProven, addr: testAddr(7), boot: 7,
			ours: 3 * time.Second, theirs: 5 * time.Second}}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			network := &stuckDials{Network: netsim.New(1, netsim.Faults{}),
				released: make(chan struct{})}
			n := simulated(t, nil, func(cfg *Config) { cfg.Network = network })
			n.events.close() // nobody but the test takes them
			synctest.Wait()
			n.events.closed = false
			n.followRefusal(test.to, test.err)
			compare := cmp.Options{
				cmp.AllowUnexported(memberEvent{}), cmpopts.EquateComparable(netip.AddrPort{}),
			}
			if diff := cmp.Diff(test.events, taken(n), compare); diff != "" {
				t.Errorf("%s: events (-want +got):\n%s", test.name, diff)
			}
			n.contacts.mu.Lock()
			queued := n.contacts.queued
			want := replica.Dial{Name: "d3", Addr: testAddr(2)}
			if len(queued) != test.heard || test.heard > 0 && !queued[want] {
				t.Errorf("%s: to be dialled: %v", test.name, queued)
			}
			n.contacts.mu.Unlock()
			close(network.released)
		})
	}
}

// A peer that answers the hello with something else is said with what it sent.
func TestOddAnswersToTheHello(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer wire.Message // nil: it closes
		reason string
		text   string
		told   uint64 // times that the core is told of a refusal
	}{
		{"a beat", &wire.Beat{}, reasonProtocol.String(), "answers the hello", 0},
		{"nothing", nil, reasonProtocol.String(), "broke off", 0},
		{"a refusal", &wire.Refuse{From: wire.Peer{Name: "d2", Boot: 7, Addr: testAddr(2)},
			Reason: "no room"},
			reasonRefused.String(), `refused by "d2": no room`, 1},
		{"ourselves", &wire.Refuse{From: wire.Peer{Name: "d1", Boot: newRand(1).Uint64(),
			Addr: testAddr(1)}, Reason: "no room"},
			reasonRefused.String(), `refused by "d1": no room`, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			network := netsim.New(1, netsim.Faults{})
			n := simulated(t, network, func(*Config) {})
			l, p, err := network.Listen(testAddr(2))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			defer p.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				if _, err := conn.Read(make([]byte, 1)); err != nil {
					t.Error(err)
					return
				}
				s, err := acceptHandshake(conn, n.keys.current())
				if err != nil {
					t.Error(err)
					return
				}
				hello, err := receiveMessage(s, helloLimit)
				if h, ok := hello.(*wire.Hello); err != nil || !ok || h.To.Name != "d2" ||
					h.To.Addr != testAddr(2) {
					t.Errorf("%s: the hello is %+v, %v", test.name, hello, err)
				}
				if test.answer != nil {
					if err := sendMessage(s, test.answer); err != nil {
						t.Error(err)
					}
				}
			}()
			_, _, err = n.openStream(t.Context(), replica.Dial{Name: "d2", Addr: testAddr(2)})
			if got := reasonOf(err); got != test.reason {
				t.Errorf("%s: %q, want %q", test.name, got, test.reason)
			}
			if err == nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%s: %v, want %q", test.name, err, test.text)
			}
			if got := n.core.Counters().Refused; got != test.told {
				t.Errorf("%s: the core is told %d times, want %d", test.name, got, test.told)
			}
		})
	}
}
