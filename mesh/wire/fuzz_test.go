package wire_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/mesh/wire/wiretest"
)

// FuzzDecode: any bytes give an error, or a message that is in range, can be
// encoded again in no more bytes, and is the same after that.
func FuzzDecode(f *testing.F) {
	for _, m := range wiretest.Samples() {
		f.Add(encode(f, m))
	}
	f.Add(encode(f, later(7)))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := wire.Decode(in)
		if err != nil {
			if m != nil {
				t.Fatalf("both a message and the error %v", err)
			}
			return
		}
		again, err := wire.Encode(m)
		if err != nil {
			t.Fatalf("decoded message cannot be encoded: %v", err)
		}
		if len(again) > len(in) {
			t.Errorf("%d bytes grew to %d", len(in), len(again))
		}
		back, err := wire.Decode(again)
		if err != nil {
			t.Fatalf("cannot be decoded again: %v", err)
		}
		if diff := cmp.Diff(m, back, options); diff != "" {
			t.Errorf("differs when encoded and decoded again (-want +got):\n%s", diff)
		}
	})
}

// FuzzBlock: a block that is taken holds as many rows as it says, all of them in
// range, and Pack makes the same of them.
func FuzzBlock(f *testing.F) {
	prefix := []byte{byte(wire.KindLeafRows), 1, 0x91, 0x91} // a list of one block
	for _, m := range wiretest.Samples() {
		if m, ok := m.(*wire.LeafRows); ok {
			for _, b := range m.Blocks {
				f.Add(encode(f, &wire.LeafRows{Blocks: []wire.Block{b}})[len(prefix):])
			}
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := wire.Decode(slices.Concat(prefix, in))
		if err != nil {
			return
		}
		block := m.(*wire.LeafRows).Blocks[0]
		rows := block.Append(nil)
		if len(rows) != block.Len() || len(rows) > len(in) {
			t.Fatalf("%d rows, Len is %d, from %d bytes", len(rows), block.Len(), len(in))
		}
		for _, row := range rows {
			if row.Generation < 1 || row.Generation > directory.MaxGeneration ||
				row.Backend.Zone() != "" {
				t.Errorf("row out of range: %+v", row)
			}
		}
		if again := wire.Pack(block.Tag, rows); !again.Equal(block) {
			t.Errorf("packed again: %v, want %v", again.Append(nil), rows)
		}
	})
}
