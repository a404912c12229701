package mesh

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// A secret that is none opens no stream, from either side; nothing is said then.
func TestSecretsOfAnotherLength(t *testing.T) {
	keys := streamKeys{mesh: "test", secrets: [][]byte{{1}}}
	dialer := &frail{byteConn{r: bytes.NewReader(preamble(byte(accepted), "test"))}, 1}
	if s, err := dialHandshake(dialer, keys); s != nil || err == nil || dialer.w.Len() > 0 {
		t.Errorf("dialled: %v, %v, said %x", s, err, dialer.w.Bytes())
	}
	opening := append([]byte{streamVersion, modeEncrypted, 4}, "test\x00\x01\x00"...)
	acceptor := &frail{byteConn{r: bytes.NewReader(opening)}, 1}
	if s, err := acceptHandshake(acceptor, keys); s != nil || err == nil || reasonOf(err) == "" ||
		acceptor.w.Len() > 0 {
		t.Errorf("accepted: %v, %v, said %x", s, err, acceptor.w.Bytes())
	}
	var failed *handshakeError
	if _, err := acceptHandshake(&frail{byteConn{r: bytes.NewReader(opening)}, 1},
		keys); errors.As(err, &failed) {
		t.Errorf("the peer is to blame: %v", err)
	}
}

// An acceptor whose answer to a right opening is not taken says what broke.
func TestAcceptorCannotAnswer(t *testing.T) {
	keys := keysOf(t, "test", testKey(1))
	var opening bytes.Buffer
	_, _ = dialHandshake(&recordedOpening{byteConn{r: strings.NewReader("")}, &opening}, keys)
	for writes, want := range []error{errBroken, nil} {
		conn := &frail{byteConn{r: bytes.NewReader(opening.Bytes()[1:])}, writes}
		if s, err := acceptHandshake(conn, keys); err != want || (s == nil) != (want != nil) {
			t.Errorf("%d writes succeed: %v, %v, want %v", writes, s, err, want)
		}
	}
}

// recordedOpening keeps what is written.
type recordedOpening struct {
	byteConn
	said *bytes.Buffer
}

func (c *recordedOpening) Write(b []byte) (int, error) { return c.said.Write(b) }

// A preamble that is cut tells nothing.
func TestPreamblesThatAreCut(t *testing.T) {
	whole := []byte{1, 2, 3, 'a', 'b', 'c'}
	for size := range len(whole) + 1 {
		version, third, mesh, err := readPreamble(bytes.NewReader(whole[:size]))
		if size == len(whole) {
			if version != 1 || third != 2 || mesh != "abc" || err != nil {
				t.Errorf("whole: %d, %d, %q, %v", version, third, mesh, err)
			}
		} else if version != 0 || third != 0 || mesh != "" || err == nil {
			t.Errorf("of %d bytes: %d, %d, %q, %v", size, version, third, mesh, err)
		}
	}
}

// helloOf is what a peer says first to a node whose settings are those of simulated ones.
func helloOf(t *testing.T) []byte {
	t.Helper()
	var said bytes.Buffer
	said.Write(preamble(modePlain, "test")[1:])
	said.Write(appendFrame(nil, encoded(t, &wire.Hello{
		MeshTime: directory.Micros(testStart.UnixMicro()),
		Settings: wire.Settings{Protocol: replica.ProtocolVersion, Mesh: "test",
			HashFormat: "%Lu", Expire: (15 * time.Minute).Milliseconds()},
		From: wire.Peer{Name: "d9", Boot: 9, Addr: testAddr(9)},
	})))
	return said.Bytes()
}

// A visitor that only looks in, or that cannot be answered, leaves nothing behind.
func TestVisitorsThatDoNotStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simulated(t, netsim.New(1, netsim.Faults{}), func(*Config) {})
		hello := helloOf(t)
		for _, test := range []struct {
			name   string
			says   []byte
			writes int // that succeed
			text   string
			known  bool // who it is
		}{
			{"looks in", hello[:len(preamble(modePlain, "test"))-1], 1,
				"peer only looked in", false},
			{"cannot be answered", hello, 1, "broken", true},
			{"is none of ours", []byte{streamVersion}, 1, reasonProtocol.String(), false},
			{"says something else", append(preamble(modePlain, "test")[1:],
				appendFrame(nil, encoded(t, &wire.Leaving{}))...), 1,
				reasonProtocol.String(), false},
		} {
			conn := &frail{byteConn{r: bytes.NewReader(test.says)}, test.writes}
			s, id, from, err := n.welcome(conn)
			if s != nil || id != 0 || (from != nil) != test.known || err == nil ||
				!strings.HasPrefix(err.Error(), test.text) {
				t.Errorf("%s: %v, %d, %v, %v", test.name, s, id, from, err)
			}
			n.input(func(c *replica.Core, now mono.Time) {
				if len(n.in) > 0 {
					t.Errorf("%s: %d streams are left", test.name, len(n.in))
				}
				c.Receive(now, 1, &wire.Leaving{}) // by the core's number of the first stream
				if test.known && len(c.Peers(now)) != 2 {
					t.Errorf("%s: the core still listens, its peers are %v",
						test.name, c.Peers(now))
				}
			})
		}
	})
}

// readSizes is a reader that notes how large the memory is that it reads into.
type readSizes struct {
	io.Reader
	sizes []int
}

func (r *readSizes) Read(b []byte) (int, error) {
	if len(b) != frameHeader {
		r.sizes = append(r.sizes, cap(b))
	}
	return r.Reader.Read(b)
}

// A stream keeps the memory of a long message as long as long ones follow, and what an idle one may
// keep for good.
func TestMemoryOfMessages(t *testing.T) {
	n := counting(t)
	var said []byte
	const long = 2 * keepBuffer
	for _, size := range []int{keepBuffer, 2, long, keepBuffer + 1, keepBuffer, 2, 10} {
		message := make([]byte, size)
		message[0] = byte(wire.FirstLaterLog) - 1 // a kind of later releases
		said = appendFrame(said, message)
	}
	r := &readSizes{Reader: bytes.NewReader(said)}
	if err := n.receive(&secureStream{conn: &byteConn{}, r: r}, 1, "d9"); err != io.EOF {
		t.Fatal(err)
	}
	want := []int{keepBuffer, keepBuffer, long, long, long, 2, 10}
	if diff := cmp.Diff(want, r.sizes); diff != "" {
		t.Errorf("memory (-want +got):\n%s", diff)
	}
}
