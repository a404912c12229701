package mesh

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/flynn/noise"
	"github.com/google/go-cmp/cmp"
)

// heldConn is a connection on which a write waits until it is released.
type heldConn struct {
	catching
	released chan struct{}
}

func (c *heldConn) Write(b []byte) (int, error) {
	<-c.released
	return c.catching.Write(b)
}

// While a goroutine writes, a push leaves to it what is queued meanwhile; and a stream is over only
// when nobody writes any more. Both hold each time.
func TestOneWriterAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &heldConn{released: make(chan struct{}, 1)}
		o, sent := pushed(conn)
		var want []byte
		for round := range 2 {
			for i, message := range [][]byte{make([]byte, pushBytes), []byte("a"), []byte("b")} {
				if err := o.add(message); err != nil {
					t.Fatal(err)
				}
				want = appendFrame(want, message)
				room := make([]byte, 0, 10)
				if got := o.push(room); i > 0 && !sameMemory(got, room) {
					t.Errorf("round %d: the push of message %d has used its memory", round, i)
				}
				synctest.Wait()
			}
			stopped := make(chan struct{})
			go func() {
				o.waitForWriter()
				close(stopped)
			}()
			synctest.Wait()
			select {
			case <-stopped:
				t.Errorf("round %d: over while somebody writes", round)
			default:
			}
			for range 2 {
				conn.released <- struct{}{}
			}
			<-stopped
			if err := o.add([]byte("c")); err != nil { // nobody waits for this one
				t.Fatal(err)
			}
			o.push(nil)
			want = appendFrame(want, []byte("c"))
		}
		if got := conn.w.Bytes(); !bytes.Equal(got, want) || conn.tries != 2 {
			t.Errorf("%d bytes, %d of them tried; want %d", len(got), conn.tries, len(want))
		}
		one, little := [2]int{1, pushBytes + frameHeader}, [2]int{1, 5}
		both := [][2]int{one, {2, 10}, little, one, {2, 10}, little}
		if diff := cmp.Diff(both, *sent); diff != "" {
			t.Errorf("counted (-want +got):\n%s", diff)
		}
	})
}

// sameMemory says whether two slices begin at the same byte of memory.
func sameMemory(a, b []byte) bool {
	return cap(a) > 0 && cap(b) > 0 && &a[:1][0] == &b[:1][0]
}

// Nothing is kept of what has been written.
func TestWrittenMessagesAreNotKept(t *testing.T) {
	for messages := range 5 {
		o, _ := pushed(&catching{})
		for range messages {
			if err := o.add([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		queue := o.queue
		o.push(nil)
		for i, m := range append(queue, o.first[0]) {
			if m != nil {
				t.Errorf("of %d messages %d is kept", messages, i)
			}
		}
	}
}

// Memory goes from push to push, unless it has become more than an idle stream may keep.
func TestMemoryOfPushes(t *testing.T) {
	o, _ := pushed(&catching{})
	room := make([]byte, 0, 100)
	for _, message := range []string{"x", ""} { // the second time there is nothing to write
		if message != "" {
			if err := o.add([]byte(message)); err != nil {
				t.Fatal(err)
			}
		}
		if got := o.push(room); !sameMemory(got, room) {
			t.Errorf("after %q the memory is not handed on", message)
		}
	}
	for size, want := range map[int]int{keepBuffer: keepBuffer, keepBuffer + 1: 0} {
		if b, more := o.next(batch{room: make([]byte, 0, size)}); more || cap(b.room) != want {
			t.Errorf("of %d bytes %d are kept", size, cap(b.room))
		}
	}
}

// A goroutine whose connection breaks ends the stream, and so does a record that cannot be sealed:
// nothing is written then.
func TestPushesThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, sent := pushed(&frail{byteConn{}, 0})
		if err := o.add(make([]byte, pushBytes)); err != nil {
			t.Fatal(err)
		}
		o.push(nil)
		synctest.Wait()
		err := o.cause()
		if !errors.Is(err, errBroken) || !strings.HasPrefix(err.Error(), "write: ") ||
			len(*sent) > 0 {
			t.Errorf("closed because of %v, counted %v", err, *sent)
		}
		seal, _ := ciphers(t)
		seal.SetNonce(noise.MaxNonce + 1)
		conn := &catching{}
		o = newOutStream("d2", &secureStream{conn: conn, r: conn,
			w: &secureWriter{w: conn, cipher: seal}})
		o.sent = func([]messageSize) { t.Error("something was sent") }
		if err := o.add([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if room := make([]byte, 0, 100); !sameMemory(o.push(room), room) {
			t.Error("somebody else is to write what cannot be sealed")
		}
		if conn.tries > 0 || conn.w.Len() > 0 || o.cause() == nil {
			t.Errorf("%d tries, closed because of %v", conn.tries, o.cause())
		}
	})
}
