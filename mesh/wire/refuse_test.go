package wire_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"directormesh/mesh/wire"
)

// array is a msgpack array written by hand.
type array = []any

// raw encodes a message of the kind from elements written by hand.
func raw(t *testing.T, kind wire.Kind, fields array) []byte {
	t.Helper()
	var buf bytes.Buffer
	buf.Write([]byte{byte(kind), 1})
	enc := msgpack.NewEncoder(&buf)
	enc.UseCompactInts(true)
	if err := enc.Encode(fields); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestDecodeRefusesBlocks has the blocks that look right but whose rows could
// not be read, or would cost much more than they took to send.
func TestDecodeRefusesBlocks(t *testing.T) {
	var (
		v4   = array{[]byte{192, 0, 2, 1}}
		ff8  = []byte{0xff, 0xff}
		zero = array{0, 0, []byte{}}
		hash = array{7, 8, []byte{0, 1}}
		gen1 = array{2, 0, []byte{}}
	)
	const most = int64(1<<32 - 1)
	tests := []struct {
		name  string
		block array
		err   string // part of it; empty: the block is good
	}{
		{"good", array{"", 2, true, v4, hash, zero, zero, zero, gen1}, ""},
		{"good, highest", array{
			"", 2, false, v4, array{most - 255, 8, ff8}, zero, array{most, 0, []byte{}},
			array{most - 1, 1, []byte{3}}, array{32766, 1, []byte{3}},
		}, ""},
		{"fewer fields", array{"", 2, true, v4, hash, zero, zero, zero}, "block: 8 fields"},
		{"long tag", array{strings.Repeat("x", 256), 2, true, v4, hash, zero, zero, zero, gen1},
			"tag: 256 bytes"},
		{"more rows than bytes",
			array{"", int64(4_000_000_000), true, v4, hash, zero, zero, zero, gen1},
			"block rows: 4000000000"},
		{"rows without bytes",
			array{"", 20, true, v4, array{7, 0, []byte{}}, zero, zero, zero, gen1},
			"block hashes: 0 bits a row"},
		{"rows without bytes, unsorted",
			array{"", 20, false, v4, array{7, 0, []byte{}}, zero, zero, zero, gen1},
			"block hashes: 0 bits a row"},
		{"narrow hashes", array{"", 2, true, v4, array{7, 7, ff8}, zero, zero, zero, gen1},
			"block hashes: 7 bits a row"},
		{"distances beyond 32 bits",
			array{"", 2, true, v4, array{most - 255, 8, ff8}, zero, zero, zero, gen1},
			"block hashes: distances"},
		{"hash beyond 32 bits",
			array{"", 2, false, v4, array{most - 254, 8, ff8}, zero, zero, zero, gen1},
			"block hashes: 4294967296"},
		{"too few bytes", array{"", 2, true, v4, array{7, 8, []byte{0}}, zero, zero, zero, gen1},
			"block hashes: 1 bytes for 2 rows of 8 bits"},
		{"too many bytes", array{"", 2, true, v4, hash, array{0, 0, []byte{0}}, zero, zero, gen1},
			"block backend numbers: 1 bytes for 2 rows of 0 bits"},
		{"too wide", array{"", 2, true, v4, hash, zero, array{0, 33, make([]byte, 9)}, zero, gen1},
			"block activity: 33 is above 32"},
		{"base too large",
			array{"", 2, true, v4, hash, zero, array{most + 1, 0, []byte{}}, zero, gen1},
			"block activity: 4294967296"},
		{"no backends", array{"", 2, true, array{}, hash, zero, zero, zero, gen1},
			"block backends: none"},
		{"backend that is not there",
			array{"", 2, true, v4, hash, array{1, 0, []byte{}}, zero, zero, gen1},
			"block backend numbers: 1 is above 0"},
		{"backend of one row not there",
			array{"", 2, true, v4, hash, array{0, 1, []byte{2}}, zero, zero, gen1},
			"block backend numbers: 1 is above 0"},
		{"address of 5 bytes",
			array{"", 2, true, array{[]byte("12345")}, hash, zero, zero, zero, gen1},
			"block backend: address of 5 bytes"},
		{"address of 17 bytes",
			array{"", 2, true, array{make([]byte, 17)}, hash, zero, zero, zero, gen1},
			"block backend: 17 bytes"},
		{"activity beyond 32 bits",
			array{"", 2, true, v4, hash, zero, array{most, 1, []byte{2}}, zero, gen1},
			"block activity: 4294967296"},
		{"stamp beyond 32 bits",
			array{"", 2, true, v4, hash, zero, zero, array{most, 1, []byte{1}}, gen1},
			"block stamps: 4294967296"},
		{"generation zero", array{"", 2, true, v4, hash, zero, zero, zero, array{1, 1, []byte{3}}},
			"block generations: 1 is below 2"},
		{"generation too high",
			array{"", 2, true, v4, hash, zero, zero, zero, array{32767, 1, []byte{2}}},
			"block generations: 32768"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := wire.Decode(raw(t, wire.KindLeafRows, array{array{tt.block}}))
			if checkError(t, err, tt.err); err != nil {
				return
			}
			if n := len(m.(*wire.LeafRows).Blocks[0].Append(nil)); n != 2 {
				t.Errorf("%d rows, want 2", n)
			}
		})
	}
}

func TestDecodeRefusesValues(t *testing.T) {
	var (
		mesh  = 7
		addr  = []byte{192, 0, 2, 1}
		names = array{"d1", "green"}
	)
	row := func(row ...any) array { return array{1, array{mesh, names, array{row}, array{}}} }
	director := func(row ...any) array { return array{1, array{mesh, names, array{}, array{row}}} }
	tests := []struct {
		name   string
		kind   wire.Kind
		fields array
		err    string // part of it; empty: the message is good
	}{
		{"good backend", wire.KindTable, row(addr, array{array{true, 2, 0}, 1, 1},
			array{1000, 1, 1}, array{array{true, 9}, 1, 1}, 1), ""},
		{"nothing set", wire.KindTable, row(addr, nil, nil, nil, 0), ""},
		{"no address", wire.KindTable, row([]byte{}, nil, nil, nil, 0, "filler"),
			"table: backend: address is missing"},
		{"address of 3 bytes", wire.KindTable, row(addr[:3], nil, nil, nil, 0),
			"table: backend: address of 3 bytes"},
		{"vhost count", wire.KindTable, row(addr, nil, array{1001, 1, 1}, nil, 0),
			"table: vhost count: 1001 is above 1000"},
		{"negative vhost count", wire.KindTable, row(addr, nil, array{-1, 1, 1}, nil, 0),
			"table: vhost count: unsigned integer expected"},
		{"name not listed", wire.KindTable, row(addr, nil, nil, array{array{true, 9}, 1, 3}, 0),
			"table: state: 3 is above 2"},
		{"no origin", wire.KindTable, row(addr, nil, nil, array{array{true, 9}, 1, 0}, 0),
			"table: state: origin is missing"},
		{"number for a boolean", wire.KindTable, row(addr, nil, nil, array{array{1, 9}, 1, 1}, 0),
			"table: down: boolean expected"},
		{"register of 2 fields", wire.KindTable, row(addr, nil, nil, array{array{true, 9}, 1}, 0),
			"table: state: 2 fields, at least 3"},
		{"empty name", wire.KindTable, array{1, array{mesh, array{""}, array{}, array{}}},
			"table: name: empty"},
		{"good director", wire.KindTable,
			director(append(addr, 0x23, 0x82), array{true, 1, 1}), ""},
		{"director without address", wire.KindTable, director([]byte{}, nil), "table: director"},
		{"director with a port alone", wire.KindTable, director([]byte{1, 2}, nil, "filler"),
			"table: director: address is missing"},
		{"director with half a port", wire.KindTable, director(addr[:1], nil, "filler"),
			"table: director: address and port of 1 byte"},
		{"director without port", wire.KindTable, director(addr, nil, "filler"),
			"table: director: address of 2 bytes"},
		{"a part within a part", wire.KindLogPart,
			array{"d1", 1, 1, false, array{array{29, array{"d1", 1, 1, false, array{}}}}},
			"log_part: entry: a log_part message is no"},
		{"gone for too long", wire.KindLogRequest,
			array{array{"d1", 1, 1, array{}, int64(1 << 32)}}, "log_request: gone: 4294967296"},
		{"user hash", wire.KindLookupRequest, array{1, "", int64(1 << 32)},
			"lookup_request: user hash: 4294967296"},
		{"a row in a failed answer", wire.KindLookupReply, array{1, true, array{
			"", 1, true, array{[]byte{}}, array{0, 8, []byte{0}}, array{0, 0, []byte{}},
			array{0, 0, []byte{}}, array{0, 0, []byte{}}, array{2, 0, []byte{}},
		}}, "lookup_reply: block: 1 rows, 0 are needed"},
		{"group", wire.KindLeafDigests, array{1, "", 256, make([]byte, 2048)},
			"leaf_digests: group: 256"},
		{"too few digests", wire.KindLeafDigests, array{1, "", 255, make([]byte, 2047)},
			"leaf_digests: leaf digests: 2047 bytes"},
		{"too many digests", wire.KindLeafDigests, array{1, "", 255, make([]byte, 2049)},
			"leaf_digests: leaf digests: 2049 bytes"},
		{"half a leaf", wire.KindLeafRequest, array{"", []byte{1, 2, 3}},
			"leaf_request: leaves: 3 bytes"},
		{"name with an escape sequence", wire.KindLookupRequest, array{1, "a\x1b[2J", 1},
			"lookup_request: tag: has a space or a character"},
		{"name with a space", wire.KindLookupRequest, array{1, "a b", 1},
			"lookup_request: tag: has a space"},
		{"name that turns the line around", wire.KindLookupRequest, array{1, "a\u202eb", 1},
			"lookup_request: tag: has a space"},
		{"name that is not text", wire.KindLookupRequest, array{1, "a\xff", 1},
			"lookup_request: tag: has a space"},
		{"host name with a field in it", wire.KindTable,
			array{1, array{
				1, array{"d1", "evil\u00a0nologin"},
				array{array{addr, array{array{true, 0, 2}, 1, 1}, nil, nil, 0}}, array{},
			}},
			"table: name: has a space"},
		{"host name that is a word only", wire.KindTable,
			array{1, array{
				1, array{"d1", "evil=nologin"},
				array{array{addr, array{array{true, 0, 2}, 1, 1}, nil, nil, 0}}, array{},
			}},
			"table: host name: is no address"},
		{"field", wire.KindKickUser, array{1, strings.Repeat("x", 256), "y"},
			"kick_user: field: 256 bytes"},
		{"value", wire.KindKickUser, array{1, "", strings.Repeat("x", 4097)},
			"kick_user: value: 4097 bytes"},
		{"reason", wire.KindExclude, array{strings.Repeat("x", 4097)},
			"exclude: reason: 4097 bytes"},
		{"integer above 63 bits", wire.KindLeafDigests,
			array{uint64(1 << 63), "", 255, make([]byte, 2048)},
			"leaf_digests: epoch: 9223372036854775808"},
		{"missing field", wire.KindKickUser, array{1, ""},
			"kick_user: message: 2 fields, at least 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := wire.Decode(raw(t, tt.kind, tt.fields))
			checkError(t, err, tt.err)
		})
	}
}
