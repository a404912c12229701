package mesh

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// catching is a connection that takes all at once, and writes down how; after err it takes nothing.
type catching struct {
	byteConn
	most  int // that it takes at once; 0: all
	err   error
	tries int
}

func (c *catching) TryWrite(b []byte) (int, error) {
	c.tries++
	if c.err != nil {
		return 0, c.err
	}
	if c.most > 0 {
		b = b[:min(len(b), c.most)]
	}
	return c.w.Write(b)
}

// pushed returns a stream over a connection, and what is counted as sent.
func pushed(conn net.Conn) (o *outStream, sent *[][2]int) {
	sent = new([][2]int)
	o = newOutStream("d2", &secureStream{conn: conn, r: conn, w: conn})
	o.sent = func(written []messageSize) {
		bytes := 0
		for _, m := range written {
			bytes += int(m.bytes)
		}
		*sent = append(*sent, [2]int{len(written), bytes})
	}
	return o, sent
}

// Little is written by the push itself, all of the queue at once; much, and what a connection does
// not take, by a goroutine. Whoever writes, it is counted.
func TestWhoWrites(t *testing.T) {
	for _, test := range []struct {
		name  string
		sizes []int
		most  int
		tries int
		sent  [][2]int // messages, bytes
	}{
		{"one", []int{1}, 0, 1, [][2]int{{1, 5}}},
		{"some", []int{1, 2, 3}, 0, 1, [][2]int{{3, 18}}},
		{"the most", []int{pushBytes - frameHeader}, 0, 1, [][2]int{{1, pushBytes}}},
		{"more", []int{pushBytes - frameHeader + 1}, 0, 0, [][2]int{{1, pushBytes + 1}}},
		{"in parts", []int{100}, 7, 1, [][2]int{{1, 104}}},
		{"a chunk", []int{writeChunk - 2*frameHeader - 10, 10}, 0, 0, [][2]int{{2, writeChunk}}},
		{"a byte more", []int{writeChunk + 1 - frameHeader}, 0, 0, [][2]int{{1, writeChunk + 1}}},
		{"two chunks", []int{writeChunk - 2*frameHeader - 9, 10}, 0, 0,
			[][2]int{{1, writeChunk - frameHeader - 9}, {1, 14}}},
		{"longer than a chunk", []int{2 * writeChunk, 1}, 0, 0,
			[][2]int{{1, 2*writeChunk + frameHeader}, {1, 5}}},
	} {
		synctest.Test(t, func(t *testing.T) {
			conn := &catching{most: test.most}
			o, sent := pushed(conn)
			var want []byte
			total := 0
			for i, size := range test.sizes {
				message := bytes.Repeat([]byte{byte(i + 1)}, size)
				if err := o.add(message); err != nil {
					t.Fatal(err)
				}
				want = appendFrame(want, message)
				total += size + frameHeader
				if o.size() != total {
					t.Errorf("%s: %d bytes wait, want %d", test.name, o.size(), total)
				}
			}
			o.push(nil)
			synctest.Wait()
			if !bytes.Equal(conn.w.Bytes(), want) || conn.tries != test.tries {
				t.Errorf("%s: %d bytes after %d tries, want %d after %d",
					test.name, conn.w.Len(), conn.tries, len(want), test.tries)
			}
			if diff := cmp.Diff(test.sent, *sent); diff != "" || o.size() != 0 {
				t.Errorf("%s: %d wait, counted (-want +got):\n%s", test.name, o.size(), diff)
			}
		})
	}
}

// A connection that fails ends its stream, and nothing counts as sent.
func TestFailingConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &catching{err: errBroken}
		o, sent := pushed(conn)
		if err := o.add([]byte("x")); err != nil {
			t.Fatal(err)
		}
		emptied := o.emptied()
		o.push(nil)
		synctest.Wait()
		if err := o.cause(); !errors.Is(err, errBroken) || !strings.HasPrefix(fmt.Sprint(err),
			"write: ") {
			t.Errorf("closed because of %v", err)
		}
		if len(*sent) > 0 || o.size() > 0 || conn.w.Len() > 0 {
			t.Errorf("counted %v, %d bytes wait, %d written", *sent, o.size(), conn.w.Len())
		}
		<-emptied
	})
}

// The queue takes its bound, and not a byte more. The first cause of its end stays.
func TestBoundOfTheQueue(t *testing.T) {
	o, _ := pushed(&catching{})
	half := make([]byte, maxQueueBytes/2-frameHeader)
	for _, message := range [][]byte{half, half} {
		if err := o.add(message); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.add(nil); err != nil || o.size() != maxQueueBytes+frameHeader {
		t.Errorf("at the bound: %v with %d bytes", err, o.size())
	}
	if err := o.add([]byte("x")); err != errQueueFull {
		t.Errorf("beyond it: %v", err)
	}
	o.close(errEnough)
	if err := o.add(nil); err != errQueueFull || o.cause() != errQueueFull || o.size() != 0 {
		t.Errorf("after its end: %v, because of %v, %d bytes", err, o.cause(), o.size())
	}
}

// Nothing is written before the stream serves, and a peer that speaks ends it.
func TestPeerSpeaksOutOfTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &catching{byteConn: byteConn{r: strings.NewReader("x")}}
		o := newOutStream("d2", &secureStream{conn: conn, r: conn, w: conn})
		if err := o.add([]byte("x")); err != nil {
			t.Fatal(err)
		}
		o.push(nil)
		if conn.w.Len() > 0 {
			t.Error("something was written too early")
		}
		sent := 0
		err := o.serve(func(written []messageSize) { sent += len(written) })
		if err == nil || !strings.Contains(err.Error(),
			"closed by the peer: peer spoke out of turn") {
			t.Errorf("ended with %v", err)
		}
		if sent != 1 || conn.w.Len() == 0 {
			t.Errorf("%d messages were sent in %d bytes", sent, conn.w.Len())
		}
	})
}

// A socket that fails is said by what failed, and counts nothing as written.
func TestFailingSocket(t *testing.T) {
	near, far := kernelEnds(t)
	conn := near.(eagerConn)
	if n, err := conn.TryWrite([]byte("hello")); n != 5 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if err := near.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	n, err := conn.TryWrite([]byte("hello"))
	if n != 0 || !errors.Is(err, syscall.EPIPE) || !strings.Contains(fmt.Sprint(err),
		far.LocalAddr().String()) {
		t.Errorf("after its end: %d, %v", n, err)
	}
	_ = near.Close()
	if n, err := conn.TryWrite([]byte("hello")); n != 0 || err == nil {
		t.Errorf("closed: %d, %v", n, err)
	}
}
