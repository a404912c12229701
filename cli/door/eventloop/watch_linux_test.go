package eventloop

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"directormesh/cli/door/conntest"
)

// watched reports whether an owner waits to be called.
func (c *conn) watched() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready != nil
}

// Whatever happens to a connection that is watched, its owner is called once, and reads what
// package net would read.
func TestWatch(t *testing.T) {
	tests := []struct {
		name   string
		happen func(t *testing.T, ours Conn, theirs net.Conn)
		onLoop bool
		n      int
		err    error
	}{
		{"bytes", func(_ *testing.T, _ Conn, theirs net.Conn) { io.WriteString(theirs, "hello") },
			true, 5, nil},
		{"end", func(_ *testing.T, _ Conn, theirs net.Conn) { theirs.Close() }, true, 0, io.EOF},
		{"closed", func(_ *testing.T, ours Conn, _ net.Conn) { ours.Close() },
			false, 0, net.ErrClosed},
		{"deadline", func(_ *testing.T, ours Conn, _ net.Conn) {
			ours.SetReadDeadline(time.Now())
		}, false, 0, nil},
		{"a write that waits", func(t *testing.T, ours Conn, theirs net.Conn) {
			go ours.Write(make([]byte, 32<<20))
			t.Cleanup(func() { theirs.Close() })
		}, false, 0, nil},
	}
	for _, network := range []string{"unix", "tcp"} {
		for _, tt := range tests {
			t.Run(network+"/"+tt.name, func(t *testing.T) {
				ours, theirs := adoptedPair(t, newLoops(t), network)
				called := make(chan bool, 2)
				if !ours.Watch(func(onLoop bool) { called <- onLoop }) {
					t.Fatal("it cannot be watched")
				}
				tt.happen(t, ours, theirs)
				if onLoop := <-called; onLoop != tt.onLoop {
					t.Errorf("called on a loop: %v", onLoop)
				}
				n, err := ours.TryRead(make([]byte, 10))
				if n != tt.n || !errors.Is(err, tt.err) {
					t.Errorf("%d bytes, %v; want %d, %v", n, err, tt.n, tt.err)
				}
				ours.Close()
				if len(called) > 0 {
					t.Error("called twice")
				}
			})
		}
	}
}

// What a reader leaves is reported again, to an owner on the loop and to one in a goroutine.
func TestWatchReportsWhatIsLeft(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		ours, theirs := adoptedPair(t, newLoops(t), "unix")
		got := make(chan byte, 10)
		buf := make([]byte, 1)
		var ready func(bool)
		read := func() {
			n, err := ours.TryRead(buf)
			if n > 0 {
				got <- buf[0]
			}
			if err == nil && !ours.Watch(ready) {
				t.Error("it cannot be watched again")
			}
		}
		ready = func(onLoop bool) {
			switch {
			case !onLoop: // closed
			case elsewhere:
				go read()
			default:
				read()
			}
		}
		if !ours.Watch(ready) {
			t.Fatal("it cannot be watched")
		}
		for _, text := range []string{"abc", "de", "f"} {
			io.WriteString(theirs, text)
			for _, want := range []byte(text) {
				if b := <-got; b != want {
					t.Errorf("%c, want %c", b, want)
				}
			}
		}
		for !ours.(interface{ watched() bool }).watched() {
			time.Sleep(time.Millisecond) // the last read has not come to its end
		}
		ours.Close()
	}
}

// A connection that was in Go's poller, for a write or a read that had to wait, can be watched
// afterwards, and not before.
func TestWatchAfterWaiting(t *testing.T) {
	ours, theirs := adoptedPair(t, newLoops(t), "unix")
	const much = 8 << 20
	written := make(chan error)
	go func() {
		_, err := ours.Write(make([]byte, much))
		written <- err
	}()
	if _, err := io.ReadFull(theirs, make([]byte, much/2)); err != nil {
		t.Fatal(err)
	}
	if ours.Watch(func(bool) { t.Error("called") }) {
		t.Error("it is watched though a write waits")
	}
	if _, err := io.ReadFull(theirs, make([]byte, much/2)); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	called := make(chan bool)
	if !ours.Watch(func(onLoop bool) { called <- onLoop }) {
		t.Fatal("it cannot be watched after the write")
	}
	io.WriteString(theirs, "x")
	if !<-called {
		t.Error("not called on a loop")
	}
}

// Loops that are closed watch nothing, and connections live on.
func TestClosedLoops(t *testing.T) {
	loops := New()
	ours, theirs := adoptedPair(t, loops, "unix")
	early, _ := adoptedPair(t, loops, "unix")
	if !early.Watch(func(bool) {}) {
		t.Fatal("it cannot be watched")
	}
	for range 2 {
		if err := loops.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if ours.Watch(func(bool) {}) {
		t.Error("it is watched")
	}
	io.WriteString(theirs, "x")
	if n, err := ours.Read(make([]byte, 9)); n != 1 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// A loop that has no rest gives connections to another one, and loses none.
func TestBusyLoopGivesAway(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	}
	loops := newLoops(t)
	l := conntest.Listen(t, "unix")
	var echoes, clients sync.WaitGroup
	end := make(chan struct{})
	for i := range 8 {
		ours, theirs := conntest.Connect(t, l)
		e := &echo{c: loops.Adopt(ours), buf: make([]byte, 256), over: echoes.Done,
			work: time.Microsecond}
		echoes.Add(1)
		e.run()
		clients.Go(func() { flood(t, theirs, uint64(i), end) })
	}
	for spread := 0; spread < 2; {
		time.Sleep(time.Millisecond)
		spread = 0
		loops.mu.Lock()
		for _, lp := range loops.all {
			lp.mu.Lock()
			if len(lp.conns) > 0 {
				spread++
			}
			lp.mu.Unlock()
		}
		loops.mu.Unlock()
	}
	close(end)
	clients.Wait()
	echoes.Wait()
}

// flood keeps many numbers under way, and checks that they come back in their order.
func flood(t *testing.T, c net.Conn, seed uint64, end <-chan struct{}) {
	const ahead = 500
	defer c.Close()
	send := func(n uint64) {
		if _, err := c.Write(binary.BigEndian.AppendUint64(nil, seed<<32|n)); err != nil {
			t.Error(err)
		}
	}
	for n := range uint64(ahead) {
		send(n)
	}
	got := make([]byte, 8)
	for n := uint64(0); ; n++ {
		select {
		case <-end:
			return
		default:
		}
		if _, err := io.ReadFull(c, got); err != nil {
			t.Error(err)
			return
		}
		if binary.BigEndian.Uint64(got) != seed<<32|n {
			t.Errorf("%x came, want %x", got, seed<<32|n)
			return
		}
		send(n + ahead)
	}
}

// A round on the loop costs no allocation.
func TestRoundDoesNotAllocate(t *testing.T) {
	ours, theirs := adoptedPair(t, newLoops(t), "unix")
	in := make([]byte, 100)
	var watch func(bool)
	watch = func(onLoop bool) {
		if !onLoop {
			return
		}
		n, _ := ours.TryRead(in)
		_, _ = ours.TryWrite(in[:n])
		_ = ours.Watch(watch)
	}
	if !ours.Watch(watch) {
		t.Fatal("it cannot be watched")
	}
	buf := []byte("line\n")
	if n := testing.AllocsPerRun(200, func() {
		if _, err := theirs.Write(buf); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(theirs, buf); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("a round costs %v allocations", n)
	}
}
