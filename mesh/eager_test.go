package mesh

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
)

// kernelEnds returns both ends of a TCP connection over loopback, the dialler's as the director
// uses it.
func kernelEnds(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := l.Addr().(*net.TCPAddr).AddrPort()
	near, err = sockets{}.Dial(t.Context(), netip.AddrPort{}, to)
	if err != nil {
		t.Fatal(err)
	}
	far, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range []io.Closer{near, far, l} {
			_ = c.Close()
		}
	})
	return near, far
}

// TestPushIntoSockets pushes little messages to a peer that does not read until the kernel's
// buffers are full and the rest waits in the queue, and then reads them all: none is missing, cut
// or out of order, whoever wrote it.
func TestPushIntoSockets(t *testing.T) {
	for _, keys := range [][][]byte{nil, {testKey(1)}} {
		near, far := kernelEnds(t)
		k, err := newStreamKeys("mesh", keys)
		if err != nil {
			t.Fatal(err)
		}
		accepting := make(chan *secureStream, 1)
		go func() {
			defer close(accepting)
			if _, err := io.ReadFull(far, make([]byte, 1)); err != nil {
				t.Error(err)
				return
			}
			s, err := acceptHandshake(far, k)
			if err != nil {
				t.Error(err)
				return
			}
			accepting <- s
		}()
		s, err := dialHandshake(near, k)
		if err != nil {
			t.Fatal(err)
		}
		there := <-accepting
		if there == nil {
			t.Fatal("no stream")
		}
		o := newOutStream("d2", s)
		served := make(chan error, 1)
		go func() { served <- o.serve(func([]messageSize) {}) }()
		const size = 3000
		pushed, waiting := 0, false
		for ; !waiting; pushed++ {
			message := make([]byte, size)
			binary.BigEndian.PutUint32(message, uint32(pushed))
			if err := o.add(message); err != nil {
				t.Fatalf("message %d: %v", pushed, err)
			}
			o.push(nil)
			waiting = o.size() > maxQueueBytes/2
		}
		var frame []byte
		for i := range pushed {
			if frame, err = readFrame(there.r, frame, size); err != nil {
				t.Fatalf("message %d of %d: %v", i, pushed, err)
			}
			if got := binary.BigEndian.Uint32(frame); len(frame) != size || got != uint32(i) {
				t.Fatalf("message %d has %d bytes, want message %d of %d", got, len(frame), i, size)
			}
		}
		<-o.emptied()
		// Now that the way is free, a push needs no goroutine.
		if err := o.add([]byte("last")); err != nil {
			t.Fatal(err)
		}
		o.waitForWriter()
		o.push(nil)
		if left := o.size(); left != 0 {
			t.Errorf("%d bytes are left after a push into an empty socket", left)
		}
		if frame, err = readFrame(there.r, frame, size); string(frame) != "last" || err != nil {
			t.Errorf("read %q, %v", frame, err)
		}
		o.close(io.EOF)
		if err := <-served; err != io.EOF {
			t.Errorf("ended with %v", err)
		}
	}
}

// sippingConn takes a few bytes at a time.
type sippingConn struct{ net.Conn }

func (c sippingConn) TryWrite(b []byte) (int, error) {
	return c.Conn.(eagerConn).TryWrite(b[:min(len(b), 7)])
}

// TestPushInParts checks that what a connection does not take at once follows.
func TestPushInParts(t *testing.T) {
	near, far := kernelEnds(t)
	o := newOutStream("d2", &secureStream{conn: sippingConn{near}, r: near, w: near})
	served := make(chan error, 1)
	go func() { served <- o.serve(func([]messageSize) {}) }()
	var frame []byte
	for i := range uint64(100) {
		message := binary.BigEndian.AppendUint64(nil, i)
		if err := o.add(message); err != nil {
			t.Fatal(err)
		}
		o.push(nil)
		if i%3 == 0 { // the others meet a writer
			o.waitForWriter()
		}
	}
	<-o.emptied()
	o.close(io.EOF)
	if err := <-served; err != io.EOF {
		t.Errorf("ended with %v", err)
	}
	for i := range uint64(100) {
		var err error
		if frame, err = readFrame(far, frame, 8); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if got := binary.BigEndian.Uint64(frame); got != i {
			t.Fatalf("message %d instead of %d", got, i)
		}
	}
}
