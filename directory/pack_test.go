package directory

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"directormesh/ring"
)

// wantPack checks that the leaves of a lock lie in its pack one after the
// other, and that they have these hashes.
func wantPack(t rapid.TB, d *Directory, first uint16, want [][]uint32) {
	t.Helper()
	offset := 0
	for i := range want {
		l := d.lockNewLeaf(d.shard(""), first+uint16(i))
		l.unlock()
		if version := l.lock.version.Load(); version%2 != 0 {
			t.Fatalf("leaf %d is being changed for ever", i)
		}
		s := l.shape()
		if s != shapeOf(l.rows, s.room()) {
			t.Fatalf("leaf %d has the shape %x, want %x", i, s, shapeOf(l.rows, s.room()))
		}
		if s.room() > 0 && l.leaves[l.at].first.Load() != &l.lock.pack[offset] {
			t.Fatalf("leaf %d does not begin at row %d", i, offset)
		}
		if offset += s.room(); offset > len(l.lock.pack) {
			t.Fatalf("leaf %d ends at row %d of %d", i, offset, len(l.lock.pack))
		}
		if got := l.stored(); !slices.Equal(got, want[i]) {
			t.Fatalf("leaf %d has %x, want %x", i, got, want[i])
		}
	}
}

// Whatever comes into and goes from the leaves of a pack, each keeps its rows.
func TestPack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := New(0)
		d.ensureShard("")
		const first = 0xab80
		want := make([][]uint32, leavesPerLock)
		lockLeaf := func(i int) lockedLeaf { return d.lockNewLeaf(d.shard(""), first+uint16(i)) }
		// Few leaves, so that they fill, and some far from the others.
		drawLeaf := rapid.SampledFrom([]int{0, 1, 2, 3, 20, 40, 62, 63})
		random := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed")))
		fresh := func(i, n int) (hashes []uint32) {
			for len(hashes) < n {
				h := uint32(first+i)<<16 | random.Uint32N(1<<16)
				if !slices.Contains(want[i], h) && !slices.Contains(hashes, h) {
					hashes = append(hashes, h)
				}
			}
			slices.Sort(hashes)
			return hashes
		}
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				i := drawLeaf.Draw(t, "leaf")
				for _, h := range fresh(i, rapid.IntRange(1, 30).Draw(t, "rows")) {
					l := lockLeaf(i)
					at, _ := l.search(h)
					l.insert(at, row{hash: h})
					l.unlock()
					want[i] = slices.Insert(want[i], at, h)
				}
			},
			"insert sorted": func(t *rapid.T) {
				i := drawLeaf.Draw(t, "leaf")
				add := fresh(i, rapid.IntRange(1, 300).Draw(t, "rows"))
				l := lockLeaf(i)
				l.insertSorted(rowsOf(add), nil)
				l.unlock()
				want[i] = append(want[i], add...)
				slices.Sort(want[i])
			},
			"cut": func(t *rapid.T) {
				i := drawLeaf.Draw(t, "leaf")
				n := rapid.IntRange(0, len(want[i])).Draw(t, "rows left")
				l := lockLeaf(i)
				l.lock.change()
				l.cut(n)
				l.lock.changed()
				l.unlock()
				want[i] = want[i][:n]
			},
			"trim": func(t *rapid.T) {
				l := lockLeaf(drawLeaf.Draw(t, "leaf"))
				l.trim()
				l.unlock()
				n, room := l.packed(), len(l.lock.pack)
				if n > 256 && room > n+n/3 || n == 0 && room > 0 {
					t.Fatalf("room for %d rows after a trim, with %d", room, n)
				}
			},
			"": func(t *rapid.T) { wantPack(t, d, first, want) },
		})
	})
}

// Leaves that fill at random waste little at any size; so do those that
// somebody crowds.
func TestPackWastesLittle(t *testing.T) {
	for name, leaves := range map[string]int{"spread": leavesPerLock, "crowded": 1} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			d := New(0)
			s := d.ensureShard("")
			n := 0
			for i := range uint32(20_000) {
				leaf := uint16(random.IntN(leaves))
				h := uint32(leaf)<<16 | i // ascending: the race detector's moves are slow
				l := d.lockNewLeaf(s, leaf)
				if at, ok := l.search(h); !ok {
					l.insert(at, row{hash: h})
					n++
				}
				l.unlock()
				if room := len(l.lock.pack); n > 256 && room > allocated(n+n/spareShare)+bulkAhead {
					t.Fatalf("room for %d rows with %d", room, n)
				}
			}
			for leaf := range uint16(leaves) {
				l := d.lockNewLeaf(s, leaf)
				l.lock.change()
				l.cut(0)
				l.lock.changed()
				l.trim()
				l.unlock()
			}
			l := d.lockNewLeaf(s, 0)
			l.unlock()
			if room := len(l.lock.pack); room != 0 {
				t.Errorf("room for %d rows with none", room)
			}
		})
	}
}

// Rows that come in order, as in a snapshot, get their room at once; but not if most of those
// before them were stored already.
func TestRoomForRowsAhead(t *testing.T) {
	const inFirst, inOthers = 1000, 20 // rows of the leaves
	d := New(0)
	backends := benchBackends()
	d.SetBackends(backends)
	mapping := func(leaf, user int) Mapping {
		return Mapping{
			Hash: ring.UserHash(leaf<<16 | user), Backend: backends[0].Addr,
			Activity: start.Tick(), Stamp: start.Tick(), Generation: 1,
		}
	}
	var all []Mapping
	for i := range inFirst {
		all = append(all, mapping(0, 2*i))
	}
	n := inFirst
	for leaf := 1; leaf < leavesPerLock+3; leaf++ { // the last ones are of another lock
		for i := range inOthers {
			all = append(all, mapping(leaf, 2*i))
		}
		if leaf < leavesPerLock {
			n += inOthers
		}
	}
	pack := func() []row {
		l := d.lockNewLeaf(d.ensureShard(""), 0)
		defer l.unlock()
		return l.lock.pack
	}
	packs := make(map[*row]bool)
	m := merger{shard: d.ensureShard(""), due: d.deadline(start), directory: d}
	for rows := all; len(rows) > 0; {
		run := sortedRun(rows)
		m.merge(rows[:run], rows[run:])
		rows = rows[run:]
		packs[&pack()[0]] = true
	}
	if len(packs) != 1 {
		t.Errorf("%d packs for %d rows", len(packs), n)
	}
	room := len(pack())
	if most := allocated(n + n/spareShare); room > most {
		t.Errorf("room for %d rows with %d, want %d at most", room, n, most)
	}

	again := slices.Clone(all[:inFirst])
	added := room - n + 1 // one more than there is room for
	for i := range added {
		again = slices.Insert(again, 2*i+1, mapping(0, 2*i+1))
	}
	d.Merge("", append(again, all[inFirst:]...), start, nil)
	n += added
	if room, most := len(pack()), allocated(n+max(n/spareShare, n/bulkShare)); room > most {
		t.Errorf("room for %d rows with %d, want %d at most", room, n, most)
	}
}

// A leaf can have all 65,536 users that there are for it, and so can others.
func TestFullPack(t *testing.T) {
	d := New(0)
	s := d.ensureShard("")
	all := make([]row, 1<<16)
	for _, leaf := range []uint16{1, 0, leavesPerLock - 1} {
		for i := range all {
			all[i].hash = uint32(leaf)<<16 | uint32(i)
		}
		l := d.lockNewLeaf(s, leaf)
		l.insertSorted(all, nil)
		l.unlock()
		for _, h := range []uint32{0, 1, 0x7fff, 0xffff} {
			h |= uint32(leaf) << 16
			if at, ok := l.search(h); !ok || l.rows[at].hash != h {
				t.Fatalf("%x is not found", h)
			}
		}
	}
}

// A full leaf gets room from where the fewest rows have to be moved for it: those of the leaves
// between and, of one behind it, the lender's; of one before it, its own.
func TestRoomIsLentByTheNearest(t *testing.T) {
	type size struct{ rows, room int }
	for _, test := range []struct {
		name   string
		at     int
		sizes  map[int]size // of leaves; the others have nothing
		lender int          // -1: none
	}{
		{"behind", 5, map[int]size{5: {9, 9}, 6: {3, 7}}, 6},
		{"before", 5, map[int]size{4: {3, 7}, 5: {9, 9}}, 4},
		{"fewer behind", 5, map[int]size{4: {3, 7}, 5: {9, 9}, 6: {8, 12}}, 6},
		{"fewer before", 5, map[int]size{4: {3, 7}, 5: {9, 9}, 6: {10, 14}}, 4},
		{"as many before", 5, map[int]size{4: {3, 7}, 5: {9, 9}, 6: {9, 13}}, 4},
		{"further, with others between", 5,
			map[int]size{2: {0, 4}, 3: {4, 4}, 5: {9, 9}, 6: {5, 5}, 8: {5, 9}}, 8},
		{"further before, with others between", 5,
			map[int]size{2: {0, 4}, 3: {4, 4}, 5: {2, 2}, 6: {5, 5}, 8: {5, 9}}, 2},
		{"the first leaf", 5, map[int]size{0: {1, 5}, 5: {9, 9}}, 0},
		{"the last leaf", 5, map[int]size{5: {9, 9}, leavesPerLock - 1: {1, 5}}, leavesPerLock - 1},
		{"too little", 5, map[int]size{4: {3, 5}, 5: {9, 9}, 6: {3, 5}}, -1},
		{"as many as may be moved", 5, map[int]size{5: {9, 9}, 6: {maxShift, maxShift + 4}}, 6},
		{"too many to move", 5, map[int]size{5: {9, 9}, 6: {maxShift + 1, maxShift + 5}}, -1},
		{"as many of its own", 5, map[int]size{4: {0, 4}, 5: {maxShift, maxShift}}, 4},
		{"too many of its own", 5, map[int]size{4: {0, 4}, 5: {maxShift + 1, maxShift + 1}}, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := New(0)
			l := d.lockNewLeaf(d.ensureShard(""), uint16(test.at))
			defer l.unlock()
			l.lock.pack = newRows(3 * maxShift)
			offset := 0
			for i := range leavesPerLock {
				s := test.sizes[i]
				own := l.lock.pack[offset : offset+s.rows]
				for j := range own {
					own[j].hash = uint32(i)<<16 | uint32(j)
				}
				l.setLeaf(l.lock.pack, i, offset, shapeOf(own, s.room))
				offset += s.room
			}
			l.look()
			if l.borrow(3) != (test.lender >= 0) {
				t.Fatalf("room was lent: %v", test.lender < 0)
			}
			for i := range leavesPerLock {
				want := test.sizes[i].room
				switch i {
				case test.lender:
					want -= 3
				case test.at:
					if test.lender >= 0 {
						want += 3
					}
				}
				if got := l.shapeOf(i).room(); got != want {
					t.Errorf("leaf %d has room for %d rows, want %d", i, got, want)
				}
				for j, r := range rows(l.leaves[i].first.Load(), l.shapeOf(i)) {
					if r.hash != uint32(i)<<16|uint32(j) {
						t.Fatalf("row %d of leaf %d is %x", j, i, r.hash)
					}
				}
			}
		})
	}
}

// The bound of what the allocator gives is never below that, and exact from whole pages on.
func TestAllocated(t *testing.T) {
	for want := range 5000 {
		if got, most := len(newRows(want)), allocated(want); got > most || most > want+want/5+512 {
			t.Fatalf("room for %d rows with %d, expected at most %d", got, want, most)
		}
	}
	for want, most := range map[int]int{
		0: 0, 1: 2, 10: 13, 2048: 2048 + 409 + 1, 2049: 2560, 2560: 2560, 2561: 3072, 3072: 3072,
	} {
		if got := allocated(want); got != most {
			t.Errorf("%d rows: at most %d, want %d", want, got, most)
		}
	}
}
