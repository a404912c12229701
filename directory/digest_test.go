package directory

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"directormesh/ring"
)

// Digests travel between directors of different versions: these values must
// not change.
func TestDigestValues(t *testing.T) {
	d := newDirectory()
	d.SetBackends(append(twoTags(), presentRow(b6, "", 0)))
	got := map[ring.UserHash]uint64{}
	for h, m := range map[ring.UserHash]Mapping{
		0x00010001: {Backend: b1, Generation: 1},
		0x00020001: {Backend: b6, Generation: 7},
		0x00030001: {Backend: noBackend, Generation: MaxGeneration},
	} {
		m.Hash, m.Activity, m.Stamp = h, start.Tick(), start.Tick()
		d.Merge("", []Mapping{m}, start, nil)
		got[h] = d.DigestLeaf("", leafOf(h), start)
	}
	// The sum of two rows in one leaf.
	d.Merge("", []Mapping{
		{Hash: 0x0001ffff, Backend: b2, Generation: 1, Activity: start.Tick(), Stamp: start.Tick()},
	}, start, nil)
	got[0x0001ffff] = d.DigestLeaf("", 1, start)
	want := map[ring.UserHash]uint64{
		0x0001ffff: 12662913304750757546,
		0x00010001: 13029285269823730628,
		0x00020001: 1840991044632060469,
		0x00030001: 14426618673420471659,
	}
	if diff := diff(want, got); diff != "" {
		t.Errorf("digests (-want +got):\n%s", diff)
	}
}

// Two leaves have one digest if and only if they hold the same assignments.
func TestDigestTellsDifferences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawRows := func(t *rapid.T) []Mapping {
			row := rapid.Custom(func(t *rapid.T) Mapping { return drawRow(t, start) })
			rows := rapid.SliceOfN(row, 0, 4).Draw(t, "rows")
			for i := range rows {
				rows[i].Hash &= 0xffff0001 // collide often
			}
			return rows
		}
		backends := drawBackends(t, start)
		var both [2]*Directory
		for i := range both {
			both[i] = New(modelExpire)
			if i == 1 {
				both[i].SetBackends(backends[len(backends)/2:]) // other ids for the same addresses
			}
			both[i].SetBackends(backends)
			both[i].Merge("", drawRows(t), start, nil)
		}
		for _, h := range testHashes {
			assignments := func(d *Directory) []Mapping {
				rows := d.Leaf("", leafOf(h), start, nil)
				for i := range rows {
					rows[i].Activity, rows[i].Moving = 0, false
				}
				return rows
			}
			same := diff(assignments(both[0]), assignments(both[1])) == ""
			digests := [2]uint64{
				both[0].DigestLeaf("", leafOf(h), start), both[1].DigestLeaf("", leafOf(h), start),
			}
			if (digests[0] == digests[1]) != same {
				t.Fatalf("leaf of %v: same assignments: %v, digests %x", h, same, digests)
			}
		}
	})
}

// Rows whose parts are exchanged, or that differ in neighbouring numbers, must
// not cancel out in the sum.
func TestDigestSumsDoNotCancelOut(t *testing.T) {
	addrs := []uint64{mixAddr(b1), mixAddr(b2), mixAddr(noBackend)}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) (row, uint64) {
			return row{
				hash:  rapid.Uint32().Draw(t, label+" hash"),
				stamp: uint32(start.Tick()) + rapid.Uint32Range(0, 3).Draw(t, label+" stamp"),
				bits:  uint16(rapid.IntRange(1, 3).Draw(t, label+" generation")) << generationShift,
			}, rapid.SampledFrom(addrs).Draw(t, label+" backend")
		}
		a, addrA := draw("first")
		b, addrB := draw("second")
		sum := mixRow(a, addrA) + mixRow(b, addrB)
		if addrA != addrB && a != b && mixRow(a, addrB)+mixRow(b, addrA) == sum {
			t.Fatalf("exchanging the backends of %+v and %+v keeps the digest", a, b)
		}
		c, d := a, b
		c.stamp, d.stamp = b.stamp, a.stamp
		if a.stamp != b.stamp && (a.hash != b.hash || a.bits != b.bits || addrA != addrB) &&
			mixRow(c, addrA)+mixRow(d, addrB) == sum {
			t.Fatalf("exchanging the stamps of %+v and %+v keeps the digest", a, b)
		}
		c, d = a, b
		c.stamp, d.stamp = c.stamp+1, d.stamp-1
		if c != b && mixRow(c, addrA)+mixRow(d, addrB) == sum {
			t.Fatalf("shifting the stamps of %+v and %+v keeps the digest", a, b)
		}
	})
}

func TestDigestAsOfEpoch(t *testing.T) {
	d := newDirectory()
	if got := d.DigestLeaf("", 0, start) + d.DigestLeaf("hdd", 0, start); got != 0 {
		t.Errorf("the digest of nothing is %x", got)
	}
	m, _ := d.Assign("", 5, b1, start)
	digest := d.DigestLeaf("", 0, start)
	if digest == 0 {
		t.Fatal("a mapping does not show in the digest")
	}
	if got := d.DigestLeaf("", 0, start-250); got != 0 {
		t.Errorf("an assignment after the epoch's end shows: %x", got)
	}
	end := d.Ends(m)
	if got := d.DigestLeaf("", 0, end-1); got != digest {
		t.Errorf("the digest before the mapping's end is %x, want %x", got, digest)
	}
	if got := d.DigestLeaf("", 0, end); got != 0 {
		t.Errorf("a mapping shows that had ended by the epoch's end: %x", got)
	}
	sweepAll(d, end.Add(20*time.Second))
	if got := d.DigestLeaf("", 0, end-1); got != digest {
		t.Errorf("the digest of a past epoch is %x after a sweep, want %x", got, digest)
	}
	d.Touch("", m, start.Add(time.Minute))
	if got := d.DigestLeaf("", 0, start); got != digest {
		t.Errorf("activity changes the digest to %x, want %x", got, digest)
	}
	d.SetBackends(nil)
	if got := d.DigestLeaf("", 0, start); got != 0 {
		t.Errorf("a mapping shows that is dead by the table: %x", got)
	}
}

// A group's digests are those of its leaves, whether these were ever used or not.
func TestDigestGroup(t *testing.T) {
	d := newDirectory()
	rows := []Mapping{
		{Hash: 0x7f000001}, {Hash: 0x7f7f0001}, {Hash: 0x7f800001}, {Hash: 0x7fff0001},
	}
	for i := range rows {
		rows[i].Backend = b1
		rows[i].Generation = 1
		rows[i].Activity = start.Tick()
		rows[i].Stamp = start.Tick()
	}
	d.Merge("", rows, start, nil)
	for _, group := range []uint8{0x7f, 0x80} {
		var want [leavesInGroup]uint64
		for i := range want {
			want[i] = d.DigestLeaf("", uint16(group)<<8|uint16(i), start)
		}
		if diff := diff(want, d.DigestGroup("", group, start)); diff != "" {
			t.Errorf("group %x (-want +got):\n%s", group, diff)
		}
	}
	if d.DigestGroup("", 0x7f, start)[0x7f] == 0 {
		t.Error("a leaf with a row has no digest")
	}
	if got := d.DigestGroup("nobody", 0x7f, start); got != [leavesInGroup]uint64{} {
		t.Errorf("a tag that was never used has digests: %v", got)
	}
}

// Digests as of two moments tell whether two directors hold the same of what had been assigned by
// the one and lives on at the other, whatever else they hold.
func TestDigestGroupLive(t *testing.T) {
	later := start.Add(5 * time.Minute)
	alive := start.Add(modelExpire + 2*time.Minute) // ends what was last seen at the start
	old := Mapping{Hash: 0x00070001, Backend: b1, Generation: 1, Activity: later.Tick(),
		Stamp: start.Tick()}
	ended := Mapping{Hash: 0x00070002, Backend: b1, Generation: 1, Activity: start.Tick(),
		Stamp: start.Tick()}
	fresh := Mapping{Hash: 0x00070003, Backend: b1, Generation: 1, Activity: later.Tick(),
		Stamp: later.Tick()}
	elsewhere := old
	elsewhere.Backend = b2
	digest := func(rows ...Mapping) (uint64, int) {
		d := New(modelExpire)
		d.SetBackends(twoTags())
		d.Merge("", rows, later, nil)
		leaves, looked := d.DigestGroupLive("", 0, start, alive)
		return leaves[7], looked
	}
	want, _ := digest(old)
	for _, test := range []struct {
		name string
		rows []Mapping
		same bool
	}{
		{"with one that has ended", []Mapping{old, ended}, true},
		{"with a new one", []Mapping{old, fresh}, true},
		{"with both", []Mapping{old, ended, fresh}, true},
		{"on another backend", []Mapping{elsewhere}, false},
		{"without it", []Mapping{ended, fresh}, false},
	} {
		got, looked := digest(test.rows...)
		if (got == want) != test.same || looked != len(test.rows) {
			t.Errorf("%s: same %v, %d rows", test.name, got == want, looked)
		}
	}
	if _, looked := newDirectory().DigestGroupLive("green", 3, start, alive); looked != 0 {
		t.Errorf("%d rows of a tag that is not there", looked)
	}
}

// A leaf since a moment has what was assigned or active then or later.
func TestLeafSince(t *testing.T) {
	d := newDirectory()
	d.SetBackends(twoTags())
	at := start.Tick()
	d.Merge("", []Mapping{
		{Hash: 0x00070001, Backend: b1, Generation: 1, Activity: at + 1, Stamp: at},
		{Hash: 0x00070002, Backend: b1, Generation: 1, Activity: at + 10, Stamp: at},
		{Hash: 0x00070003, Backend: b1, Generation: 1, Activity: at + 2, Stamp: at + 10},
	}, start, nil)
	rows, looked := d.LeafSince("", 7, start, at+10, nil)
	if len(rows) != 2 || rows[0].Hash != 0x00070002 || rows[1].Hash != 0x00070003 || looked != 3 {
		t.Errorf("%v of %d", rows, looked)
	}
}
