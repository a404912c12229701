package eventloop

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"directormesh/cli/door/conntest"
)

// echo sends back what comes on a connection: on a loop as far as nothing has to be waited for.
type echo struct {
	c    Conn
	buf  []byte
	over func()        // called once, at the end
	work time.Duration // that it does at each call
}

func (e *echo) run() {
	for !e.c.Watch(e.ready) {
		n, err := e.c.Read(e.buf)
		if err == nil {
			_, err = e.c.Write(e.buf[:n])
		}
		if err != nil {
			e.end()
			return
		}
	}
}

func (e *echo) end() {
	e.c.Close()
	e.over()
}

func (e *echo) ready(onLoop bool) {
	if !onLoop {
		e.run()
		return
	}
	time.Sleep(e.work)
	n, err := e.c.TryRead(e.buf)
	if err != nil {
		go e.end()
		return
	}
	done, err := e.c.TryWrite(e.buf[:n])
	switch {
	case err != nil || done < n:
		go func() {
			_, _ = e.c.Write(e.buf[done:n])
			e.run()
		}()
	case !e.c.Watch(e.ready):
		go e.run()
	}
}

// Thousands of connections are closed at the same moment, from either end or both, while lines
// come; others get their descriptors at once. No byte goes to another's connection, and all come to
// an end.
func TestManyOnLoops(t *testing.T) {
	const rounds, size = 4, 1000
	loops := newLoops(t)
	l := conntest.Listen(t, "unix")
	for round := range rounds {
		var echoes, clients sync.WaitGroup
		end := make(chan struct{})
		for i := range size {
			theirs, err := net.Dial("unix", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			ours, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			e := &echo{c: loops.Adopt(ours), buf: make([]byte, 1+i%20), over: echoes.Done}
			echoes.Add(1)
			e.run()
			if i%3 > 0 {
				clients.Go(func() {
					<-end
					e.c.Close()
				})
			}
			clients.Go(func() { conntest.Ping(t, theirs, uint64(round*size+i), end) })
		}
		time.AfterFunc(50*time.Millisecond, func() { close(end) })
		clients.Wait()
		echoes.Wait()
	}
}

// TestEchoes sends random amounts, whose answers are read late, in random pieces. All bytes must
// come back.
func TestEchoes(t *testing.T) { rapid.Check(t, checkEchoes(t)) }

func FuzzEchoes(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkEchoes(f))) }

func checkEchoes(t testing.TB) func(rt *rapid.T) {
	loops := newLoops(t)
	listeners := []net.Listener{conntest.Listen(t, "unix"), conntest.Listen(t, "tcp")}
	return func(rt *rapid.T) {
		l := rapid.SampledFrom(listeners).Draw(rt, "network")
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 20), rapid.IntRange(1, 400_000)),
			1, 5).Draw(rt, "sizes")
		piece := rapid.IntRange(1, 70_000).Draw(rt, "piece")
		buffer := rapid.IntRange(1, 5000).Draw(rt, "buffer")
		deadline := rapid.Bool().Draw(rt, "deadline")
		theirs, err := net.Dial(l.Addr().Network(), l.Addr().String())
		if err != nil {
			rt.Fatal(err)
		}
		defer theirs.Close()
		c, err := l.Accept()
		if err != nil {
			rt.Fatal(err)
		}
		over := make(chan struct{})
		e := &echo{c: loops.Adopt(c), buf: make([]byte, buffer), over: func() { close(over) }}
		go e.run()
		var want []byte
		for i := range sizes {
			sizes[i] = min(sizes[i], 100*buffer) // or the calls would be millions
			size := sizes[i]
			want = append(want, bytes.Repeat([]byte{byte('a' + i)}, size)...)
		}
		var writer sync.WaitGroup
		writer.Go(func() {
			rest := want
			for _, size := range sizes {
				if _, err := theirs.Write(rest[:size]); err != nil {
					rt.Error(err)
				}
				if deadline { // it takes the connection off its loop for a while
					_ = e.c.SetReadDeadline(time.Now().Add(time.Hour))
					runtime.Gosched()
					_ = e.c.SetReadDeadline(time.Time{})
				}
				rest = rest[size:]
			}
			_ = theirs.(interface{ CloseWrite() error }).CloseWrite()
		})
		var got []byte
		for buf := make([]byte, piece); ; {
			n, err := theirs.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			} else if err != nil {
				rt.Fatal(err)
			}
		}
		writer.Wait()
		<-over
		if !bytes.Equal(got, want) {
			rt.Fatalf("%d bytes came back of %d, or others", len(got), len(want))
		}
	}
}
