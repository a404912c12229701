package wire

import (
	"bytes"
	"testing"
)

// TestSkip reads over one element that is followed by a byte of something else.
func TestSkip(t *testing.T) {
	sized := func(head string, n int) string { return head + string(make([]byte, n)) }
	good := map[string]string{
		"nil": "\xc0", "false": "\xc2", "true": "\xc3", "fixed number": "\x7f", "negative": "\xe0",
		"uint8": sized("\xcc", 1), "uint16": sized("\xcd", 2), "uint32": sized("\xce", 4),
		"uint64": sized("\xcf", 8),
		"int8":   sized("\xd0", 1), "int16": sized("\xd1", 2), "int32": sized("\xd2", 4),
		"int64": sized("\xd3", 8),
		"float": sized("\xca", 4), "double": sized("\xcb", 8),
		"short text": sized("\xa3", 3), "text": sized("\xd9\x03", 3),
		"text 16": sized("\xda\x00\x03", 3), "text 32": sized("\xdb\x00\x00\x00\x03", 3),
		"binary": sized("\xc4\x03", 3), "binary 16": sized("\xc5\x00\x03", 3),
		"binary 32":      sized("\xc6\x00\x00\x00\x03", 3),
		"extension of 1": sized("\xd4\x01", 1), "extension of 16": sized("\xd8\x01", 16),
		"extension": sized("\xc7\x03\x01", 3), "extension 16": sized("\xc8\x00\x03\x01", 3),
		"extension 32": sized("\xc9\x00\x00\x00\x03\x01", 3),
		"empty array":  "\x90", "empty map": "\x80",
		"array": "\x93\x01\x02\xc0", "array 16": "\xdc\x00\x02\x01\x02",
		"array 32": "\xdd\x00\x00\x00\x02\x01\x02",
		"map":      "\x82\x01\x02\x03\x90", "map 16": "\xde\x00\x01\x01\x02",
		"map 32": "\xdf\x00\x00\x00\x01\x01\x02",
		"nested": "\x92\x81\x01\x92\xa1x\x90\x91\x91\xc0",
	}
	for name, in := range good {
		r := &reader{in: []byte(in + "\x2a")}
		r.skip("field", 1)
		if left := r.left(); r.err != nil || left != 1 {
			t.Errorf("%s: %d bytes left, error %v; want 1 and none", name, left, r.err)
		}
		for n := range in {
			r := &reader{in: []byte(in[:n])}
			if r.skip("field", 1); r.err == nil {
				t.Errorf("%s cut to %d of %d bytes is read over", name, n, len(in))
			}
		}
	}
}

func TestSkipRefuses(t *testing.T) {
	bad := map[string]string{
		"reserved code":        "\xc1",
		"huge array":           "\xdd\xff\xff\xff\xff\x01",
		"huge map":             "\xdf\xff\xff\xff\xff\x01\x01",
		"huge text":            "\xdb\xff\xff\xff\xff\x01",
		"huge binary":          "\xc6\xff\xff\xff\xff\x01",
		"huge extension":       "\xc9\xff\xff\xff\xff\x01\x01",
		"arrays add up":        "\x93\x93\x01\x02\x03\x01",
		"map of keys only":     "\x82\x01\x02\x03",
		"nothing where one is": "",
	}
	for name, in := range bad {
		r := &reader{in: []byte(in)}
		if r.skip("field", 1); r.err == nil {
			t.Errorf("%s is read over", name)
		}
	}
}

// TestSkipDeep: nesting must not cost stack, of which eight million levels would
// need more than a process may have.
func TestSkipDeep(t *testing.T) {
	in := append(bytes.Repeat([]byte{0x91}, MaxPushPull), 0xc0)
	r := &reader{in: in}
	r.skip("field", 1)
	if left := r.left(); r.err != nil || left != 0 {
		t.Errorf("%d bytes left, error %v; want 0 and none", left, r.err)
	}
}

// TestReaderKeepsFirstError: what follows an error must neither hide it nor be
// believed.
func TestReaderKeepsFirstError(t *testing.T) {
	r := &reader{in: []byte{0x05, 0xc3, 0xa1, 'x', 0xc4, 0x01, 0x07, 0x91, 0x01, 0xc0}}
	r.fail("first", "timeout")
	r.fail("second", "no reason")
	if r.uint64("a") != 0 || r.bool("b") || r.name("c") != "" || r.bytes("d", 9) != nil ||
		r.arrayLen("e", 1) != 0 || r.null("f") {
		t.Error("values are read after an error")
	}
	if left := r.left(); left != 10 {
		t.Errorf("%d bytes left, want all 10", left)
	}
	if got, want := r.err.Error(), "first: timeout"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}
