package mesh

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// byteConn is a connection on which everything has arrived already.
type byteConn struct {
	r io.Reader
	w bytes.Buffer
}

func (c *byteConn) Read(b []byte) (int, error)       { return c.r.Read(b) }
func (c *byteConn) Write(b []byte) (int, error)      { return c.w.Write(b) }
func (c *byteConn) Close() error                     { return nil }
func (c *byteConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *byteConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *byteConn) SetDeadline(time.Time) error      { return nil }
func (c *byteConn) SetReadDeadline(time.Time) error  { return nil }
func (c *byteConn) SetWriteDeadline(time.Time) error { return nil }

// FuzzFrame feeds streams of arbitrary bytes to the reader of frames: what it returns must be what
// a writer would have written.
func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(appendFrame(nil, []byte("one")), []byte("two")))
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{0, 0, 1, 0, 'x'})
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 1 << 16
		r := bytes.NewReader(stream)
		var again, buf []byte
		for {
			frame, err := readFrame(r, buf, limit)
			if err != nil {
				break
			}
			if len(frame) == 0 || len(frame) > limit {
				t.Fatalf("frame of %d bytes", len(frame))
			}
			again = appendFrame(again, frame)
			buf = frame
		}
		if !bytes.HasPrefix(stream, again) {
			t.Fatalf("frames %x are not the beginning of %x", again, stream)
		}
	})
}

// FuzzAccept feeds arbitrary bytes to an acceptor with a key: nobody gets in without it.
func FuzzAccept(f *testing.F) {
	keys, err := newStreamKeys("mesh", [][]byte{testKey(1)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(preamble(modePlain, "mesh")[1:])
	f.Add(preamble(modeEncrypted, "mesh")[1:])
	f.Add(append(preamble(modeEncrypted, "mesh")[1:], bytes.Repeat([]byte{0, 48}, 40)...))
	f.Add(preamble(modeEncrypted, "other")[1:])
	f.Add([]byte{9, 9, 200, 'x'})
	f.Fuzz(func(t *testing.T, opening []byte) {
		c := &byteConn{r: bytes.NewReader(opening)}
		if s, err := acceptHandshake(c, keys); err == nil || s != nil {
			t.Fatalf("%x got in", opening)
		}
	})
}

// FuzzDial feeds arbitrary answers to a dialer with a key.
func FuzzDial(f *testing.F) {
	keys, err := newStreamKeys("mesh", [][]byte{testKey(1)})
	if err != nil {
		f.Fatal(err)
	}
	for v := accepted; v <= otherKey+1; v++ {
		f.Add(append(preamble(byte(v), "mesh"), bytes.Repeat([]byte{0, 48}, 40)...))
	}
	f.Add([]byte("SSH-2.0-OpenSSH"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		c := &byteConn{r: bytes.NewReader(answer)}
		if s, err := dialHandshake(c, keys); err == nil || s != nil {
			t.Fatalf("%x was believed", answer)
		}
	})
}

// FuzzMeta checks that what is decoded is what was encoded.
func FuzzMeta(f *testing.F) {
	f.Add(meta{protocol: 1, boot: 7}.encode())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(b)
		if err != nil {
			return
		}
		again, err := decodeMeta(m.encode())
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if diff := cmp.Diff(m, again, cmp.AllowUnexported(meta{})); diff != "" {
			t.Fatalf("%x (-decoded +again):\n%s", b, diff)
		}
	})
}

// FuzzSeed checks that every accepted seed is read again as the same one.
func FuzzSeed(f *testing.F) {
	for _, s := range []string{
		"d1", "d1:9091", "10.0.0.1", "2001:db8::1", "[2001:db8::1]:9", "a:b:c", ":1", "d1:", "d1:0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := parseSeed(s, DefaultPort)
		if err != nil {
			return
		}
		again, err := parseSeed(parsed.String(), 1)
		if err != nil || again != parsed {
			t.Fatalf("%q is %v, which is %v, %v", s, parsed, again, err)
		}
	})
}

func readerOf(s string) io.Reader { return bytes.NewReader([]byte(s)) }
