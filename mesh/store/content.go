package store

import (
	"bytes"
	"encoding/binary"

	"directormesh/mesh/record"
	"directormesh/mesh/wire"
)

const (
	headRecord    record.Kind = 1 // the first of each file, see head
	messageRecord record.Kind = 2 // an encoded wire.Message
	markRecord    record.Kind = 3 // behind a sync, see markContent
	endRecord     record.Kind = 4 // the last of a snapshot
)

// Format is the version of the files that this release writes. It reads no later one.
const Format = 1

// head is the content of a file's first record.
type head struct {
	format uint32
	// follows says that what is in this segment follows what another one has up to a place, with no
	// gap between; number 0 stands for an empty directory. In a segment that does not follow
	// nothing counts unless there is a snapshot of its number. It is false in a snapshot.
	follows bool
	after   uint64 // number of that segment
	upTo    int64  // where it ends
}

const headSize = 4 + 1 + 8 + 8

func (h head) append(b []byte) ([]byte, error) {
	b = binary.LittleEndian.AppendUint32(b, h.format)
	follows := byte(0)
	if h.follows {
		follows = 1
	}
	b = append(b, follows)
	b = binary.LittleEndian.AppendUint64(b, h.after)
	return binary.LittleEndian.AppendUint64(b, uint64(h.upTo)), nil
}

// parseHead reads what append wrote; false if the content is none. A later format may be longer.
func parseHead(b []byte) (h head, ok bool) {
	if len(b) < headSize {
		return h, false
	}
	h.format = binary.LittleEndian.Uint32(b)
	h.follows = b[4] == 1
	h.after = binary.LittleEndian.Uint64(b[5:])
	h.upTo = int64(binary.LittleEndian.Uint64(b[13:]))
	return h, h.format > 0 && h.upTo >= 0
}

// markMagic begins the content of marks, so that one can be found behind damage.
var markMagic = []byte("director mesh: kept\n")

// markContent is what a mark record has: a number of bytes from the beginning of the file that were
// on the disk before the mark was written, and a wire.Mark.
type markContent struct {
	synced int64
	mark   *wire.Mark
}

func (m markContent) append(b []byte) ([]byte, error) {
	b = append(b, markMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.synced))
	return wire.AppendEncode(b, m.mark)
}

// parseMark reads what append wrote; false if the content is none.
func parseMark(b []byte) (m markContent, ok bool) {
	b, ok = bytes.CutPrefix(b, markMagic)
	if !ok || len(b) < 8 {
		return m, false
	}
	m.synced = int64(binary.LittleEndian.Uint64(b))
	msg, err := wire.Decode(b[8:])
	if err != nil {
		return m, false
	}
	m.mark, ok = msg.(*wire.Mark)
	return m, ok
}
