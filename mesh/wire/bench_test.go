package wire_test

import (
	"testing"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

// blockRows are the two sorts of rows that travel in bulk.
var blockRows = []struct {
	name string
	rows func() []directory.Mapping
}{
	{"batch", func() []directory.Mapping { return freshRows(300) }},
	{"snapshot", func() []directory.Mapping { return sortedRows(10_000) }},
}

// perRow reports speed and size of a benchmark that handles n rows a turn.
func perRow(b *testing.B, n, size int) {
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
	if size > 0 {
		b.ReportMetric(float64(size)/float64(n), "B/row")
	}
}

// BenchmarkEncodeRows packs and encodes.
func BenchmarkEncodeRows(b *testing.B) {
	for _, bb := range blockRows {
		b.Run(bb.name, func(b *testing.B) {
			rows := bb.rows()
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				m := &wire.SnapshotChunk{Blocks: []wire.Block{wire.Pack("", rows)}}
				var err error
				if buf, err = wire.AppendEncode(buf[:0], m); err != nil {
					b.Fatal(err)
				}
			}
			perRow(b, len(rows), len(buf))
		})
	}
}

// BenchmarkDecodeRows decodes and reads the rows.
func BenchmarkDecodeRows(b *testing.B) {
	for _, bb := range blockRows {
		b.Run(bb.name, func(b *testing.B) {
			rows := bb.rows()
			in := encode(b, &wire.SnapshotChunk{Blocks: []wire.Block{wire.Pack("", rows)}})
			var buf []directory.Mapping
			b.ReportAllocs()
			for b.Loop() {
				m, err := wire.Decode(in)
				if err != nil {
					b.Fatal(err)
				}
				buf = m.(*wire.SnapshotChunk).Blocks[0].Append(buf[:0])
			}
			perRow(b, len(rows), len(in))
		})
	}
}

func BenchmarkBeat(b *testing.B) {
	m := &wire.Beat{
		SentAt: 81_000_000_123, Echo: 79_000_000_456, EchoDelay: 1_500_000,
		MeshTime: 1_772_359_200_000, Seq: 70_000,
	}
	b.Run("encode", func(b *testing.B) {
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = wire.AppendEncode(buf[:0], m)
		}
	})
	b.Run("decode", func(b *testing.B) {
		in := encode(b, m)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wire.Decode(in); err != nil {
				b.Fatal(err)
			}
		}
	})
}
