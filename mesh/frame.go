package mesh

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A frame is one encoded message on a stream: its length in 4 bytes, big endian, then the message.
const frameHeader = 4

// errFrameSize says that a peer announced a message longer than allowed. The stream is useless from
// there on.
var errFrameSize = errors.New("frame longer than allowed")

// appendFrame appends a message with its header to dst.
func appendFrame(dst, message []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(message)))
	return append(dst, message...)
}

// firstRead is how much of a frame is allocated before any of it has arrived: a header alone must
// not cost more than that.
const firstRead = 64 << 10

// readFrame reads one message of at most limit bytes into buf, which it grows if it must, and
// returns it. io.EOF means that the stream ended between two frames; an end inside a frame is
// io.ErrUnexpectedEOF.
func readFrame(r io.Reader, buf []byte, limit int) ([]byte, error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if uint64(size) > uint64(limit) {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", errFrameSize, size, limit)
	}
	if size == 0 {
		return nil, errors.New("empty frame")
	}
	buf = buf[:0]
	for len(buf) < int(size) {
		step := min(int(size)-len(buf), max(firstRead, len(buf)))
		if free := cap(buf) - len(buf); free < step {
			grown := make([]byte, len(buf), len(buf)+step)
			copy(grown, buf)
			buf = grown
		}
		part := buf[len(buf) : len(buf)+step]
		if _, err := io.ReadFull(r, part); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		buf = buf[:len(buf)+step]
	}
	return buf, nil
}
