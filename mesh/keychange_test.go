package mesh

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/keyring"
	"directormesh/mesh/meshtest/disk"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// keyMesh is directors with a key and a data directory each, in virtual time.
type keyMesh struct {
	t       *testing.T
	network *netsim.Network
	nodes   []*Node
	disks   []*disk.Disk

	mu    sync.Mutex
	files [][][]byte // the key file of each; guarded by mu
}

// write makes these the keys of a director's file.
func (m *keyMesh) write(i int, keys ...[]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.files) <= i {
		m.files = append(m.files, nil)
	}
	m.files[i] = keys
}

func (m *keyMesh) read(i int) [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.files[i])
}

func newKeyMesh(t *testing.T, n int) *keyMesh {
	m := &keyMesh{t: t, network: netsim.New(1, netsim.Faults{Delay: time.Millisecond})}
	for i := range n {
		m.disks = append(m.disks, disk.New())
		m.write(i, testKey(1))
		m.nodes = append(m.nodes, nil)
		m.start(i)
		time.Sleep(5 * time.Second)
	}
	return m
}

// start starts a director, with what its disk and key file have.
func (m *keyMesh) start(i int) {
	m.nodes[i] = simulated(m.t, m.network, func(cfg *Config) { m.configure(cfg, i) })
}

func (m *keyMesh) configure(cfg *Config, i int) {
	cfg.Name, cfg.Bind = fmt.Sprintf("d%d", i+1), testAddr(byte(i+1))
	cfg.Seed, cfg.Keys = uint64(i+1), m.read(i)
	cfg.ReadKeys = func() ([][]byte, error) { return m.read(i), nil }
	cfg.Backends = []ring.Backend{{Addr: netip.MustParseAddr("192.0.2.1"), VHosts: 100}}
	if m.disks[i] != nil {
		cfg.Data = m.disks[i]
	}
	for k := range m.nodes {
		if k != i {
			cfg.Join = append(cfg.Join, testAddr(byte(k+1)).String())
		}
	}
}

func (m *keyMesh) kill(i int) {
	if err := m.nodes[i].Close(); err != nil {
		m.t.Error(err)
	}
}

// must carries out a change at a director, and returns the id of the key.
func (m *keyMesh) must(i int, op KeyOperation, without ...string) wire.KeyID {
	m.t.Helper()
	o, err := m.nodes[i].ChangeKeys(m.t.Context(), op, without)
	if err != nil {
		m.t.Fatalf("%T: %v", op, err)
	}
	return o.ID
}

// check demands that these directors have these keys and no others, the first one the primary, and
// that all are synced and see each other.
func (m *keyMesh) check(nodes []int, want ...wire.KeyID) {
	m.t.Helper()
	for _, i := range nodes {
		n := m.nodes[i]
		var got []wire.KeyID
		for _, k := range n.Keys().Keys {
			if k.Here {
				got = append(got, k.ID)
			}
			reports := slices.Contains(k.Holders, n.cfg.Name)
			if k.Here != reports || len(want) == 1 && k.Streams == 0 {
				m.t.Errorf("%s: %+v", n.cfg.Name, k)
			}
		}
		sorted := append([]wire.KeyID{want[0]},
			slices.SortedFunc(slices.Values(want[1:]), func(a, b wire.KeyID) int {
				return strings.Compare(a.String(), b.String())
			})...)
		if diff := cmp.Diff(sorted, got); diff != "" {
			m.t.Errorf("keys of %s (-want +got):\n%s", n.cfg.Name, diff)
		}
		synced := 0
		for _, p := range n.Peers() {
			if p.State == replica.Synced && (p.Self || p.Reachable) {
				synced++
			}
		}
		if synced != len(nodes) {
			m.t.Errorf("%s sees %d synced directors, want %d", n.cfg.Name, synced, len(nodes))
		}
	}
}

func (m *keyMesh) failures(i int) uint64 {
	return query(m.nodes[i], func(c *replica.Core, _ mono.Time) uint64 {
		return c.Counters().PeerFailures
	})
}

var (
	firstKey  = keyring.ID(testKey(1))
	secondKey = keyring.ID(testKey(2))
	allThree  = []int{0, 1, 2}
)

// Keys are added, used and removed at whichever director; no peer is lost meanwhile.
func TestChangeKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyMesh(t, 3)
		m.check(allThree, firstKey)
		if id := m.must(1, AddKey{Secret: testKey(2)}); id != secondKey {
			t.Errorf("added %s, want %s", id, secondKey)
		}
		m.check(allThree, firstKey, secondKey)
		m.must(2, UseKey{secondKey})
		m.check(allThree, secondKey, firstKey)
		m.must(0, RemoveKey{firstKey})
		time.Sleep(2 * time.Second)
		m.check(allThree, secondKey)
		made := m.must(0, RotateKeys{})
		time.Sleep(2 * time.Second)
		m.check(allThree, made)
		for i := range m.nodes {
			if n := m.failures(i); n > 0 {
				t.Errorf("d%d saw %d peers fail", i+1, n)
			}
		}
		// After a restart the file, which has only a removed key, does not count.
		for i := range m.nodes {
			m.kill(i)
			m.start(i)
			time.Sleep(10 * time.Second)
		}
		m.check(allThree, made)
		// And all together.
		for i := range m.nodes {
			m.kill(i)
		}
		for i := range m.nodes {
			m.start(i)
		}
		time.Sleep(20 * time.Second)
		m.check(allThree, made)
	})
}

// What cannot be done is refused with what stands in the way, and changes nothing.
func TestRefusedChangesOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyMesh(t, 3)
		m.must(0, AddKey{Secret: testKey(2)})
		refused := func(name, want string, i int, op KeyOperation, without ...string) {
			t.Helper()
			_, err := m.nodes[i].ChangeKeys(t.Context(), op, without)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
		refused("removing what encrypts", ErrPrimary.Error(), 0, RemoveKey{firstKey})
		refused("using what is not there", ErrNoSuchKey.Error(), 0, UseKey{wire.KeyID{1}})
		refused("removing what is not there", ErrNoSuchKey.Error(), 0, RemoveKey{wire.KeyID{1}})
		refused("no new key in the file", ErrNoNewKey.Error(), 0, RotateKeys{FromFile: true})
		refused("without itself", ErrWithoutSelf.Error(), 0, UseKey{secondKey}, "d1")
		m.kill(2)
		time.Sleep(10 * time.Second)
		refused("a director is away", "d3 is not in touch", 0, UseKey{secondKey})
		refused("rotating, a director away", "d3 is not in touch", 1, RotateKeys{})
		refused("without one that is not there", "d9", 0, UseKey{secondKey}, "d3", "d9")
		m.check([]int{0, 1}, firstKey, secondKey)
		o, err := m.nodes[0].ChangeKeys(t.Context(), AddKey{Secret: testKey(3)}, nil)
		if err != nil || !slices.Equal(o.Away, []string{"d3"}) {
			t.Errorf("adding a key: %+v, %v; want d3 away", o, err)
		}
	})
}

// A rotation goes on without a director that is removed for it, which is let in again once it has a
// key.
func TestRotateWithout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyMesh(t, 3)
		m.kill(2)
		time.Sleep(10 * time.Second)
		made := m.must(0, RotateKeys{}, "d3")
		time.Sleep(2 * time.Second)
		m.check([]int{0, 1}, made)
		m.start(2)
		time.Sleep(20 * time.Second)
		m.check([]int{0, 1}, made)
		if self := m.nodes[2].Self(); self.Synced {
			t.Errorf("d3 serves with a removed key: %+v", self)
		}
	})
}

// A director that was away comes back with its old keys while the others still have them, and
// learns the new ones.
func TestBackWithOldKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyMesh(t, 3)
		m.kill(2)
		time.Sleep(10 * time.Second)
		m.must(0, AddKey{Secret: testKey(2)})
		m.start(2)
		time.Sleep(10 * time.Second)
		m.check(allThree, firstKey, secondKey)
		m.must(2, UseKey{secondKey})
		m.check(allThree, secondKey, firstKey)

		// A new one that has only the old key, no disk of its own, and no rights yet.
		m.disks, m.nodes = append(m.disks, disk.New()), append(m.nodes, nil)
		m.write(3, testKey(1))
		m.start(3)
		time.Sleep(15 * time.Second)
		m.check([]int{0, 1, 2, 3}, secondKey, firstKey)
	})
}

// A rotation that waits for a director goes on when that one is given up.
func TestRotationGoesOnWithout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyMesh(t, 3)
		m.write(0, testKey(2), testKey(1))
		m.write(1, testKey(2), testKey(1))
		_, err := m.nodes[1].ChangeKeys(t.Context(), RotateKeys{FromFile: true}, nil)
		if err == nil {
			t.Fatal("it did not wait for d3")
		}
		if _, err := m.nodes[0].ChangeKeys(t.Context(), AddKey{}, nil); err != ErrRotating {
			t.Errorf("another change meanwhile: %v", err)
		}
		if id := m.must(0, RotateKeys{}, "d3"); id != secondKey {
			t.Errorf("went on with %s", id)
		}
		time.Sleep(2 * time.Second)
		m.check([]int{0, 1}, secondKey)
	})
}
