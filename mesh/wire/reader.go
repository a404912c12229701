package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"

	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"directormesh/ring"
)

// reader reads msgpack from a byte slice. It keeps the first error; after it
// all methods return zero values. It has no use for the library's Decoder,
// which reads streams, trusts the lengths it finds in them, and takes twice
// as long for a beat.
type reader struct {
	in  []byte // from the next element on
	err error
}

// close fails unless everything was read.
func (r *reader) close() error {
	if left := r.left(); left > 0 {
		r.fail("end", "%d bytes follow the message", left)
	}
	return r.err
}

// left is how many bytes have not been read.
func (r *reader) left() int { return len(r.in) }

// fail keeps the first error, one about the named field.
func (r *reader) fail(field, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", field, fmt.Errorf(format, args...))
	}
}

// code returns the code of the next element without reading it, and false
// if there is none or an error came before.
func (r *reader) code(field string) (byte, bool) {
	if r.err != nil {
		return 0, false
	}
	if len(r.in) == 0 {
		r.fail(field, "truncated")
		return 0, false
	}
	return r.in[0], true
}

// head reads a code and the number of size bytes that follows it.
func (r *reader) head(field string, size int) uint64 {
	if r.err != nil {
		return 0
	}
	if len(r.in) < 1+size {
		r.fail(field, "truncated")
		return 0
	}
	b := r.in[1 : 1+size]
	r.in = r.in[1+size:]
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	case 8:
		return binary.BigEndian.Uint64(b)
	default:
		return 0
	}
}

// fields opens the array of a struct with n known fields. It returns how many
// follow these, which end must skip after the known ones were read.
func (r *reader) fields(field string, n int) (extra int) {
	length := r.arrayLen(field, 1)
	if r.err == nil && length < n {
		r.fail(field, "%d fields, at least %d are needed", length, n)
	}
	if r.err != nil {
		return 0
	}
	return length - n
}

// end skips the fields that a later release has appended.
func (r *reader) end(field string, extra int) { r.skip(field, extra) }

// arrayLen reads the head of an array whose elements take at least size bytes
// each, and refuses a length for which there are not enough bytes left.
func (r *reader) arrayLen(field string, size int) int {
	code, ok := r.code(field)
	if !ok {
		return 0
	}
	if !isArray(code) {
		r.fail(field, "array expected, code 0x%02x found", code)
		return 0
	}
	n := r.length(field, code)
	if left := uint64(r.left()); r.err == nil && n > left/uint64(size) {
		r.fail(field, "array of %d elements in %d bytes", n, left)
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

// length reads the head of an array, a map or a string and returns the length that it
// gives: as large as 32 bits allow, whatever follows.
func (r *reader) length(field string, code byte) uint64 {
	switch code {
	case msgpcode.Bin8, msgpcode.Str8:
		return r.head(field, 1)
	case msgpcode.Bin16, msgpcode.Str16, msgpcode.Array16, msgpcode.Map16:
		return r.head(field, 2)
	case msgpcode.Bin32, msgpcode.Str32, msgpcode.Array32, msgpcode.Map32:
		return r.head(field, 4)
	}
	r.head(field, 0)
	if msgpcode.IsFixedString(code) {
		return uint64(code & msgpcode.FixedStrMask)
	}
	return uint64(code & msgpcode.FixedArrayMask) // that of maps is the same
}

// list reads an array of at most that many elements, which take at least size
// bytes each, with one call of read for each. An empty array gives nil.
func list[T any](r *reader, field string, most, size int, read func(*reader) T) []T {
	n := r.arrayLen(field, size)
	if n > most {
		r.fail(field, "%w: %d, at most %d are allowed", ErrTooMany, n, most)
		return nil
	}
	if n == 0 {
		return nil
	}
	list := make([]T, 0, n)
	for range n {
		list = append(list, read(r))
		if r.err != nil {
			return nil
		}
	}
	return list
}

// uint reads an unsigned integer up to limit.
func (r *reader) uint(field string, limit uint64) uint64 {
	code, ok := r.code(field)
	if !ok {
		return 0
	}
	if !isUint(code) {
		r.fail(field, "unsigned integer expected, code 0x%02x found", code)
		return 0
	}
	v := r.unsigned(field, code)
	if v > limit {
		r.fail(field, "%d is above %d", v, limit)
		return 0
	}
	return v
}

// unsigned reads what isUint.
func (r *reader) unsigned(field string, code byte) uint64 {
	switch code {
	case msgpcode.Uint8:
		return r.head(field, 1)
	case msgpcode.Uint16:
		return r.head(field, 2)
	case msgpcode.Uint32:
		return r.head(field, 4)
	case msgpcode.Uint64:
		return r.head(field, 8)
	}
	r.head(field, 0)
	return uint64(code)
}

func (r *reader) uint64(field string) uint64 { return r.uint(field, math.MaxUint64) }
func (r *reader) uint32(field string) uint32 { return uint32(r.uint(field, math.MaxUint32)) }
func (r *reader) uint16(field string) uint16 { return uint16(r.uint(field, math.MaxUint16)) }
func (r *reader) uint8(field string) uint8   { return uint8(r.uint(field, math.MaxUint8)) }

// int reads a signed integer.
func (r *reader) int(field string) int64 {
	code, ok := r.code(field)
	if !ok {
		return 0
	}
	switch {
	case isUint(code):
		return int64(r.uint(field, math.MaxInt64))
	case !isInt(code):
		r.fail(field, "integer expected, code 0x%02x found", code)
		return 0
	}
	switch code {
	case msgpcode.Int8:
		return int64(int8(r.head(field, 1)))
	case msgpcode.Int16:
		return int64(int16(r.head(field, 2)))
	case msgpcode.Int32:
		return int64(int32(r.head(field, 4)))
	case msgpcode.Int64:
		return int64(r.head(field, 8))
	}
	r.head(field, 0)
	return int64(int8(code))
}

func (r *reader) bool(field string) bool {
	code, ok := r.code(field)
	if !ok {
		return false
	}
	if code != msgpcode.True && code != msgpcode.False {
		r.fail(field, "boolean expected, code 0x%02x found", code)
		return false
	}
	r.head(field, 0)
	return code == msgpcode.True
}

// null reads a nil if the next element is one, and says whether it was.
func (r *reader) null(field string) bool {
	code, ok := r.code(field)
	if !ok || code != msgpcode.Nil {
		return false
	}
	r.head(field, 0)
	return true
}

// bytes reads a binary string of at most limit bytes. What it returns is part
// of the input: copy what is kept.
func (r *reader) bytes(field string, limit int) []byte {
	code, ok := r.code(field)
	if ok && !msgpcode.IsBin(code) {
		r.fail(field, "binary string expected, code 0x%02x found", code)
	}
	return r.cut(field, limit)
}

// text reads a text string of at most limit bytes.
func (r *reader) text(field string, limit int) string {
	code, ok := r.code(field)
	if ok && !msgpcode.IsString(code) {
		r.fail(field, "text string expected, code 0x%02x found", code)
	}
	return string(r.cut(field, limit))
}

// cut reads a string whose code the caller has checked, and returns the part of
// the input that it is.
func (r *reader) cut(field string, limit int) []byte {
	code, ok := r.code(field)
	if !ok {
		return nil
	}
	n := r.length(field, code)
	left := uint64(r.left())
	switch {
	case r.err != nil:
		return nil
	case n > left:
		r.fail(field, "string of %d bytes, %d are left", n, left)
		return nil
	case n > uint64(limit):
		r.fail(field, "%d bytes, at most %d are allowed", n, limit)
		return nil
	}
	cut := r.in[:n:n]
	r.in = r.in[n:]
	return cut
}

// name reads a word, which may be missing: it goes into logs, lines and tables.
func (r *reader) name(field string) string {
	s := r.text(field, ring.MaxName)
	if s != "" {
		if err := ring.CheckWord(s); err != nil {
			r.fail(field, "%v", err)
			return ""
		}
	}
	return s
}

// format reads a name that may have spaces.
func (r *reader) format(field string) string {
	s := r.text(field, ring.MaxName)
	if problem := formatProblem(s); problem != "" {
		r.fail(field, "%s", problem)
		return ""
	}
	return s
}

func (r *reader) value(field string) string { return r.text(field, MaxText) }

// remark reads a text for people. One that cannot be shown must not keep its message from being
// read.
func (r *reader) remark(field string) string { return ring.Printable(r.value(field)) }

func (r *reader) addr(field string, need necessity) netip.Addr {
	a, _ := r.cutAddr(field, r.bytes(field, 16), need)
	return a
}

func (r *reader) addrPort(field string, need necessity) netip.AddrPort {
	b := r.bytes(field, 18)
	var port uint16
	if n := len(b); n >= 2 {
		port = uint16(b[n-2])<<8 | uint16(b[n-1])
		b = b[:n-2]
	} else if n == 1 {
		r.fail(field, "address and port of 1 byte")
	}
	a, ok := r.cutAddr(field, b, need)
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a, port)
}

// cutAddr returns the address of 4 or 16 bytes, and false if there is none.
func (r *reader) cutAddr(field string, b []byte, need necessity) (netip.Addr, bool) {
	switch {
	case r.err != nil:
		return netip.Addr{}, false
	case len(b) == 0 && need == optional:
		return netip.Addr{}, false
	case len(b) == 0:
		r.fail(field, "address is missing")
		return netip.Addr{}, false
	}
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		r.fail(field, "address of %d bytes, 4 or 16 are needed", len(b))
	}
	return a, ok
}

func isUint(code byte) bool {
	return code <= msgpcode.PosFixedNumHigh || code >= msgpcode.Uint8 && code <= msgpcode.Uint64
}

func isInt(code byte) bool {
	return isUint(code) || code >= msgpcode.NegFixedNumLow ||
		code >= msgpcode.Int8 && code <= msgpcode.Int64
}

func isArray(code byte) bool {
	return msgpcode.IsFixedArray(code) || code == msgpcode.Array16 || code == msgpcode.Array32
}

func isMap(code byte) bool {
	return msgpcode.IsFixedMap(code) || code == msgpcode.Map16 || code == msgpcode.Map32
}
