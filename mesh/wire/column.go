package wire

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// column holds one number for each row of a Block: the number less base, in
// width bits, one after the other from the low bit of the first byte on. If
// all numbers are equal, width is 0 and there are no bits.
type column struct {
	base  uint32
	width uint // at most 32
	// bits ends with slack bytes beyond the last row's, so that every row
	// can be read, and written, with one access of 8 bytes.
	bits []byte
}

const slack = 8

// packColumn packs the values in width bits or more.
func packColumn(values []uint32, width uint) column {
	if len(values) == 0 {
		return column{}
	}
	low, high := slices.Min(values), slices.Max(values)
	c := column{base: low, width: max(width, uint(bits.Len32(high-low)))}
	c.bits = make([]byte, columnSize(len(values), c.width)+slack)
	var pending uint64 // bits not yet stored, from the lowest on
	var count uint     // how many
	at := 0
	for _, v := range values {
		pending |= uint64(v-low) << count
		if count += c.width; count >= 32 {
			binary.LittleEndian.PutUint32(c.bits[at:], uint32(pending))
			at += 4
			pending >>= 32
			count -= 32
		}
	}
	binary.LittleEndian.PutUint64(c.bits[at:], pending)
	return c
}

// columnSize returns the bytes that n values of width bits take.
func columnSize(n int, width uint) int {
	return int((uint64(n)*uint64(width) + 7) / 8)
}

// offset returns the value of row i less base.
func (c *column) offset(i int) uint32 {
	at := uint64(i) * uint64(c.width)
	return uint32(binary.LittleEndian.Uint64(c.bits[at/8:]) >> (at % 8) & (1<<c.width - 1))
}

// at returns the value of row i.
func (c *column) at(i int) uint32 { return c.base + c.offset(i) }

// packed returns the bits as they travel.
func (c *column) packed() []byte { return c.bits[:max(len(c.bits)-slack, 0)] }

// sum returns the sum of base and the offsets of all n rows.
func (c *column) sum(n int) uint64 {
	sum := uint64(c.base)
	for i := range n {
		sum += uint64(c.offset(i))
	}
	return sum
}

// max returns the largest value of n rows, or any larger one that the width
// allows if that is within limit: most columns need no look at their rows.
func (c *column) max(n int, limit uint64) uint64 {
	if high := uint64(c.base) + 1<<c.width - 1; high <= limit {
		return high
	}
	var high uint32
	for i := range n {
		high = max(high, c.offset(i))
	}
	return uint64(c.base) + uint64(high)
}

// encode writes the column as base, width and bits.
func (c *column) encode(w *writer) {
	w.array(3)
	w.uint(uint64(c.base))
	w.uint(uint64(c.width))
	w.bytes(c.packed())
}

// decodeColumn reads a column of n rows.
func decodeColumn(r *reader, field string, n int) column {
	extra := r.fields(field, 3)
	c := column{
		base:  r.uint32(field),
		width: uint(r.uint(field, 32)),
	}
	packed := r.bytes(field, math.MaxInt)
	if r.err == nil && len(packed) != columnSize(n, c.width) {
		r.fail(field, "%d bytes for %d rows of %d bits", len(packed), n, c.width)
	}
	r.end(field, extra)
	if r.err != nil {
		return column{}
	}
	if n > 0 {
		c.bits = make([]byte, len(packed)+slack)
		copy(c.bits, packed)
	}
	return c
}
