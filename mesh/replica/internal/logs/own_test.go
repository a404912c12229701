package logs

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// numbers are those of the messages that a peer gets.
func (o *Own) numbers(now mono.Time, after uint64, newest bool) (numbers []uint64) {
	for m := range o.Replay(now, after, newest) {
		seq, _ := wire.LogSeq(m)
		numbers = append(numbers, seq)
	}
	return numbers
}

func block(tag ring.Tag, rows int) wire.Block {
	s := rowset.New()
	for i := range rows {
		s.Add(tag, directory.Mapping{Hash: ring.UserHash(i), Generation: 1})
	}
	return s.Blocks()[0]
}

// Our log is kept for some time and up to some size, counted about as what it holds.
func TestOwnIsBounded(t *testing.T) {
	const now = mono.Time(time.Hour)
	table := &wire.Table{Change: directory.Change{
		Backends: make([]directory.BackendRow, 2), Directors: make([]directory.DirectorRow, 1),
	}}
	var o Own
	total := 0
	for i, test := range []struct {
		m    wire.Message
		size int
	}{
		{&wire.Rows{Blocks: []wire.Block{block("", 10)}}, 96 + 160},
		{&wire.Hold{Blocks: []wire.Block{block("", 5), block("ssd", 5)}}, 96 + 160},
		{table, 96 + 3*256},
		{&wire.Unknown{Fields: make([]byte, 33)}, 96 + 33},
	} {
		if got := sizeOf(test.m); got != test.size {
			t.Errorf("%T counts as %d bytes, want %d", test.m, got, test.size)
		}
		total += test.size
		o.Append(now.Add(time.Duration(i)*time.Second), test.m)
	}
	if o.bytes != total || o.Last() != 4 || !o.Whole() {
		t.Errorf("%d bytes up to message %d, want %d and 4", o.bytes, o.Last(), total)
	}
	for _, test := range []struct {
		name  string
		drop  func()
		want  []uint64
		bytes int
	}{
		{"after thirty seconds", func() { o.Prune(now.Add(KeptFor)) }, []uint64{1, 2, 3, 4}, total},
		{"after more", func() { o.Prune(now.Add(KeptFor + 1)) }, []uint64{2, 3, 4}, total - 256},
		{"in room for three", func() { o.trim(total - 256) }, []uint64{2, 3, 4}, total - 256},
		{"in room for less", func() { o.trim(total - 257) }, []uint64{3, 4}, total - 512},
	} {
		test.drop()
		diff := cmp.Diff(test.want, o.numbers(now, 0, false))
		if diff != "" || o.bytes != test.bytes {
			t.Errorf("%s: %d bytes, want %d (-want +got):\n%s",
				test.name, o.bytes, test.bytes, diff)
		}
	}
	if o.Whole() || o.Last() != 4 {
		t.Errorf("whole: %v, up to %d", o.Whole(), o.Last())
	}
}

// A replay begins after a number; of the newest messages it has those of the last two seconds.
func TestOwnIsReplayed(t *testing.T) {
	var o Own
	for i := range 5 {
		o.Append(mono.Time(time.Duration(i)*time.Second), &wire.Rows{})
	}
	for _, test := range []struct {
		after  uint64
		newest bool
		want   []uint64
	}{
		{0, false, []uint64{1, 2, 3, 4, 5}},
		{3, false, []uint64{4, 5}},
		{5, false, nil},
		{0, true, []uint64{3, 4, 5}},
		{4, true, []uint64{5}},
	} {
		got := o.numbers(mono.Time(4*time.Second), test.after, test.newest)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("after %d, newest only: %v (-want +got):\n%s", test.after, test.newest, diff)
		}
	}
}
