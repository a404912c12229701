package wire

import (
	"errors"
	"fmt"

	"directormesh/directory"
	"directormesh/ring"
)

// Limits of encoded messages, in bytes. Encode and Decode refuse what is larger.
const (
	// MaxMessage is the limit of every kind that has no other.
	MaxMessage = 1 << 20
	// MaxChunk is the limit of a SnapshotChunk, small so that one does not hold
	// up what follows it on the stream. 10,000 rows fit, whatever their values,
	// unless they name thousands of backends.
	MaxChunk = 256 << 10
	// MaxPart is the limit of a LogPart: any message of a log fits.
	MaxPart = MaxMessage + 4<<10
	// MaxPushPull is the limit of a PushPull.
	MaxPushPull = 8 << 20
)

// Limits of what messages list. No honest mesh comes near them: what lies far
// beyond the limits of a cluster is refused before it costs anything.
const (
	// MaxDirectors bounds the directors of a mesh.
	MaxDirectors = 1000

	maxBackends  = 2*ring.MaxBackends + directory.MaxTombstones // rows of a table
	maxRemovals  = 10 * MaxDirectors                            // rows of directors
	maxNames     = 2*maxBackends + 2*MaxDirectors + 2*ring.MaxTags
	maxTags      = 2 * ring.MaxTags
	maxBlocks    = 1 << 14
	maxPositions = 10 * MaxDirectors
	maxKicks     = 1 << 17
	maxIslands   = 1 << 16
	maxEntries   = 1 << 16

	// MaxObservations bounds the observations of a message, so that all fit whatever their reasons.
	MaxObservations = 1000
	// MaxLoads bounds the loads of a message: more backends than a mesh has.
	MaxLoads = 2 * ring.MaxBackends
	// MaxNames bounds the names of backends that a director watches, and MaxNameTargets the
	// addresses of each.
	MaxNames       = 100
	MaxNameTargets = 1000
	// MaxReason bounds the bytes of the reason of an observation, or of a name.
	MaxReason = 256
)

// ErrTooMany is wrapped by the error about a message that lists more than any
// mesh has.
var ErrTooMany = errors.New("too many")

// ErrUnknownKind is returned for a message of a kind that this release does
// not know, unless it is of a log: that one is Unknown. It is no sign of a
// broken peer: count it and read on.
var ErrUnknownKind = errors.New("unknown kind of message")

const (
	version    = 1 // of every kind of message so far
	headerSize = 2 // kind and version

	usualSize = 96 // nearly all messages are beats, and those are smaller
)

// body is what each message type implements beside Message. The methods
// write and read the fields as one msgpack array; they keep the first error
// in the writer or reader and go on without effect.
type body interface {
	Message
	encode(*writer)
	decode(*reader)
}

// limit returns the largest size of an encoded message of the kind.
func limit(k Kind) int {
	switch k {
	case KindSnapshotChunk:
		return MaxChunk
	case KindLogPart:
		return MaxPart
	case KindPushPull:
		return MaxPushPull
	default:
		return MaxMessage
	}
}

// Encode returns the encoding of m. The error names kind and field of what
// Decode would not take.
func Encode(m Message) ([]byte, error) {
	return AppendEncode(make([]byte, 0, usualSize), m)
}

// AppendEncode appends the encoding of m to dst and returns the extended slice;
// on an error it returns dst as it was.
func AppendEncode(dst []byte, m Message) ([]byte, error) {
	kind := m.Kind()
	b, ok := m.(body)
	if !ok {
		return dst, fmt.Errorf("encode %s: %T is no message of the mesh", kind, m)
	}
	w := newWriter(append(dst, byte(kind), version))
	b.encode(w)
	out, err := w.close()
	if err != nil {
		return dst, fmt.Errorf("encode %s: %w", kind, err)
	}
	if size := len(out) - len(dst); size > limit(kind) {
		return dst, fmt.Errorf("encode %s: message of %d bytes, at most %d are allowed",
			kind, size, limit(kind))
	}
	return out, nil
}

// Decode returns the message that b holds, all of b and nothing else. The
// message shares no memory with b. The error is ErrUnknownKind, or names kind and
// field of what is wrong with b.
func Decode(b []byte) (Message, error) {
	if len(b) < headerSize {
		return nil, fmt.Errorf("decode: message of %d bytes is truncated", len(b))
	}
	kind := Kind(b[0])
	m := newMessage(kind)
	if m == nil {
		return nil, fmt.Errorf("decode %s: %w", kind, ErrUnknownKind)
	}
	if b[1] == 0 {
		return nil, fmt.Errorf("decode %s: version 0 does not exist", kind)
	}
	if len(b) > limit(kind) {
		return nil, fmt.Errorf("decode %s: message of %d bytes, at most %d are allowed",
			kind, len(b), limit(kind))
	}
	r := reader{in: b[headerSize:]}
	m.decode(&r)
	if err := r.close(); err != nil {
		return nil, fmt.Errorf("decode %s: %w", kind, err)
	}
	return m, nil
}
