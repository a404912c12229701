package mesh

import "sync"

// A mailbox is an unbounded queue of events from memberlist. Its callbacks hold memberlist's lock,
// so putting must never wait; the number of events is bounded by what memberlist sees of its
// members.
type mailbox struct {
	mu     sync.Mutex
	queue  []memberEvent
	closed bool
	wake   chan struct{}
}

func (m *mailbox) init() { m.wake = make(chan struct{}, 1) }

// put appends an event.
func (m *mailbox) put(e memberEvent) {
	m.mu.Lock()
	m.queue = append(m.queue, e)
	m.mu.Unlock()
	m.signal()
}

// take waits for events and returns them all; false is the end.
func (m *mailbox) take() ([]memberEvent, bool) {
	for {
		m.mu.Lock()
		queue, closed := m.queue, m.closed
		m.queue = nil
		m.mu.Unlock()
		if closed {
			return nil, false
		}
		if len(queue) > 0 {
			return queue, true
		}
		<-m.wake
	}
}

func (m *mailbox) length() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue)
}

func (m *mailbox) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.signal()
}

func (m *mailbox) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
