package directory

import (
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func TestSizes(t *testing.T) {
	if size := unsafe.Sizeof(row{}); size != 16 {
		t.Errorf("a row has %d bytes, want 16", size)
	}
	if size := unsafe.Sizeof(leaf{}); size > 32 {
		t.Errorf("a leaf has %d bytes, want at most 32", size)
	}
	if size := unsafe.Sizeof(entry{}); size > 64 {
		t.Errorf("a backend entry has %d bytes, want at most a cache line", size)
	}
}

// drawHashes draws different hashes of one leaf, spread evenly or crowded at
// one end, sorted.
func drawHashes(t *rapid.T) []uint32 {
	limit := rapid.SampledFrom([]uint32{20, 300, 0xffff}).Draw(t, "limit")
	list := rapid.SliceOfDistinct(rapid.Uint32Range(0, limit), rapid.ID).Draw(t, "hashes")
	if rapid.Bool().Draw(t, "at the upper end") {
		for i := range list {
			list[i] = 0xffff - list[i]
		}
	}
	for i := range list {
		list[i] |= 0xabcd0000
	}
	slices.Sort(list)
	return list
}

func rowsOf(hashes []uint32) []row {
	var rows []row
	for _, h := range hashes {
		rows = append(rows, row{hash: h})
	}
	return rows
}

func hashesOf(rows []row) []uint32 {
	var hashes []uint32
	for _, r := range rows {
		hashes = append(hashes, r.hash)
	}
	return hashes
}

func TestSearchAgainstBinarySearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hashes := drawHashes(t)
		rows := rowsOf(hashes)
		wanted := append([]uint32{0xabcd0000, 0xabcdffff, 0xabcd0000 | rapid.Uint32Range(0, 0xffff).Draw(t, "any")}, hashes...)
		for _, h := range wanted {
			i, ok := search(rows, h)
			if wantAt, want := slices.BinarySearch(hashes, h); i != wantAt || ok != want {
				t.Fatalf("search(%x) = %d, %v; want %d, %v in %x", h, i, ok, wantAt, want, hashes)
			}
		}
	})
}

func TestSearchFindsEveryRowOfBigLeaves(t *testing.T) {
	for _, stride := range []uint32{1, 3, 7, 400} {
		var hashes []uint32
		for h := uint32(0); h < 0x10000; h += stride {
			hashes = append(hashes, h)
		}
		rows := rowsOf(hashes)
		for at, h := range hashes {
			if i, ok := search(rows, h); i != at || !ok {
				t.Fatalf("stride %d: search(%x) = %d, %v; want %d", stride, h, i, ok, at)
			}
		}
	}
}

func TestInserts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hashes := drawHashes(t)
		var held, added []uint32
		for _, h := range hashes {
			if rapid.Bool().Draw(t, "is added") {
				added = append(added, h)
			} else {
				held = append(held, h)
			}
		}
		bulk, single := leaf{rows: rowsOf(held)}, leaf{rows: rowsOf(held)}
		bulk.insertSorted(rowsOf(added))
		for _, h := range added {
			i, _ := search(single.rows, h)
			single.insert(i, row{hash: h})
		}
		if d := diff(hashes, hashesOf(bulk.rows)); d != "" {
			t.Fatalf("insertSorted:\n%s", d)
		}
		if d := diff(hashes, hashesOf(single.rows)); d != "" {
			t.Fatalf("insert:\n%s", d)
		}
	})
}

func TestLeafWastesLittle(t *testing.T) {
	var l leaf
	for i := range 3000 {
		l.insert(i, row{hash: uint32(i)})
		if n := len(l.rows); n > 64 && cap(l.rows) > n+n/4+1 {
			t.Fatalf("room for %d rows after %d inserts", cap(l.rows), n)
		}
	}
	for len(l.rows) > 0 {
		l.rows = l.rows[:len(l.rows)-min(100, len(l.rows))]
		l.shrink()
		if n := len(l.rows); cap(l.rows) > n*3/2+4 {
			t.Fatalf("room for %d rows after shrinking to %d", cap(l.rows), n)
		}
	}
}
