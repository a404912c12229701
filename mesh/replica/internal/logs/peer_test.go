package logs

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// A part of a log begins where it was asked for, ends before the first hole and after about as many
// bytes as were wanted, and has at least one message.
func TestPartOfALog(t *testing.T) {
	log := &Peer{}
	for _, seq := range []uint64{3, 4, 5, 8, 9} {
		log.tail = append(log.tail, entry{seq: seq, msg: &wire.Held{ID: seq}, bytes: 10})
	}
	for _, test := range []struct {
		name   string
		of     wire.Span
		wanted int
		want   []uint64
	}{
		{"all of it", wire.Span{From: 3, To: 5}, 1000, []uint64{3, 4, 5}},
		{"up to a hole", wire.Span{From: 4, To: 9}, 1000, []uint64{4, 5}},
		{"up to the end", wire.Span{From: 8, To: 20}, 1000, []uint64{8, 9}},
		{"the end of the span", wire.Span{From: 3, To: 4}, 1000, []uint64{3, 4}},
		{"as many bytes", wire.Span{From: 3, To: 5}, 20, []uint64{3, 4}},
		{"no more bytes", wire.Span{From: 3, To: 5}, 19, []uint64{3}},
		{"one at least", wire.Span{From: 3, To: 5}, 1, []uint64{3}},
		{"what is no longer kept", wire.Span{From: 2, To: 5}, 1000, nil},
		{"from within a hole", wire.Span{From: 6, To: 9}, 1000, nil},
		{"what has not come yet", wire.Span{From: 10, To: 12}, 1000, nil},
	} {
		var got []uint64
		for _, m := range log.part(test.of, test.wanted) {
			got = append(got, m.(*wire.Held).ID)
		}
		if d := cmp.Diff(test.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, d)
		}
	}
}

// Whatever order a log's messages come in, by streams, parts or snapshots, the log has exactly
// those that came, is whole exactly if it has all that were announced, and tells so to others.
func TestPeerHasWhatCame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 20
		log := NewSet().Open(ID{"d2", 2})
		came, announced := make(map[uint64]bool), uint64(0)
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			seq := rapid.Uint64Range(1, most).Draw(t, "seq")
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				if taken := log.Take(0, seq, &wire.Rows{}); taken == came[seq] {
					t.Fatalf("message %d, which was here: %v, is taken: %v", seq, came[seq], taken)
				}
				came[seq] = true
			case 1:
				log.Gained(Spans{{From: seq, To: seq + 1}})
				came[seq], came[seq+1] = true, true
			case 2:
				log.Announced(seq)
				announced = max(announced, seq)
			}
		}
		whole, last := true, uint64(0)
		for seq := uint64(1); seq <= most+1; seq++ {
			if log.Has(seq) != came[seq] {
				t.Fatalf("message %d came: %v, the log has it: %v", seq, came[seq], log.Has(seq))
			}
			if came[seq] {
				announced, last = max(announced, seq), seq
			}
		}
		for seq := uint64(1); seq <= announced; seq++ {
			whole = whole && came[seq]
		}
		if log.Seen() != announced || log.Whole() != whole {
			t.Fatalf("up to %d, whole: %v; want %d, %v", log.Seen(), log.Whole(), announced, whole)
		}
		resume := last
		if resume == 0 {
			resume = announced
		}
		if log.Resume() != resume {
			t.Fatalf("replay after %d, want %d", log.Resume(), resume)
		}
		if told := SpansOf(log.Position(0)); told.String() != log.Have().String() {
			t.Fatalf("has %v, tells %v", log.Have(), told)
		}
	})
}

// A peer that lacks messages gets the first of them that are together, if they are still kept.
func TestNextPartForAPeer(t *testing.T) {
	log := NewSet().Open(ID{"d2", 2})
	for seq := uint64(1); seq <= 6; seq++ {
		log.Take(0, seq, &wire.Held{ID: seq})
	}
	log.Gained(Spans{{From: 8, To: 9}}) // by a snapshot: no messages
	for _, test := range []struct {
		name string
		has  Spans
		from uint64
		want []uint64
	}{
		{"lacks all", nil, 1, []uint64{1, 2, 3, 4, 5, 6}},
		{"lacks two in the middle", Spans{{From: 1, To: 2}, {From: 5, To: 9}}, 3, []uint64{3, 4}},
		{"lacks what is not kept", Spans{{From: 1, To: 6}}, 8, nil},
		{"lacks nothing", Spans{{From: 1, To: 6}, {From: 8, To: 20}}, 0, nil},
	} {
		from, part := log.Part(test.has)
		var got []uint64
		for _, m := range part {
			got = append(got, m.(*wire.Held).ID)
		}
		if diff := cmp.Diff(test.want, got); diff != "" || from != test.from {
			t.Errorf("%s: from %d, want %d (-want +got):\n%s", test.name, from, test.from, diff)
		}
	}
}

// Messages are kept by number, whatever order they come in, for a time and up to a size.
func TestTailIsBounded(t *testing.T) {
	log := &Peer{}
	for i, seq := range []uint64{4, 2, 3, 1} {
		log.Keep(mono.Time(time.Duration(i)*time.Second), seq, &wire.Rows{})
	}
	kept := func() (numbers []uint64) {
		for _, e := range log.tail {
			numbers = append(numbers, e.seq)
		}
		return numbers
	}
	if got := kept(); !slices.Equal(got, []uint64{1, 2, 3, 4}) {
		t.Errorf("kept in the order %v", got)
	}
	if log.prune(mono.Time(keepTail+3*time.Second), log.bytes); len(log.tail) != 4 {
		t.Errorf("after %v %v are left", keepTail, kept())
	}
	if log.prune(mono.Time(keepTail), 2*entryOverhead); !slices.Equal(kept(), []uint64{3, 4}) {
		t.Errorf("in room for two %v are left", kept())
	}
	// 3 came after 4, and is the first to be looked at.
	if log.prune(mono.Time(keepTail+time.Second), log.bytes); len(log.tail) != 2 {
		t.Errorf("%v are left, the first has some time to go", kept())
	}
	if log.prune(mono.Time(keepTail+3*time.Second), log.bytes); len(log.tail) != 0 ||
		log.bytes != 0 {
		t.Errorf("%v of %d bytes are left of what is too old", kept(), log.bytes)
	}
}

// Others are told for how long the writer of a log has been gone, at least a millisecond.
func TestPositionTellsSinceWhenItsWriterIsGone(t *testing.T) {
	for _, test := range []struct {
		since time.Duration
		want  uint32
	}{
		{time.Microsecond, 1}, {time.Second, 1000}, {2 * LongestGone, 86_400_000},
	} {
		s := NewSet()
		log := s.Open(ID{"d2", 2})
		const went = mono.Time(time.Hour)
		if log.Position(went).Gone != 0 {
			t.Errorf("of one that lives: gone for %d", log.Position(went).Gone)
		}
		s.Went(went, log)
		if got := log.Position(went.Add(test.since)).Gone; got != test.want {
			t.Errorf("after %v: gone for %d, want %d", test.since, got, test.want)
		}
		if log.Live(); log.Gone() {
			t.Error("back, and still gone")
		}
	}
}
