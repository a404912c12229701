package mesh

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/memberlist"

	"directormesh/mesh/keyring"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// ids are what Keys shows of a director: the primary first.
func (n *Node) ids() (ids []string) {
	for _, k := range n.Keys().Keys {
		if k.Here {
			ids = append(ids, k.ID.String())
		}
	}
	return ids
}

func idsOf(keys ...[]byte) (ids []string) {
	for _, key := range keys {
		ids = append(ids, keyring.ID(key).String())
	}
	return ids
}

// Keys turn round by round, at one director after the other, while the table changes; nobody is out
// of touch, and no stream is left that was opened with the removed key.
func TestKeysTurn(t *testing.T) {
	for _, rounds := range [][][][]byte{
		{{testKey(1), testKey(2)}, {testKey(2), testKey(1)}, {testKey(2)}},
		{{testKey(1), testKey(2)}, {testKey(2)}}, // whose primary is refused tries the other one
	} {
		synctest.Test(t, func(t *testing.T) {
			network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
			backend := netip.MustParseAddr("192.0.2.1")
			var nodes []*Node
			for i := range byte(3) {
				nodes = append(nodes, simulated(t, network, func(cfg *Config) {
					cfg.Name, cfg.Bind = fmt.Sprintf("d%d", i+1), testAddr(i+1)
					cfg.Seed, cfg.Keys = uint64(i+1), [][]byte{testKey(1)}
					cfg.Backends = []ring.Backend{{Addr: backend, VHosts: 100}}
					if i > 0 {
						cfg.Join = []string{testAddr(1).String()}
					}
				}))
				time.Sleep(5 * time.Second)
			}
			vhosts := 100
			for _, keys := range rounds {
				for _, n := range nodes {
					if err := n.SetKeys(keys); err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(idsOf(keys...), n.ids()); diff != "" {
						t.Errorf("%s has keys (-want +got):\n%s", n.cfg.Name, diff)
					}
					time.Sleep(2 * time.Second)
					vhosts++
					outcome, err := n.Do(t.Context(), replica.UpdateBackend{
						Addr: backend, VHosts: vhosts,
					})
					if err != nil || len(outcome.FailedPeers) > 0 {
						t.Errorf("%s: update with %d vhosts: %v, without %v",
							n.cfg.Name, vhosts, err, outcome.FailedPeers)
					}
				}
			}
			for _, n := range nodes {
				if got := n.Keys().Keys; len(got) != 1 || got[0].Streams != 4 || !got[0].Primary {
					t.Errorf("%s: %+v, want 4 streams with the new key", n.cfg.Name, got)
				}
				failures := query(n, func(c *replica.Core, _ mono.Time) uint64 {
					return c.Counters().PeerFailures
				})
				if self := n.Self(); failures > 0 || !self.Synced {
					t.Errorf("%s saw %d peers fail; it is %+v", n.cfg.Name, failures, self)
				}
			}
		})
	}
}

// A director whose keys the others do not have any more is not counted until it has one of theirs.
func TestKeyRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		both := [][]byte{testKey(1), testKey(2)}
		one := simulated(t, network, func(cfg *Config) { cfg.Keys = both })
		two := simulated(t, network, func(cfg *Config) {
			cfg.Name, cfg.Bind, cfg.Seed = "d2", testAddr(2), 2
			cfg.Keys, cfg.Join = [][]byte{testKey(1)}, []string{testAddr(1).String()}
		})
		time.Sleep(5 * time.Second)
		if got := one.Keys().Keys; got[0].Streams != 2 || got[1].Streams != 0 {
			t.Fatalf("before: %+v", got)
		}
		if err := one.SetKeys([][]byte{testKey(2)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := one.Keys().Keys; got[0].Streams != 0 {
			t.Errorf("a second after the removal: %+v", got)
		}
		if err := two.SetKeys([][]byte{testKey(2)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got := one.Keys().Keys; got[0].Streams != 2 {
			t.Errorf("after the other has the key: %+v", got)
		}
	})
}

func TestSetKeysRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		plain := simulated(t, network, func(*Config) {})
		if err := plain.SetKeys([][]byte{testKey(1)}); !errors.Is(err, ErrKeysNeedRestart) {
			t.Errorf("the first key: %v", err)
		}
		if err := plain.SetKeys(nil); err != nil || len(plain.Keys().Keys) > 0 {
			t.Errorf("no keys again: %v, %v", err, plain.Keys())
		}
		keyed := simulated(t, network, func(cfg *Config) {
			cfg.Bind, cfg.Keys = testAddr(2), [][]byte{testKey(1)}
		})
		if err := keyed.SetKeys(nil); !errors.Is(err, ErrKeysNeedRestart) {
			t.Errorf("no key any more: %v", err)
		}
		if err := keyed.SetKeys([][]byte{{1, 2, 3}}); err == nil {
			t.Error("a key of three bytes was taken")
		}
		if diff := cmp.Diff(idsOf(testKey(1)), keyed.ids()); diff != "" {
			t.Errorf("keys after what was refused (-want +got):\n%s", diff)
		}
	})
}

// memberlist's keys change while its goroutines read them, whichever are removed.
func TestReplaceListKeys(t *testing.T) {
	list, err := memberlist.NewKeyring([][]byte{testKey(1)}, testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				for _, key := range list.GetKeys() {
					if len(key) != KeySize {
						t.Errorf("key %x", key)
					}
				}
			}
		})
	}
	for _, numbers := range [][]byte{
		{1, 2}, {2, 1}, {2}, {3, 2, 4}, {4, 3}, {5, 4, 3, 6, 7}, {7, 3}, {8}, {8, 9, 1}, {1, 9},
	} {
		var want [][]byte
		for _, i := range numbers {
			want = append(want, testKey(i))
		}
		if err := replaceListKeys(list, want); err != nil {
			t.Fatal(err)
		}
		got := list.GetKeys()
		if !cmp.Equal(got[0], want[0]) {
			t.Errorf("%v: the primary is %x", numbers, got[0][0])
		}
		slices.SortFunc(want, slices.Compare)
		got = slices.SortedFunc(slices.Values(got), slices.Compare)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", numbers, diff)
		}
	}
	close(end)
	readers.Wait()
}

// What a director that has left said last may come after it was parted from the keys: it is parted
// again, else every change of keys would wait for it.
func TestLastWordOfOneThatLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{})
		one, _ := named(t, network, "d1", 1, func(cfg *Config) { cfg.Keys = [][]byte{testKey(1)} })
		two, _ := named(t, network, "d2", 2, func(cfg *Config) { cfg.Keys = [][]byte{testKey(1)} })
		time.Sleep(20 * time.Second)
		known := func() (names []string) {
			for _, d := range one.Keys().Directors {
				names = append(names, d.Name)
			}
			return names
		}
		if diff := cmp.Diff([]string{"d1", "d2"}, known()); diff != "" {
			t.Fatalf("known (-want +got):\n%s", diff)
		}
		last, ok := two.keys.ring.Holder("d2")
		if !ok {
			t.Fatal("d2 has not reported its keys")
		}
		if err := two.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		says := func() {
			last.Version.Count += 100
			one.keys.hear("d2", &wire.Keyring{
				Mesh: one.Self().Mesh.ID, Holders: []wire.KeyHolder{last},
			})
			time.Sleep(3 * time.Second)
		}
		says()
		if diff := cmp.Diff([]string{"d1"}, known()); diff != "" {
			t.Errorf("known after it has left (-want +got):\n%s", diff)
		}
		// Later it is there, and somebody else reaches it.
		time.Sleep(lastWords)
		says()
		if diff := cmp.Diff([]string{"d1", "d2"}, known()); diff != "" {
			t.Errorf("known when it is back (-want +got):\n%s", diff)
		}
	})
}
