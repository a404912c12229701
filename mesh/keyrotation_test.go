package mesh

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/mesh/keyring"
	"directormesh/mesh/meshtest/disk"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// Whichever director dies at whichever moment of a rotation, another one goes on with it, and so
// does all of the mesh when the dead one is back.
func TestRotationOutlivesItsDirector(t *testing.T) {
	for _, after := range []time.Duration{
		time.Millisecond, 3 * time.Millisecond, 20 * time.Millisecond, 500 * time.Millisecond,
		1001 * time.Millisecond, 1500 * time.Millisecond, 2500 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newKeyMesh(t, 3)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() {
				_, err := m.nodes[0].ChangeKeys(ctx, RotateKeys{}, nil)
				ended <- err
			}()
			time.Sleep(after)
			m.kill(0)
			cancel()
			err := <-ended
			time.Sleep(30 * time.Second)
			m.start(0)
			time.Sleep(30 * time.Second)
			keys := m.nodes[1].Keys()
			if keys.Rotation != nil {
				t.Fatalf("after %v (%v) it stands: %+v", after, err, keys.Rotation)
			}
			var want []wire.KeyID
			for _, k := range keys.Keys {
				want = append(want, k.ID)
			}
			if len(want) != 1 {
				t.Errorf("after %v (%v): keys %v", after, err, want)
			}
			m.check(allThree, want...)
		})
	}
}

// Of two rotations that begin at once one goes through; the other one is refused, and its key is
// gone.
func TestTwoRotations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyMesh(t, 3)
		type result struct {
			o   KeyOutcome
			err error
		}
		results := make(chan result, 2)
		for i := range 2 {
			go func() {
				o, err := m.nodes[i+1].ChangeKeys(t.Context(), RotateKeys{}, nil)
				results <- result{o, err}
			}()
		}
		a, b := <-results, <-results
		if a.err != nil {
			a, b = b, a
		}
		if a.err != nil || !errors.Is(b.err, ErrRotating) {
			t.Fatalf("%v and %v", a.err, b.err)
		}
		time.Sleep(3 * time.Second)
		m.check(allThree, a.o.ID)
	})
}

// Against a stolen key the new one comes from each director's own file, and never goes over the
// network.
func TestRotateFromFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyMesh(t, 3)
		m.write(0, testKey(2), testKey(1))
		m.write(1, testKey(2))
		_, err := m.nodes[0].ChangeKeys(t.Context(), RotateKeys{FromFile: true}, nil)
		waits := new(KeysWaitError)
		if !errors.As(err, &waits) || !waits.Begun ||
			err.Error() != "d3 does not have the new key" {
			t.Errorf("with a file that lacks it: %v", err)
		}
		for i, want := range []int{2, 2, 1} {
			if got := len(m.nodes[i].ids()); got != want {
				t.Errorf("d%d has %d keys meanwhile, want %d", i+1, got, want)
			}
		}
		m.write(2, testKey(2), testKey(1))
		time.Sleep(10 * time.Second)
		m.check(allThree, secondKey)
		for i, d := range m.disks {
			b, err := d.Read(keyring.FileName)
			if err != nil || strings.Contains(string(b), string(testKey(2))) {
				t.Errorf("the keyring of d%d has the secret, or is not there: %v", i+1, err)
			}
		}
	})
}

// A director that cannot keep keys is named, and nothing is changed.
func TestKeysNeedADisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyMesh(t, 2)
		m.disks, m.nodes = append(m.disks, nil), append(m.nodes, nil)
		m.write(2, testKey(1))
		m.start(2)
		time.Sleep(5 * time.Second)
		for _, op := range []KeyOperation{AddKey{}, RotateKeys{}} {
			_, err := m.nodes[0].ChangeKeys(t.Context(), op, nil)
			if err == nil || err.Error() != "d3 cannot keep keys: it has no data-dir" {
				t.Errorf("%T: %v", op, err)
			}
		}
		m.check(allThree, firstKey)
	})
}

// A director whose disk is full cannot keep keys; it says so, and nothing is changed until it can.
func TestKeysOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &keyMesh{
			t: t, network: netsim.New(1, netsim.Faults{Delay: time.Millisecond}),
			nodes: []*Node{nil, nil}, disks: []*disk.Disk{disk.New(), disk.New()},
		}
		var full atomic.Bool
		full.Store(true)
		m.disks[1].Before = func(_ int, _, name string) error {
			if full.Load() && strings.HasPrefix(name, keyring.FileName) {
				return errors.New("no space left on device")
			}
			return nil
		}
		for i := range m.nodes {
			m.write(i, testKey(1))
			m.start(i)
			time.Sleep(5 * time.Second)
		}
		_, err := m.nodes[0].ChangeKeys(t.Context(), RotateKeys{}, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "d2 cannot keep keys: ") ||
			!strings.Contains(err.Error(), "no space left") {
			t.Errorf("%v", err)
		}
		m.check([]int{0, 1}, firstKey)
		full.Store(false)
		time.Sleep(5 * time.Second)
		made := m.must(0, RotateKeys{})
		time.Sleep(2 * time.Second)
		m.check([]int{0, 1}, made)
	})
}

// A keyring that cannot be read is put aside and not lost, and the key file counts alone.
func TestDamagedKeyring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyMesh(t, 2)
		m.must(0, AddKey{Secret: testKey(2)})
		m.kill(0)
		b, err := m.disks[0].Read(keyring.FileName)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		f, err := m.disks[0].Create(keyring.FileName)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(b); err != nil {
			t.Fatal(err)
		}
		m.start(0)
		time.Sleep(10 * time.Second)
		m.check([]int{0, 1}, firstKey, secondKey) // the other one had it
		names, err := m.disks[0].Names()
		if err != nil || !slices.Contains(names, "aside-"+keyring.FileName) {
			t.Errorf("%v, %v", names, err)
		}
	})
}

// A start with nothing but removed keys ends, and says what to do.
func TestOnlyRemovedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New()
		gone := keyring.New(7)
		if _, err := gone.Remove(firstKey); err != nil {
			t.Fatal(err)
		}
		if err := keyring.Save(d, gone.Whole()); err != nil {
			t.Fatal(err)
		}
		m := &keyMesh{
			t: t, network: netsim.New(1, netsim.Faults{}), nodes: []*Node{nil},
			disks: []*disk.Disk{d}, files: [][][]byte{{testKey(1)}},
		}
		cfg := Config{
			Mesh: "test", HashFormat: "%Lu", Expire: 15 * time.Minute, Network: m.network,
		}
		m.configure(&cfg, 0)
		if _, err := New(cfg); !errors.Is(err, ErrKeysRemoved) {
			t.Errorf("%v", err)
		}
	})
}

// What was encrypted is counted by key, and told to the peers.
func TestPacketsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyMesh(t, 2)
		m.nodes[0].transport.written.Add(3*packetStep + 1)
		time.Sleep(3 * time.Second)
		if got := m.nodes[1].Keys().Keys[0].Packets; got != 3*packetStep {
			t.Errorf("%d packets, want %d", got, 3*packetStep)
		}
		m.kill(0)
		m.start(0)
		time.Sleep(10 * time.Second)
		// It may have sent nearly a step more before it ended.
		if got := m.nodes[1].Keys().Keys[0].Packets; got != 4*packetStep {
			t.Errorf("after a restart %d packets, want %d", got, 4*packetStep)
		}
	})
}

// Whoever holds a stream open under a key is cut off when the key is removed. By posing as a
// director one can hold a rotation up, until the operator does without that director.
func TestHeldStreamIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newKeyMesh(t, 2)
		conn, err := m.network.Dial(t.Context(), testAddr(9), testAddr(1))
		if err != nil {
			t.Fatal(err)
		}
		secrets, err := newStreamKeys("test", [][]byte{testKey(1)})
		if err != nil {
			t.Fatal(err)
		}
		s, err := dialHandshake(conn, secrets)
		if err != nil {
			t.Fatal(err)
		}
		var hello *wire.Hello
		m.nodes[1].input(func(c *replica.Core, now mono.Time) {
			hello = c.Hello(now, replica.Dial{Name: "d1", Addr: testAddr(1)})
		})
		hello.From = wire.Peer{Name: "d9", Boot: 9, Addr: testAddr(9)}
		if err := sendMessage(s, hello); err != nil {
			t.Fatal(err)
		}
		if m, err := receiveMessage(s, helloLimit); err != nil {
			t.Fatalf("%+v, %v", m, err)
		}
		cut := make(chan time.Time, 1)
		go func() {
			_, _ = s.r.Read(make([]byte, 1))
			cut <- time.Now()
		}()
		if _, err := m.nodes[0].ChangeKeys(t.Context(), RotateKeys{}, nil); err == nil ||
			!strings.Contains(err.Error(), "d9 ") {
			t.Errorf("beside a director that says nothing of its keys: %v", err)
		}
		select {
		case <-cut:
			t.Fatal("the stream ended before the key was removed")
		default:
		}
		m.must(0, RotateKeys{}, "d9")
		removed := time.Now()
		if took := (<-cut).Sub(removed); took > time.Second {
			t.Errorf("the stream ended %v after the removal of its key", took)
		}
	})
}
