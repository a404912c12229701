package mesh

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

const maxQueueBytes = 16 << 20 // of one peer's queue; beyond that its stream is given up

var errQueueFull = errors.New("send queue is full: the peer does not keep up")

// An outStream is the open stream to one peer: a queue of encoded messages. Adding to it and
// pushing it never wait: a push writes what the connection takes at once, a goroutine the rest, if
// there is any. So a beat, and nearly all that a large mesh sends is beats, wakes nobody on its way
// out. The queue is bounded in bytes. A peer that does not read delays nobody.
type outStream struct {
	peer string
	conn net.Conn
	s    *secureStream

	mu      sync.Mutex
	queue   [][]byte
	bytes   int                         // of the queue and of what is being written
	sent    func(written []messageSize) // called for each write; nil: nothing may be written yet
	writing bool                        // somebody writes, see outwriter.go
	closed  error
	stuck   int           // bytes of the packets that did not get through at its end; 0: all did
	drained chan struct{} // somebody waits for the end of the queue; nil: nobody does
	stopped chan struct{} // closed when nobody writes any more; nil: nobody waits for that

	first [1][]byte     // room for a queue of one message, and most are
	taken [][]byte      // out of the queue, not written yet; the writer's
	batch []messageSize // of what is being written; the writer's
}

func newOutStream(peer string, s *secureStream) *outStream {
	return &outStream{peer: peer, conn: s.conn, s: s}
}

// add queues an encoded message, which must not change any more, for the next push. An error means
// that the stream is closed.
func (o *outStream) add(message []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed != nil {
		return o.closed
	}
	if o.bytes+len(message) > maxQueueBytes {
		o.closeLocked(errQueueFull)
		return errQueueFull
	}
	if o.queue == nil && !o.writing {
		o.queue = o.first[:0]
	}
	o.queue = append(o.queue, message)
	o.bytes += len(message) + frameHeader
	return nil
}

// close ends the stream; what is queued is lost. The first cause stays.
func (o *outStream) close(cause error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closeLocked(cause)
}

func (o *outStream) closeLocked(cause error) {
	if o.closed != nil {
		return
	}
	o.closed = cause
	o.queue, o.bytes = nil, 0
	o.tellDrainedLocked()
	o.stuck = stuckSegments(o.conn)
	// Who writes learns of it by the next write.
	_ = o.conn.Close()
}

// cause returns why the stream was closed, nil if it is open.
func (o *outStream) cause() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
}

// stuckAt returns how large the packets are that did not get through when the stream was closed.
func (o *outStream) stuckAt() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stuck
}

func (o *outStream) tellDrainedLocked() {
	if o.drained != nil {
		close(o.drained)
		o.drained = nil
	}
}

// size returns the bytes queued.
func (o *outStream) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

// emptied returns a channel that is closed when all that is queued now has been written or lost.
func (o *outStream) emptied() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.drained == nil {
		o.drained = make(chan struct{})
	}
	drained := o.drained
	if o.bytes == 0 {
		o.tellDrainedLocked()
	}
	return drained
}

// serve lets what is queued be written until the stream ends, and returns why it did. sent is
// called of each write.
func (o *outStream) serve(sent func(written []messageSize)) error {
	o.mu.Lock()
	o.sent = sent
	o.mu.Unlock()
	o.push(nil)
	// The peer says nothing more; the read ends when either side closes.
	var one [1]byte
	_, err := o.s.r.Read(one[:])
	if err == nil {
		err = errors.New("peer spoke out of turn")
	}
	o.close(fmt.Errorf("closed by the peer: %w", err))
	o.waitForWriter()
	return o.cause()
}

func (o *outStream) waitForWriter() {
	o.mu.Lock()
	stopped := make(chan struct{})
	if o.writing {
		o.stopped = stopped
	} else {
		close(stopped)
	}
	o.mu.Unlock()
	<-stopped
}
