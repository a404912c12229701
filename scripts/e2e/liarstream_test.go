//go:build e2e

package e2e

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/flynn/noise"

	"directormesh/mesh/wire"
)

// wireStream is a stream between directors as mesh/handshake.go, secure.go and frame.go describe
// it, made anew here: after an opening come records of Noise, and in them frames.
type wireStream struct {
	net.Conn
	send, receive *noise.CipherState
	plain         []byte // decrypted, not read yet
}

// openingTime bounds the opening of a stream.
const openingTime = 5 * time.Second

// streamState begins Noise for one side of a stream of the mesh "director" with testKey.
func streamState(dialer bool) (*noise.HandshakeState, error) {
	key, err := base64.StdEncoding.DecodeString(testKey)
	if err != nil {
		return nil, err
	}
	secret, err := hkdf.Key(sha256.New, key, nil, "director mesh stream\x00director", 32)
	if err != nil {
		return nil, err
	}
	return noise.NewHandshakeState(noise.Config{
		CipherSuite:  noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256),
		Pattern:      noise.HandshakeNN,
		Initiator:    dialer,
		Prologue:     sealedOpening(1),
		PresharedKey: secret,
	})
}

// sealedOpening is what a side says first: the mode (1: encrypted) if it dials, the verdict (0:
// accepted) if it accepts.
func sealedOpening(third byte) []byte {
	b := opening()
	b[2] = third
	return b
}

// dialStream opens a stream to a director.
func dialStream(conn net.Conn) (*wireStream, error) {
	state, err := streamState(true)
	if err != nil {
		return nil, err
	}
	first, _, _, err := state.WriteMessage(nil, nil)
	if err != nil {
		return nil, err
	}
	if err := writeSized(conn, sealedOpening(1), first); err != nil {
		return nil, err
	}
	answer := make([]byte, len(opening()))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, err
	}
	if answer[2] != 0 {
		return nil, fmt.Errorf("the director answers %v", answer)
	}
	second, err := readSized(conn)
	if err != nil {
		return nil, err
	}
	_, send, receive, err := state.ReadMessage(nil, second)
	return &wireStream{Conn: conn, send: send, receive: receive}, err
}

// acceptStream opens a stream that a director dials.
func acceptStream(conn net.Conn) (*wireStream, error) {
	if _, err := io.ReadFull(conn, make([]byte, len(opening()))); err != nil {
		return nil, err
	}
	first, err := readSized(conn)
	if err != nil {
		return nil, err
	}
	state, err := streamState(false)
	if err != nil {
		return nil, err
	}
	if _, _, _, err := state.ReadMessage(nil, first); err != nil {
		return nil, err
	}
	second, receive, send, err := state.WriteMessage(nil, nil)
	if err != nil {
		return nil, err
	}
	s := &wireStream{Conn: conn, send: send, receive: receive}
	return s, writeSized(conn, sealedOpening(0), second)
}

// writeSized writes what stands before a part and the part with its length in 2 bytes.
func writeSized(w io.Writer, before, part []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint16(before, uint16(len(part))), part...))
	return err
}

func readSized(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	part := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, part)
	return part, err
}

// sendFrame sends an encoded message, whatever it is.
func (s *wireStream) sendFrame(message []byte) error {
	const most = noise.MaxMsgLen - 16 // of a record, without its tag
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)
	for len(frame) > 0 {
		part := frame[:min(len(frame), most)]
		frame = frame[len(part):]
		sealed, err := s.send.Encrypt(nil, nil, part)
		if err != nil {
			return err
		}
		if err := writeSized(s.Conn, nil, sealed); err != nil {
			return err
		}
	}
	return nil
}

// Send sends a message that can be encoded.
func (s *wireStream) Send(m wire.Message) error {
	b, err := wire.Encode(m)
	if err != nil {
		return err
	}
	return s.sendFrame(b)
}

// Read gives what is in the records that arrive.
func (s *wireStream) Read(p []byte) (int, error) {
	for len(s.plain) == 0 {
		record, err := readSized(s.Conn)
		if err != nil {
			return 0, err
		}
		if s.plain, err = s.receive.Decrypt(nil, nil, record); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.plain)
	s.plain = s.plain[n:]
	return n, nil
}

// Receive reads the next message.
func (s *wireStream) Receive() (wire.Message, error) {
	var size [4]byte
	if _, err := io.ReadFull(s, size[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(size[:])
	if length > wire.MaxMessage {
		return nil, errors.New("the director sends a frame that is too long")
	}
	message := make([]byte, length)
	if _, err := io.ReadFull(s, message); err != nil {
		return nil, err
	}
	return wire.Decode(message)
}
