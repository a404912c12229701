package mesh

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/memberlist"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
)

// What memberlist tells of a director reaches the core's queue whole: who it is, where, and in
// which life.
func TestWhatMemberlistTells(t *testing.T) {
	n := &Node{}
	n.events.init()
	d := delegate{n}
	at := netip.MustParseAddrPort("192.0.2.7:9090")
	node := &memberlist.Node{
		Name: "d7", Addr: net.ParseIP("192.0.2.7"), Port: 9090, // 16 bytes long
		Meta: meta{protocol: replica.ProtocolVersion, boot: 77}.encode(),
	}
	bare := &memberlist.Node{Name: "d8", Addr: net.IP{192, 0, 2, 7}, Port: 9090, Meta: []byte{1}}
	for _, test := range []struct {
		name    string
		tell    func()
		want    memberEvent
		members int
	}{
		{"joined", func() { d.put(memberJoined, node) },
			memberEvent{kind: memberJoined, name: "d7", addr: at, boot: 77}, 1},
		{"joined, of an unknown life", func() { d.put(memberJoined, bare) },
			memberEvent{kind: memberJoined, name: "d8", addr: at}, 2},
		{"gone", func() { d.put(memberGone, node) },
			memberEvent{kind: memberGone, name: "d7", addr: at, boot: 77}, 1},
		{"probe failed", func() { d.probeFailed("d8") },
			memberEvent{kind: probeFailed, name: "d8"}, 1},
	} {
		test.tell()
		got, ok := n.events.take()
		compare := cmp.Options{
			cmp.AllowUnexported(memberEvent{}), cmpopts.EquateComparable(netip.AddrPort{}),
		}
		if diff := cmp.Diff([]memberEvent{test.want}, got, compare); diff != "" || !ok {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, ok, diff)
		}
		if got := n.members.count(); got != test.members {
			t.Errorf("%s: %d members, want %d", test.name, got, test.members)
		}
	}
}

// Peers that are named without a port are at the port that is listened on here.
func TestJoinPort(t *testing.T) {
	for bind, want := range map[string]uint16{
		"0.0.0.0:0": DefaultPort, "0.0.0.0:1": 1, "192.0.2.1:7000": 7000,
	} {
		cfg := Config{Bind: netip.MustParseAddrPort(bind)}
		if got := cfg.joinPort(); got != want {
			t.Errorf("bound to %s: %d, want %d", bind, got, want)
		}
	}
}

// A director that is closed answers no lookup.
func TestClosedDirectorAnswersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := named(t, netsim.New(1, netsim.Faults{}), "d1", 1)
		backend, err := n.Lookup(t.Context(), "", 7)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := n.TryLookup("", 7); !ok || got != backend {
			t.Errorf("before it is closed: %v, %v; want %v", got, ok, backend)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got, ok := n.TryLookup("", 7); ok || got.IsValid() {
			t.Errorf("after it was closed: %v, %v", got, ok)
		}
	})
}
