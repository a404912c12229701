package mesh

import (
	"io"
	"net"
	"testing"
	"time"
)

// BenchmarkStream writes messages of 64 KiB through an outStream over a loopback connection.
func BenchmarkStream(b *testing.B) {
	for _, test := range []struct {
		name string
		keys [][]byte
	}{{"plain", nil}, {"encrypted", [][]byte{testKey(1)}}} {
		b.Run(test.name, func(b *testing.B) {
			keys, err := newStreamKeys("mesh", test.keys)
			if err != nil {
				b.Fatal(err)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			received := make(chan int)
			go func() {
				conn, err := l.Accept()
				if err != nil {
					b.Error(err)
					return
				}
				defer func() { _ = conn.Close() }()
				if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
					b.Error(err)
					return
				}
				s, err := acceptHandshake(conn, keys)
				if err != nil {
					b.Error(err)
					return
				}
				var buf []byte
				for {
					if buf, err = readFrame(s.r, buf, 1<<20); err != nil {
						close(received)
						return
					}
					received <- len(buf)
				}
			}()
			conn, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
			if err != nil {
				b.Fatal(err)
			}
			s, err := dialHandshake(conn, keys)
			if err != nil {
				b.Fatal(err)
			}
			o := newOutStream("d2", s)
			done := make(chan error, 1)
			go func() { done <- o.serve(func([]messageSize) {}) }()
			message := make([]byte, 64<<10)
			b.SetBytes(int64(len(message)))
			const window = 32
			sent, got := 0, 0
			for b.Loop() {
				if err := o.add(message); err != nil {
					b.Fatal(err)
				}
				o.push(nil)
				if sent++; sent-got > window {
					<-received
					got++
				}
			}
			for ; got < sent; got++ {
				<-received
			}
			o.close(io.EOF)
			<-done
			for range received {
			}
		})
	}
}
