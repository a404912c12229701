package directory

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func TestSizes(t *testing.T) {
	if size := unsafe.Sizeof(row{}); size != 16 {
		t.Errorf("a row has %d bytes, want 16", size)
	}
	if size := unsafe.Sizeof(leaf{}); size != 16 {
		t.Errorf("a leaf has %d bytes, want 16", size)
	}
	if size := unsafe.Sizeof(lock{}); size != 64 {
		t.Errorf("a lock has %d bytes, want a cache line", size)
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

// leafWith returns a leaf with rows of these hashes, locked.
func leafWith(hashes []uint32) lockedLeaf {
	d := New(0)
	l := d.lockNewLeaf(d.ensureShard(""), 0xabcd)
	l.insertSorted(rowsOf(hashes), nil)
	return l
}

// stored returns the hashes that others find in a locked leaf.
func (l *lockedLeaf) stored() []uint32 {
	var hashes []uint32
	for _, r := range rows(l.leaves[l.at].first.Load(), l.shape()) {
		hashes = append(hashes, r.hash)
	}
	return hashes
}

func TestSearchAgainstBinarySearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hashes := drawHashes(t)
		l := leafWith(hashes)
		guess := rapid.IntRange(0, len(hashes)).Draw(t, "guess")
		wanted := append([]uint32{
			0xabcd0000, 0xabcdffff, 0xabcd0000 | rapid.Uint32Range(0, 0xffff).Draw(t, "any"),
		}, hashes...)
		for _, h := range wanted {
			wantAt, want := slices.BinarySearch(hashes, h)
			if i, ok := l.search(h); i != wantAt || ok != want {
				t.Fatalf("search(%x) = %d, %v; want %d, %v in %x", h, i, ok, wantAt, want, hashes)
			}
			if i, ok := search(l.rows, guess, h); i != wantAt || ok != want {
				t.Fatalf("search(%x), guessing %d, = %d, %v; want %d, %v in %x",
					h, guess, i, ok, wantAt, want, hashes)
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
		l := leafWith(hashes)
		for at, h := range hashes {
			if i, ok := l.search(h); i != at || !ok {
				t.Fatalf("stride %d: search(%x) = %d, %v; want %d", stride, h, i, ok, at)
			}
		}
	}
}

// A guess saves waiting for memory only if it is mostly right.
func TestGuessesAreGood(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{15, 150, 450} {
		far, total := 0, 0
		for range 100 {
			distinct := make(map[uint32]bool)
			for len(distinct) < n {
				distinct[random.Uint32N(1<<16)] = true
			}
			hashes := slices.Sorted(maps.Keys(distinct))
			s := shapeOf(rowsOf(hashes), n)
			for at, h := range hashes {
				if off := s.guess(h) - at; max(off, -off) > 4+n>>7 {
					far++
				}
				total++
			}
		}
		if far > total/8 {
			t.Errorf("of %d rows in leaves of %d, %d are not where they are looked for first",
				total, n, far)
		}
	}
}

func TestInserts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hashes := drawHashes(t)
		var before, added []uint32
		for _, h := range hashes {
			if rapid.Bool().Draw(t, "is added") {
				added = append(added, h)
			} else {
				before = append(before, h)
			}
		}
		bulk, single := leafWith(before), leafWith(before)
		bulk.insertSorted(rowsOf(added), nil)
		for _, h := range added {
			i, _ := single.search(h)
			single.insert(i, row{hash: h})
		}
		for name, l := range map[string]lockedLeaf{"insertSorted": bulk, "insert": single} {
			if d := diff(hashes, l.stored()); d != "" {
				t.Fatalf("%s:\n%s", name, d)
			}
			if s := l.shape(); s != shapeOf(l.rows, cap(l.rows)) {
				t.Fatalf("after %s the shape is %x; want %x", name, s, shapeOf(l.rows, cap(l.rows)))
			}
		}
	})
}

// Counts of rows wrap at 256, each for itself.
func TestShapeOfManyRowsInsertedSingly(t *testing.T) {
	var hashes []uint32
	var s shape
	for i := range uint32(600) {
		h := 0xabcd0000 | i%3<<quarterShift | i
		hashes = append(hashes, h)
		s = s.with(h)
		if want := shapeOf(rowsOf(hashes), 0); s != want {
			t.Fatalf("after %d rows the shape is %x, want %x", i+1, s, want)
		}
	}
}
