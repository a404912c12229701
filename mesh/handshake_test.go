package mesh

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/meshtest/netsim"
)

func testKey(b byte) []byte { return bytes.Repeat([]byte{b}, KeySize) }

func keysOf(t *testing.T, mesh string, keys ...[]byte) streamKeys {
	t.Helper()
	k, err := newStreamKeys(mesh, keys)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ends returns the two ends of a connection that may be cut and changed on its way.
func ends(t *testing.T) (dialer, acceptor net.Conn) {
	t.Helper()
	n := netsim.New(1, netsim.Faults{})
	l, p, err := n.Listen(testAddr(1))
	if err != nil {
		t.Fatal(err)
	}
	dialer, err = n.Dial(t.Context(), testAddr(2), testAddr(1))
	if err != nil {
		t.Fatal(err)
	}
	acceptor, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range []io.Closer{dialer, acceptor, l, p} {
			_ = c.Close()
		}
	})
	return dialer, acceptor
}

type handshakeResult struct {
	stream *secureStream
	err    error
}

// shake runs a whole handshake between two sets of keys.
func shake(
	t *testing.T, dialer, acceptor net.Conn, ours, theirs streamKeys,
) (dialled, accepted handshakeResult) {
	t.Helper()
	done := make(chan handshakeResult, 1)
	for _, c := range []net.Conn{dialer, acceptor} {
		if err := c.SetDeadline(time.Now().Add(openingTime)); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		var magic [1]byte
		if _, err := io.ReadFull(acceptor, magic[:]); err != nil || magic[0] != streamMagic {
			done <- handshakeResult{err: errors.New("no magic byte")}
			return
		}
		s, err := acceptHandshake(acceptor, theirs)
		if err != nil {
			_ = acceptor.Close()
		}
		done <- handshakeResult{s, err}
	}()
	s, err := dialHandshake(dialer, ours)
	if err != nil {
		_ = dialer.Close()
	}
	return handshakeResult{s, err}, <-done
}

func TestHandshake(t *testing.T) {
	one, two := testKey(1), testKey(2)
	for _, test := range []struct {
		name              string
		ours, theirs      streamKeys
		dialled, accepted string // reasons of failure
	}{
		{"plain", keysOf(t, "m"), keysOf(t, "m"), "", ""},
		{"same key", keysOf(t, "m", one), keysOf(t, "m", one), "", ""},
		{"old key accepted", keysOf(t, "m", one), keysOf(t, "m", two, one), "", ""},
		{"other mesh", keysOf(t, "m"), keysOf(t, "other"), reasonMesh.String(),
			reasonMesh.String()},
		{"other mesh, same key", keysOf(t, "m", one), keysOf(t, "other", one), reasonMesh.String(),
			reasonMesh.String()},
		{"no key against key", keysOf(t, "m"), keysOf(t, "m", one), reasonPeerKeyed.String(),
			reasonPeerPlain.String()},
		{"key against no key", keysOf(t, "m", one), keysOf(t, "m"), reasonPeerPlain.String(),
			reasonPeerKeyed.String()},
		{"wrong key", keysOf(t, "m", one), keysOf(t, "m", two), reasonKey.String(),
			reasonKey.String()},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dialer, acceptor := ends(t)
				d, a := shake(t, dialer, acceptor, test.ours, test.theirs)
				if got := reasonOf(d.err); got != test.dialled {
					t.Errorf("dialer: %q (%v), want %q", got, d.err, test.dialled)
				}
				if got := reasonOf(a.err); got != test.accepted {
					t.Errorf("acceptor: %q (%v), want %q", got, a.err, test.accepted)
				}
				if d.err != nil || a.err != nil {
					return
				}
				exchange(t, d.stream, a.stream)
				exchange(t, a.stream, d.stream)
			})
		})
	}
}

func reasonOf(err error) string {
	var failed *handshakeError
	if errors.As(err, &failed) {
		return failed.Reason.String()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// exchange sends messages of all sizes one way.
func exchange(t *testing.T, from, to *secureStream) {
	t.Helper()
	sizes := []int{1, 100, maxPlaintext - frameHeader, maxPlaintext, 200_000}
	go func() {
		for _, size := range sizes {
			_, err := from.w.Write(appendFrame(nil, bytes.Repeat([]byte{byte(size)}, size)))
			if err != nil {
				t.Error(err)
			}
		}
	}()
	for _, size := range sizes {
		got, err := readFrame(to.r, nil, 1<<20)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if !bytes.Equal(got, bytes.Repeat([]byte{byte(size)}, size)) {
			t.Fatalf("%d bytes arrived changed", size)
		}
	}
}

// TestRecordAttacks changes what an encrypted stream carries: whatever it is, the reader must give
// nothing out and stop.
func TestRecordAttacks(t *testing.T) {
	record := func(b []byte) int { return recordHeader + int(b[0])<<8 + int(b[1]) }
	for _, test := range []struct {
		name   string
		change func(b []byte) []byte // of three records
		reads  int                   // records that arrive before
		want   error                 // nil: any
	}{
		{"replayed",
			func(b []byte) []byte { return append(b[:record(b):record(b)], b...) }, 1, nil},
		{"swapped", func(b []byte) []byte {
			n := record(b)
			m := record(b[n:])
			return append(append(append([]byte{}, b[n:n+m]...), b[:n]...), b[n+m:]...)
		}, 0, nil},
		{"left out", func(b []byte) []byte { return b[record(b):] }, 0, nil},
		{"flipped bit", func(b []byte) []byte { b[recordHeader+3] ^= 1; return b }, 0, nil},
		{"flipped tag", func(b []byte) []byte { b[record(b)-1] ^= 1; return b }, 0, nil},
		{"truncated record", func(b []byte) []byte { return b[:record(b)-1] }, 0,
			io.ErrUnexpectedEOF},
		{"truncated header", func(b []byte) []byte { return b[:record(b)+1] }, 1,
			io.ErrUnexpectedEOF},
		{"header alone", func(b []byte) []byte { return b[:recordHeader] }, 0, io.ErrUnexpectedEOF},
		{"short record",
			func(b []byte) []byte { return append([]byte{0, recordTag}, b...) }, 0, nil},
		{"garbage",
			func(b []byte) []byte { return bytes.Repeat([]byte("garbage "), 10000) }, 0, nil},
		{"ends between records", func(b []byte) []byte { return b[:record(b)] }, 1, io.EOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dialer, acceptor := ends(t)
				keys := keysOf(t, "m", testKey(1))
				d, a := shake(t, dialer, acceptor, keys, keys)
				if d.err != nil || a.err != nil {
					t.Fatal(d.err, a.err)
				}
				var wire bytes.Buffer
				w := &secureWriter{w: &wire, cipher: d.stream.w.(*secureWriter).cipher}
				for _, s := range []string{"first", "second", "third"} {
					if _, err := w.Write([]byte(s)); err != nil {
						t.Fatal(err)
					}
				}
				r := &secureReader{
					r:      bytes.NewReader(test.change(wire.Bytes())),
					cipher: a.stream.r.(*secureReader).cipher,
				}
				var got []string
				buf := make([]byte, 100)
				var err error
				for {
					var n int
					if n, err = r.Read(buf); err != nil {
						break
					}
					got = append(got, string(buf[:n]))
				}
				diff := cmp.Diff([]string{"first", "second", "third"}[:test.reads], got,
					cmp.Transformer("", func(s []string) []string {
						return append([]string{}, s...)
					}))
				if diff != "" {
					t.Errorf("read (-want +got):\n%s", diff)
				}
				if test.want != nil && !errors.Is(err, test.want) {
					t.Errorf("ended with %v, want %v", err, test.want)
				}
				if _, again := r.Read(buf); again == nil {
					t.Error("reading went on after an error")
				}
			})
		})
	}
}

// TestReplayedOpening replays the whole of a recorded dialer: the acceptor must not take a message
// from it.
func TestReplayedOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := keysOf(t, "m", testKey(1))
		var recorded bytes.Buffer
		dialer, acceptor := ends(t)
		d, a := shake(t, recordingConn{dialer, &recorded}, acceptor, keys, keys)
		if d.err != nil || a.err != nil {
			t.Fatal(d.err, a.err)
		}
		if _, err := d.stream.w.Write(appendFrame(nil, []byte("hello"))); err != nil {
			t.Fatal(err)
		}
		if _, err := readFrame(a.stream.r, nil, 100); err != nil {
			t.Fatal(err)
		}

		replayer, victim := ends(t)
		if _, err := replayer.Write(recorded.Bytes()); err != nil {
			t.Fatal(err)
		}
		var magic [1]byte
		if _, err := io.ReadFull(victim, magic[:]); err != nil {
			t.Fatal(err)
		}
		s, err := acceptHandshake(victim, keys)
		if err != nil {
			t.Fatalf("the opening itself can be repeated by anybody: %v", err)
		}
		if got, err := readFrame(s.r, nil, 100); err == nil {
			t.Errorf("a replayed message was accepted: %q", got)
		}
	})
}

// recordingConn keeps what is written.
type recordingConn struct {
	net.Conn
	record *bytes.Buffer
}

func (c recordingConn) Write(b []byte) (int, error) {
	c.record.Write(b)
	return c.Conn.Write(b)
}

// TestSlowOpening checks that a slow peer is out after the deadline, wherever it stops.
func TestSlowOpening(t *testing.T) {
	keys := keysOf(t, "mesh", testKey(1))
	hs, err := noiseState(true, preamble(modeEncrypted, "mesh"), keys.secrets[0])
	if err != nil {
		t.Fatal(err)
	}
	first, _, _, err := hs.WriteMessage(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var opening bytes.Buffer
	if err := writeNoise(&opening, preamble(modeEncrypted, "mesh"), first); err != nil {
		t.Fatal(err)
	}
	for cut := 1; cut < opening.Len(); cut += 7 {
		synctest.Test(t, func(t *testing.T) {
			dialer, acceptor := ends(t)
			if _, err := dialer.Write(opening.Bytes()[1:cut]); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if err := acceptor.SetDeadline(start.Add(openingTime)); err != nil {
				t.Fatal(err)
			}
			if _, err := acceptHandshake(acceptor, keys); reasonOf(err) != reasonTimeout.String() {
				t.Errorf("after %d bytes: %v, want a timeout", cut, err)
			}
			if took := time.Since(start); took != openingTime {
				t.Errorf("after %d bytes it took %s", cut, took)
			}
		})
	}
}
