package wire_test

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const tick directory.Tick = 300_000_000

// backend returns one of 200 backends in one network.
func backend(rng *rand.Rand) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 12, 90, byte(1 + rng.IntN(200))})
}

// sortedRows are rows as a snapshot of a directory of ten million has them:
// hashes about 430 apart, activity of the last 15 minutes, assigned within two hours.
func sortedRows(n int) []directory.Mapping {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	rows := make([]directory.Mapping, n)
	var hash uint32
	for i := range rows {
		hash += 1 + uint32(rng.ExpFloat64()*429)
		activity := tick - directory.Tick(rng.IntN(15*60*4))
		rows[i] = directory.Mapping{
			Hash: ring.UserHash(hash), Backend: backend(rng), Generation: 1,
			Activity: activity, Stamp: activity - directory.Tick(rng.IntN(2*60*60*4)),
		}
	}
	return rows
}

// freshRows are rows as a batch has them: new mappings, and recorded activity of
// users who logged in within two hours.
func freshRows(n int) []directory.Mapping {
	rng := rand.New(rand.NewPCG(2, uint64(n)))
	rows := make([]directory.Mapping, n)
	for i := range rows {
		now := tick + directory.Tick(rng.IntN(4))
		rows[i] = directory.Mapping{
			Hash: ring.UserHash(rng.Uint32()), Backend: backend(rng),
			Generation: uint16(1 + rng.IntN(20)),
			Activity:   now, Stamp: now,
		}
		if i%2 == 1 {
			rows[i].Stamp -= directory.Tick(rng.IntN(2 * 60 * 60 * 4))
		}
	}
	return rows
}

func TestBlockRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(mappings, 0, 60).Draw(t, "rows")
		if rapid.Bool().Draw(t, "sorted") {
			slices.SortFunc(rows, func(a, b directory.Mapping) int {
				return cmp.Compare(a.Hash, b.Hash)
			})
		}
		packed := wire.Pack("green", rows)
		got, err := wire.Decode(encodeRapid(t, &wire.LeafRows{Blocks: []wire.Block{packed}}))
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string]wire.Block{
			"packed": packed, "decoded": got.(*wire.LeafRows).Blocks[0],
		} {
			if b.Tag != "green" || b.Len() != len(rows) {
				t.Errorf("%s: tag %q, %d rows; want green, %d", name, b.Tag, b.Len(), len(rows))
			}
			if diff := gocmp.Diff(rows, b.Append(nil), options); diff != "" {
				t.Errorf("%s: rows differ (-want +got):\n%s", name, diff)
			}
		}
	})
}

func encodeRapid(t *rapid.T, m wire.Message) []byte {
	b, err := wire.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBlockExtremes has what lies at the edge of a column's width or range.
func TestBlockExtremes(t *testing.T) {
	const most = 1<<32 - 1
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	low := directory.Mapping{Hash: 0, Backend: v4, Generation: 1}
	high := directory.Mapping{
		Hash: most, Backend: v6, Activity: most, Stamp: most, Generation: directory.MaxGeneration,
		Moving: true,
	}
	many := make([]directory.Mapping, 30_000) // as many backends as a table can have
	for i := range many {
		many[i] = low
		many[i].Backend = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	}
	tests := map[string][]directory.Mapping{
		"none":          nil,
		"lowest":        {low},
		"highest":       {high},
		"rising":        {low, high},
		"falling":       {high, low},
		"equal":         {high, high, high},
		"no backend":    {{Hash: 1, Generation: 1}},
		"many backends": many,
	}
	for name, rows := range tests {
		t.Run(name, func(t *testing.T) {
			m := &wire.LeafRows{Blocks: []wire.Block{wire.Pack("", rows)}}
			got, err := wire.Decode(encode(t, m))
			if err != nil {
				t.Fatal(err)
			}
			if got := got.(*wire.LeafRows).Blocks[0].Append(nil); !slices.Equal(got, rows) {
				t.Errorf("%d rows came back as %d others", len(rows), len(got))
			}
		})
	}
}

func TestBlockAppend(t *testing.T) {
	rows := sortedRows(10)
	got := wire.Pack("", rows[3:]).Append(slices.Clone(rows[:3]))
	if diff := gocmp.Diff(rows, got, options); diff != "" {
		t.Errorf("appended rows differ (-want +got):\n%s", diff)
	}
}

func TestBlockAllEndsEarly(t *testing.T) {
	rows := sortedRows(10)
	var got []directory.Mapping
	for m := range wire.Pack("", rows).All() {
		if got = append(got, m); len(got) == 4 {
			break
		}
	}
	if diff := gocmp.Diff(rows[:4], got, options); diff != "" {
		t.Errorf("first rows differ (-want +got):\n%s", diff)
	}
}

func TestBlockEqual(t *testing.T) {
	rows := sortedRows(3)
	other := slices.Clone(rows)
	other[1].Moving = true
	a := wire.Pack("green", rows)
	tests := map[string]struct {
		b    wire.Block
		want bool
	}{
		"same":        {wire.Pack("green", slices.Clone(rows)), true},
		"another tag": {wire.Pack("blue", rows), false},
		"another row": {wire.Pack("green", other), false},
		"fewer rows":  {wire.Pack("green", rows[:2]), false},
		"another order": {
			wire.Pack("green", []directory.Mapping{rows[1], rows[0], rows[2]}), false,
		},
	}
	for name, tt := range tests {
		if got := a.Equal(tt.b); got != tt.want {
			t.Errorf("%s: Equal is %v, want %v", name, got, tt.want)
		}
	}
}

// TestBlockSize holds the encoding to the budget of bytes a row, message
// included.
func TestBlockSize(t *testing.T) {
	tests := []struct {
		name string
		m    func(wire.Block) wire.Message
		rows []directory.Mapping
		most float64
	}{
		{"batch", func(b wire.Block) wire.Message {
			return &wire.Rows{Seq: 1 << 40, Blocks: []wire.Block{b}}
		}, freshRows(300), 14},
		{"small batch", func(b wire.Block) wire.Message {
			return &wire.Rows{Seq: 1 << 40, Blocks: []wire.Block{b}}
		}, freshRows(30), 18},
		{"snapshot", func(b wire.Block) wire.Message {
			return &wire.SnapshotChunk{Blocks: []wire.Block{b}}
		}, sortedRows(10_000), 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			size := len(encode(t, tt.m(wire.Pack("", tt.rows))))
			got := float64(size) / float64(len(tt.rows))
			t.Logf("%.2f bytes a row", got)
			if got > tt.most {
				t.Errorf("%d rows in %d bytes, %.1f each; at most %.0f",
					len(tt.rows), size, got, tt.most)
			}
		})
	}
}

// TestChunkLimit checks what MaxChunk promises: 10,000 rows of any values fit.
func TestChunkLimit(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	rows := make([]directory.Mapping, 10_000)
	for i := range rows {
		rows[i] = directory.Mapping{
			Hash: ring.UserHash(rng.Uint32()), Backend: backend(rng),
			Activity: directory.Tick(rng.Uint32()), Stamp: directory.Tick(rng.Uint32()),
			Generation: uint16(1 + rng.IntN(directory.MaxGeneration)), Moving: rng.IntN(2) == 0,
		}
	}
	encode(t, &wire.SnapshotChunk{Blocks: []wire.Block{wire.Pack("", rows)}})
}

func TestPackPanics(t *testing.T) {
	tests := map[string]directory.Mapping{
		"no generation":       {Hash: 1},
		"generation too high": {Hash: 1, Generation: directory.MaxGeneration + 1},
		"zone": {
			Hash: 1, Generation: 1, Backend: netip.MustParseAddr("fe80::1%eth0"),
		},
	}
	for name, m := range tests {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Errorf("Pack took %+v", m)
				}
			}()
			wire.Pack("", []directory.Mapping{m})
		})
	}
}
