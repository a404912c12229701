package wire_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/wire"
)

// later is a message of a log of a kind that was added after this release.
func later(seq uint64) *wire.Unknown {
	return &wire.Unknown{Number: 200, Seq: seq, Later: 2, Fields: []byte("\xa1x\x92\x01\x91\x02")}
}

// TestUnknownInLog: it has its place in the log, and is passed on as it came.
func TestUnknownInLog(t *testing.T) {
	in := []byte("\xc8\x01\x93\x07\xa1x\x92\x01\x91\x02")
	m, err := wire.Decode(in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wire.Message(later(7)), m); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	if seq, ok := wire.LogSeq(m); seq != 7 || !ok {
		t.Errorf("LogSeq %d, %v; want 7, true", seq, ok)
	}
	if diff := cmp.Diff(in, encode(t, m)); diff != "" {
		t.Errorf("encoded again (-want +got):\n%s", diff)
	}
	wire.SetSeq(m, 8)
	part := &wire.LogPart{Name: "d2", Boot: 1002, From: 8, Entries: []wire.Message{
		m, &wire.Hold{Seq: 9}, later(10),
	}}
	got, err := wire.Decode(encode(t, part))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wire.Message(part), got, options); diff != "" {
		t.Errorf("part of a log (-want +got):\n%s", diff)
	}
}

func TestUnknownRefused(t *testing.T) {
	for name, in := range map[string]string{
		"no fields":          "\xc8\x01\x90",
		"no array":           "\xc8\x01\x07",
		"no number":          "\xc8\x01\x91\xa1x",
		"truncated":          "\xc8\x01\x92\x07",
		"truncated deeper":   "\xc8\x01\x92\x07\x92\x01",
		"more follows":       "\xc8\x01\x91\x07\x01",
		"no version":         "\xc8\x00\x91\x07",
		"many in few bytes":  "\xc8\x01\xdd\xff\xff\xff\xff\x07",
		"reserved for later": "\xc8\x01\x92\x07\xc1",
	} {
		if m, err := wire.Decode([]byte(in)); err == nil || errors.Is(err, wire.ErrUnknownKind) {
			t.Errorf("%s: %+v, error %v; want an error about what is wrong", name, m, err)
		}
	}
	for _, test := range []struct {
		m   wire.Unknown
		err string
	}{
		{wire.Unknown{Number: wire.KindTable, Seq: 7},
			"table: kind: table is not a later kind of a log"},
		{wire.Unknown{Number: 127, Seq: 7}, "kind_127: kind: kind_127 is not a later kind"},
		{wire.Unknown{Number: 200, Later: 1}, "kind_200: fields: fields: truncated"},
		{wire.Unknown{Number: 200, Later: 1, Fields: []byte{1, 2}},
			"kind_200: fields: end: 1 bytes follow"},
	} {
		_, err := wire.Encode(&test.m)
		checkError(t, err, test.err)
	}
}
