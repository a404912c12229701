package mesh

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

var errBroken = errors.New("broken")

// frail is a connection whose operations fail from some number on.
type frail struct {
	byteConn
	writes int // that succeed
}

func (f *frail) Write(b []byte) (int, error) {
	if f.writes == 0 {
		return 0, errBroken
	}
	f.writes--
	return f.byteConn.Write(b)
}

// stiff is a connection on which no deadline can be set.
type stiff struct{ byteConn }

func (stiff) SetDeadline(time.Time) error      { return errBroken }
func (stiff) SetReadDeadline(time.Time) error  { return errBroken }
func (stiff) SetWriteDeadline(time.Time) error { return errBroken }

// A handshake ends with the first thing that fails, and says what.
func TestBrokenHandshakes(t *testing.T) {
	plain, keyed := keysOf(t, "test"), keysOf(t, "test", testKey(1))
	ok := preamble(byte(accepted), "test")
	for _, test := range []struct {
		name string
		keys streamKeys
		says []byte // what the acceptor says
		cut  int    // writes that succeed
		want string // the reason, or the error
		text string
	}{
		{"plain", plain, ok, 1, "", ""},
		{"plain, cannot write", plain, ok, 0, "broken", ""},
		{"keyed, cannot write", keyed, ok, 0, "broken", ""},
		{"nothing", plain, nil, 1, reasonProtocol.String(), "broke off"},
		{"another protocol", plain, []byte("HTTP"), 1, reasonProtocol.String(),
			"first byte is 0x48"},
		{"cut in the head", plain, ok[:3], 1, reasonProtocol.String(), "broke off"},
		{"cut in the name", plain, ok[:6], 1, reasonProtocol.String(), "broke off"},
		{"another version", plain, preamble(byte(otherVersion), "test"), 1, reasonVersion.String(),
			""},
		{"unknown verdict", plain, preamble(6, "test"), 1, reasonProtocol.String(), "verdict 6"},
		{"no key", plain, preamble(byte(encryptionNeeds), "test"), 1, reasonPeerKeyed.String(), ""},
		{"a key", plain, preamble(byte(encryptionNone), "test"), 1, reasonPeerPlain.String(), ""},
		{"keyed, nothing follows", keyed, ok, 1, reasonProtocol.String(), "broke off"},
		{"keyed, too long", keyed, append(bytes.Clone(ok), 1, 1), 1, reasonProtocol.String(),
			"handshake message of 257 bytes"},
		{"keyed, not of our key", keyed, append(append(bytes.Clone(ok), 1, 0), make([]byte,
			256)...), 1,
			reasonKey.String(), ""},
	} {
		conn := &frail{byteConn{r: bytes.NewReader(test.says)}, test.cut}
		s, err := dialHandshake(conn, test.keys)
		if got := reasonOf(err); got != test.want || (s == nil) != (err != nil) {
			t.Errorf("%s: %v, %q, want %q", test.name, err, got, test.want)
		}
		if err != nil && !bytes.Contains([]byte(err.Error()), []byte(test.text)) {
			t.Errorf("%s: %v, want %s", test.name, err, test.text)
		}
	}
}

// An acceptor says why it refuses, and ends with the first thing that fails.
func TestBrokenOpenings(t *testing.T) {
	plain, keyed := keysOf(t, "test"), keysOf(t, "test", testKey(1))
	head := func(version, mode byte, mesh string) []byte {
		return append([]byte{version, mode, byte(len(mesh))}, mesh...)
	}
	for _, test := range []struct {
		name   string
		keys   streamKeys
		says   []byte
		writes int // that succeed
		want   string
		answer []byte // its beginning
	}{
		{"plain", plain, head(streamVersion, modePlain, "test"), 1, "", preamble(byte(accepted),
			"test")},
		{"plain, cannot write", plain, head(streamVersion, modePlain, "test"), 0, "broken", nil},
		{"cut", plain, []byte{streamVersion}, 1, reasonProtocol.String(), nil},
		{"another version", plain, head(streamVersion+1, 9, "other"), 1, reasonVersion.String(),
			preamble(byte(otherVersion), "test")},
		{"another mode", plain, head(streamVersion, 2, "test"), 1, reasonProtocol.String(), nil},
		{"another mesh", plain, head(streamVersion, modeEncrypted, "other"), 1, reasonMesh.String(),
			preamble(byte(otherMesh), "test")},
		{"plain against keyed", keyed, head(streamVersion, modePlain, "test"), 1,
			reasonPeerPlain.String(),
			preamble(byte(encryptionNeeds), "test")},
		{"keyed against plain", plain, head(streamVersion, modeEncrypted, "test"), 1,
			reasonPeerKeyed.String(),
			preamble(byte(encryptionNone), "test")},
		{"keyed, cut", keyed, head(streamVersion, modeEncrypted, "test"), 1,
			reasonProtocol.String(), nil},
		{"keyed, another key", keyed, append(head(streamVersion, modeEncrypted, "test"), 0, 1, 0),
			1,
			reasonKey.String(), preamble(byte(otherKey), "test")},
		{"keyed, cannot be told", keyed, append(head(streamVersion, modeEncrypted, "test"), 0, 1,
			0), 0,
			reasonKey.String(), nil},
	} {
		conn := &frail{byteConn{r: bytes.NewReader(test.says)}, test.writes}
		s, err := acceptHandshake(conn, test.keys)
		if got := reasonOf(err); got != test.want || (s == nil) != (err != nil) {
			t.Errorf("%s: %v, %q, want %q", test.name, err, got, test.want)
		}
		if got := conn.w.Bytes(); !bytes.Equal(got, test.answer) {
			t.Errorf("%s: answered by %x, want %x", test.name, got, test.answer)
		}
	}
}

// A handshake message of the most bytes is read whole, and one that is cut is an error.
func TestLongestHandshakeMessage(t *testing.T) {
	whole := append([]byte{1, 0}, bytes.Repeat([]byte{7}, maxNoiseOpening)...)
	for size, want := range map[int]error{
		len(whole): nil, len(whole) - 1: io.ErrUnexpectedEOF, 2: io.EOF, 1: io.ErrUnexpectedEOF,
	} {
		got, err := readNoise(bytes.NewReader(whole[:size]))
		if err != want || err == nil && !bytes.Equal(got, whole[2:]) {
			t.Errorf("of %d bytes: %d, %v, want %v", size, len(got), err, want)
		}
	}
}

// That time ran out is told from what makes no sense.
func TestWhatIsNonsense(t *testing.T) {
	for want, err := range map[reason]error{
		reasonTimeout:  fmt.Errorf("read: %w", os.ErrDeadlineExceeded),
		reasonProtocol: &net.OpError{Op: "read", Err: errBroken},
	} {
		if got := reasonOf(protocolError(err)); got != want.String() {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// A connection that takes no deadline would block for ever, so nothing is done with it.
func TestConnectionsWithoutDeadlines(t *testing.T) {
	n := stillNode(t, func() mono.Time { return mono.Time(time.Hour) })
	conn := &stiff{byteConn{r: bytes.NewReader(nil)}}
	s := &secureStream{conn: conn, r: conn, w: conn}
	if _, _, _, err := n.welcome(conn); err != errBroken {
		t.Errorf("welcome: %v", err)
	}
	if err := n.receive(s, 1, "d2"); err != errBroken {
		t.Errorf("receive: %v", err)
	}
	o := newOutStream("d2", s)
	if err := o.writeAll([]byte("x")); err != errBroken || conn.w.Len() > 0 {
		t.Errorf("writeAll: %v after %d bytes", err, conn.w.Len())
	}
}

// broken fails with each read.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// A gate that cannot read on says so, wherever in a stream that is.
func TestGateCannotRead(t *testing.T) {
	pushPull := bytes.Join([][]byte{{pushPullMsg, 0x83, 0xa4}, []byte("Join"), {0xc3, 0xa5},
		[]byte("Nodes"),
		{3, 0xac}, []byte("UserStateLen"), {0xcd, 1, 0}}, nil)
	sealed := []byte{encryptMsg, 0, 0, 0, leastPayload, payloadVersion}
	for name, test := range map[string]struct {
		g       gate
		message []byte
	}{
		"plain": {gate{label: testLabel}, pushPull},
		"keyed": {gate{label: testLabel, encrypted: true}, sealed},
	} {
		whole := labelled(testLabel, test.message)
		for size := range len(whole) + 1 {
			want := errBroken
			if size == len(whole) {
				want = nil
			}
			in := io.MultiReader(bytes.NewReader(whole[:size]), broken{})
			if err := test.g.stream(bufio.NewReaderSize(in, gateBytes)); err != want {
				t.Errorf("%s, cut after %d of %d bytes: %v, want %v", name, size, len(whole), err,
					want)
			}
		}
	}
}

// The largest state that is let in, and one more of everything.
func TestLargestStateAtTheGate(t *testing.T) {
	header := func(nodes, state uint32) []byte {
		number := func(v uint32) []byte {
			return []byte{0xce, byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
		}
		return bytes.Join([][]byte{{pushPullMsg, 0x82, 0xa5}, []byte("Nodes"), number(nodes),
			{0xac}, []byte("UserStateLen"), number(state)}, nil)
	}
	size := func(v uint32) []byte {
		return []byte{encryptMsg, byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v),
			payloadVersion}
	}
	plain, keyed := gate{label: testLabel}, gate{label: testLabel, encrypted: true}
	for _, test := range []struct {
		g       gate
		message []byte
		want    error
	}{
		{plain, header(maxMembers, foreignState), nil},
		{plain, header(maxMembers+1, 0), errStateSize},
		{plain, header(0, foreignState+1), errStateSize},
		{keyed, size(foreignState), nil},
		{keyed, size(foreignState + 1), errStateSize},
		{plain, []byte{ackMsg}, nil},
		{plain, []byte{errMsg}, nil},
	} {
		in := bufio.NewReaderSize(bytes.NewReader(labelled(testLabel, test.message)), gateBytes)
		if err := test.g.stream(in); !errors.Is(err, test.want) {
			t.Errorf("%x: %v, want %v", test.message, err, test.want)
		}
	}
}

// What cannot be encoded is not sent, and a broken connection is said.
func TestSendOne(t *testing.T) {
	conn := &frail{byteConn{}, 0}
	s := &secureStream{conn: conn, w: conn}
	if err := sendMessage(s, &wire.KickUser{Field: string(make([]byte, 300))}); err == nil ||
		err == errBroken {
		t.Errorf("a message that is none: %v", err)
	}
	if err := sendMessage(s, &wire.Leaving{}); err != errBroken {
		t.Errorf("over a broken connection: %v", err)
	}
}
