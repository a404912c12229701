package wire

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// element is what the library makes of a value, and how we read it.
type element struct {
	name  string
	write func(*msgpack.Encoder) error
	read  func(*reader) bool // whether the value is the one written
}

func elements() []element {
	var all []element
	add := func(name string, write func(*msgpack.Encoder) error, read func(*reader) bool) {
		all = append(all, element{name, write, read})
	}
	unsigned := []uint64{
		0, 1, 127, 128, 255, 256, math.MaxUint16, math.MaxUint16 + 1, math.MaxUint32,
		math.MaxUint32 + 1, math.MaxInt64, math.MaxUint64,
	}
	for _, v := range unsigned {
		is := func(r *reader) bool { return r.uint64("field") == v }
		add("uint", func(e *msgpack.Encoder) error { return e.EncodeUint(v) }, is)
		add("uint64", func(e *msgpack.Encoder) error { return e.EncodeUint64(v) }, is)
		add("uint32", func(e *msgpack.Encoder) error { return e.EncodeUint32(uint32(v)) },
			func(r *reader) bool { return r.uint32("field") == uint32(v) })
		add("uint16", func(e *msgpack.Encoder) error { return e.EncodeUint16(uint16(v)) },
			func(r *reader) bool { return r.int("field") == int64(uint16(v)) })
		add("uint8", func(e *msgpack.Encoder) error { return e.EncodeUint8(uint8(v)) },
			func(r *reader) bool { return r.int("field") == int64(uint8(v)) })
	}
	for _, v := range []int64{
		0, -1, -32, -33, 127, -128, -129, math.MinInt16, math.MinInt16 - 1, math.MinInt32,
		math.MinInt32 - 1, math.MinInt64, math.MaxInt64,
	} {
		add("int", func(e *msgpack.Encoder) error { return e.EncodeInt(v) },
			func(r *reader) bool { return r.int("field") == v })
		add("int64", func(e *msgpack.Encoder) error { return e.EncodeInt64(v) },
			func(r *reader) bool { return r.int("field") == v })
		add("int32", func(e *msgpack.Encoder) error { return e.EncodeInt32(int32(v)) },
			func(r *reader) bool { return r.int("field") == int64(int32(v)) })
		add("int16", func(e *msgpack.Encoder) error { return e.EncodeInt16(int16(v)) },
			func(r *reader) bool { return r.int("field") == int64(int16(v)) })
		add("int8", func(e *msgpack.Encoder) error { return e.EncodeInt8(int8(v)) },
			func(r *reader) bool { return r.int("field") == int64(int8(v)) })
	}
	for _, v := range []bool{true, false} {
		add("bool", func(e *msgpack.Encoder) error { return e.EncodeBool(v) },
			func(r *reader) bool { return r.bool("field") == v })
	}
	add("nil", (*msgpack.Encoder).EncodeNil, func(r *reader) bool { return r.null("field") })
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, math.MaxUint16, math.MaxUint16 + 1} {
		text := strings.Repeat("x", n)
		add("text", func(e *msgpack.Encoder) error { return e.EncodeString(text) },
			func(r *reader) bool { return r.text("field", n) == text })
		add("bytes", func(e *msgpack.Encoder) error { return e.EncodeBytes([]byte(text)) },
			func(r *reader) bool { return string(r.bytes("field", n)) == text })
		add("array", func(e *msgpack.Encoder) error { return e.Encode(make([]bool, n)) },
			func(r *reader) bool {
				return len(list(r, "field", 1<<20, 1,
					func(r *reader) bool { return r.bool("element") })) == n
			})
	}
	return all
}

// TestReaderAgreesWithLibrary: what the library writes is read as what it was, and any part of it
// as truncated.
func TestReaderAgreesWithLibrary(t *testing.T) {
	for _, e := range elements() {
		var buf bytes.Buffer
		if err := e.write(msgpack.NewEncoder(&buf)); err != nil {
			t.Fatal(err)
		}
		in := buf.Bytes()
		r := &reader{in: append(in, 0x2a)}
		if !e.read(r) || r.err != nil || r.left() != 1 {
			t.Errorf("%s % x…: error %v, %d bytes left; want the value and one byte",
				e.name, in[:min(len(in), 9)], r.err, r.left())
		}
		for n := range min(len(in), 300) {
			r := &reader{in: in[:n]}
			if e.read(r); r.err == nil {
				t.Errorf("%s % x cut after %d bytes: no error", e.name, in[:min(len(in), 9)], n)
			}
		}
	}
}
