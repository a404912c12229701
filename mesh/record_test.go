package mesh

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// recorder is a network on which somebody listens: it keeps every packet, and all that was sent by
// the dialler on each stream. It can send them again, without knowing any key.
type recorder struct {
	Network

	mu      sync.Mutex
	packets map[string]bool // by content
	streams []*recordedConn
}

func record(n Network) *recorder { return &recorder{Network: n, packets: make(map[string]bool)} }

func (r *recorder) Listen(addr netip.AddrPort) (net.Listener, net.PacketConn, error) {
	l, p, err := r.Network.Listen(addr)
	if err != nil {
		return nil, nil, err
	}
	return l, &recordedPackets{p, r}, nil
}

func (r *recorder) Dial(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	conn, err := r.Network.Dial(ctx, from, to)
	if err != nil {
		return nil, err
	}
	recorded := &recordedConn{Conn: conn, r: r}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.streams = append(r.streams, recorded)
	return recorded, nil
}

type recordedPackets struct {
	net.PacketConn
	r *recorder
}

func (p *recordedPackets) WriteTo(b []byte, to net.Addr) (int, error) {
	p.r.mu.Lock()
	p.r.packets[string(b)] = true
	p.r.mu.Unlock()
	return p.PacketConn.WriteTo(b, to)
}

type recordedConn struct {
	net.Conn
	r    *recorder
	sent []byte
}

func (c *recordedConn) Write(b []byte) (int, error) {
	c.r.mu.Lock()
	c.sent = append(c.sent, b...)
	c.r.mu.Unlock()
	return c.Conn.Write(b)
}

// A recording is what was heard up to a moment.
type recording struct {
	packets []string
	streams []string
}

func (r *recorder) all() recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := recording{packets: slices.Sorted(maps.Keys(r.packets))}
	for _, s := range r.streams {
		if len(s.sent) > 0 {
			rec.streams = append(rec.streams, string(s.sent))
		}
	}
	return rec
}

// states is how many of the streams are memberlist's.
func (r recording) states() int {
	n := 0
	for _, s := range r.streams {
		if s[0] != streamMagic {
			n++
		}
	}
	return n
}

// play sends all of it to a director once more, from an address of its own.
func (r recording) play(t *testing.T, network Network, from, to netip.AddrPort) {
	t.Helper()
	l, packets, err := network.Listen(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(l.Close(), packets.Close()); err != nil {
			t.Error(err)
		}
	}()
	for _, p := range r.packets {
		if _, err := packets.WriteTo([]byte(p), net.UDPAddrFromAddrPort(to)); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range r.streams {
		conn, err := network.Dial(t.Context(), from, to)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		// The director may close at any moment, and need not answer.
		_, _ = conn.Write([]byte(s))
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
}

// lives starts directors with a key on a network, for the tests of records: each start is a new
// life.
type lives struct {
	t     *testing.T
	net   *recorder
	seed  uint64
	addrs map[string]byte // by name
	nodes map[string]*Node
	began time.Time
}

func (l *lives) start(names ...string) {
	l.t.Helper()
	for _, name := range names {
		l.seed++
		l.nodes[name] = simulated(l.t, nil, func(cfg *Config) {
			cfg.Network, cfg.Seed, cfg.Name, cfg.Bind = l.net, l.seed, name, testAddr(l.addrs[name])
			cfg.Keys, cfg.KickDelay = [][]byte{testKey(1)}, time.Second
			cfg.Wall = func() time.Time { return testStart.Add(time.Since(l.began)) }
			for i := range 4 {
				addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
				cfg.Backends = append(cfg.Backends, ring.Backend{Addr: addr, VHosts: 100})
			}
			for _, other := range slices.Sorted(maps.Keys(l.addrs)) {
				if other != name {
					cfg.Join = append(cfg.Join, testAddr(l.addrs[other]).String())
				}
			}
		})
	}
}

func (l *lives) stop(names ...string) {
	l.t.Helper()
	for _, name := range names {
		if err := l.nodes[name].Close(); err != nil {
			l.t.Error(err)
		}
		delete(l.nodes, name)
	}
}

// awaitSynced lets time pass until each director sees all as synced.
func (l *lives) awaitSynced(limit time.Duration) {
	l.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		if l.whole() {
			return
		}
		if time.Now().After(end) {
			for name, n := range l.nodes {
				l.t.Logf("%s: %+v, sees %+v", name, n.Self(), n.Peers())
			}
			l.t.Fatalf("not synced after %v", limit)
		}
	}
}

func (l *lives) whole() bool {
	for _, n := range l.nodes {
		peers := slices.DeleteFunc(n.Peers(), func(p replica.PeerStatus) bool { return p.Removed })
		if len(peers) != len(l.nodes) || !n.Self().Synced {
			return false
		}
		for _, p := range peers {
			if p.State != replica.Synced {
				return false
			}
		}
	}
	return true
}

func (l *lives) do(name string, op replica.Operation) {
	l.t.Helper()
	if _, err := l.nodes[name].Do(l.t.Context(), op); err != nil {
		l.t.Fatalf("%+v: %v", op, err)
	}
}

// table is what matters of a director's table: the backends, and the directors that are removed.
func table(n *Node) []string {
	var rows []string
	for _, b := range n.Backends() {
		state := "up"
		if b.Backend.Down {
			state = "down"
		}
		rows = append(rows, strings.Join([]string{b.Backend.Addr.String(), state}, " "))
	}
	for _, d := range n.Table().Directors {
		if d.Removed.Value {
			rows = append(rows, d.Addr.String()+" removed")
		}
	}
	return rows
}

// TestRecordsChangeNothing sends all that was ever heard on the network again, with a key that the
// listener does not know: after the restart of one director, at its old address or at another, and
// of all of them.
func TestRecordsChangeNothing(t *testing.T) {
	changed := []string{"192.0.2.1 down", "192.0.2.2 up", "192.0.2.4 up", "10.0.0.7:9090 removed"}
	fresh := []string{"192.0.2.1 up", "192.0.2.2 up", "192.0.2.3 up", "192.0.2.4 up"}
	for _, test := range []struct {
		name    string
		restart []string
		moves   bool // the first one of them starts at another address
		want    []string
	}{
		{"one restarts", []string{"d1"}, false, changed},
		{"one restarts elsewhere", []string{"d2"}, true, changed},
		{"all restart", []string{"d1", "d2", "d3"}, false, fresh},
		{"all restart, one elsewhere", []string{"d1", "d2", "d3"}, true, fresh},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := record(netsim.New(1, netsim.Faults{Delay: time.Millisecond}))
				l := &lives{t: t, net: network, began: time.Now(), nodes: make(map[string]*Node),
					addrs: map[string]byte{"d1": 1, "d2": 2, "d3": 3}}
				l.start("d1", "d2", "d3")
				l.awaitSynced(10 * time.Second)
				first := netip.AddrFrom4([4]byte{192, 0, 2, 1})
				l.do("d1", replica.SetDown{Addr: first, Down: true})
				l.do("d2", replica.RemoveBackend{Addr: netip.AddrFrom4([4]byte{192, 0, 2, 3})})
				l.do("d3", replica.SetDirectorRemoved{Addr: testAddr(3)})
				l.do("d1", replica.SetDirectorRemoved{Addr: testAddr(7)}) // so that it is known
				l.do("d1", replica.SetDirectorRemoved{Addr: testAddr(7), Removed: true})
				time.Sleep(time.Minute) // some states are exchanged
				heard := network.all()
				if len(heard.packets) < 100 || heard.states() < 3 {
					t.Fatalf("recorded %d packets and %d states only",
						len(heard.packets), heard.states())
				}
				l.stop(test.restart...)
				time.Sleep(time.Second)
				if test.moves {
					l.addrs[test.restart[0]] = 11
				}
				l.start(test.restart...)
				for range 3 { // as they start, and later
					for _, name := range slices.Sorted(maps.Keys(l.nodes)) {
						heard.play(t, network.Network, testAddr(99), l.nodes[name].Advertise())
					}
					time.Sleep(10 * time.Second)
				}
				l.awaitSynced(30 * time.Second)
				for name, n := range l.nodes {
					select {
					case err := <-n.Fatal():
						t.Errorf("%s ends: %v", name, err)
					default:
					}
					if diff := cmp.Diff(test.want, table(n)); diff != "" {
						t.Errorf("table of %s (-want +got):\n%s", name, diff)
					}
					for _, p := range n.Peers() {
						if p.Removed {
							continue
						}
						if want := testAddr(l.addrs[p.Name]); p.Addr != want {
							t.Errorf("%s believes %s at %s, want %s", name, p.Name, p.Addr, want)
						}
					}
				}
			})
		})
	}
}
