package mesh

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// TestInvalidNames checks that what comes through the doors has names that can be told to others.
func TestInvalidNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		if err := n.WaitSynced(t.Context()); err != nil {
			t.Fatal(err)
		}
		const bad = "x\x1b[2J"
		tag := ring.Tag(bad)
		addr := netip.MustParseAddr("192.0.2.1")
		for _, op := range []replica.Operation{
			replica.AddBackend{Addr: addr, Tag: tag},
			replica.AddBackend{Addr: addr, Name: "evil\tnologin"},
			replica.UpdateBackend{Addr: addr, Tag: &tag},
			replica.KickUser{Field: bad, Value: "bob"},
			replica.KickUser{Value: strings.Repeat("x", wire.MaxText+1)},
			replica.Import{Mappings: []replica.ImportedMapping{{Tag: tag}}},
		} {
			_, err := n.Do(t.Context(), op)
			if !errors.Is(err, ErrInvalid) || strings.ContainsAny(err.Error(), "\x1b\t") {
				t.Errorf("%T: %v", op, err)
			}
		}
		began := time.Now()
		if _, err := n.Lookup(t.Context(), tag, 1); !errors.Is(err, ErrInvalid) || time.Since(began) > 0 {
			t.Errorf("lookup: %v after %s", err, time.Since(began))
		}
	})
}

func TestMembersAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		good := memberlist.Node{
			Name: "d2", Addr: net.IPv4(10, 0, 0, 2).To4(), Port: 9090, Meta: n.meta().encode(),
			DMin: replica.ProtocolVersion, DMax: replica.ProtocolVersion, DCur: replica.ProtocolVersion,
		}
		for name, test := range map[string]struct {
			change func(m *memberlist.Node)
			err    string
		}{
			"good":        {func(*memberlist.Node) {}, ""},
			"no name":     {func(m *memberlist.Node) { m.Name = "" }, "its name is empty"},
			"odd name":    {func(m *memberlist.Node) { m.Name = "d\x1b[2J" }, "its name has a space"},
			"no address":  {func(m *memberlist.Node) { m.Addr = nil }, "cannot be reached"},
			"all of them": {func(m *memberlist.Node) { m.Addr = net.IPv4zero.To4() }, "cannot be reached"},
			"group":       {func(m *memberlist.Node) { m.Addr = net.IPv4(224, 0, 0, 1).To4() }, "cannot be reached"},
			"no port":     {func(m *memberlist.Node) { m.Port = 0 }, "cannot be reached"},
			"no meta":     {func(m *memberlist.Node) { m.Meta = nil }, "too short"},
		} {
			m := good
			test.change(&m)
			before := counted(t, n.metrics.drops[dropMember])
			err := delegate{n}.NotifyAlive(&m)
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: %v, want %q", name, err, test.err)
			}
			if got := counted(t, n.metrics.drops[dropMember]) - before; (got == 1) != (test.err != "") {
				t.Errorf("%s: %g refusals counted", name, got)
			}
		}
		for i := range 2 * wire.MaxDirectors {
			m := good
			m.Name = fmt.Sprint("x", i)
			if (delegate{n}).NotifyAlive(&m) == nil {
				delegate{n}.NotifyJoin(&m)
			}
		}
		if got := n.members.count(); got != wire.MaxDirectors {
			t.Errorf("%d members, want %d", got, wire.MaxDirectors)
		}
		known := good
		known.Name = "x7"
		if err := (delegate{n}).NotifyAlive(&known); err != nil {
			t.Errorf("one of a thousand is refused: %v", err)
		}
	})
}
