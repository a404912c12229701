package mesh

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/flynn/noise"
)

// The opening of a stream, before anything is authenticated:
//
//	dialer    streamMagic, version, mode, length and text of its mesh name;
//	          encrypted: first Noise message
//	acceptor  streamMagic, version, verdict, length and text of its mesh name;
//	          accepted and encrypted: second Noise message
//
// A Noise message is preceded by its length in 2 bytes. What the dialer says is the handshake's
// prologue, so nobody can change it on the way. The mesh name is no secret: memberlist's packets
// show it too. After a refusal the acceptor closes.
const (
	streamMagic   = 0xD7 // memberlist's streams begin with 0…13 or 244
	streamVersion = 1

	modePlain     = 0
	modeEncrypted = 1

	// What arrives is read into buffers of these sizes. The dialer hears nothing after the opening,
	// the acceptor mostly beats, and batches of a KB or two; longer messages are read past the
	// buffer.
	dialerBuffer   = 512
	acceptorBuffer = 2 << 10

	maxNameLen      = 255
	maxNoiseOpening = 256 // a handshake message has 48 bytes; later versions may say more
)

// verdict is what an acceptor thinks of a preamble.
type verdict byte

const (
	accepted        verdict = 0
	otherVersion    verdict = 1
	otherMesh       verdict = 2
	encryptionNeeds verdict = 3 // the acceptor has a key, the dialer used none
	encryptionNone  verdict = 4 // the acceptor has no key, the dialer encrypts
	otherKey        verdict = 5
)

// A reason says why a stream could not be opened: one of a closed set, for metrics and for limiting
// the rate of log lines.
type reason int

// The reasons. Both sides use the same, each from its view.
const (
	reasonProtocol reason = iota
	reasonVersion
	reasonMesh
	reasonPeerPlain
	reasonPeerKeyed
	reasonKey
	reasonTimeout
	reasonRefused
	reasonNotAllowed
	reasons
)

// String is what an operator reads.
func (r reason) String() string {
	return [...]string{
		"peer does not speak the director protocol",
		"peer speaks another version of the stream protocol",
		"peer belongs to another mesh",
		"peer uses no encryption key and this director does",
		"peer uses an encryption key and this director has none",
		"peer uses another encryption key",
		"peer did not finish its handshake in time",
		"peer refused this director",
		"peer is refused",
	}[r]
}

// label is the value of a metric's label.
func (r reason) label() string {
	return [...]string{
		"protocol", "version", "mesh", "peer_plain", "peer_keyed", "key", "timeout", "refused",
		"not_allowed",
	}[r]
}

// lasts reports whether a human must change a setting before it ends.
func (r reason) lasts() bool {
	switch r {
	case reasonVersion, reasonMesh, reasonPeerPlain, reasonPeerKeyed, reasonKey:
		return true
	}
	return false
}

// A handshakeError is the error of a stream that could not be opened.
type handshakeError struct {
	Reason reason
	Mesh   string // the other's mesh name, if that differs
	Err    error  // what came instead of the protocol
}

func (e *handshakeError) Error() string {
	switch {
	case e.Mesh != "":
		return fmt.Sprintf("%s: its mesh name is %q", e.Reason, e.Mesh)
	case e.Err != nil:
		return fmt.Sprintf("%s: %s", e.Reason, plainly(e.Err))
	}
	return e.Reason.String()
}

func (e *handshakeError) Unwrap() error { return e.Err }

// streamKeys is what a director needs to open streams: its mesh's name and the secrets derived from
// its keys, the primary first. Immutable, safe for concurrent use.
type streamKeys struct {
	mesh    string
	secrets [][]byte
}

func newStreamKeys(mesh string, keys [][]byte) (streamKeys, error) {
	k := streamKeys{mesh: mesh}
	for _, key := range keys {
		secret, err := streamSecret(key, mesh)
		if err != nil {
			return streamKeys{}, err
		}
		k.secrets = append(k.secrets, secret)
	}
	return k, nil
}

// opens reports whether a stream was opened with one of these keys.
func (k streamKeys) opens(s *secureStream) bool {
	if s.secret == nil {
		return k.mode() == modePlain
	}
	return containsKey(k.secrets, s.secret)
}

// beginningWith returns the keys with another one as the primary.
func (k streamKeys) beginningWith(i int) streamKeys {
	k.secrets = append([][]byte{k.secrets[i]}, slices.Delete(slices.Clone(k.secrets), i, i+1)...)
	return k
}

func (k streamKeys) mode() byte {
	if len(k.secrets) > 0 {
		return modeEncrypted
	}
	return modePlain
}

// A secureStream is an opened stream: r and w carry frames, conn is for deadlines and closing.
type secureStream struct {
	conn   net.Conn
	r      io.Reader
	w      io.Writer
	secret []byte // that it was opened with; nil: it is not encrypted
}

// seal returns p as it goes over the connection, in memory that is good until the next call or
// write.
func (s *secureStream) seal(p []byte) ([]byte, error) {
	if w, ok := s.w.(*secureWriter); ok {
		return w.seal(p)
	}
	return p, nil
}

func suite() noise.CipherSuite {
	return noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)
}

func noiseState(initiator bool, prologue, secret []byte) (*noise.HandshakeState, error) {
	return noise.NewHandshakeState(noise.Config{
		CipherSuite:  suite(),
		Pattern:      noise.HandshakeNN,
		Initiator:    initiator,
		Prologue:     prologue,
		PresharedKey: secret, // placement 0: nothing is answered to who does not know it
	})
}

func preamble(third byte, mesh string) []byte {
	return append([]byte{streamMagic, streamVersion, third, byte(len(mesh))}, mesh...)
}

// readPreamble reads what follows the magic byte. The name is at most 255 bytes.
func readPreamble(r io.Reader) (version, third byte, mesh string, err error) {
	var head [3]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, "", err
	}
	name := make([]byte, head[2])
	if _, err := io.ReadFull(r, name); err != nil {
		return 0, 0, "", err
	}
	return head[0], head[1], string(name), nil
}

func writeNoise(w io.Writer, prefix, message []byte) error {
	out := binary.BigEndian.AppendUint16(prefix, uint16(len(message)))
	_, err := w.Write(append(out, message...))
	return err
}

func readNoise(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(size[:])
	if n > maxNoiseOpening {
		return nil, fmt.Errorf("handshake message of %d bytes", n)
	}
	message := make([]byte, n)
	_, err := io.ReadFull(r, message)
	return message, err
}

// protocolError wraps what went wrong while reading an opening: time ran out, or it was not one.
func protocolError(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &handshakeError{Reason: reasonTimeout}
	}
	return &handshakeError{Reason: reasonProtocol, Err: err}
}

// dialHandshake opens a stream on a connection just dialled. The caller sets the deadline, and
// closes conn after an error.
func dialHandshake(conn net.Conn, keys streamKeys) (*secureStream, error) {
	opening := preamble(keys.mode(), keys.mesh)
	var hs *noise.HandshakeState
	if keys.mode() == modePlain {
		if _, err := conn.Write(opening); err != nil {
			return nil, err
		}
	} else {
		var err error
		if hs, err = noiseState(true, opening, keys.secrets[0]); err != nil {
			return nil, err
		}
		first, _, _, err := hs.WriteMessage(nil, nil)
		if err != nil {
			return nil, err
		}
		if err := writeNoise(conn, opening, first); err != nil {
			return nil, err
		}
	}
	r := bufio.NewReaderSize(conn, dialerBuffer)
	if magic, err := r.ReadByte(); err != nil {
		return nil, protocolError(err)
	} else if magic != streamMagic {
		return nil, &handshakeError{
			Reason: reasonProtocol, Err: fmt.Errorf("first byte is %#x", magic),
		}
	}
	_, answer, mesh, err := readPreamble(r)
	if err != nil {
		return nil, protocolError(err)
	}
	switch verdict(answer) {
	case accepted:
	case otherVersion:
		return nil, &handshakeError{Reason: reasonVersion}
	case otherMesh:
		return nil, &handshakeError{Reason: reasonMesh, Mesh: mesh}
	case encryptionNeeds:
		return nil, &handshakeError{Reason: reasonPeerKeyed}
	case encryptionNone:
		return nil, &handshakeError{Reason: reasonPeerPlain}
	case otherKey:
		return nil, &handshakeError{Reason: reasonKey}
	default:
		return nil, &handshakeError{Reason: reasonProtocol, Err: fmt.Errorf("verdict %d", answer)}
	}
	if hs == nil {
		return &secureStream{conn: conn, r: r, w: conn}, nil
	}
	second, err := readNoise(r)
	if err != nil {
		return nil, protocolError(err)
	}
	_, send, receive, err := hs.ReadMessage(nil, second)
	if err != nil {
		return nil, &handshakeError{Reason: reasonKey, Err: err}
	}
	return secured(conn, r, send, receive, keys.secrets[0]), nil
}

// acceptHandshake opens a stream whose magic byte has been read. The caller sets the deadline, and
// closes conn after an error; a dialer that made sense has the reason.
func acceptHandshake(conn net.Conn, keys streamKeys) (*secureStream, error) {
	r := bufio.NewReaderSize(conn, acceptorBuffer)
	version, mode, mesh, err := readPreamble(r)
	if err != nil {
		return nil, protocolError(err)
	}
	refuse := func(v verdict, why reason, itsMesh string) error {
		// That it was refused counts, not whether it hears why.
		_, _ = conn.Write(preamble(byte(v), keys.mesh))
		return &handshakeError{Reason: why, Mesh: itsMesh}
	}
	switch {
	case version != streamVersion:
		return nil, refuse(otherVersion, reasonVersion, "")
	case mode != modePlain && mode != modeEncrypted:
		return nil, &handshakeError{Reason: reasonProtocol, Err: fmt.Errorf("mode %d", mode)}
	case mesh != keys.mesh:
		return nil, refuse(otherMesh, reasonMesh, mesh)
	case mode == modePlain && keys.mode() == modeEncrypted:
		return nil, refuse(encryptionNeeds, reasonPeerPlain, "")
	case mode == modeEncrypted && keys.mode() == modePlain:
		return nil, refuse(encryptionNone, reasonPeerKeyed, "")
	}
	if mode == modePlain {
		if _, err := conn.Write(preamble(byte(accepted), keys.mesh)); err != nil {
			return nil, err
		}
		return &secureStream{conn: conn, r: r, w: conn}, nil
	}
	first, err := readNoise(r)
	if err != nil {
		return nil, protocolError(err)
	}
	hs, secret, err := readOpening(first, preamble(mode, mesh), keys)
	if err != nil {
		return nil, err
	}
	if hs == nil {
		return nil, refuse(otherKey, reasonKey, "")
	}
	second, receive, send, err := hs.WriteMessage(nil, nil)
	if err != nil {
		return nil, err
	}
	if err := writeNoise(conn, preamble(byte(accepted), keys.mesh), second); err != nil {
		return nil, err
	}
	return secured(conn, r, send, receive, secret), nil
}

// readOpening tries each key on the dialer's first message; nil means that none fits. More than one
// key is there only while keys are being changed.
func readOpening(first, prologue []byte, keys streamKeys) (
	hs *noise.HandshakeState, secret []byte, err error,
) {
	for _, secret := range keys.secrets {
		hs, err := noiseState(false, prologue, secret)
		if err != nil {
			return nil, nil, err
		}
		if _, _, _, err := hs.ReadMessage(nil, first); err == nil {
			return hs, secret, nil
		}
	}
	return nil, nil, nil
}

func secured(
	conn net.Conn, r io.Reader, send, receive *noise.CipherState, secret []byte,
) *secureStream {
	return &secureStream{
		conn: conn, r: &secureReader{r: r, cipher: receive},
		w: &secureWriter{w: conn, cipher: send}, secret: secret,
	}
}
