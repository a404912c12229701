package mesh

import (
	"container/list"
	"net"
	"sync"
)

// halfOpen bounds the connections that have not proved anything yet. When there are too many, the oldest is closed: an honest
// peer is done in milliseconds, so whoever has waited longest is the likeliest stranger, and no flood of connections keeps honest
// ones out for long.
type halfOpen struct {
	max     int
	evicted func()

	mu    sync.Mutex
	conns list.List // of net.Conn, oldest first
}

// add enters conn. The returned function takes it out again; it may be called more than once.
func (h *halfOpen) add(conn net.Conn) (release func()) {
	h.mu.Lock()
	var victim net.Conn
	if h.conns.Len() >= h.max {
		victim = h.conns.Remove(h.conns.Front()).(net.Conn)
	}
	e := h.conns.PushBack(conn)
	h.mu.Unlock()
	if victim != nil {
		h.evicted()
		// Whoever reads from it sees the error and cleans up.
		_ = victim.Close()
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.conns.Remove(e)
		})
	}
}

// count returns how many there are.
func (h *halfOpen) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conns.Len()
}
