package session

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/dovecot"
	"directormesh/ring"
)

// fakeMesh remembers its calls. It knows the backends 192.0.2.1 and 192.0.2.2.
type fakeMesh struct {
	mu     sync.Mutex
	synced bool
	calls  []string
}

func (m *fakeMesh) Synced() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.synced
}

func (m *fakeMesh) tell(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, fmt.Sprintf(format, args...))
}

func (m *fakeMesh) Tag(backend netip.Addr) (ring.Tag, bool) {
	return map[netip.Addr]ring.Tag{backend1: "", backend2: "ssd"}[backend], backend == backend1 ||
		backend == backend2
}

func (m *fakeMesh) Refresh(tag ring.Tag, h ring.UserHash, backend netip.Addr) {
	m.tell("refresh %s/%d %s", tag, h, backend)
}

func (m *fakeMesh) Adopt(tag ring.Tag, h ring.UserHash, backend netip.Addr) {
	m.tell("adopt %s/%d %s", tag, h, backend)
}

// take returns the calls since it was last called.
func (m *fakeMesh) take() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := m.calls
	m.calls = nil
	return calls
}

// keeperTest is a keeper in a bubble, whose Dovecot lists what the test says.
type keeperTest struct {
	mesh fakeMesh

	mu          sync.Mutex
	connections []dovecot.Connection
	err         error
}

// set changes what the mesh and Dovecot say.
func (k *keeperTest) set(synced bool, err error, connections ...dovecot.Connection) {
	k.mesh.mu.Lock()
	k.mesh.synced = synced
	k.mesh.mu.Unlock()
	k.mu.Lock()
	k.connections, k.err = connections, err
	k.mu.Unlock()
}

func (k *keeperTest) list(context.Context) ([]dovecot.Connection, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.connections, k.err
}

func (k *keeperTest) run(t *testing.T, every, forget time.Duration) {
	source := NewSource(k.list, func(user string) ring.UserHash { return ring.UserHash(len(user)) },
		time.Now)
	keeper := NewKeeper(source, &k.mesh, every, forget, zerolog.Nop())
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { keeper.Run(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done; source.Close() })
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls of the mesh (-want +got):\n%s", diff)
	}
}

func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a1 := dovecot.Connection{User: "a", Backend: backend1}
		b1 := dovecot.Connection{User: "b", Backend: backend1} // the same user by hash
		a2 := dovecot.Connection{User: "a", Backend: backend2}
		c9 := dovecot.Connection{User: "cc", Backend: netip.MustParseAddr("192.0.2.9")} // not ours
		d1 := dovecot.Connection{User: "ddd", Backend: backend1}
		var k keeperTest
		k.set(false, nil, a1, b1, a2, c9)
		k.run(t, 10*time.Second, time.Minute)

		// Not before the mesh can take it.
		time.Sleep(5500 * time.Millisecond)
		expect(t, k.mesh.take())
		k.set(true, nil, a1, b1, a2, c9)
		time.Sleep(time.Second)
		expect(t, k.mesh.take(), "adopt /1 192.0.2.1", "adopt ssd/1 192.0.2.2")

		// Known sessions only prolong; new ones are adopted.
		k.set(true, nil, a1, b1, a2, c9, d1)
		time.Sleep(10 * time.Second)
		expect(t, k.mesh.take(), "refresh /1 192.0.2.1", "refresh ssd/1 192.0.2.2",
			"adopt /3 192.0.2.1")
		k.set(true, nil, a1)
		time.Sleep(10 * time.Second)
		expect(t, k.mesh.take(), "refresh /1 192.0.2.1")

		// A short trouble changes nothing, a long one makes all sessions new: their mappings have
		// expired.
		down := errors.New("Dovecot is down")
		k.set(true, down)
		time.Sleep(20 * time.Second)
		expect(t, k.mesh.take())
		k.set(true, nil, a1)
		time.Sleep(10 * time.Second)
		expect(t, k.mesh.take(), "refresh /1 192.0.2.1")
		k.set(true, down)
		time.Sleep(70 * time.Second)
		k.set(true, nil, a1)
		time.Sleep(10 * time.Second)
		expect(t, k.mesh.take(), "adopt /1 192.0.2.1")

		// While the mesh takes nothing, it gets nothing; afterwards known sessions are still known.
		k.set(false, nil, a1)
		time.Sleep(25 * time.Second)
		expect(t, k.mesh.take())
		k.set(true, nil, a1)
		time.Sleep(2 * time.Second)
		expect(t, k.mesh.take(), "refresh /1 192.0.2.1")
	})
}
