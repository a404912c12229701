package mesh

import (
	"fmt"
	"time"
)

const (
	// for writeChunk bytes; TCP's buffers are full by then and the peer does not read
	writeTime  = 3 * time.Second
	writeChunk = 64 << 10
	// more than that takes a while to encrypt and to copy: the goroutine's work
	pushBytes = 4 << 10
)

// keepMessages is how many sizes of messages a stream has room for at all times; most batches are
// one beat.
const keepMessages = 16

// messageSize is the first byte of a message, which tells its kind, and its bytes in a frame.
type messageSize struct {
	kind  byte
	bytes int32
}

// sizeOf describes an encoded message.
func sizeOf(message []byte) messageSize {
	size := messageSize{bytes: int32(frameHeader + len(message))}
	if len(message) > 0 {
		size.kind = message[0]
	}
	return size
}

// eagerConn is a connection that can write without waiting. TryWrite writes as much of b as the
// connection takes now, which may be nothing.
type eagerConn interface {
	TryWrite(b []byte) (n int, err error)
}

// batch is what is written together.
type batch struct {
	sealed []byte // as it goes over the connection; what is left of it
	bytes  int    // in it, before it was sealed
	room   []byte // memory for it and its successors
}

// push writes what is queued, unless somebody does that already. It never waits; what the
// connection does not take now, and what is much, is left to a goroutine. room is memory for the
// writing; what is returned is to be used for the next push.
func (o *outStream) push(room []byte) []byte {
	o.mu.Lock()
	if o.writing || len(o.queue) == 0 || o.sent == nil { // a closed stream has no queue
		o.mu.Unlock()
		return room
	}
	o.writing = true
	little := o.bytes <= pushBytes
	o.mu.Unlock()
	b, more := batch{room: room}, true
	if eager, ok := o.conn.(eagerConn); ok && little {
		b, more = o.tryNext(eager, b)
	}
	if !more {
		return b.room
	}
	go o.writeQueue(b) // serve waits for it
	return nil
}

// tryNext writes the next batch as far as the connection takes it now, and returns what is to be
// written after that.
func (o *outStream) tryNext(eager eagerConn, b batch) (_ batch, more bool) {
	if b, more = o.next(b); !more {
		return b, more
	}
	n, err := eager.TryWrite(b.sealed)
	if err != nil {
		o.close(fmt.Errorf("write: %w", err))
	}
	if b.sealed = b.sealed[n:]; len(b.sealed) > 0 && err == nil {
		return b, true
	}
	return o.next(b)
}

// writeQueue writes b, all that is queued, and what is added meanwhile.
func (o *outStream) writeQueue(b batch) {
	for more := true; more; b, more = o.next(b) {
		if err := o.writeAll(b.sealed); err != nil {
			o.close(fmt.Errorf("write: %w", err))
		}
	}
}

// next notes that a batch has been written, and returns the next one. If there is none, or the
// stream is closed, nobody writes any more.
func (o *outStream) next(written batch) (b batch, more bool) {
	b.room = written.room
	if cap(b.room) > keepBuffer {
		b.room = nil
	}
	if !o.take(written) {
		return b, false
	}
	plain := b.room[:0]
	if o.batch = o.batch[:0]; cap(o.batch) > keepMessages {
		o.batch = nil
	}
	for len(o.taken) > 0 &&
		(len(o.batch) == 0 || len(plain)+frameHeader+len(o.taken[0]) <= writeChunk) {
		plain = appendFrame(plain, o.taken[0])
		o.batch = append(o.batch, sizeOf(o.taken[0]))
		o.taken[0] = nil
		o.taken = o.taken[1:]
	}
	b.bytes, b.room = len(plain), plain
	var err error
	if b.sealed, err = o.s.seal(plain); err != nil {
		o.close(err)
		return o.next(batch{room: b.room})
	}
	return b, true
}

// take makes sure that something is taken out of the queue. If there is nothing, nobody writes any
// more.
func (o *outStream) take(written batch) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed == nil {
		if written.bytes > 0 {
			o.sent(o.batch)
			if o.bytes -= written.bytes; o.bytes == 0 {
				o.tellDrainedLocked()
			}
		}
		if len(o.taken) > 0 {
			return true
		}
		if len(o.queue) > 0 {
			if o.taken, o.queue = o.queue, nil; len(o.taken) > 1 {
				o.first[0] = nil // it has moved
			}
			return true
		}
	}
	o.taken, o.writing = nil, false
	if o.stopped != nil {
		close(o.stopped)
		o.stopped = nil
	}
	return false
}

// writeAll gives each chunk its own deadline, so that a long message over a slow link is no
// failure. It leaves none behind: TryWrite would find it passed.
func (o *outStream) writeAll(b []byte) error {
	for len(b) > 0 {
		chunk := b[:min(len(b), writeChunk)]
		if err := o.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
			return err
		}
		if _, err := o.conn.Write(chunk); err != nil {
			return err
		}
		b = b[len(chunk):]
	}
	return o.conn.SetWriteDeadline(time.Time{})
}
