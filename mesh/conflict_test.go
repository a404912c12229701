package mesh

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// TestNameConflict decides who of two directors of one name gives way.
func TestNameConflict(t *testing.T) {
	const minute = time.Minute
	for _, test := range []struct {
		name   string
		up     time.Duration // of this director
		event  memberEvent
		yields bool
	}{
		{"the other started before", 0,
			memberEvent{ours: time.Second, theirs: minute, boot: 1}, true},
		{"the other started later", 0,
			memberEvent{ours: minute, theirs: time.Second, boot: 1}, false},
		{"both at once, the other has the lower boot id", 0, memberEvent{boot: 1}, true},
		{"both at once, the other has the higher boot id", 0, memberEvent{boot: 1<<64 - 1}, false},
		{"we have been up for a minute", minute,
			memberEvent{ours: minute, theirs: 5 * minute, boot: 1}, true},
		{"we have been up for long", 2 * minute,
			memberEvent{ours: minute, theirs: 5 * minute, boot: 1}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
				time.Sleep(test.up)
				test.event.kind = nameProven
				n.events.put(test.event)
				time.Sleep(time.Second)
				select {
				case err := <-n.Fatal():
					if !test.yields {
						t.Errorf("gave way: %v", err)
					}
				default:
					if test.yields {
						t.Error("did not give way")
					}
				}
			})
		})
	}
}

// A director that only claims our name, and that nobody reaches where it says it is, ends nobody.
func TestClaimedNameEndsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		n := simulated(t, network, func(*Config) {})
		conn, err := network.Dial(t.Context(), testAddr(7), testAddr(1))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		s, err := dialHandshake(conn, n.keys.current())
		if err != nil {
			t.Fatal(err)
		}
		hello := &wire.Hello{From: wire.Peer{Name: "d1", Addr: testAddr(7), Boot: 1}, Up: 1 << 40}
		n.input(func(c *replica.Core, now mono.Time) {
			hello.Settings = c.Hello(now, replica.Dial{}).Settings
		})
		if err := sendMessage(s, hello); err != nil {
			t.Fatal(err)
		}
		if m, err := receiveMessage(s, helloLimit); err != nil || m.Kind() != wire.KindRefuse {
			t.Errorf("the answer is %v, %v", m, err)
		}
		time.Sleep(30 * time.Second)
		select {
		case err := <-n.Fatal():
			t.Errorf("gave way: %v", err)
		default:
		}
	})
}

// testStart is what the wall clock of simulated nodes says at the start of a bubble.
var testStart = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// simulated starts a director named d1 at the first address of a simulated network, in a bubble.
func simulated(t *testing.T, network *netsim.Network, change func(cfg *Config)) *Node {
	t.Helper()
	began := time.Now()
	cfg := Config{
		Name: "d1", Mesh: "test", Bind: testAddr(1), HashFormat: "%Lu", Expire: 15 * time.Minute,
		Network: network, Seed: 1,
		Log:   zerolog.Nop(),
		Clock: func() mono.Time { return mono.Time(time.Since(began)) },
		Wall:  func() time.Time { return testStart.Add(time.Since(began)) },
	}
	change(&cfg)
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		time.Sleep(20 * time.Second) // for what memberlist leaves running
	})
	return n
}
