package mesh

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"directormesh/directory"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// visitor is the dialler's end of a stream to a simulated node, driven by hand.
func visitor(
	t *testing.T, network *netsim.Network, change func(h *wire.Hello),
) (*secureStream, wire.Message) {
	t.Helper()
	conn, err := network.Dial(t.Context(), testAddr(9), testAddr(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s, err := dialHandshake(conn, keysOf(t, "test"))
	if err != nil {
		t.Fatal(err)
	}
	hello := &wire.Hello{
		MeshTime: directory.Micros(time.Now().UnixMicro()),
		Settings: wire.Settings{
			Protocol: replica.ProtocolVersion, Mesh: "test", HashFormat: "%Lu",
			Expire: (15 * time.Minute).Milliseconds(),
		},
		From: wire.Peer{Name: "d9", Boot: 9, Addr: testAddr(9)},
	}
	change(hello)
	if err := sendMessage(s, hello); err != nil {
		t.Fatal(err)
	}
	answer, err := receiveMessage(s, helloLimit)
	if err != nil {
		t.Fatal(err)
	}
	return s, answer
}

// ended reports how long it took until the other side closed the stream.
func ended(t *testing.T, s *secureStream) time.Duration {
	t.Helper()
	start := time.Now()
	if err := s.conn.SetReadDeadline(start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.r.Read(make([]byte, 1)); err == nil {
		t.Fatal("the acceptor spoke out of turn")
	}
	return time.Since(start)
}

func TestSession(t *testing.T) {
	beat, err := wire.Encode(&wire.Beat{SentAt: 1})
	if err != nil {
		t.Fatal(err)
	}
	unknown := append([]byte{byte(wire.FirstLaterLog) - 1}, beat[1:]...)
	for _, test := range []struct {
		name    string
		say     []byte
		closed  time.Duration // when the node closes the stream
		dropped map[dropReason]float64
	}{
		{"silence", nil, readTime, nil},
		{"a beat, then silence", appendFrame(nil, beat), readTime, nil},
		{"an unknown kind", appendFrame(appendFrame(nil, unknown), beat), readTime,
			map[dropReason]float64{dropUnknownKind: 1}},
		{"garbage", appendFrame(nil, []byte{3, 1, 0xff}), 0,
			map[dropReason]float64{dropUndecodable: 1}},
		{"too long", []byte{0xff, 0, 0, 0, 1}, 0, map[dropReason]float64{dropOversize: 1}},
		{"empty frame", []byte{0, 0, 0, 0}, 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := netsim.New(1, netsim.Faults{})
				n := simulated(t, network, func(*Config) {})
				s, answer := visitor(t, network, func(*wire.Hello) {})
				if _, ok := answer.(*wire.Hello); !ok {
					t.Fatalf("the hello was answered by %+v", answer)
				}
				if _, err := s.w.Write(test.say); err != nil {
					t.Fatal(err)
				}
				if took := ended(t, s); took != test.closed {
					t.Errorf("closed after %s, want %s", took, test.closed)
				}
				for d := range dropReasons {
					if d == dropNothing || d == dropNoStream {
						continue // to the visitor, who cannot be dialled
					}
					if got := counted(t, n.metrics.drops[d]); got != test.dropped[d] {
						t.Errorf("%s: %g drops counted, want %g", d, got, test.dropped[d])
					}
				}
				n.coreMu.Lock()
				sessions := len(n.in)
				n.coreMu.Unlock()
				if sessions != 0 {
					t.Errorf("%d sessions are left", sessions)
				}
			})
		})
	}
}

// TestUnknownKindsOutsideStreams: a gossiped message and a state of a kind that only a later
// release knows are counted as such, and told of once.
func TestUnknownKindsOutsideStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		n := simulated(t, netsim.New(1, netsim.Faults{}),
			func(cfg *Config) { cfg.Log = zerolog.New(&log) })
		unknown := []byte{byte(wire.FirstLaterLog) - 1, 1, 0x90}
		delegate{n}.MergeRemoteState(unknown, false)
		delegate{n}.NotifyMsg(unknown)
		synctest.Wait()
		if got := counted(t, n.metrics.drops[dropUnknownKind]); got != 2 {
			t.Errorf("%g messages of an unknown kind are counted, want 2", got)
		}
		if got := counted(t, n.metrics.drops[dropUndecodable]); got != 0 {
			t.Errorf("%g messages count as undecodable", got)
		}
		if got := strings.Count(log.String(), "message of an unknown kind skipped"); got != 1 {
			t.Errorf("%d lines about unknown kinds, want 1, in:\n%s", got, &log)
		}
	})
}

// TestSecondSession checks that a peer's new stream ends its older one.
func TestSecondSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		simulated(t, network, func(*Config) {})
		first, _ := visitor(t, network, func(*wire.Hello) {})
		second, _ := visitor(t, network, func(*wire.Hello) {})
		if took := ended(t, first); took != 0 {
			t.Errorf("the older stream was closed after %s", took)
		}
		if took := ended(t, second); took != readTime {
			t.Errorf("the newer stream was closed after %s", took)
		}
	})
}

func TestRefusedHello(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(h *wire.Hello)
	}{
		{"protocol", func(h *wire.Hello) { h.Settings.Protocol++ }},
		{"mesh", func(h *wire.Hello) { h.Settings.Mesh = "other" }},
		{"hash", func(h *wire.Hello) { h.Settings.HashFormat = "%u" }},
		{"expire", func(h *wire.Hello) { h.Settings.Expire++ }},
		{"own name", func(h *wire.Hello) { h.From.Name = "d1" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := netsim.New(1, netsim.Faults{})
				n := simulated(t, network, func(*Config) {})
				s, answer := visitor(t, network, test.change)
				refuse, ok := answer.(*wire.Refuse)
				if !ok || refuse.Reason == "" || refuse.From.Name != "d1" {
					t.Errorf("answered by %+v, want a refusal with a reason", answer)
				}
				if took := ended(t, s); took != 0 {
					t.Errorf("closed after %s", took)
				}
				if got := counted(t, n.metrics.handshakes[reasonNotAllowed]); got != 1 {
					t.Errorf("%g refusals counted, want 1", got)
				}
			})
		})
	}
}

// TestWrongFirstMessage sends something else in place of the hello.
func TestWrongFirstMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		n := simulated(t, network, func(*Config) {})
		conn, err := network.Dial(t.Context(), testAddr(9), testAddr(1))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		s, err := dialHandshake(conn, keysOf(t, "test"))
		if err != nil {
			t.Fatal(err)
		}
		if err := sendMessage(s, &wire.Leaving{}); err != nil {
			t.Fatal(err)
		}
		if _, err := receiveMessage(s, helloLimit); !errors.Is(err, io.EOF) {
			t.Errorf("answered with %v, want the end", err)
		}
		if got := counted(t, n.metrics.handshakes[reasonProtocol]); got != 1 {
			t.Errorf("%g counted, want 1", got)
		}
	})
}
