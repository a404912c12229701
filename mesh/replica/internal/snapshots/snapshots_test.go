package snapshots

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	start = mono.Time(time.Hour)
	t0    = directory.Time(1_800_000_000_000)
)

// rows are some rows in each of a few leaves of each tag.
type rows struct {
	perLeaf map[uint16][]directory.Mapping
}

func (r *rows) Len() int { return 77 }

func (r *rows) LeafSince(
	_ ring.Tag, leaf uint16, _ directory.Time, since directory.Tick, buf []directory.Mapping,
) (rows []directory.Mapping, looked int) {
	for _, m := range r.perLeaf[leaf] {
		if m.Activity >= since || m.Stamp >= since {
			buf = append(buf, m)
		}
	}
	return buf, len(r.perLeaf[leaf])
}

func (r *rows) Tags() []ring.Tag { return []ring.Tag{"a"} }

// DigestGroupLive gives the number of rows of each leaf as its digest.
func (r *rows) DigestGroupLive(
	_ ring.Tag, group uint8, _, _ directory.Time,
) (leaves [256]uint64, n int) {
	for leaf, rows := range r.perLeaf {
		if uint8(leaf>>8) == group {
			leaves[uint8(leaf)] = uint64(len(rows))
			n += len(rows)
		}
	}
	return leaves, n
}

// row is one in a leaf.
func row(leaf uint16, activity, stamp directory.Tick) directory.Mapping {
	return directory.Mapping{
		Hash: ring.UserHash(leaf)<<16 | ring.UserHash(activity), Generation: 1,
		Backend:  netip.AddrFrom4([4]byte{192, 0, 2, 1}),
		Activity: activity, Stamp: stamp,
	}
}

func chunk(index uint32, rows int) *wire.SnapshotChunk {
	m := &wire.SnapshotChunk{ID: 7, Index: index}
	if index == 0 {
		m.Covers = []wire.Position{{Name: "d2", Boot: 2, Seq: 9}}
	}
	if rows > 0 {
		m.Blocks = []wire.Block{
			wire.Pack("", slices.Repeat([]directory.Mapping{row(1, 5, 5)}, rows)),
		}
	}
	return m
}

// Chunks come one after the other; what else comes of the donor ends the snapshot, and of others is
// none of it.
func TestReceive(t *testing.T) {
	for _, test := range []struct {
		name   string
		chunks []*wire.SnapshotChunk
		failed string // at the last of them
		rows   uint64
	}{
		{"in order", []*wire.SnapshotChunk{chunk(0, 2), chunk(1, 0), chunk(2, 3)}, "", 5},
		{"one is missing", []*wire.SnapshotChunk{chunk(0, 2), chunk(2, 1)},
			"a chunk is missing", 0},
		{"the first is missing", []*wire.SnapshotChunk{chunk(1, 2)}, "a chunk is missing", 0},
		{"twice the same", []*wire.SnapshotChunk{chunk(0, 2), chunk(0, 2)},
			"a chunk is missing", 0},
		{"busy", []*wire.SnapshotChunk{{ID: 7, Busy: true}}, "the donor is busy", 0},
	} {
		var r Receiver
		r.Begin(start, Snapshot{ID: 7, Peer: "d2", Since: 3})
		if !r.Expects("d2", 7) || r.Expects("d2", 8) || r.Expects("d3", 7) || r.From("d3") {
			t.Errorf("%s: expects the wrong chunks", test.name)
		}
		at, failed := start, ""
		for i, c := range test.chunks {
			at = at.Add(time.Second)
			if failed = r.Take(at, c); failed != "" && i < len(test.chunks)-1 {
				t.Errorf("%s: chunk %d: %s", test.name, i, failed)
			}
		}
		if failed != test.failed {
			t.Errorf("%s: failed because %q, want %q", test.name, failed, test.failed)
		}
		if failed == "" {
			s := r.Done()
			if s.Rows != test.rows || len(s.Covers) != 1 || s.Since != 3 || r.ChunkAt != at ||
				r.Current() != nil {
				t.Errorf("%s: received %+v, last at %v", test.name, s, r.ChunkAt)
			}
			continue
		}
		if busy := test.chunks[0].Busy; busy != (r.BusyAt == at) {
			t.Errorf("%s: busy at %v", test.name, r.BusyAt)
		}
		if donor := r.Fail(at); donor != "d2" || r.From("d2") || !r.Tried(at, "d2") {
			t.Errorf("%s: %s failed us, tried %v", test.name, donor, r.Tried(at, "d2"))
		}
	}
}

// A donor that failed us is not asked for a moment; one in another life is.
func TestTried(t *testing.T) {
	var r Receiver
	if r.Tried(start, "d2") {
		t.Error("nobody was tried")
	}
	r.NoteTried(start, "d2")
	r.NoteTried(start, "d3")
	r.Forget("d3")
	if !r.Tried(start.Add(TryAgainAfter-1), "d2") || r.Tried(start.Add(TryAgainAfter), "d2") ||
		r.Tried(start, "d3") {
		t.Error("a donor is kept off for too long or too short")
	}
	r.Clean(start.Add(TryAgainAfter))
	if len(r.triedAt) != 1 {
		t.Errorf("%d are remembered, want 1", len(r.triedAt))
	}
	if r.Clean(start.Add(TryAgainAfter + 1)); len(r.triedAt) != 0 {
		t.Errorf("%d are remembered after that", len(r.triedAt))
	}
}

// A donor is given up when it is silent for too long, a pause of ours not counted.
func TestSilence(t *testing.T) {
	var r Receiver
	r.Postpone(time.Hour) // nothing
	if r.Silent(start) {
		t.Error("a donor is silent, and there is none")
	}
	r.Begin(start, Snapshot{ID: 7, Peer: "d2"})
	if r.Silent(start.Add(Stall)) || !r.Silent(start.Add(Stall+1)) {
		t.Error("given up too soon or too late after the question")
	}
	r.Take(start.Add(Stall), chunk(0, 0))
	later := start.Add(2*Stall + time.Minute)
	if r.Postpone(time.Minute); r.Silent(later) || !r.Silent(later.Add(1)) {
		t.Error("given up too soon or too late after a chunk")
	}
	r.NoteTried(start, "d3")
	if r.Abandon(); r.Current() != nil || r.Silent(2*start) || r.Tried(start, "d3") {
		t.Error("something is left of what was abandoned")
	}
}

// A donation ends with all rows sent, leaf by leaf and tag by tag, about as many in a chunk as
// wanted.
func TestDonation(t *testing.T) {
	dir := &rows{perLeaf: map[uint16][]directory.Mapping{
		1: {row(1, 1, 1), row(1, 2, 2)}, 2: {row(2, 1, 1)}, leaves - 1: {row(leaves-1, 1, 1)},
	}}
	for _, test := range []struct {
		name   string
		since  directory.Tick
		wanted int
		covers int
		want   []string // rows of each chunk by tag
	}{
		{"all at once", 0, 100, 1, []string{"a4", "b4"}},
		{"few at a time", 0, 2, 1, []string{"a2", "a2", "b2", "b2"}},
		{"since", 2, 100, 1, []string{"a1", "b1"}},
		{"many positions", 0, 100, coversBesideRows + 1, []string{"", "a4", "b4"}},
	} {
		var all Donations
		d := all.Begin(start, "d2", 7, test.since, []ring.Tag{"a", "b"},
			make([]wire.Position, test.covers))
		var got []string
		for n := uint32(0); ; n++ {
			c := d.Next(dir, t0, test.wanted)
			if c == nil {
				break
			}
			text := ""
			for _, b := range c.Blocks {
				text += fmt.Sprint(b.Tag, b.Len())
			}
			got = append(got, text)
			if c.ID != 7 || c.Index != n || c.Total != 77 || (len(c.Covers) > 0) != (n == 0) {
				t.Errorf("%s: chunk %d: %+v", test.name, n, c)
			}
			d.Ack(start, &wire.SnapshotAck{ID: 7, Index: n})
			if c.Last {
				break
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: chunks (-want +got):\n%s", test.name, diff)
		}
		if d.Next(dir, t0, test.wanted) != nil {
			t.Errorf("%s: goes on after the last chunk", test.name)
		}
		sent := uint64(0)
		for _, text := range test.want {
			if len(text) > 0 {
				sent += uint64(text[1] - '0')
			}
		}
		if d.Sent() != sent {
			t.Errorf("%s: %d rows sent, want %d", test.name, d.Sent(), sent)
		}
	}
}

// What a data directory has of flushes goes once, and before the rows, which need the room.
func TestFlushesGoFirst(t *testing.T) {
	dir := &rows{perLeaf: map[uint16][]directory.Mapping{3: {row(3, 1, 1)}}}
	var all Donations
	d := all.Begin(start, "d2", 7, 0, []ring.Tag{""}, nil)
	d.Tell(make([]wire.FlushProgress, 2))
	first, second := d.Next(dir, t0, 10), d.Next(dir, t0, 10)
	if len(first.Flushes) != 2 || len(first.Blocks) > 0 || first.Last {
		t.Errorf("the first chunk is %+v", first)
	}
	if len(second.Flushes) > 0 || len(second.Blocks) != 1 || !second.Last {
		t.Errorf("the second chunk is %+v", second)
	}
}

// Only so many chunks are made ahead of the acknowledgements, which must be of this snapshot and of
// what was sent.
func TestChunksAhead(t *testing.T) {
	dir := &rows{perLeaf: map[uint16][]directory.Mapping{}}
	for leaf := range uint16(50) {
		dir.perLeaf[leaf] = []directory.Mapping{row(leaf, 1, 1)}
	}
	var all Donations
	d := all.Begin(start, "d2", 7, 0, []ring.Tag{""}, nil)
	made := 0
	run := func() {
		for d.Next(dir, t0, 1) != nil {
			made++
		}
	}
	run()
	for i, step := range []struct {
		ack  wire.SnapshotAck
		ok   bool
		made int
	}{
		{wire.SnapshotAck{ID: 7, Index: chunksAhead}, false, chunksAhead}, // not sent yet
		{wire.SnapshotAck{ID: 6}, false, chunksAhead},                     // of another
		{wire.SnapshotAck{ID: 7}, true, chunksAhead + 1},
		{wire.SnapshotAck{ID: 7}, true, chunksAhead + 1}, // again
		{wire.SnapshotAck{ID: 7, Index: 3}, true, chunksAhead + 4},
	} {
		now := start.Add(time.Duration(i + 1))
		if ok := d.Ack(now, &step.ack); ok != step.ok || ok != (d.AckedAt() == now) {
			t.Errorf("%+v counts: %v, last at %v", step.ack, ok, d.AckedAt())
		}
		if run(); made != step.made {
			t.Errorf("after %+v %d chunks are made, want %d", step.ack, made, step.made)
		}
	}
}

// So many snapshots are given at a time; one that asks again gets a new one in the place of its old
// one; receivers that are silent are forgotten.
func TestDonationsAreBounded(t *testing.T) {
	var all Donations
	if all.Clean(start); all.Get("d2") != nil || !all.Room("d2") {
		t.Error("something is there in the beginning")
	}
	for i := range MaxDonations {
		name := fmt.Sprint("d", i)
		if !all.Room(name) {
			t.Fatalf("no room for number %d", i)
		}
		all.Begin(start, name, 1, 0, nil, nil)
	}
	if all.Room("more") || !all.Room("d3") {
		t.Error("room for one more, or none for one that asks again")
	}
	old := all.Get("d3")
	again := all.Begin(start.Add(1), "d3", 2, 0, nil, nil)
	if all.Get("d3") != again || again == old || all.Len() != MaxDonations {
		t.Errorf("of %d the one that asked again has the old one", all.Len())
	}
	all.Forget("d4")
	all.Postpone(time.Minute)
	if all.Clean(start.Add(time.Minute + forgetAfter)); all.Len() != MaxDonations-1 {
		t.Errorf("%d are left too early", all.Len())
	}
	if all.Clean(start.Add(time.Minute + forgetAfter + 1)); all.Len() != 1 || all.Get("d3") == nil {
		t.Errorf("%d are left too late", all.Len())
	}
	if all.Abandon(); all.Len() != 0 {
		t.Errorf("%d are left of what was abandoned", all.Len())
	}
}
