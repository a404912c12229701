package conntest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// testPartialWrites writes more than sockets hold to a reader that takes a little at a time.
func (kinds kinds) testPartialWrites(t *testing.T) {
	kinds.each(t, func(t *testing.T, l net.Listener, wrap Wrap) {
		ours, theirs := Connect(t, l)
		c := wrap(ours)
		want := make([]byte, 2<<20)
		for i := range want {
			want[i] = byte(i * 7 >> 3)
		}
		var writer sync.WaitGroup
		writer.Go(func() {
			if n, err := c.Write(want); n != len(want) || err != nil {
				t.Errorf("%d of %d bytes, %v", n, len(want), err)
			}
			c.Close()
		})
		var got []byte
		for buf, size := make([]byte, 64<<10), 1; ; size = size*5%65521 + 1 {
			n, err := theirs.Read(buf[:size])
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		writer.Wait()
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes came, and not those that were written", len(got))
		}
	})
}

// testSlowReader gives up a write whose reader does not read, and tells how much was written.
func (kinds kinds) testSlowReader(t *testing.T) {
	kinds.each(t, func(t *testing.T, l net.Listener, wrap Wrap) {
		ours, theirs := Connect(t, l)
		c := wrap(ours)
		much := make([]byte, 16<<20)
		c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		n, err := c.Write(much)
		if !errors.Is(err, os.ErrDeadlineExceeded) || n == len(much) {
			t.Errorf("%d bytes, %v", n, err)
		}
		c.Close()
		if all, err := io.ReadAll(theirs); len(all) != n || err != nil {
			t.Errorf("%d bytes came, %v; %d were written", len(all), err, n)
		}
	})
}

// testManyEndsAtOnce closes thousands of connections at the same moment while their owners read and
// write, and opens others, which get the same descriptors. No byte goes to another's connection.
func (kinds kinds) testManyEndsAtOnce(t *testing.T) {
	kinds.each(t, func(t *testing.T, l net.Listener, wrap Wrap) {
		const rounds, size = 5, 200
		for round := range rounds {
			var echoes, clients sync.WaitGroup
			end := make(chan struct{})
			for i := range size {
				ours, theirs := Connect(t, l)
				c := wrap(ours)
				echoes.Go(func() {
					defer c.Close()
					_, _ = io.Copy(c, struct{ io.Reader }{c})
				})
				echoes.Go(func() { // both ends close
					<-end
					c.Close()
				})
				clients.Go(func() { Ping(t, theirs, uint64(round*size+i), end) })
			}
			time.AfterFunc(20*time.Millisecond, func() { close(end) })
			clients.Wait()
			echoes.Wait()
		}
	})
}

// Ping sends its number again and again, until the end, and checks that nothing else comes back.
func Ping(t *testing.T, c net.Conn, number uint64, end <-chan struct{}) {
	defer c.Close()
	sent := binary.BigEndian.AppendUint64(nil, number)
	got := make([]byte, len(sent))
	for {
		select {
		case <-end:
			return
		default:
		}
		if _, err := c.Write(sent); err != nil {
			return // it is over
		}
		if _, err := io.ReadFull(c, got); err != nil {
			return
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("%x came on the connection of %x", got, sent)
			return
		}
	}
}

// testScripts does random things at both ends. A wrapped connection must return what one of package
// net does.
func (kinds kinds) testScripts(t *testing.T) {
	l := map[string]net.Listener{"unix": Listen(t, "unix"), "tcp": Listen(t, "tcp")}
	rapid.Check(t, func(rt *rapid.T) {
		network := rapid.SampledFrom([]string{"unix", "tcp"}).Draw(rt, "network")
		script := rapid.SliceOfN(rapid.IntRange(0, 7), 1, 20).Draw(rt, "script")
		size := rapid.IntRange(1, 100_000).Draw(rt, "size")
		got := make(map[string][]outcome)
		for name, wrap := range kinds {
			ours, theirs := Connect(t, l[network])
			got[name] = play(wrap(ours), theirs, script, size)
			ours.Close()
			theirs.Close()
		}
		if !slices.EqualFunc(got["net"], got["wrapped"], same) {
			rt.Fatalf("net: %+v\nwrapped: %+v", got["net"], got["wrapped"])
		}
	})
}

func same(a, b outcome) bool {
	return a.N == b.N && a.Text == b.Text && a.Timeout == b.Timeout && slices.Equal(a.Is, b.Is)
}

// play does what a script says, of which every step has one possible outcome: what is read has been
// written before.
func play(c, peer net.Conn, script []int, size int) (all []outcome) {
	note := func(n int, err error) { all = append(all, outcomeOf(n, err)) }
	in, out := 0, 0 // bytes on their way to c, and to the peer
	buf := make([]byte, size)
	for _, step := range script {
		switch step {
		case 0, 1:
			if in == 0 {
				n, err := peer.Write(buf[:min(size, 10_000)])
				in += n
				note(n, err)
			}
		case 2, 3:
			if in > 0 {
				n, err := io.ReadFull(c, buf[:min(size, in)])
				in -= n
				note(n, err)
			}
		case 4:
			if out == 0 {
				n, err := c.Write(buf)
				out += n
				note(n, err)
			}
		case 5:
			if out > 0 {
				n, err := io.ReadFull(peer, buf[:min(size, out)])
				out -= n
				note(n, err)
			}
		case 6:
			c.SetDeadline(time.Now().Add(-time.Second))
			note(c.Read(buf))
			note(c.Write(buf))
			c.SetDeadline(time.Time{})
		case 7:
			c.Close()
			note(c.Read(buf))
			note(c.Write(buf))
			return all
		}
	}
	return all
}
