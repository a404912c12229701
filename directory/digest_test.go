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
	want := map[ring.UserHash]uint64{
		0x00010001: 4681929647570731887,
		0x00020001: 2974988892199562332,
		0x00030001: 6854413012816882186,
	}
	if diff := diff(want, got); diff != "" {
		t.Errorf("digests (-want +got):\n%s", diff)
	}
}

// Two leaves have one digest if and only if they hold the same assignments.
func TestDigestTellsDifferences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawRows := func(t *rapid.T) []Mapping {
			rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Mapping { return drawRow(t, start) }), 0, 4).Draw(t, "rows")
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
			digests := [2]uint64{both[0].DigestLeaf("", leafOf(h), start), both[1].DigestLeaf("", leafOf(h), start)}
			if (digests[0] == digests[1]) != same {
				t.Fatalf("leaf of %v: same assignments: %v, digests %x", h, same, digests)
			}
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
