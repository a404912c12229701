package wire

import (
	"encoding/binary"
	"math"

	"directormesh/ring"
)

// digestsSize is the size of 256 digests, which travel as one string of bytes,
// like leaf numbers the most significant byte first.
const digestsSize = 256 * 8

func encodeDigests(w *writer, digests *[256]uint64) {
	b := make([]byte, 0, digestsSize)
	for _, d := range digests {
		b = binary.BigEndian.AppendUint64(b, d)
	}
	w.bytes(b)
}

func decodeDigests(r *reader, field string, digests *[256]uint64) {
	b := r.bytes(field, digestsSize)
	if r.err == nil && len(b) != digestsSize {
		r.fail(field, "%d bytes, %d are needed", len(b), digestsSize)
	}
	if r.err != nil {
		return
	}
	for i := range digests {
		digests[i] = binary.BigEndian.Uint64(b[8*i:])
	}
}

func (m *LeafDigests) encode(w *writer) {
	w.array(4)
	w.int(m.Epoch)
	w.name("tag", string(m.Tag))
	w.uint(uint64(m.Group))
	encodeDigests(w, &m.Leaves)
}

func (m *LeafDigests) decode(r *reader) {
	extra := r.fields("message", 4)
	m.Epoch = r.int("epoch")
	m.Tag = ring.Tag(r.name("tag"))
	m.Group = uint8(r.uint("group", math.MaxUint8))
	decodeDigests(r, "leaf digests", &m.Leaves)
	r.end("message", extra)
}

func (m *LeafRequest) encode(w *writer) {
	w.array(2)
	w.name("tag", string(m.Tag))
	encodeLeafNumbers(w, m.Leaves)
}

func encodeLeafNumbers(w *writer, leaves []uint16) {
	b := make([]byte, 0, 2*len(leaves))
	for _, leaf := range leaves {
		b = binary.BigEndian.AppendUint16(b, leaf)
	}
	w.bytes(b)
}

func decodeLeafNumbers(r *reader) (leaves []uint16) {
	b := r.bytes("leaves", math.MaxInt)
	if len(b)%2 != 0 {
		r.fail("leaves", "%d bytes, an even number is needed", len(b))
	}
	if r.err == nil && len(b) > 0 {
		leaves = make([]uint16, len(b)/2)
		for i := range leaves {
			leaves[i] = binary.BigEndian.Uint16(b[2*i:])
		}
	}
	return leaves
}

func (m *LeafRequest) decode(r *reader) {
	extra := r.fields("message", 2)
	m.Tag = ring.Tag(r.name("tag"))
	m.Leaves = decodeLeafNumbers(r)
	r.end("message", extra)
}

func (m *LeafRows) encode(w *writer) {
	w.array(1)
	encodeBlocks(w, m.Blocks)
}

func (m *LeafRows) decode(r *reader) {
	extra := r.fields("message", 1)
	m.Blocks = decodeBlocks(r)
	r.end("message", extra)
}
