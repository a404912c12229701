package digests

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const (
	begun = directory.Time(1_800_000_000_000) // the beginning of an epoch
	tick  = 50 * time.Millisecond
)

// rows are a directory that notes what is asked of it.
type rows struct {
	tags    []ring.Tag
	swept   []Group
	digests []string // "tag group end"
	leaves  map[Group][leavesInGroup]uint64
}

func (r *rows) Tags() []ring.Tag { return r.tags }

func (r *rows) SweepGroup(tag ring.Tag, group uint8, _ directory.Time) int {
	r.swept = append(r.swept, Group{tag, group})
	return 0
}

func (r *rows) DigestGroup(tag ring.Tag, group uint8, end directory.Time) [leavesInGroup]uint64 {
	r.digests = append(r.digests, fmt.Sprint(tag, group, end))
	return r.leaves[Group{tag, group}]
}

// run lets a set take steps until some time after the beginning of the epoch.
func run(s *Set, r *rows, from, to time.Duration) {
	for at := from; at < to; at += tick {
		s.Step(mono.Time(time.Hour).Add(at), begun.Add(at), r)
	}
}

// A pass begins when its epoch has settled, takes each group once, dead rows swept before, and
// takes its time for that.
func TestPass(t *testing.T) {
	r := &rows{
		tags: []ring.Tag{"a", "b"}, leaves: map[Group][leavesInGroup]uint64{{"b", 7}: {5: 9}},
	}
	settled := begun.Add(-epochLength) // the last epoch that has settled at begun ends then
	s := &Set{taken: []epochDigests{{epoch: int64(settled)/epochLength.Milliseconds() - 1}}}
	run(s, r, 0, SettleAfter)
	if len(r.digests) > 0 {
		t.Errorf("%d groups are taken before the epoch has settled", len(r.digests))
	}
	run(s, r, SettleAfter, SettleAfter+epochLength-tick)
	got, tags := s.Newest()
	want := int64(begun.Add(-time.Millisecond)) / epochLength.Milliseconds()
	if got != want || len(tags) != 2 {
		t.Fatalf("digests of epoch %d for %d tags, want %d for 2", got, len(tags), want)
	}
	if tags[1].Groups[7] == 0 || tags[1].Groups[8] != 0 || tags[0].Groups[7] != 0 {
		t.Error("a group with rows has no digest, or one without has")
	}
	perTag := make(map[string]int)
	for _, d := range r.digests {
		perTag[d]++
	}
	for d, n := range perTag {
		if n != 1 {
			t.Errorf("%q was taken %d times", d, n)
		}
	}
	if len(r.swept) != len(r.digests) {
		t.Errorf("%d groups swept, %d taken", len(r.swept), len(r.digests))
	}
}

// The groups of a pass are spread over its length.
func TestPassTakesItsTime(t *testing.T) {
	r := &rows{tags: []ring.Tag{""}}
	s := &Set{}
	s.Step(0, begun.Add(SettleAfter), r)
	for _, test := range []struct {
		after time.Duration
		want  int
	}{
		{0, 0}, {PassLength / 4, groups / 4}, {PassLength / 2, groups / 2},
		{2 * PassLength, groups},
	} {
		s.Step(mono.Time(test.after), begun.Add(SettleAfter), r)
		if len(r.digests) != test.want {
			t.Errorf("%d groups after %v, want %d", len(r.digests), test.after, test.want)
		}
	}
	s.Step(mono.Time(3*PassLength), begun.Add(SettleAfter), r)
	if len(r.digests) != groups {
		t.Errorf("the epoch is taken again: %d groups", len(r.digests))
	}
}

// Some epochs are kept, the last ones.
func TestKeptEpochs(t *testing.T) {
	s, r := &Set{}, &rows{}
	for n := range 5 {
		s.Step(0, begun.Add(time.Duration(n)*epochLength), r)
	}
	var got []int64
	newest, _ := s.Newest()
	for _, d := range s.taken {
		got = append(got, d.epoch-newest)
	}
	if diff := cmp.Diff([]int64{-2, -1, 0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if epoch, tags := new(Set).Newest(); epoch != 0 || tags != nil {
		t.Errorf("before the first there is epoch %d: %v", epoch, tags)
	}
}

// A sweep goes through all groups of all tags, some in each step; another one begins anew.
func TestSweep(t *testing.T) {
	s, r := &Set{taken: []epochDigests{{epoch: 1 << 60}}}, &rows{}
	s.SweepSoon([]ring.Tag{"x"})
	s.Step(0, begun, r)
	if len(r.swept) != groupsPerStep {
		t.Errorf("%d groups in a step, want %d", len(r.swept), groupsPerStep)
	}
	r.swept = nil
	s.SweepSoon([]ring.Tag{"a", "b"})
	for range 2*groups/groupsPerStep + 3 {
		s.Step(0, begun, r)
	}
	var want []Group
	for _, tag := range []ring.Tag{"a", "b"} {
		for g := range groups {
			want = append(want, Group{tag, uint8(g)})
		}
	}
	if diff := cmp.Diff(want, r.swept); diff != "" {
		t.Errorf("swept (-want +got):\n%s", diff)
	}
}

// Groups that differ are found whichever of the two has the tag, up to a number.
func TestCompare(t *testing.T) {
	digest := func(tag ring.Tag, groups ...uint8) wire.GroupDigests {
		d := wire.GroupDigests{Tag: tag}
		for _, g := range groups {
			d.Groups[g] = 1
		}
		return d
	}
	all := make([]uint8, groups)
	for i := range all {
		all[i] = uint8(i)
	}
	s := &Set{taken: []epochDigests{
		{epoch: 4, tags: []wire.GroupDigests{digest("a", 1, 2), digest("b", 9)}},
		{epoch: 5, tags: []wire.GroupDigests{digest("a", all...)}},
	}}
	for _, test := range []struct {
		name     string
		epoch    int64
		theirs   []wire.GroupDigests
		want     []Group
		compared bool
	}{
		{"of an unknown epoch", 6, nil, nil, false},
		{"equal", 4, []wire.GroupDigests{digest("b", 9), digest("a", 1, 2)}, nil, true},
		{"another group", 4, []wire.GroupDigests{digest("a", 2, 3), digest("b", 9)},
			[]Group{{"a", 1}, {"a", 3}}, true},
		{"a tag less", 4, []wire.GroupDigests{digest("a", 1, 2)}, []Group{{"b", 9}}, true},
		{"a tag more", 4, []wire.GroupDigests{digest("c", 8), digest("a", 1, 2), digest("b", 9)},
			[]Group{{"c", 8}}, true},
	} {
		got, compared := s.Compare(test.epoch, test.theirs)
		if diff := cmp.Diff(test.want, got); diff != "" || compared != test.compared {
			t.Errorf("%s: compared %v (-want +got):\n%s", test.name, compared, diff)
		}
	}
	if got, _ := s.Compare(5, nil); len(got) != repairGroups {
		t.Errorf("%d groups are asked about at once, want %d", len(got), repairGroups)
	}
}

// Leaf digests can be compared from a while after the end of their epoch until dead rows go.
func TestComparable(t *testing.T) {
	const epoch = 7
	end := epochEnd(epoch)
	for at, want := range map[time.Duration]bool{
		SettleAfter/2 - time.Millisecond: false, SettleAfter / 2: true, comparableFor: true,
		comparableFor + time.Millisecond: false,
	} {
		if got := Comparable(end.Add(at), epoch); got != want {
			t.Errorf("%v after the end: %v, want %v", at, got, want)
		}
	}
}

func TestDifferingLeaves(t *testing.T) {
	var ours, theirs [leavesInGroup]uint64
	if got := Differing(1, &ours, &theirs); got != nil {
		t.Errorf("of equal ones %v differ", got)
	}
	ours[0], theirs[255] = 1, 1
	if diff := cmp.Diff([]uint16{0x0200, 0x02ff}, Differing(2, &ours, &theirs)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range ours {
		ours[i] = uint64(i) + 7
	}
	if got := Differing(0, &ours, &theirs); len(got) != RepairLeaves || !slices.IsSorted(got) {
		t.Errorf("%d leaves at once, want %d", len(got), RepairLeaves)
	}
}

// A group without rows has digest 0; where rows are counts.
func TestFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, leavesInGroup-1)
		a, b := at.Draw(t, "leaf"), at.Draw(t, "other leaf")
		var one, other, none [leavesInGroup]uint64
		d := rapid.Uint64Range(1, 1<<63).Draw(t, "digest")
		one[a], other[b] = d, d
		if fold(&none) != 0 || (fold(&one) == fold(&other)) != (a == b) {
			t.Fatalf("digest %x in leaf %d and in leaf %d", d, a, b)
		}
	})
}
