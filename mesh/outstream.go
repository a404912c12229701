package mesh

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	maxQueueBytes = 16 << 20        // of one peer's queue; beyond that its stream is given up
	writeTime     = 3 * time.Second // for writeChunk bytes; TCP's buffers are full by then and the peer does not read
	writeChunk    = 64 << 10
)

var errQueueFull = errors.New("send queue is full: the peer does not keep up")

// An outStream is the open stream to one peer: a queue of encoded messages and, while there is something in it, a goroutine that
// writes them: most streams of a large mesh are idle most of the time. The queue is bounded in bytes and adding to it never waits, so
// a peer that does not read delays nobody.
type outStream struct {
	peer string
	conn net.Conn
	s    *secureStream

	mu      sync.Mutex
	queue   [][]byte
	bytes   int                       // of the queue and of what is being written
	sent    func(messages, bytes int) // told of each write; nil: nothing may be written yet
	writing bool                      // the writer runs
	closed  error
	drained chan struct{} // somebody waits for the end of the queue; nil: nobody does

	ended   chan struct{} // closed with the stream
	stopped chan struct{} // closed by the writer when it stops; nil: nobody waits for that
	buf     []byte        // the writer's
}

func newOutStream(peer string, s *secureStream) *outStream {
	return &outStream{peer: peer, conn: s.conn, s: s, ended: make(chan struct{})}
}

// add queues an encoded message, which must not change any more. An error means that the stream is closed.
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
	o.queue = append(o.queue, message)
	o.bytes += len(message) + frameHeader
	o.startWriterLocked()
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
	close(o.ended)
	// The writer learns of it by its next write.
	_ = o.conn.Close()
}

// cause returns why the stream was closed, nil if it is open.
func (o *outStream) cause() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
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

// write lets what is queued be written, until the stream ends, and returns why it did. sent is told of each write.
func (o *outStream) write(sent func(messages, bytes int)) error {
	o.mu.Lock()
	o.sent = sent
	if len(o.queue) > 0 {
		o.startWriterLocked()
	}
	o.mu.Unlock()
	<-o.ended // nothing starts the writer any more
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

func (o *outStream) startWriterLocked() {
	if !o.writing && o.sent != nil && o.closed == nil {
		o.writing = true
		go o.writeQueue() // write waits for it
	}
}

// writeQueue writes all that is queued, and what is added meanwhile.
func (o *outStream) writeQueue() {
	for {
		queue, ok := o.take()
		if !ok {
			return
		}
		for len(queue) > 0 {
			buf, count := o.buf[:0], 0
			for count < len(queue) && (count == 0 || len(buf)+frameHeader+len(queue[count]) <= writeChunk) {
				buf = appendFrame(buf, queue[count])
				queue[count] = nil
				count++
			}
			queue = queue[count:]
			if o.buf = buf; cap(buf) > keepBuffer {
				o.buf = nil
			}
			if err := o.writeAll(buf); err != nil {
				o.close(fmt.Errorf("write: %w", err))
				break
			}
			o.written(len(buf))
			o.sent(count, len(buf))
		}
	}
}

// take returns all that is queued. If that is nothing, the writer stops.
func (o *outStream) take() (queue [][]byte, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	queue, o.queue = o.queue, nil
	if len(queue) > 0 {
		return queue, true
	}
	o.writing = false
	if o.stopped != nil {
		close(o.stopped)
		o.stopped = nil
	}
	return nil, false
}

// written takes what has been written out of the count.
func (o *outStream) written(bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed != nil {
		return
	}
	if o.bytes -= bytes; o.bytes == 0 {
		o.tellDrainedLocked()
	}
}

// writeAll gives each chunk its own deadline, so that a long message over a slow link is no failure.
func (o *outStream) writeAll(buf []byte) error {
	for len(buf) > 0 {
		chunk := buf[:min(len(buf), writeChunk)]
		if err := o.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
			return err
		}
		if _, err := o.s.w.Write(chunk); err != nil {
			return err
		}
		buf = buf[len(chunk):]
	}
	return nil
}
