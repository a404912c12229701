// Package nodes starts whole directors, memberlist included, on a network in memory, inside a
// bubble of testing/synctest: hours of partitions and restarts take seconds. It owns their life and
// their faults; what ought to hold is for the tests to say.
package nodes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"directormesh/directory"
	"directormesh/mesh"
	"directormesh/mesh/event"
	"directormesh/mesh/meshtest/disk"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/ring"
)

// Options of a mesh; the zero value of a field means what its comment says.
type Options struct {
	Directors int
	Seed      uint64
	Faults    netsim.Faults
	Backends  []ring.Backend // nil: four of the default tag
	Expire    time.Duration  // 0: 15 min
	KickDelay time.Duration  // 0: 2 s
	Keys      [][]byte
	Kicker    func(name string) mesh.Kicker // nil: none
	// how many directors everybody is to join; 0: three
	Seeds int
	Disks bool // each director has a data directory
	// each director checks backends; see Watch
	Watches bool
	// is told what the director of this name sees happen; nil: nobody is
	Happened func(name string, events []event.Event)
	Trace    bool // log to the test
}

// Mesh is a number of directors on one network. Its methods are for the test's root goroutine,
// but for Live.
type Mesh struct {
	t       testing.TB
	options Options
	started time.Time

	Network   *netsim.Network
	Directors []*Director // by number; never shrinks

	mu sync.Mutex // guards Directors and their Nodes against Live
}

// Director is one of them; Node is nil while it is down.
type Director struct {
	*mesh.Node
	Name    string
	Addr    netip.AddrPort
	WallOff time.Duration // how far its wall clock is ahead; takes effect at the next start
	Disk    *disk.Disk    // its data directory, with Options.Disks; Kill leaves another one
}

// firstDay is when the bubbles' clock, which begins in 2000, is said to begin: mesh time does not
// go back that far.
var firstDay = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// Start starts a mesh and ends it with the test.
func Start(t testing.TB, options Options) *Mesh {
	t.Helper()
	if options.Backends == nil {
		options.Backends = Backends(4)
	}
	if options.Expire == 0 {
		options.Expire = 15 * time.Minute
	}
	if options.KickDelay == 0 {
		options.KickDelay = 2 * time.Second
	}
	if options.Seeds == 0 {
		options.Seeds = 3
	}
	m := &Mesh{
		t: t, options: options, started: time.Now(),
		Network: netsim.New(options.Seed+1, options.Faults),
	}
	t.Cleanup(m.stop)
	for range options.Directors {
		m.Add()
	}
	return m
}

// Backends returns n backends of the default tag.
func Backends(n int) []ring.Backend {
	backends := make([]ring.Backend, n)
	for i := range backends {
		backends[i] = ring.Backend{
			Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), VHosts: ring.DefaultVHosts,
		}
	}
	return backends
}

func address(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}),
		mesh.DefaultPort)
}

// Add starts one more director.
func (m *Mesh) Add() *Director {
	m.t.Helper()
	i := len(m.Directors) + 1
	d := &Director{Name: fmt.Sprintf("d%d", i), Addr: address(i)}
	if m.options.Disks {
		d.Disk = disk.New()
	}
	m.mu.Lock()
	m.Directors = append(m.Directors, d)
	m.mu.Unlock()
	m.Restart(i - 1)
	return d
}

// Config returns what director i is started with, for tests that start one with something else.
func (m *Mesh) Config(i int) mesh.Config {
	d := m.Directors[i]
	cfg := mesh.Config{
		Name: d.Name, Mesh: "test", Bind: d.Addr, Keys: m.options.Keys,
		HashFormat: "%Lu", Expire: m.options.Expire, KickDelay: m.options.KickDelay,
		Backends: m.options.Backends,
		Log:      m.logger(d.Name),
		Clock:    func() mono.Time { return mono.Time(time.Hour + time.Since(m.started)) },
		Wall:     func() time.Time { return firstDay.Add(time.Since(m.started) + d.WallOff) },
		Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
			return nil, fmt.Errorf("no name server for %q", host)
		},
		Network: m.Network,
		Seed:    m.options.Seed<<16 + uint64(i) + 1 + uint64(time.Since(m.started)),
	}
	for k := range max(m.options.Directors, 1) {
		if k < m.options.Seeds {
			cfg.Join = append(cfg.Join, address(k+1).String())
		}
	}
	if d.Disk != nil {
		cfg.Data = d.Disk
	}
	cfg.Watches = m.options.Watches
	if m.options.Happened != nil {
		cfg.Happened = func(events []event.Event) { m.options.Happened(d.Name, events) }
	}
	if m.options.Kicker != nil {
		cfg.Kicker = m.options.Kicker(d.Name)
	}
	return cfg
}

// Restart starts director i, which is down.
func (m *Mesh) Restart(i int) {
	m.t.Helper()
	d := m.Directors[i]
	node, err := mesh.New(m.Config(i))
	if err != nil {
		m.t.Fatalf("start %s: %v", d.Name, err)
	}
	m.setNode(d, node)
}

func (m *Mesh) setNode(d *Director, node *mesh.Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d.Node = node
}

// Kill ends director i without a word, as a power failure does: its disk is as it was then, without
// anything that was not synced.
func (m *Mesh) Kill(i int) {
	m.t.Helper()
	d := m.Directors[i]
	if err := m.Network.Vanish(d.Addr); err != nil {
		m.t.Fatal(err)
	}
	if d.Disk != nil {
		random := rand.New(rand.NewPCG(m.options.Seed, uint64(time.Since(m.started))))
		defer func(left *disk.Disk) { d.Disk = left }(d.Disk.Crash(random))
	}
	node := d.Node
	m.setNode(d, nil)
	if err := node.Close(); err != nil {
		m.t.Errorf("close %s: %v", d.Name, err)
	}
}

// Leave lets director i leave in good order.
func (m *Mesh) Leave(i int) {
	m.t.Helper()
	d := m.Directors[i]
	node := d.Node
	m.setNode(d, nil)
	if err := node.Leave(context.Background()); err != nil {
		m.t.Errorf("leave %s: %v", d.Name, err)
	}
}

// settle is longer than what memberlist leaves running when it is shut down: probes and state
// exchanges.
const settle = 20 * time.Second

// stop closes all directors and lets what memberlist left running end, so that no goroutine
// outlives the bubble.
func (m *Mesh) stop() {
	for _, d := range m.Live() {
		if err := d.Node.Close(); err != nil {
			m.t.Errorf("close %s: %v", d.Name, err)
		}
	}
	time.Sleep(settle)
}

// Live returns the directors that are up, as they are now. It may be called from any goroutine.
func (m *Mesh) Live() []*Director {
	m.mu.Lock()
	defer m.mu.Unlock()
	var live []*Director
	for _, d := range m.Directors {
		if d.Node != nil {
			now := *d
			live = append(live, &now)
		}
	}
	return live
}

// Split partitions the network: the directors of each group, by number, see only each other.
func (m *Mesh) Split(groups ...[]int) {
	addrs := make([][]netip.Addr, len(groups))
	for i, group := range groups {
		for _, k := range group {
			addrs[i] = append(addrs[i], m.Directors[k].Addr.Addr())
		}
	}
	m.logf("split %v", groups)
	m.Network.Partition(addrs...)
}

// Heal ends all partitions.
func (m *Mesh) Heal() {
	m.logf("heal")
	m.Network.Heal()
}

// WaitFor lets time pass until all live directors fulfil what, at most for limit.
func (m *Mesh) WaitFor(limit time.Duration, what string, ok func(d *Director) bool) time.Duration {
	m.t.Helper()
	start := time.Now()
	for {
		live := m.Live()
		if !slices.ContainsFunc(live, func(d *Director) bool { return !ok(d) }) {
			return time.Since(start)
		}
		if time.Since(start) >= limit {
			missing := slices.DeleteFunc(live, ok)
			for _, d := range missing {
				m.t.Logf("%s: %+v", d.Name, d.Self())
				for _, p := range d.Peers() {
					m.t.Logf("  sees %+v", p)
				}
			}
			m.t.Fatalf("after %s %d directors are not %s", limit, len(missing), what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// WaitSynced lets time pass until every live director is synced and sees all live ones as synced.
func (m *Mesh) WaitSynced(limit time.Duration) time.Duration {
	m.t.Helper()
	live := len(m.Live())
	return m.WaitFor(limit, "synced with all",
		func(d *Director) bool { return d.Self().Synced && Synced(d) == live })
}

// WaitWhole lets time pass until every live director answers by itself, in one mesh, and is in
// touch with all others. It does not ask for the displayed states: after a split a pair shows as
// syncing until it has compared digests again.
func (m *Mesh) WaitWhole(limit time.Duration) time.Duration {
	m.t.Helper()
	live := m.Live()
	return m.WaitFor(limit, "in touch with all, in one mesh", func(d *Director) bool {
		self := d.Self()
		return self.Synced && self.Mesh.ID == live[0].Self().Mesh.ID && reaches(d, len(live))
	})
}

// reaches reports whether a director is in touch with so many, itself included.
func reaches(d *Director, n int) bool {
	reachable := 0
	for _, p := range d.Peers() {
		if p.Reachable {
			reachable++
		}
	}
	return reachable == n
}

// Synced returns how many directors d sees as synced, itself included.
func Synced(d *Director) int {
	n := 0
	for _, p := range d.Peers() {
		if p.State.String() == "synced" {
			n++
		}
	}
	return n
}

// Mappings returns all live mappings of the default tag that a director holds.
func Mappings(d *Director) map[ring.UserHash]directory.Mapping {
	all := make(map[ring.UserHash]directory.Mapping)
	for tag, m := range d.Directory().All(d.MeshTime()) {
		if tag == "" {
			all[m.Hash] = m
		}
	}
	return all
}

func (m *Mesh) logf(format string, args ...any) {
	if m.options.Trace {
		m.t.Logf("%8s "+format,
			append([]any{time.Since(m.started).Round(time.Millisecond)}, args...)...)
	}
}

// logger writes a director's log into the test's, with virtual times.
func (m *Mesh) logger(name string) zerolog.Logger {
	if !m.options.Trace {
		return zerolog.Nop()
	}
	w := traceWriter(func(line string) { m.logf("%-4s %s", name, line) })
	return zerolog.New(w).Level(zerolog.InfoLevel)
}

type traceWriter func(line string)

func (w traceWriter) Write(b []byte) (int, error) {
	w(strings.TrimSpace(string(b)))
	return len(b), nil
}
