package mesh

import (
	"errors"
	"math"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
)

// The settings of memberlist on which the protocol's times rest, and those that its packets need.
func TestMemberlistSettings(t *testing.T) {
	type settings struct {
		Gossip, Probe, Timeout, PushPull, TCP, Dead, Reclaim time.Duration
		GossipNodes, Retransmit, Suspicion, Buffer, Handoff  int
		Compressed, VerifyIn, VerifyOut                      bool
		Name, Label, Addr, Bind                              string
		Port, BindPort                                       int
		Protocol                                             [3]uint8
	}
	want := settings{
		Gossip: 50 * time.Millisecond, Probe: time.Second, Timeout: 500 * time.Millisecond,
		PushPull: 15 * time.Second, TCP: 3 * time.Second, Dead: time.Minute,
		Reclaim: 15 * time.Second, GossipNodes: 3, Retransmit: retransmitMult, Suspicion: 4,
		Buffer: packetLimit, Handoff: 4096, VerifyIn: true, VerifyOut: true,
		Name: "d1", Label: memberlistLabel("test"), Addr: "10.0.0.1", Bind: "10.0.0.1",
		Port: int(DefaultPort), BindPort: int(DefaultPort),
		Protocol: [3]uint8{
			replica.ProtocolVersion, replica.ProtocolVersion, replica.ProtocolVersion,
		},
	}
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		n := simulated(
			t, network, func(cfg *Config) { cfg.Keys = [][]byte{testKey(1), testKey(2)} })
		c, err := n.memberlistConfig()
		if err != nil {
			t.Fatal(err)
		}
		got := settings{
			Gossip: c.GossipInterval, Probe: c.ProbeInterval, Timeout: c.ProbeTimeout,
			PushPull: c.PushPullInterval, TCP: c.TCPTimeout, Dead: c.GossipToTheDeadTime,
			Reclaim: c.DeadNodeReclaimTime, GossipNodes: c.GossipNodes,
			Retransmit: c.RetransmitMult,
			Suspicion:  c.SuspicionMult, Buffer: c.UDPBufferSize, Handoff: c.HandoffQueueDepth,
			Compressed: c.EnableCompression, VerifyIn: c.GossipVerifyIncoming,
			VerifyOut: c.GossipVerifyOutgoing, Name: c.Name, Label: c.Label, Addr: c.AdvertiseAddr,
			Bind: c.BindAddr, Port: c.AdvertisePort, BindPort: c.BindPort,
			Protocol: [3]uint8{
				c.DelegateProtocolMin, c.DelegateProtocolVersion, c.DelegateProtocolMax,
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("settings (-want +got):\n%s", diff)
		}
		keys := c.Keyring.GetKeys()
		if got := c.Keyring.GetPrimaryKey(); !cmp.Equal(got, testKey(1)) || len(keys) != 2 {
			t.Errorf("%d keys, the first is %x", len(keys), got)
		}
		if c.Delegate == nil || c.Events == nil || c.Conflict == nil || c.Alive == nil ||
			c.DisableTcpPingsForNode == nil || c.Logger == nil || c.Logger.Flags() != 0 ||
			c.Transport != n.transport {
			t.Errorf("memberlist lacks one of its delegates: %+v", c)
		}
	})
}

// There is a link to nobody but a director that has a name and an address, and is another one.
func TestWhoGetsALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		for _, test := range []struct {
			peer string
			addr netip.AddrPort
			want bool
		}{
			{"", testAddr(2), false},
			{"d1", testAddr(2), false},
			{"d2", netip.AddrPort{}, false},
			{"d2", testAddr(1), false},
			{"d2", testAddr(2), true},
		} {
			n.ensureLink(test.peer, test.addr, 0, false)
			n.linksMu.Lock()
			if got := len(n.links) > 0; got != test.want {
				t.Errorf("%q at %v: a link %v, want %v", test.peer, test.addr, got, test.want)
			}
			n.linksMu.Unlock()
		}
	})
}

// Of a stream of memberlist's that reads too much one is told once, and only then.
func TestTooMuchIsToldOnce(t *testing.T) {
	told := 0
	f := foreignStreams{bytes: 100, each: 60, tooMuch: func() { told++ }}
	first, second := &foreignConn{streams: &f}, &foreignConn{streams: &f}
	for i, step := range []struct {
		c    *foreignConn
		n    int
		ok   bool
		told int
	}{
		{first, 60, true, 0},
		{second, 40, true, 0},
		{first, 1, false, 1}, // more than one may
		{first, 1, false, 1},
		{second, 1, false, 2}, // more than all may
	} {
		if ok := f.took(step.c, step.n); ok != step.ok || told != step.told {
			t.Errorf("step %d: %v, told %d times; want %v, %d", i, ok, told, step.ok, step.told)
		}
	}
	f.leave(first)
	f.leave(first)
	if f.read != second.read || f.took(first, 1) || f.read != second.read {
		t.Errorf("%d bytes count, want the %d of the stream that is open", f.read, second.read)
	}
}

// What a stream's end is to the core: the peer is stamped as failed, and dialled again.
func TestEndOfAStreamIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		one, _ := named(t, network, "d1", 1)
		_, _ = named(t, network, "d2", 2)
		time.Sleep(5 * time.Second)
		peer := func() replica.PeerStatus {
			for _, p := range one.Peers() {
				if p.Name == "d2" {
					return p
				}
			}
			t.Fatal("d2 is not known")
			return replica.PeerStatus{}
		}
		if !peer().LastFailed.IsZero() {
			t.Fatalf("before: %+v", peer())
		}
		var out *outStream
		one.input(func(*replica.Core, mono.Time) { out = one.out["d2"] })
		out.close(errors.New("a test"))
		synctest.Wait()
		if peer().LastFailed.IsZero() {
			t.Errorf("after: %+v", peer())
		}
		time.Sleep(5 * time.Second)
		var again *outStream
		one.input(func(*replica.Core, mono.Time) { again = one.out["d2"] })
		if again == nil || again == out || peer().State != replica.Synced {
			t.Errorf("not dialled again: %+v", peer())
		}
	})
}

// Nothing is kept of an operation that is done.
func TestNothingIsKeptOfOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := named(t, netsim.New(1, netsim.Faults{}), "d1", 1)
		op := replica.UpdateBackend{Addr: netip.MustParseAddr("192.0.2.1"), VHosts: 50}
		if _, err := n.Do(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Lookup(t.Context(), "", 7); err != nil {
			t.Fatal(err)
		}
		n.input(func(*replica.Core, mono.Time) {
			if len(n.admin) > 0 || len(n.waits) > 0 {
				t.Errorf("%d operations and %d lookups are kept", len(n.admin), len(n.waits))
			}
		})
	})
}

// A kick that failed is said, and so are sessions that could not be ended.
func TestFailedKicksAreSaid(t *testing.T) {
	for _, test := range []struct {
		name      string
		result    replica.KickResult
		err       error
		want, not string
	}{
		{"failed", replica.KickResult{}, errors.New("no kicker"), "kick failed", "not be ended"},
		{"a command's status", replica.KickResult{}, exec.Command("false").Run(),
			"it ended with status 1", "exit status"},
		{"sessions left", replica.KickResult{Left: 1}, nil, "not be ended", "kick failed"},
		{"done", replica.KickResult{Count: 1}, nil, "", "kick failed"},
		{"done, none left", replica.KickResult{Count: 1}, nil, "", "not be ended"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n, log := named(t, netsim.New(1, netsim.Faults{}), "d1", 1)
			k := &kick{}
			for range 2 {
				n.kicks.report(k, test.result, test.err)
			}
			synctest.Wait()
			got := log.String()
			if !strings.Contains(got, test.want) || strings.Contains(got, test.not) ||
				strings.Count(got, "kick failed") > 1 {
				t.Errorf("%s: the log has\n%s", test.name, got)
			}
			if got := counted(t, n.metrics.sessionsLeft); got != float64(test.result.Left) {
				t.Errorf("%s: %g sessions left are counted", test.name, got)
			}
		})
	}
}

// Numbers of each size that msgpack has are read whole.
func TestHeaderValues(t *testing.T) {
	for _, test := range []struct {
		in   []byte
		want uint64
		err  error
	}{
		{[]byte{0}, 0, nil},
		{[]byte{0x7f}, 0x7f, nil},
		{[]byte{0xc2}, 0, nil},
		{[]byte{0xc3}, 0, nil},
		{[]byte{0xcc, 0xfe}, 0xfe, nil},
		{[]byte{0xd0, 0x7e}, 0x7e, nil},
		{[]byte{0xcd, 1, 2}, 0x0102, nil},
		{[]byte{0xd1, 1, 2}, 0x0102, nil},
		{[]byte{0xce, 1, 2, 3, 4}, 0x01020304, nil},
		{[]byte{0xd2, 1, 2, 3, 4}, 0x01020304, nil},
		{[]byte{0xcf, 1, 2, 3, 4, 5, 6, 7, 8}, 0x0102030405060708, nil},
		{[]byte{0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, math.MaxUint64, nil},
		{nil, 0, net.ErrClosed},
		{[]byte{0xcd, 1}, 0, net.ErrClosed},
		{[]byte{0xc0}, 0, errNotMemberlist},
		{[]byte{0xc1}, 0, errNotMemberlist},
		{[]byte{0xc4, 1, 1}, 0, errNotMemberlist},
		{[]byte{0xcb, 0, 0, 0, 0, 0, 0, 0, 0}, 0, errNotMemberlist},
		{[]byte{0xe0}, 0, errNotMemberlist},
		{[]byte{0x80}, 0, errNotMemberlist},
	} {
		rest := test.in
		got, err := headerValue(func(n int) (part []byte, err error) {
			if n > len(rest) {
				return nil, net.ErrClosed
			}
			part, rest = rest[:n], rest[n:]
			return part, nil
		})
		if got != test.want || !errors.Is(err, test.err) || err == nil && len(rest) > 0 {
			t.Errorf("%x: %d, %v, %x is left; want %d, %v",
				test.in, got, err, rest, test.want, test.err)
		}
	}
}

// A pause of some length is shorter or longer by a fifth at most, and takes all of that.
func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		const d = time.Second
		least, most := d, d
		for range 2000 {
			got := n.jitter(d)
			least, most = min(least, got), max(most, got)
		}
		for range 20 {
			if got := n.jitter(2); got != 1 {
				t.Errorf("a pause of 2 ns is %v", got)
			}
		}
		if least < d*4/5 || least > d*41/50 || most > d*6/5 || most < d*59/50 {
			t.Errorf("from %v to %v, want 800 ms to 1.2 s", least, most)
		}
	})
}

// What the transport turns away is counted, each for itself; and a state that does not decode is
// said as well.
func TestWhatIsTurnedAwayIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, log := named(t, netsim.New(1, netsim.Faults{}), "d1", 1)
		for _, test := range []struct {
			name   string
			do     func()
			reason dropReason
			logged string
		}{
			{"evicted", n.transport.events.evicted, dropEvicted, ""},
			{"too much", n.transport.events.tooMuch, dropTooMuch, ""},
			{"state that does not decode",
				func() { delegate{n}.MergeRemoteState([]byte{3, 1, 0xff}, false) },
				dropUndecodable, "push/pull state does not decode"},
		} {
			before := counted(t, n.metrics.drops[test.reason])
			test.do()
			synctest.Wait()
			if got := counted(t, n.metrics.drops[test.reason]) - before; got != 1 {
				t.Errorf("%s: counted %v times, want once", test.name, got)
			}
			if !strings.Contains(log.String(), test.logged) {
				t.Errorf("%s: the log has\n%s", test.name, log.String())
			}
		}
	})
}
