package rowset

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// A set of rows is packed in the order of tags and hashes, in blocks of bounded size.
func TestSetIsPackedInOrder(t *testing.T) {
	s := New()
	for i := range MaxRows + 1 {
		s.Add("b", directory.Mapping{Hash: 1<<31 - ring.UserHash(i), Generation: 1})
	}
	s.Add("a", directory.Mapping{Hash: 9, Generation: 1})
	s.Add("a", directory.Mapping{Hash: 3, Generation: 1})
	type part struct {
		tag         ring.Tag
		rows        int
		first, last ring.UserHash
	}
	var got []part
	for _, b := range s.Blocks() {
		rows := b.Append(nil)
		got = append(got, part{b.Tag, len(rows), rows[0].Hash, rows[len(rows)-1].Hash})
	}
	want := []part{
		{"a", 2, 3, 9},
		{"b", MaxRows, 1<<31 - MaxRows, 1<<31 - 1},
		{"b", 1, 1 << 31, 1 << 31},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(part{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The outbox gives all that was pushed, once, tag by tag; of rows of one user the later one comes
// later, unless a block ends between them.
func TestOutbox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type row struct {
			tag ring.Tag
			m   directory.Mapping
		}
		var o Outbox
		var pushed []row
		for i := range rapid.IntRange(0, 60).Draw(t, "rows") {
			r := row{
				ring.Tag(rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "tag")),
				directory.Mapping{
					Hash:       ring.UserHash(rapid.Uint32Range(1, 9).Draw(t, "hash")),
					Generation: 1, Activity: directory.Tick(i),
				},
			}
			pushed = append(pushed, r)
			o.Push(r.tag, r.m)
		}
		var want []row
		for _, tag := range []ring.Tag{"", "a", "b"} {
			for hash := range ring.UserHash(10) {
				for _, r := range pushed {
					if r.tag == tag && r.m.Hash == hash {
						want = append(want, r)
					}
				}
			}
		}
		var got []row
		var blocks []wire.Block
		for b := range o.Take() {
			for m := range b.All() {
				got = append(got, row{b.Tag, m})
			}
			blocks = append(blocks, b)
		}
		same := cmp.AllowUnexported(row{})
		equal := cmp.Comparer(func(a, b directory.Mapping) bool { return a == b })
		if diff := cmp.Diff(want, got, same, equal); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if n := Count(blocks); n != len(pushed) || Bytes(blocks) != n*bytesPerRow {
			t.Fatalf("%d rows of %d bytes, %d were pushed", n, Bytes(blocks), len(pushed))
		}
		for b := range o.Take() {
			t.Fatalf("taken twice: %v", b)
		}
	})
}

// What is pushed while the blocks are being read belongs to the next ones.
func TestOutboxFillsWhileItIsRead(t *testing.T) {
	var o Outbox
	o.Push("", directory.Mapping{Hash: 1, Generation: 1})
	for b := range o.Take() {
		o.Push(b.Tag, directory.Mapping{Hash: 2, Generation: 1})
	}
	var got []ring.UserHash
	for b := range o.Take() {
		for m := range b.All() {
			got = append(got, m.Hash)
		}
	}
	if diff := cmp.Diff([]ring.UserHash{2}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
