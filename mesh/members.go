package mesh

import (
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"

	"directormesh/mesh/replica"
)

// members are the directors that memberlist takes for live, this one included. memberlist's own
// lists must not be asked from its callbacks, and its gossip queues need the number under their
// lock, so we count ourselves.
type members struct {
	number atomic.Int64

	mu    sync.Mutex
	alive map[string]netip.AddrPort
}

func (m *members) set(name string, addr netip.AddrPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.alive == nil {
		m.alive = make(map[string]netip.AddrPort)
	}
	m.alive[name] = addr
	m.number.Store(int64(len(m.alive)))
}

func (m *members) remove(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.alive, name)
	m.number.Store(int64(len(m.alive)))
}

// room reports whether one may be alive that is not yet.
func (m *members) room(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.alive[name]
	return ok || len(m.alive) < replica.MaxDirectors
}

// count never takes the lock.
func (m *members) count() int { return int(m.number.Load()) }

// snapshot returns a copy.
func (m *members) snapshot() map[string]netip.AddrPort {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.alive)
}
