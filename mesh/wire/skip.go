package wire

import "github.com/vmihailenco/msgpack/v5/msgpcode"

// skip reads over n elements of any kind. It counts what is still to come
// instead of descending into arrays and maps, so nesting costs nothing.
func (r *reader) skip(field string, n int) {
	for n > 0 {
		inner := r.skipOne(field)
		if r.err != nil {
			return
		}
		n += inner - 1
		// Every element takes a byte.
		if left := r.src.Len(); n > left {
			r.fail(field, "%d more elements in %d bytes", n, left)
			return
		}
	}
}

// skipOne reads over one element, of an array or map only its head. It
// returns the number of elements that belong to it.
func (r *reader) skipOne(field string) (inner int) {
	code, ok := r.code(field)
	switch {
	case !ok:
	case msgpcode.IsFixedNum(code):
		r.advance(1)
	case msgpcode.IsString(code), msgpcode.IsBin(code):
		r.cut(field, len(r.in))
	case isArray(code):
		return r.arrayLen(field, 1)
	case isMap(code):
		return r.mapLen(field)
	case msgpcode.IsExt(code):
		_, n, err := r.dec.DecodeExtHeader()
		r.keep(field, err)
		r.skipBytes(field, n)
	default:
		size, known := fixedSize(code)
		if !known {
			r.fail(field, "code 0x%02x means nothing", code)
			return 0
		}
		r.skipBytes(field, size)
	}
	return 0
}

// mapLen reads the head of a map and returns the number of its keys and values.
func (r *reader) mapLen(field string) int {
	n, err := r.dec.DecodeMapLen()
	r.keep(field, err)
	if left := r.src.Len(); r.err == nil && (n < 0 || n > left/2) {
		r.fail(field, "map of %d elements in %d bytes", uint32(n), left)
	}
	if r.err != nil {
		return 0
	}
	return 2 * n
}

// skipBytes reads over n bytes.
func (r *reader) skipBytes(field string, n int) {
	if left := r.src.Len(); r.err == nil && (n < 0 || n > left) {
		r.fail(field, "element of %d bytes, %d are left", uint32(n), left)
	}
	if r.err == nil {
		r.advance(n)
	}
}

// fixedSize returns the size, the code included, of an element whose code alone
// tells it.
func fixedSize(code byte) (size int, known bool) {
	switch code {
	case msgpcode.Nil, msgpcode.False, msgpcode.True:
		return 1, true
	case msgpcode.Uint8, msgpcode.Int8:
		return 2, true
	case msgpcode.Uint16, msgpcode.Int16:
		return 3, true
	case msgpcode.Uint32, msgpcode.Int32, msgpcode.Float:
		return 5, true
	case msgpcode.Uint64, msgpcode.Int64, msgpcode.Double:
		return 9, true
	default:
		return 0, false
	}
}
