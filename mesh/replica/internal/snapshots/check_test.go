package snapshots

import (
	"fmt"
	"testing"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/digests"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// The questions of a comparison cover all tags, each once, however many there are.
func TestQuestions(t *testing.T) {
	for _, n := range []int{0, 1, tagsPerQuestion, tagsPerQuestion + 1, 3*tagsPerQuestion + 7} {
		var tags []ring.Tag
		for i := range n {
			tags = append(tags, ring.Tag(fmt.Sprintf("t%05d", n-i)))
		}
		c := NewCheck(10, 20, tags)
		end, asked := ring.Tag(""), 0
		for {
			q, ok := c.Question()
			if !ok {
				break
			}
			if q.From != end || asked > 0 && q.From == "" || q.Assigned != 10 || q.Alive != 20 {
				t.Errorf("%d tags: question %d is from %q, the last ended at %q", n, asked, q.From,
					end)
			}
			end = q.To
			asked++
		}
		if want := max(1, (n+tagsPerQuestion-1)/tagsPerQuestion); asked != want || end != "" {
			t.Errorf("%d tags: %d questions, want %d; the last ends at %q", n, asked, want, end)
		}
	}
}

// Leaves that differ are asked for once, no more at a time than a message has room for, and no more
// in all than there can be.
func TestLeavesAskedFor(t *testing.T) {
	c := NewCheck(10, 20, nil)
	all := make([]uint16, 1<<16)
	for i := range 5 {
		c.Differ(ring.Tag(fmt.Sprint(i)), all)
	}
	c.Differ("4", []uint16{1, 2})
	c.Differ("5", nil)
	total, questions := 0, 0
	for {
		leaves := c.TakeLeaves()
		if len(leaves) == 0 {
			break
		}
		questions++
		n := 0
		for _, l := range leaves {
			n += len(l.Leaves)
		}
		if total += n; n > leavesPerQuestion {
			t.Errorf("%d leaves in one question", n)
		}
	}
	if total != 5<<16+2 || questions != 2 || c.Leaves != total {
		t.Errorf("%d leaves in %d questions, %d differ", total, questions, c.Leaves)
	}
	for range 100 {
		c.Differ("x", all)
	}
	if c.Leaves > maxDiffering {
		t.Errorf("%d leaves are remembered", c.Leaves)
	}
}

// A donation of leaves has their rows and no others, a comparison has none.
func TestDonationOfLeaves(t *testing.T) {
	dir := &rows{perLeaf: map[uint16][]directory.Mapping{}}
	for leaf := range uint16(10) {
		dir.perLeaf[leaf] = []directory.Mapping{row(leaf, 1, 1), row(leaf, 2, 2)}
	}
	var all Donations
	ask := []wire.TagLeaves{{Tag: "a", Leaves: []uint16{1, 3, 77}}, {Tag: "b", Leaves: []uint16{4}}}
	sent, chunks := give(t, dir, all.BeginLeaves(start, "d2", 7, ask), 3)
	if sent != 6 || chunks != 2 {
		t.Errorf("%d rows in %d chunks", sent, chunks)
	}
	m := wire.Comparison{Assigned: 10, Alive: 20}
	d := all.BeginComparison(start, "d2", 8, digests.NewAlike(dir, m))
	differ := 0
	for !d.done {
		c := d.Next(dir, t0, 3)
		d.Ack(start, &wire.SnapshotAck{ID: 8, Index: c.Index})
		differ += len(c.Differ)
		if len(c.Blocks) > 0 || c.Last != d.done {
			t.Errorf("a comparison gives %+v", c)
		}
	}
	if differ != 1 {
		t.Errorf("%d groups differ from none, want that of all leaves", differ)
	}
}

// give makes all chunks of a donation.
func give(t *testing.T, dir *rows, d *Donation, wanted int) (sent uint64, chunks int) {
	t.Helper()
	for at := start; !d.done; at += mono.Time(1) {
		c := d.Next(dir, t0, wanted)
		d.Ack(at, &wire.SnapshotAck{ID: d.id, Index: c.Index})
		chunks++
	}
	return d.Sent(), chunks
}

// What follows a snapshot from the same donor has chunks of its own, and no positions that count.
func TestGoOn(t *testing.T) {
	var r Receiver
	r.Begin(start, Snapshot{ID: 7, Peer: "d2", Since: 3})
	r.Take(start, chunk(0, 2))
	r.Current().Check = NewCheck(10, 20, nil)
	r.GoOn(start.Add(Stall), 8)
	if r.Expects("d2", 7) || !r.Expects("d2", 8) || r.Silent(start.Add(Stall+1)) {
		t.Error("it does not wait for the answer to its question")
	}
	c := chunk(0, 3)
	c.Covers[0].Seq = 99
	if failed := r.Take(start, c); failed != "" {
		t.Error(failed)
	}
	if s := r.Done(); s.Covers[0].Seq != 9 || s.Rows != 5 {
		t.Errorf("in the end %+v", s)
	}
}
