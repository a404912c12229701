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
		if left := r.left(); n > left {
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
		r.head(field, 0)
	case msgpcode.IsString(code), msgpcode.IsBin(code):
		r.cut(field, r.left())
	case isArray(code):
		return r.arrayLen(field, 1)
	case isMap(code):
		return r.mapLen(field, code)
	case msgpcode.IsExt(code):
		r.skipBytes(field, r.extSize(field, code))
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
func (r *reader) mapLen(field string, code byte) int {
	n := r.length(field, code)
	if left := uint64(r.left()); r.err == nil && n > left/2 {
		r.fail(field, "map of %d elements in %d bytes", n, left)
	}
	if r.err != nil {
		return 0
	}
	return 2 * int(n)
}

// extSize reads the head of an extension but for its type, and returns the size of type and data.
func (r *reader) extSize(field string, code byte) uint64 {
	switch code {
	case msgpcode.Ext8:
		return 1 + r.head(field, 1)
	case msgpcode.Ext16:
		return 1 + r.head(field, 2)
	case msgpcode.Ext32:
		return 1 + r.head(field, 4)
	}
	r.head(field, 0)
	return 1 + 1<<(code-msgpcode.FixExt1)
}

// skipBytes reads over n bytes.
func (r *reader) skipBytes(field string, n uint64) {
	if left := uint64(r.left()); r.err == nil && n > left {
		r.fail(field, "element of %d bytes, %d are left", n, left)
	}
	if r.err == nil {
		r.in = r.in[n:]
	}
}

// fixedSize returns the size, the code included, of an element whose code alone
// tells it.
func fixedSize(code byte) (size uint64, known bool) {
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
