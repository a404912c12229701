package mesh

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"directormesh/mesh/meshtest/metrictest"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// A state that is too large goes without its digests, and one that cannot be sent without them
// either not at all; both are said and counted.
func TestLargeStates(t *testing.T) {
	many := make([]wire.GroupDigests, 2*ring.MaxTags+1)
	for i := range many {
		many[i].Tag = ring.Tag(fmt.Sprint("t", i))
	}
	for _, test := range []struct {
		name    string
		digests []wire.GroupDigests
		from    string // the sender
		sent    bool
		levels  []any
	}{
		{"little", many[:1], "d1", true, nil},
		{"many digests", many, "d1", true, []any{"warn"}},
		{"the rest, too", many[:1], strings.Repeat("d", 300), false,
			[]any{"warn", "error"}},
	} {
		var got []byte
		lines, n := noting(t, func(n *Node) {
			got = n.encodeState(&wire.PushPull{
				Hello: wire.Hello{From: wire.Peer{Name: test.from, Boot: 1, Addr: testAddr(1)}},
				Epoch: 7, Digests: test.digests,
			})
		})
		if (got != nil) != test.sent {
			t.Errorf("%s: sent %v", test.name, got != nil)
		}
		if m, err := wire.Decode(got); test.sent {
			s, ok := m.(*wire.PushPull)
			if !ok || s.Epoch != 7 || (len(s.Digests) > 0) != (test.levels == nil) {
				t.Errorf("%s: %+v, %v", test.name, m, err)
			}
		}
		var levels []any
		for _, l := range lines {
			levels = append(levels, l["level"])
		}
		if diff := cmp.Diff(test.levels, levels); diff != "" {
			t.Errorf("%s: levels (-want +got):\n%s", test.name, diff)
		}
		if got := counted(t, n.metrics.drops[dropOversize]); (got == 1) != (test.levels != nil) {
			t.Errorf("%s: counted %g times", test.name, got)
		}
	}
}

// That memberlist cannot spread a new life is said.
func TestNewLifeIsNotSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		_, _ = named(t, network, "d1", 1)
		two, log := named(t, network, "d2", 2)
		time.Sleep(5 * time.Second)
		const said = "memberlist did not spread the new boot id"
		two.handleEvent(memberEvent{kind: newLife})
		if strings.Contains(log.String(), said) {
			t.Errorf("it did:\n%s", log)
		}
		if err := two.memberlist.Shutdown(); err != nil {
			t.Fatal(err)
		}
		two.handleEvent(memberEvent{kind: newLife})
		if !strings.Contains(log.String(), said) {
			t.Errorf("the log has\n%s", log)
		}
	})
}

// A director that an operator added by its address is dialled now and then until it is known.
func TestAddedDirectorsAreDialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &diary{Network: netsim.New(1, netsim.Faults{}), to: testAddr(7)}
		n := simulated(t, nil, func(cfg *Config) { cfg.Network = network })
		if err := n.WaitSynced(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Do(t.Context(), replica.SetDirectorRemoved{Addr: testAddr(7)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		network.mu.Lock()
		before := len(network.when)
		network.mu.Unlock()
		h := newHealer(n)
		h.busy[testAddr(7)] = true // so that memberlist does not
		h.joinAway(joinsAtATime)
		synctest.Wait()
		network.mu.Lock()
		defer network.mu.Unlock()
		if got := len(network.when) - before; got != 1 {
			t.Errorf("dialled %d times", got)
		}
	})
}

// A socket that fails is left alone for a moment each time; one that is closed, or whose director
// is, for good.
func TestSocketsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTransport(nil, nil, nil, testAddr(1), testAddr(1), gate{}, transportEvents{}, nil)
		began := time.Now()
		for _, test := range []struct {
			err  error
			want bool
		}{
			{errBroken, true}, {net.ErrClosed, false},
			{fmt.Errorf("read: %w", net.ErrClosed), false},
		} {
			if got := tr.pause(test.err); got != test.want {
				t.Errorf("%v: goes on %v", test.err, got)
			}
		}
		if took := time.Since(began); took != errorPause {
			t.Errorf("the pause took %v", took)
		}
		time.AfterFunc(errorPause/2, tr.cancel)
		for range 2 { // it ends meanwhile, or has ended
			if tr.pause(errBroken) {
				t.Error("goes on after the end")
			}
		}
		if took := time.Since(began); took != errorPause*3/2 {
			t.Errorf("the end took %v", took)
		}
	})
}

// Sockets that fail now and then go on being read.
func TestSocketsThatRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		l, p, err := network.Listen(testAddr(1))
		if err != nil {
			t.Fatal(err)
		}
		listener, packets := &flakyListener{Listener: l}, &flakyPackets{PacketConn: p}
		tr := newTransport(network, listener, packets, testAddr(1), testAddr(1),
			gate{label: testLabel}, transportEvents{}, nil)
		tr.start()
		time.Sleep(3*errorPause + 1)
		conn, err := network.Dial(t.Context(), testAddr(2), testAddr(1))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := write(conn, labelled(testLabel, []byte{ackMsg, 1})); err != nil {
			t.Fatal(err)
		}
		if c := <-tr.streamCh; c == nil {
			t.Error("no stream")
		}
		_, sender, err := network.Listen(testAddr(2))
		if err != nil {
			t.Fatal(err)
		}
		packet := labelled(testLabel, []byte{pingMsg, 1})
		if _, err := sender.WriteTo(packet, net.UDPAddrFromAddrPort(testAddr(1))); err != nil {
			t.Fatal(err)
		}
		if got := <-tr.packetCh; string(got.Buf) != string(packet) || got.From == nil {
			t.Errorf("the packet is %x from %v", got.Buf, got.From)
		}
		if err := tr.Shutdown(); err != nil {
			t.Error(err)
		}
		if listener.failed != 3 || packets.failed != 3 {
			t.Errorf("asked %d and %d times", listener.failed, packets.failed)
		}
	})
}

// flakyListener and flakyPackets fail three times.
type flakyListener struct {
	net.Listener
	failed int
}

func (l *flakyListener) Accept() (net.Conn, error) {
	if l.failed < 3 {
		l.failed++
		return nil, syscall.EMFILE
	}
	return l.Listener.Accept()
}

type flakyPackets struct {
	net.PacketConn
	failed int
}

func (p *flakyPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	if p.failed < 3 {
		p.failed++
		return 0, nil, syscall.ENOBUFS
	}
	return p.PacketConn.ReadFrom(b)
}

// The metrics of a director that is still starting have nothing of its core, and wait for nothing.
func TestMetricsBeforeTheStart(t *testing.T) {
	registry := prometheus.NewRegistry()
	n := &Node{}
	m, err := newMetrics(registry, n)
	if err != nil {
		t.Fatal(err)
	}
	defer m.unregister()
	for range 2 {
		got := metrictest.Values(t, registry)
		if _, ok := got["director_synced"]; ok || len(got) == 0 {
			t.Errorf("%v", got)
		}
	}
}

// Of the packet buffers the largest is asked for that the system does not refuse, by halves.
func TestAskForBuffer(t *testing.T) {
	for most, want := range map[int][]int{
		packetBuffer:     {packetBuffer},
		packetBuffer / 3: {packetBuffer, packetBuffer / 2, packetBuffer / 4},
		leastBuffer: {packetBuffer, packetBuffer / 2, packetBuffer / 4, packetBuffer / 8,
			packetBuffer / 16, leastBuffer},
		leastBuffer - 1: {packetBuffer, packetBuffer / 2, packetBuffer / 4, packetBuffer / 8,
			packetBuffer / 16, leastBuffer},
	} {
		var asked []int
		askForBuffer(func(size int) error {
			asked = append(asked, size)
			if size > most {
				return errors.New("refused")
			}
			return nil
		})
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("%d at most: asked for (-want +got):\n%s", most, diff)
		}
	}
}
