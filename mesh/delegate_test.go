package mesh

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/memberlist"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// counting returns a node that nothing happens to and that counts what it drops.
func counting(t *testing.T) *Node {
	t.Helper()
	n := stillNode(t, func() mono.Time { return mono.Time(time.Hour) })
	n.cancel() // it dials nobody
	var err error
	if n.metrics, err = newMetrics(nil, n); err != nil {
		t.Fatal(err)
	}
	n.gossip.init(1000, func() int { return 5 })
	return n
}

// taken returns the events that a node has been told so far.
func taken(n *Node) []memberEvent {
	if n.events.length() == 0 {
		return nil
	}
	events, _ := n.events.take()
	return events
}

// A gossiped message that finds the queue full is dropped, counted, and delays nobody.
func TestGossipComesTooFast(t *testing.T) {
	n := counting(t)
	b := []byte{1}
	for range maxDeltas {
		delegate{n}.NotifyMsg(b)
	}
	if got := counted(t, n.metrics.drops[dropDeltaQueue]); got != 0 || len(n.deltas) != maxDeltas {
		t.Errorf("%d wait and %g were dropped before the queue is full", len(n.deltas), got)
	}
	delegate{n}.NotifyMsg(b)
	if got := counted(t, n.metrics.drops[dropDeltaQueue]); got != 1 {
		t.Errorf("%g were dropped, want one", got)
	}
	b[0] = 9 // memberlist uses its buffer again
	if first := <-n.deltas; len(first) != 1 || first[0] != 1 {
		t.Errorf("what waits has become %v", first)
	}
}

// encoded is a message as it goes over the wire.
func encoded(t *testing.T, m wire.Message) []byte {
	t.Helper()
	b, err := wire.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What a push/pull brings goes to the core if it is a state of another director. Of one that has
// our name somebody looks after, and one that is ours is no news.
func TestStatesOfOthers(t *testing.T) {
	from := func(name string, boot uint64) wire.Message {
		return &wire.PushPull{Hello: wire.Hello{
			From: wire.Peer{Name: name, Boot: boot, Addr: testAddr(7)},
		}}
	}
	for _, test := range []struct {
		name    string
		message wire.Message
		events  []memberEvent
		dropped float64
		refused string // what the log has
	}{
		{"another director", from("d7", 7), nil, 0, "push/pull state refused"},
		{"our name, another life", from("d1", 7),
			[]memberEvent{{kind: nameHeard, addr: testAddr(7), boot: 7}}, 0, ""},
		{"another kind of message", &wire.Leaving{}, nil, 1, ""},
	} {
		n := counting(t)
		log := new(logBuffer)
		n.log = n.log.Output(log)
		delegate{n}.MergeRemoteState(encoded(t, test.message), false)
		compare := cmp.Options{
			cmp.AllowUnexported(memberEvent{}), cmpopts.EquateComparable(netip.AddrPort{}),
		}
		if diff := cmp.Diff(test.events, taken(n), compare); diff != "" {
			t.Errorf("%s: events (-want +got):\n%s", test.name, diff)
		}
		if got := counted(t, n.metrics.drops[dropUndecodable]); got != test.dropped {
			t.Errorf("%s: %g counted as undecodable, want %g", test.name, got, test.dropped)
		}
		if got := log.String(); (got == "") != (test.refused == "") ||
			!strings.Contains(got, test.refused) {
			t.Errorf("%s: the log has %q, want %q", test.name, got, test.refused)
		}
	}
}

// Our own state that comes back to us is looked at like any other: nobody has our name.
func TestOurStateComesBack(t *testing.T) {
	n := counting(t)
	delegate{n}.MergeRemoteState(encoded(t, &wire.PushPull{Hello: wire.Hello{
		From: wire.Peer{Name: "d1", Boot: n.boot.Load(), Addr: testAddr(1)},
	}}), false)
	if got := taken(n); got != nil {
		t.Errorf("events: %+v", got)
	}
}

// Lists longer than any mesh has are counted apart from what does not decode.
func TestUndecodableByKind(t *testing.T) {
	n := counting(t)
	n.dropUndecodable(wire.ErrTooMany)
	n.dropUndecodable(wire.ErrTooMany)
	n.dropUndecodable(net.ErrClosed)
	many, other := counted(t, n.metrics.drops[dropTooMany]), counted(t,
		n.metrics.drops[dropUndecodable])
	if many != 2 || other != 1 {
		t.Errorf("%g lists too long and %g others, want 2 and 1", many, other)
	}
}

// A message of an unknown kind is said with its sender, where one is known.
func TestUnknownKindNamesItsSender(t *testing.T) {
	for peer, want := range map[string]bool{"d7": true, "": false} {
		n := counting(t)
		log := new(logBuffer)
		n.log = n.log.Output(log)
		n.skipUnknown(peer, wire.ErrUnknownKind)
		if got := strings.Contains(log.String(), `"peer"`); got != want {
			t.Errorf("from %q: %s", peer, log)
		}
	}
}

// Two directors of one name are looked into if the name is ours.
func TestConflictsOfNames(t *testing.T) {
	for name, want := range map[string]int{"d1": 1, "d2": 0} {
		n := counting(t)
		other := &memberlist.Node{Name: name, Addr: net.IPv4(10, 0, 0, 7).To4(), Port: 9090}
		delegate{n}.NotifyConflict(&memberlist.Node{Name: "d1"}, other)
		got := taken(n)
		if len(got) != want || want == 1 && (got[0].kind != nameHeard ||
			got[0].addr.Port() != 9090) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// memberlist's words of a member become the core's, by what they say.
func TestMemberlistsWords(t *testing.T) {
	node := &memberlist.Node{Name: "d7", Addr: net.IPv4(10, 0, 0, 7).To4(), Port: 9090}
	for _, test := range []struct {
		name string
		tell func(d delegate)
		want eventKind
	}{
		{"join", func(d delegate) { d.NotifyJoin(node) }, memberJoined},
		{"update", func(d delegate) { d.NotifyUpdate(node) }, memberJoined},
		{"leave", func(d delegate) { d.NotifyLeave(node) }, memberGone},
		{"probe", func(d delegate) {
			if d.probeFailed("d7") {
				t.Error("memberlist would ping over TCP no more")
			}
		}, probeFailed},
	} {
		n := counting(t)
		test.tell(delegate{n})
		if got := taken(n); len(got) != 1 || got[0].kind != test.want || got[0].name != "d7" {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

// Each of the three versions that memberlist names must be ours.
func TestVersionsOfMembers(t *testing.T) {
	n := counting(t)
	const v = replica.ProtocolVersion
	for _, test := range []struct {
		least, most, now uint8
		addr             net.IP
		ok               bool
	}{
		{v, v, v, net.IPv4(10, 0, 0, 7), true},
		{v, v, v, net.IPv4(127, 0, 0, 7), true},
		{v + 1, v, v, net.IPv4(10, 0, 0, 7), false},
		{v, v + 1, v, net.IPv4(10, 0, 0, 7), false},
		{v, v, v + 1, net.IPv4(10, 0, 0, 7), false},
	} {
		err := checkMember(&memberlist.Node{
			Name: "d7", Addr: test.addr, Port: 9090, Meta: n.meta().encode(),
			DMin: test.least, DMax: test.most, DCur: test.now,
		})
		if (err == nil) != test.ok {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// What is gossiped is passed on if it was news, and only then; what is no delta is said, counted.
func TestGossipIsPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		n, log := named(t, network, "d1", 1)
		two, _ := named(t, network, "d2", 2)
		time.Sleep(20 * time.Second) // until nothing is passed on any more
		delta := encoded(t, &wire.Delta{Origin: "d2", Boot: two.boot.Load(), N: 1 << 60})
		for _, test := range []struct {
			name   string
			in     []byte
			queued int
			lost   float64
			logged string
		}{
			{"another kind", encoded(t, &wire.Leaving{}), 0, 1, "gossiped message does not decode"},
			{"cut short", delta[:len(delta)-1], 0, 1, "gossiped message does not decode"},
			{"news", delta, 1, 0, ""},
			{"the same again", delta, 1, 0, ""},
		} {
			before := counted(t, n.metrics.drops[dropUndecodable])
			n.handleDelta(test.in)
			if got := n.gossip.forwarded.NumQueued(); got != test.queued {
				t.Errorf("%s: %d wait to be passed on, want %d", test.name, got, test.queued)
			}
			if got := counted(t, n.metrics.drops[dropUndecodable]) - before; got != test.lost {
				t.Errorf("%s: %g counted, want %g", test.name, got, test.lost)
			}
			if !strings.Contains(log.String(), test.logged) {
				t.Errorf("%s: the log has\n%s", test.name, log)
			}
		}
	})
}

// Our own deltas and those that we pass on have a queue each. One that fits into no packet is
// counted and left to the streams.
func TestQueueOfADelta(t *testing.T) {
	n := counting(t)
	for _, test := range []struct {
		name           string
		e              replica.Gossip
		limit          int // more or less than its size
		own, forwarded int
		dropped        float64
	}{
		{"own", replica.Gossip{}, 0, 1, 0, 0},
		{"passed on", replica.Gossip{Passed: true}, 0, 1, 1, 0},
		{"own, too long", replica.Gossip{}, -1, 1, 1, 1},
		{"passed on, too long", replica.Gossip{Passed: true}, -1, 1, 1, 2},
		{"no delta", replica.Gossip{Delta: &wire.Delta{Origin: strings.Repeat("d", 300)}},
			0, 1, 1, 3},
	} {
		if test.e.Delta == nil {
			test.e.Delta = &wire.Delta{Origin: "d7", Boot: 7, N: 1}
			n.gossip.limit = len(encoded(t, test.e.Delta)) + test.limit
		}
		n.spread(test.e)
		own, forwarded := n.gossip.own.NumQueued(), n.gossip.forwarded.NumQueued()
		dropped := counted(t, n.metrics.drops[dropOversizeDelta])
		if own != test.own || forwarded != test.forwarded || dropped != test.dropped {
			t.Errorf("%s: %d own, %d passed on, %g dropped; want %d, %d, %g", test.name,
				own, forwarded, dropped, test.own, test.forwarded, test.dropped)
		}
	}
}
