package mesh

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/rs/zerolog"

	"directormesh/mesh/wire"
	"directormesh/mesh/wording"
)

// What memberlist's packets and streams begin with, as memberlist 0.7.0 has it (label.go, net.go,
// security.go):
//
//	packet           label header, message; encrypted: label header, payload
//	stream           label header, type, message; encrypted: label header, encryptMsg, size in
//	                 4 bytes, payload
//	answer on one    the same without the label header
//	label header     labelMagic, length in 1 byte, label
//	payload          encryption version 1, nonce (12 bytes), ciphertext, tag (16 bytes)
const (
	labelMagic  = 244
	ackMsg      = 2
	pingMsg     = 0
	pushPullMsg = 6
	compressMsg = 9
	encryptMsg  = 10
	errMsg      = 13

	payloadVersion = 1
	// leastPayload has one byte of text. memberlist looks at the first byte of what it has
	// decrypted without asking whether there is one, which ends the process.
	leastPayload = 1 + 12 + 1 + 16

	// maxPacket is more than any packet of ours: packetLimit with a checksum.
	maxPacket = packetLimit + 100
	// maxMembers bounds the members that one state may announce, dead ones among them.
	maxMembers = 4 * wire.MaxDirectors
)

// A gate looks at what arrives for memberlist before memberlist does. It knows nothing of what is
// inside, only what every message of ours begins with, and so keeps out what memberlist would crash
// on, buffer or unpack before it asks for a key. Immutable.
type gate struct {
	label     string
	encrypted bool
}

// A gateError says why something was not let in.
type gateError struct {
	reason dropReason
	text   string
}

func (e *gateError) Error() string { return e.text }

func refused(reason dropReason, format string, args ...any) *gateError {
	return &gateError{reason, fmt.Sprintf(format, args...)}
}

var (
	errNotMemberlist = refused(dropProtocol, "it does not begin like a message of the mesh")
	errOtherMesh     = refused(dropOtherMesh, "it is of another mesh")
	errNoKey         = refused(dropPlain, "it is not encrypted and this director has a key")
	errKey           = refused(dropEncrypted, "it is encrypted and this director has no key")
	errPayload       = refused(dropPayload, "it is not encrypted as directors do it")
	errCompressed    = refused(dropCompressed, "it is compressed, which no director does")
	errPacketSize    = refused(dropOversize, "packet of more than %d bytes", maxPacket)
	errStateSize     = refused(dropOversize, "state is larger than allowed")
)

// packet looks at a packet; nil lets it in.
func (g gate) packet(b []byte) *gateError {
	if len(b) > maxPacket {
		return errPacketSize
	}
	if len(b) < 2 || b[0] != labelMagic || len(b) < 2+int(b[1])+1 {
		return errNotMemberlist
	}
	label, message := b[2:2+int(b[1])], b[2+int(b[1]):]
	switch {
	case string(label) != g.label:
		return errOtherMesh
	case !g.encrypted && message[0] == compressMsg:
		return errCompressed
	case !g.encrypted:
		return nil
	case message[0] != payloadVersion || len(message) < leastPayload:
		return errPayload
	}
	return nil
}

// stream looks at the beginning of a stream from a peer, without taking anything from r, whose
// buffer must have room for gateBytes. The error is a *gateError, or that of reading.
func (g gate) stream(r *bufio.Reader) error {
	head, err := r.Peek(2)
	if err != nil {
		return err
	}
	if head[0] != labelMagic {
		return errNotMemberlist
	}
	size := 2 + int(head[1])
	if head, err = r.Peek(size); err != nil {
		return err
	}
	if string(head[2:]) != g.label {
		return errOtherMesh
	}
	return g.message(r, size)
}

// answer looks at the beginning of what a peer says on a stream that we opened.
func (g gate) answer(r *bufio.Reader) error { return g.message(r, 0) }

// gateBytes is how much of a stream a gate may look at: the longest label header, and a push/pull's
// header.
const gateBytes = 512

// message looks at the message that begins after skip bytes.
func (g gate) message(r *bufio.Reader, skip int) error {
	head, err := r.Peek(skip + 1)
	if err != nil {
		return err
	}
	switch kind := head[skip]; {
	case g.encrypted && kind != encryptMsg:
		return errNoKey
	case g.encrypted:
		if head, err = r.Peek(skip + 6); err != nil {
			return err
		}
		size := binary.BigEndian.Uint32(head[skip+1:])
		switch {
		case size < leastPayload || head[skip+5] != payloadVersion:
			return errPayload
		case size > foreignState:
			return errStateSize
		}
		return nil
	case kind == encryptMsg:
		return errKey
	case kind == pingMsg, kind == ackMsg, kind == errMsg:
		return nil
	case kind == pushPullMsg:
		return pushPullHeader(r, skip+1)
	case kind == compressMsg:
		return errCompressed
	}
	return errNotMemberlist
}

// pushPullHeader reads a header as memberlist writes it: a msgpack map of Nodes, UserStateLen and
// Join, in some order. memberlist allocates what the first two ask for before any of it has
// arrived.
func pushPullHeader(r *bufio.Reader, at int) error {
	next := func(n int) (part []byte, err error) {
		if at+n > gateBytes {
			return nil, errNotMemberlist
		}
		head, err := r.Peek(at + n)
		if err != nil {
			return nil, err
		}
		part, at = head[at:], at+n
		return part, nil
	}
	code, err := next(1)
	if err != nil {
		return err
	}
	if code[0]&0xf0 != 0x80 { // a map of up to 15
		return errNotMemberlist
	}
	for range code[0] & 0x0f {
		if code, err = next(1); err != nil {
			return err
		}
		if code[0]&0xe0 != 0xa0 { // a string of up to 31 bytes
			return errNotMemberlist
		}
		key, err := next(int(code[0] & 0x1f))
		if err != nil {
			return err
		}
		name := string(key)
		value, err := headerValue(next)
		switch {
		case err != nil:
			return err
		case name == "Nodes" && value > maxMembers, name == "UserStateLen" && value > foreignState:
			return errStateSize
		}
	}
	return nil
}

// headerValue reads a boolean or an integer that is not negative.
func headerValue(next func(n int) ([]byte, error)) (uint64, error) {
	code, err := next(1)
	if err != nil {
		return 0, err
	}
	var size int
	switch c := code[0]; {
	case c < 0x80:
		return uint64(c), nil
	case c == 0xc2, c == 0xc3: // false, true
		return 0, nil
	case c == 0xcc, c == 0xd0: // 8 bits, without and with a sign, and so on
		size = 1
	case c == 0xcd, c == 0xd1:
		size = 2
	case c == 0xce, c == 0xd2:
		size = 4
	case c == 0xcf, c == 0xd3:
		size = 8
	default:
		return 0, errNotMemberlist
	}
	b, err := next(size)
	if err != nil {
		return 0, err
	}
	var v uint64
	for _, digit := range b {
		v = v<<8 | uint64(digit)
	}
	return v, nil
}

// gate returns the gate of this director.
func (n *Node) gate() gate {
	return gate{label: memberlistLabel(n.cfg.Mesh), encrypted: len(n.cfg.Keys) > 0}
}

// noteRefusal counts what did not pass the gate, and logs it now and then. Senders of packets can
// be made up, so they are not distinguished.
func (n *Node) noteRefusal(what string, from net.Addr, err error) {
	if closedHere(err) {
		return
	}
	var failed *gateError
	if !errors.As(err, &failed) {
		n.metrics.drop(dropSilent)
		return
	}
	n.metrics.drop(failed.reason)
	level := zerolog.ErrorLevel
	if failed.reason == dropProtocol {
		level = zerolog.WarnLevel
	}
	n.limited("refused "+what+" "+failed.reason.String()).WithLevel(level).
		Stringer("addr", from).Err(wording.Plain(err)).Msg(what + " refused")
}

// closedHere reports whether a connection ended because we closed it ourselves, as one of too many
// that had not authenticated themselves, or at the end. That was counted where it was decided.
func closedHere(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}
