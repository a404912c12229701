package mesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/mesh/replica"
	"directormesh/ring"
)

// These tests run on real sockets of the loopback interface, in real time.

// logBuffer is a log that tests look into.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// socketConfig is a director on loopback that joins the others.
func socketConfig(name string, join ...*Node) (Config, *logBuffer) {
	log := new(logBuffer)
	cfg := Config{
		Name: name, Mesh: "test", Bind: netip.MustParseAddrPort("127.0.0.1:0"),
		HashFormat: "%Lu", Expire: 15 * time.Minute, KickDelay: time.Second,
		Backends: []ring.Backend{
			{Addr: netip.MustParseAddr("192.0.2.1"), VHosts: 100},
			{Addr: netip.MustParseAddr("192.0.2.2"), VHosts: 100},
		},
		Log: zerolog.New(log).Level(zerolog.DebugLevel),
	}
	for _, n := range join {
		cfg.Join = append(cfg.Join, n.Advertise().String())
	}
	return cfg, log
}

func start(t *testing.T, cfg Config) *Node {
	t.Helper()
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close %s: %v", cfg.Name, err)
		}
	})
	return n
}

// within waits for a condition.
func within(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("after %s not: %s", limit, what)
		}
	}
}

func TestSockets(t *testing.T) {
	before := runtime.NumGoroutine()
	registry := prometheus.NewPedanticRegistry()
	cfg, _ := socketConfig("d1")
	cfg.Keys, cfg.Registerer = [][]byte{testKey(1)}, registry
	one := start(t, cfg)
	nodes := []*Node{one}
	for _, name := range []string{"d2", "d3"} {
		cfg, _ := socketConfig(name, one)
		cfg.Keys = [][]byte{testKey(2), testKey(1)}
		if name == "d2" {
			cfg.Keys = [][]byte{testKey(1), testKey(2)}
		} else {
			cfg.Keys = [][]byte{testKey(1)}
		}
		nodes = append(nodes, start(t, cfg))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, n := range nodes {
		if err := n.WaitSynced(ctx); err != nil {
			t.Fatalf("%s: %v: %+v", n.cfg.Name, err, n.Self())
		}
	}
	within(t, 10*time.Second, "all see all synced", func() bool {
		for _, n := range nodes {
			for _, p := range n.Peers() {
				if p.State != replica.Synced {
					return false
				}
			}
		}
		return true
	})
	for hash := ring.UserHash(1); hash < 1<<31; hash += 1 << 25 {
		first, err := one.Lookup(ctx, "", hash)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes[1:] {
			if got, err := n.Lookup(ctx, "", hash); err != nil || got != first {
				t.Fatalf("user %s: %s at d1, %s at %s, %v", hash, first, got, n.cfg.Name, err)
			}
		}
	}
	if _, err := nodes[2].Do(ctx,
		replica.UpdateBackend{Addr: cfg.Backends[0].Addr, VHosts: 50}); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if got := n.Backends()[0].Backend.VHosts; got != 50 {
			t.Errorf("%s has %d vhosts after the update was acknowledged, want 50", n.cfg.Name, got)
		}
	}
	checkMetrics(t, registry)
	if err := nodes[2].Leave(ctx); err != nil {
		t.Errorf("leave: %v", err)
	}
	within(t, 5*time.Second, "the others have forgotten d3",
		func() bool { return len(one.Peers()) == 2 && len(nodes[1].Peers()) == 2 })
	for _, n := range nodes {
		for range 2 {
			if err := n.Close(); err != nil {
				t.Errorf("close %s: %v", n.cfg.Name, err)
			}
		}
	}
	if _, err := one.Lookup(ctx, "", 1); !errors.Is(err, ErrClosed) {
		t.Errorf("lookup after close: %v", err)
	}
	if _, err := one.Do(ctx, replica.Forget{}); !errors.Is(err, ErrClosed) {
		t.Errorf("operation after close: %v", err)
	}
	// What memberlist had under way ends within a probe's time.
	within(t, 10*time.Second, "all goroutines have ended",
		func() bool { return runtime.NumGoroutine() <= before })
}

// checkMetrics looks whether the metrics can be gathered, and at some that cannot be zero any more.
func checkMetrics(t *testing.T, registry *prometheus.Registry) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "director_") {
			t.Errorf("metric %s has another prefix", f.GetName())
		}
		for _, m := range f.GetMetric() {
			values[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"director_synced": 1, "director_users": 64, "director_mesh_streams": 4, "director_peers": 2,
	} {
		if got := values[name]; got != want {
			t.Errorf("%s is %g, want %g", name, got, want)
		}
	}
	for _, name := range []string{
		"director_mesh_stream_messages_total", "director_mesh_stream_bytes_total",
	} {
		if values[name] == 0 {
			t.Errorf("%s is 0", name)
		}
	}
}

func TestPortInUse(t *testing.T) {
	cfg, _ := socketConfig("d1")
	one := start(t, cfg)
	cfg, _ = socketConfig("d2")
	cfg.Bind = one.Advertise()
	_, err := New(cfg)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "--bind") {
		t.Errorf("second director on one port: %v", err)
	}
}

// TestRefusals starts pairs of directors that must not talk, and looks for the reason in both logs.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name          string
		change        func(cfg *Config)
		joiner, other string // texts of their logs
	}{
		{"wrong key", func(cfg *Config) { cfg.Keys = [][]byte{testKey(9)} }, reasonKey.String(),
			reasonKey.String()},
		{"no key", func(cfg *Config) { cfg.Keys = nil }, reasonPeerKeyed.String(),
			reasonPeerPlain.String()},
		{"other mesh", func(cfg *Config) { cfg.Mesh = "other" }, `its mesh name is \"test\"`,
			`its mesh name is \"other\"`},
		{"other expire time", func(cfg *Config) { cfg.Expire = time.Hour }, "user expire differs",
			"user expire differs"},
		{"other hash", func(cfg *Config) { cfg.HashFormat = "%u" }, "username hash differs",
			"username hash differs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg, log := socketConfig("d1")
			cfg.Keys = [][]byte{testKey(1)}
			one := start(t, cfg)
			cfg, joinerLog := socketConfig("d2", one)
			cfg.Keys = [][]byte{testKey(1)}
			test.change(&cfg)
			two := start(t, cfg)
			within(t, 10*time.Second, "both logs name the reason", func() bool {
				return strings.Contains(joinerLog.String(), test.joiner) &&
					strings.Contains(log.String(), test.other)
			})
			for _, n := range []*Node{one, two} {
				for _, p := range n.Peers() {
					if p.Reachable && !p.Self {
						t.Errorf("%s counts %s as reachable", n.cfg.Name, p.Name)
					}
				}
			}
			lines := 0
			for line := range strings.Lines(log.String()) {
				if strings.Contains(line, test.other) &&
					!strings.Contains(line, `"level":"debug"`) {
					lines++
				}
			}
			if lines > 4 { // as acceptor, as dialer, in push/pull
				t.Errorf("the same trouble makes %d lines", lines)
			}
		})
	}
}

func TestSameName(t *testing.T) {
	cfg, _ := socketConfig("d1")
	one := start(t, cfg)
	cfg, _ = socketConfig("d2", one)
	two := start(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := two.WaitSynced(ctx); err != nil {
		t.Fatal(err)
	}
	for _, seed := range []*Node{one, two} {
		cfg, _ := socketConfig("d1", seed)
		again := start(t, cfg)
		select {
		case err := <-again.Fatal():
			want := fmt.Sprintf("node name %q is already used by the director at %s",
				"d1", one.Advertise())
			if !strings.Contains(err.Error(), want) {
				t.Errorf("joining %s: %v, want %s", seed.cfg.Name, err, want)
			}
		case <-ctx.Done():
			t.Errorf("joining %s: a second d1 goes on", seed.cfg.Name)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, n := range []*Node{one, two} {
		select {
		case err := <-n.Fatal():
			t.Errorf("%s gave way: %v", n.cfg.Name, err)
		default:
		}
		if !n.Self().Synced {
			t.Errorf("%s lost its mesh: %+v", n.cfg.Name, n.Self())
		}
	}
}

// TestStrangers lets strangers open more connections than there is room for, and say nothing,
// garbage, and endless things, on the port on which two directors find each other all the same.
func TestStrangers(t *testing.T) {
	cfg, _ := socketConfig("d1")
	cfg.Keys = [][]byte{testKey(1)}
	one := start(t, cfg)
	address := one.Advertise().String()
	stranger(t, address, maxHalfOpen+100, nil, []byte{streamMagic},
		[]byte{streamMagic, streamVersion, modeEncrypted, 4},
		bytes.Repeat([]byte{streamMagic}, 1000), []byte("GET / HTTP/1.0\r\n\r\n"))
	stranger(t, address, 4*memberlistConns, []byte{244}, []byte{244, 13},
		append([]byte{244, 13}, "director/test\x0a"...))
	if count := one.transport.opening.count(); count > maxHalfOpen {
		t.Errorf("%d connections are half open, at most %d are allowed", count, maxHalfOpen)
	}
	cfg, _ = socketConfig("d2", one)
	cfg.Keys = [][]byte{testKey(1)}
	two := start(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := two.WaitSynced(ctx); err != nil {
		t.Fatalf("a director cannot join among strangers: %v: %+v", err, two.Self())
	}
	within(t, 3*openingTime, "the strangers are gone", func() bool {
		return one.transport.opening.count() == 0 && one.transport.foreign.count() == 0
	})
}

// stranger opens many connections and says one thing on each, in turn.
func stranger(t *testing.T, address string, connections int, says ...[]byte) {
	t.Helper()
	for i := range connections {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := c.Write(says[i%len(says)]); err != nil && !errors.Is(err, syscall.EPIPE) &&
			!errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
	}
}
