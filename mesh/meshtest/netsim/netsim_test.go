package netsim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var (
	a = netip.MustParseAddrPort("10.0.0.1:9090")
	b = netip.MustParseAddrPort("10.0.0.2:9090")
)

// pair returns a stream between two hosts and their packet sockets.
func pair(t *testing.T, n *Network) (near, far net.Conn, pa, pb net.PacketConn) {
	t.Helper()
	la, pa, err := n.Listen(a)
	if err != nil {
		t.Fatal(err)
	}
	lb, pb, err := n.Listen(b)
	if err != nil {
		t.Fatal(err)
	}
	near, err = n.Dial(t.Context(), a, b)
	if err != nil {
		t.Fatal(err)
	}
	far, err = lb.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range []io.Closer{near, far, la, lb, pa, pb} {
			_ = c.Close()
		}
	})
	return near, far, pa, pb
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, c net.Conn, want string) {
	t.Helper()
	buf := make([]byte, len(want))
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != want {
		t.Fatalf("read %q, %v; want %q", buf, err, want)
	}
}

func TestStreamDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1, Faults{Delay: 30 * time.Millisecond})
		near, far, _, _ := pair(t, n)
		start := time.Now()
		write(t, near, "hello")
		read(t, far, "hello")
		if took := time.Since(start); took != 30*time.Millisecond {
			t.Errorf("arrived after %s, want 30ms", took)
		}
	})
}

func TestStreamBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1, Faults{Bandwidth: 1 << 20})
		near, far, _, _ := pair(t, n)
		start := time.Now()
		go func() { _, _ = near.Write(make([]byte, 2<<20)) }()
		if _, err := io.ReadFull(far, make([]byte, 2<<20)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 1900*time.Millisecond || took > 2100*time.Millisecond {
			t.Errorf("2 MiB took %s over 1 MiB/s, want 2s", took)
		}
	})
}

// TestStreamContent writes and reads in pieces of any size: what comes out is what went in.
func TestStreamContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1, Faults{Delay: time.Millisecond, Bandwidth: 50 << 20})
		near, far, _, _ := pair(t, n)
		sent := make([]byte, 10*streamBuffer)
		rng := rand.NewChaCha8([32]byte{1})
		_, _ = rng.Read(sent)
		go func() {
			sizes := rand.New(rand.NewPCG(1, 1))
			for left := sent; len(left) > 0; {
				k, err := near.Write(left[:min(len(left), 1+sizes.IntN(100_000))])
				if left = left[k:]; err != nil {
					t.Errorf("write: %v", err)
					return
				}
			}
			_ = near.Close()
		}()
		var got []byte
		sizes := rand.New(rand.NewPCG(2, 2))
		for {
			buf := make([]byte, 1+sizes.IntN(50_000))
			k, err := far.Read(buf)
			if got = append(got, buf[:k]...); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("%d bytes arrived, %d were sent, or they differ", len(got), len(sent))
		}
	})
}

func TestStreamStallsInPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1, Faults{})
		near, far, _, _ := pair(t, n)
		n.Partition([]netip.Addr{a.Addr()}, []netip.Addr{b.Addr()})
		write(t, near, "late")
		if err := far.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := far.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read during a partition: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Dial(ctx, a, b); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("dial during a partition: %v", err)
		}
		if err := far.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		n.Heal()
		read(t, far, "late")
	})
}

func TestStreamFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1, Faults{})
		near, _, _, _ := pair(t, n)
		if err := near.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if k, err := near.Write(make([]byte, 2*streamBuffer)); k != streamBuffer ||
			!errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v; want %d and a timeout", k, err, streamBuffer)
		}
	})
}

func TestStreamClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1, Faults{Delay: time.Millisecond})
		near, far, _, _ := pair(t, n)
		write(t, near, "last words")
		if err := near.Close(); err != nil {
			t.Fatal(err)
		}
		read(t, far, "last words")
		if _, err := far.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read after the end: %v, want EOF", err)
		}
		if _, err := far.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write to a closed end: %v, want a reset", err)
		}
	})
}

func TestVanish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1, Faults{})
		near, _, _, _ := pair(t, n)
		if err := n.Vanish(b); err != nil {
			t.Fatal(err)
		}
		if err := near.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read from a host that vanished: %v, want silence", err)
		}
		write(t, near, "into the void")
		l, p, err := n.Listen(b)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = l.Close(), p.Close() })
		if _, err := near.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write to a host that restarted: %v, want a reset", err)
		}
	})
}

func TestRefused(t *testing.T) {
	n := New(1, Faults{})
	if _, err := n.Dial(t.Context(), a, b); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial where nobody listens: %v", err)
	}
	l, p, err := n.Listen(a)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.Listen(a); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v", err)
	}
	_, _ = l.Close(), p.Close()
	if l, p, err = n.Listen(a); err != nil {
		t.Errorf("listen again after close: %v", err)
	} else {
		_, _ = l.Close(), p.Close()
	}
}

func TestPackets(t *testing.T) {
	for _, test := range []struct {
		name   string
		faults Faults
		block  bool
		want   func(got int) bool
	}{
		{"perfect", Faults{}, false, func(got int) bool { return got == 1000 }},
		{"loss", Faults{Loss: 0.3}, false, func(got int) bool { return got > 600 && got < 800 }},
		{"duplicates", Faults{Duplicate: 0.5, Jitter: time.Second},
			false, func(got int) bool { return got > 1400 && got < 1600 }},
		{"blocked", Faults{}, true, func(got int) bool { return got == 0 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := New(7, test.faults)
				_, _, pa, pb := pair(t, n)
				if test.block {
					n.Block(func(from, to netip.Addr) bool { return from == a.Addr() })
				}
				got := 0
				go func() {
					buf := make([]byte, 100)
					for {
						if _, _, err := pb.ReadFrom(buf); err != nil {
							return
						}
						got++
					}
				}()
				for range 1000 {
					if _, err := pa.WriteTo([]byte("packet"), pb.LocalAddr()); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if !test.want(got) {
					t.Errorf("%d of 1000 packets arrived", got)
				}
			})
		})
	}
}

// TestStreamTryWrite: what does not fit is not waited for.
func TestStreamTryWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1, Faults{Delay: time.Millisecond})
		near, far, _, _ := pair(t, n)
		try := near.(interface{ TryWrite([]byte) (int, error) })
		start := time.Now()
		if k, err := try.TryWrite(make([]byte, streamBuffer+10)); k != streamBuffer || err != nil {
			t.Errorf("%d bytes written, %v; want %d", k, err, streamBuffer)
		}
		if k, err := try.TryWrite([]byte("x")); k != 0 || err != nil {
			t.Errorf("%d bytes written into a full stream, %v", k, err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("that took %s", took)
		}
		if _, err := io.ReadFull(far, make([]byte, streamBuffer)); err != nil {
			t.Fatal(err)
		}
		if k, err := try.TryWrite([]byte("x")); k != 1 || err != nil {
			t.Errorf("%d bytes written into an empty stream, %v", k, err)
		}
		read(t, far, "x")
	})
}

// TestStreamDeadlineMoves: only the deadline set last counts, be it earlier or later than those
// before, and set while a read waits or not.
func TestStreamDeadlineMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1, Faults{})
		_, far, _, _ := pair(t, n)
		for _, moves := range [][]time.Duration{
			{10, 20, 30}, {30, 10}, {10, 30, 20}, {40, 5, 60, 50},
		} {
			start := time.Now()
			ended := make(chan error)
			for i, d := range moves {
				if err := far.SetReadDeadline(start.Add(d * time.Second)); err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					go func() {
						_, err := far.Read(make([]byte, 1))
						ended <- err
					}()
				}
				time.Sleep(time.Second)
			}
			err := <-ended
			took, want := time.Since(start), moves[len(moves)-1]*time.Second
			if took != want || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("deadlines of %v s: read ended after %s with %v, want %s",
					moves, took, err, want)
			}
		}
	})
}
